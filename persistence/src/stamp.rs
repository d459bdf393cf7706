//! What the broker notes of a message as a whole, beside what its publisher sent. Set by whoever
//! takes the message in, carried by [`Message`](crate::Message), stored with it.

/// When a message arrived, and notes on it.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq)]
pub struct Stamp {
    /// When it arrived, in milliseconds since the Unix epoch; 0 if that is not known. Kept up to
    /// the year 10889, which is what 48 bits hold.
    pub arrived_ms: u64,
    /// What the broker notes of it, one bit each; not looked at here.
    pub flags: u8,
}

/// A stamp in seven bytes, so that a message with it is one cache line.
#[derive(Copy, Clone, Default)]
pub(crate) struct PackedStamp {
    arrived: [u8; 6],
    pub(crate) flags: u8,
}

impl From<Stamp> for PackedStamp {
    #[inline]
    fn from(Stamp { arrived_ms, flags }: Stamp) -> Self {
        let [a, b, c, d, e, f, high @ ..] = arrived_ms.to_le_bytes();
        let arrived = if high == [0, 0] { [a, b, c, d, e, f] } else { [0xff; 6] };
        Self { arrived, flags }
    }
}

impl From<PackedStamp> for Stamp {
    #[inline]
    fn from(PackedStamp { arrived: [a, b, c, d, e, f], flags }: PackedStamp) -> Self {
        Self { arrived_ms: u64::from_le_bytes([a, b, c, d, e, f, 0, 0]), flags }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_48_bits_comes_back_and_a_later_one_as_the_latest() {
        let highest = (1 << 48) - 1;
        for (arrived_ms, expected) in [
            (0, 0),
            (1_795_379_430_123, 1_795_379_430_123),
            (highest, highest),
            (highest + 1, highest),
            (u64::MAX, highest),
        ] {
            let packed = PackedStamp::from(Stamp { arrived_ms, flags: 0xa5 });
            assert_eq!(Stamp::from(packed), Stamp { arrived_ms: expected, flags: 0xa5 });
        }
    }
}
