//! Keys that are to be known again after a restart, to recognize duplicates. Put with
//! [`Change::Remember`](crate::Change::Remember); they come back in
//! [`Recovered`](crate::Recovered).

/// A key, and how long it is worth remembering. Nothing here looks at the time: who put it says
/// when it is to be forgotten.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RememberedKey {
    /// The key, opaque here.
    pub key: Vec<u8>,
    /// Until when it counts, in milliseconds since the Unix epoch; 0 if it has no end.
    pub until_ms: u64,
}
