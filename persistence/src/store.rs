//! The seam: what a backend has to do. The committer is the only caller of [`Store`], the
//! message readers of [`Reader`].
//!
//! Both block. Nothing here assumes a local file: a commit is a batch with one outcome.

use std::collections::HashMap;

use crate::error::{CommitError, OpenError, ReadError};
use crate::gather::Gathered;
use crate::ids::{IdSet, MessageId, NextIds, QueueId};
use crate::message::Message;
use crate::progress::Progress;
use crate::records::Definitions;
use crate::remembered::RememberedKey;
use crate::stamp::Stamp;

/// A place that keeps messages and definitions. Owned by one thread.
pub trait Store: Send {
    /// Makes all of `gathered` durable in one transaction, or none of it.
    ///
    /// It is on stable storage when this returns `Ok`, except messages published with
    /// `durable: false`, which need only be readable.
    ///
    /// # Errors
    /// After an error the store is in an unknown state and must not be used: wrap it in
    /// [`Checked`](crate::Checked).
    fn commit(&mut self, gathered: &Gathered) -> Result<(), CommitError>;

    /// Another reader of the same store. It sees every commit that returned before its read.
    ///
    /// # Errors
    /// When the store can not be opened a second time.
    fn reader(&self) -> Result<Box<dyn Reader>, OpenError>;

    /// A small piece (milliseconds) of clean-up, asked for when nothing waits to be committed.
    ///
    /// # Errors
    /// As [`Store::commit`].
    fn upkeep(&mut self) -> Result<Upkeep, CommitError>;

    /// Notes that the stop was clean and that ids from `next` on are unused, and closes. Clean-up
    /// that was not done yet is left to the next start.
    ///
    /// # Errors
    /// As [`Store::commit`]. What was committed stays durable; the next start is then one after
    /// an unclean stop.
    fn close(self: Box<Self>, next: NextIds) -> Result<(), CommitError>;
}

/// Whether [`Store::upkeep`] has more to do.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Upkeep {
    /// Call again when there is time.
    More,
    /// Nothing to do until the next commit.
    Done,
}

/// Reads messages back. Owned by one thread, not the committer's.
pub trait Reader: Send {
    /// The messages with the given ids, which are increasing, in that order. Ids that are not
    /// stored are left out. Stops after the message with which `bytes_max` is reached, so that a
    /// backlog of large messages does not come into memory at once.
    ///
    /// A message is there from the commit of its publish until every queue has settled it, and
    /// possibly longer: the caller asks only for what a queue still holds.
    ///
    /// # Errors
    /// When the store can not be read.
    fn read(&mut self, ids: &[MessageId], bytes_max: usize) -> Result<Found, ReadError>;

    /// What is known of the messages with the given ids without their bodies, which are not read.
    /// The ids are increasing, and so is the answer; ids that are not stored are left out.
    ///
    /// A message is there for as long as it is for [`Reader::read`]. Nothing bounds the answer but
    /// the number of ids, so the caller asks for some thousands at a time.
    ///
    /// # Errors
    /// When the store can not be read.
    fn scan(&mut self, ids: &[MessageId]) -> Result<Vec<Scanned>, ReadError>;
}

/// A message without its body.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Scanned {
    /// Its id.
    pub id: MessageId,
    /// When it arrived, and what the broker notes of it.
    pub stamp: Stamp,
    /// The properties as the content header carried them.
    pub properties: Vec<u8>,
    /// Bytes of its body.
    pub body_len: u64,
}

/// What a read has found.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Found {
    /// The messages, in id order.
    pub messages: Vec<(MessageId, Message)>,
    /// The id at which the read stopped because it had enough; `None` if it looked at all of them.
    pub stopped_at: Option<MessageId>,
}

/// What was in a store when it was opened.
#[derive(Debug, Default)]
pub struct Recovered {
    /// All definitions.
    pub definitions: Definitions,
    /// The messages of every queue that has some. Only queues with a record are in it.
    pub backlog: HashMap<QueueId, IdSet>,
    /// What had happened to messages of the backlog, by queue and in id order. Messages of which
    /// nothing was put are not in it.
    pub progress: HashMap<QueueId, Vec<Progress>>,
    /// The remembered keys of every owner that has some, oldest first.
    pub remembered: HashMap<String, Vec<RememberedKey>>,
    /// The ids to go on with; hand them to [`Committer::start`](crate::Committer::start).
    pub next: NextIds,
    /// Whether the last stop was clean. If not, any message may have been delivered before.
    pub clean: bool,
}
