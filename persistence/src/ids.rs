//! The numbers everything is known by: messages, queues and submissions.
//!
//! Callers reserve them through [`Committer`](crate::Committer); backends store them as 64-bit
//! integers and never invent any.

use std::fmt;

/// A message's number on this node: unique, increasing, never used twice.
///
/// Ids start at 1 and stay below 2^63, which is as far as an SQL integer goes. The order of a
/// queue is the order of its message ids, in memory and in the store.
pub type MessageId = u64;

/// A compressed set of message ids: the backlog of a queue costs bits, not entries.
pub type IdSet = roaring::RoaringTreemap;

/// A queue's number on this node: never used twice, so that what is left of a deleted queue can
/// not reach a later one of the same name.
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash, Debug)]
pub struct QueueId(pub u32);

impl fmt::Display for QueueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The position of a submission. Tickets are committed in their order: when
/// [`Committer::committed`](crate::Committer::committed) has reached one, all earlier ones are
/// durable as well.
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash, Debug, Default)]
pub struct Ticket(pub(crate) u64);

impl Ticket {
    /// The ticket before the first submission: always committed.
    pub const NONE: Self = Self(0);

    /// The ticket of the submission at `position`, counted from 1: for tests of what only compares
    /// tickets and needs no committer for it.
    #[must_use]
    pub const fn nth(position: u64) -> Self {
        Self(position)
    }
}

/// The first message id and the first queue id that were never used.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct NextIds {
    /// The next message gets this id or a higher one.
    pub message: MessageId,
    /// The next queue gets this id or a higher one.
    pub queue: QueueId,
}

impl Default for NextIds {
    fn default() -> Self {
        Self { message: 1, queue: QueueId(1) }
    }
}
