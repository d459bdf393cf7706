//! What has happened to a message in a queue, as far as it has to outlive a restart. Queues put it
//! with [`Change::PutProgress`](crate::Change::PutProgress) and get it back in
//! [`Recovered`](crate::Recovered).

use crate::ids::MessageId;

/// The progress of a message in one of its queues.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub struct Progress {
    /// The message.
    pub id: MessageId,
    /// How often it was delivered.
    pub deliveries: u32,
    /// How often it was put back to be tried again.
    pub retries: u32,
    /// Until when it waits, in milliseconds since the Unix epoch; 0 if it does not.
    pub due_ms: u64,
}
