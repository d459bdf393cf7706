//! What the broker notes of a message in the flags of its stamp, so that queues need not look into its properties.

/// It has an `expiration`.
pub(crate) const EXPIRES: u8 = 1;
/// Its `x-death` headers are the broker's own, not a client's.
pub(crate) const DEAD_LETTER: u8 = 1 << 1;
/// Its publisher numbers its messages (`x-publisher-id` and `x-sequence`).
pub(crate) const NUMBERED: u8 = 1 << 2;
/// It has a `BCC`, which stays with it for its dead letters and is nobody else's business: it is not delivered.
pub(crate) const BLIND_COPIES: u8 = 1 << 4;
/// Its `CC` header has had its effect: it was dead-lettered with a routing key that takes the place of all its keys.
pub(crate) const CC_SPENT: u8 = 1 << 3;
