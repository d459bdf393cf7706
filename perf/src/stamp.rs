//! The first 16 bytes of every body: whose message it is, which one, and when it was sent. Written by
//! `template`, read by `deliveries` and for returned messages.

/// How many bytes a stamp takes.
pub(crate) const STAMP_LEN: usize = 16;

const LOW_48: u64 = (1 << 48) - 1;

/// What a body says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// The run it belongs to.
    pub(crate) run: u16,
    /// The publisher's index.
    pub(crate) publisher: u16,
    /// The publisher's message number, from 0; 48 bits.
    pub(crate) seq: u64,
    /// When it was handed to the socket, in microseconds of the run's clock; 48 bits.
    pub(crate) at_us: u64,
}

impl Stamp {
    /// Publisher and number in one big-endian word, run and time in the other.
    pub(crate) fn encode(self) -> [u8; STAMP_LEN] {
        let which = u128::from(self.publisher) << 48 | u128::from(self.seq & LOW_48);
        let when = u128::from(self.run) << 48 | u128::from(self.at_us & LOW_48);
        (which << 64 | when).to_be_bytes()
    }

    /// The reverse; `None` if the body is too short to carry a stamp.
    #[expect(clippy::cast_possible_truncation, reason = "taking a number apart")]
    pub(crate) fn decode(body: &[u8]) -> Option<Self> {
        let bits = u128::from_be_bytes(*body.first_chunk()?);
        let (which, when) = ((bits >> 64) as u64, bits as u64);
        Some(Self {
            run: (when >> 48) as u16,
            publisher: (which >> 48) as u16,
            seq: which & LOW_48,
            at_us: when & LOW_48,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_stamp_is_read_as_it_was_written(run: u16, publisher: u16, seq in 0..=LOW_48, at_us in 0..=LOW_48) {
            let stamp = Stamp { run, publisher, seq, at_us };
            prop_assert_eq!(Stamp::decode(&stamp.encode()), Some(stamp));
        }
    }

    #[test]
    fn a_short_body_has_no_stamp() {
        assert_eq!(Stamp::decode(&[0; STAMP_LEN - 1]), None);
    }
}
