//! What can be written: publishes, changes, and the batch that makes some of them one transaction.
//!
//! Connections and queues build batches and hand them to [`Committer`](crate::Committer).

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::error::CommitError;
use crate::ids::{MessageId, QueueId, Ticket};
use crate::message::Message;
use crate::progress::Progress;
use crate::records::{
    BindingRecord, ExchangeRecord, GlobalParameterRecord, ParameterRecord, PermissionRecord,
    QueueRecord, TopicPermissionRecord, UserRecord, VhostRecord,
};
use crate::remembered::RememberedKey;

/// The queues a message goes to. Most messages go to one, which then costs no allocation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Queues {
    /// No queue (any more): the message need not be written.
    None,
    /// One queue.
    One(QueueId),
    /// Several queues, each named once.
    Many(Arc<[QueueId]>),
}

impl Queues {
    /// The queues as a slice.
    #[must_use]
    pub fn as_slice(&self) -> &[QueueId] {
        match self {
            Self::None => &[],
            Self::One(queue) => std::slice::from_ref(queue),
            Self::Many(queues) => queues,
        }
    }

    /// Whether no queue is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.as_slice().is_empty()
    }

    /// Takes `queue` out of the set.
    pub(crate) fn remove(&mut self, queue: QueueId) {
        match self {
            Self::None => {}
            Self::One(one) => {
                if *one == queue {
                    *self = Self::None;
                }
            }
            Self::Many(many) => {
                if many.contains(&queue) {
                    *self = many.iter().copied().filter(|other| *other != queue).collect();
                }
            }
        }
    }
}

impl From<QueueId> for Queues {
    fn from(queue: QueueId) -> Self {
        Self::One(queue)
    }
}

impl FromIterator<QueueId> for Queues {
    fn from_iter<I: IntoIterator<Item = QueueId>>(queues: I) -> Self {
        let mut queues = queues.into_iter();
        let Some(first) = queues.next() else {
            return Self::None;
        };
        let Some(second) = queues.next() else {
            return Self::One(first);
        };
        Self::Many([first, second].into_iter().chain(queues).collect())
    }
}

/// A message on its way into the store, with all of its queue entries.
#[derive(Clone, Debug)]
pub struct Publish {
    /// Its id, reserved with [`Committer::reserve`](crate::Committer::reserve).
    pub id: MessageId,
    /// The message.
    pub message: Message,
    /// The queues that get it.
    pub queues: Queues,
    /// `true`: kept until every queue has settled it, whatever happens to the process.
    ///
    /// `false`: a queue pages it out to save memory; forgotten on restart. The same id may then be
    /// published again, by another of its queues or by one that had read and settled it.
    pub durable: bool,
}

/// A change of what is stored. Changes are applied in order, after the publishes of their batch.
///
/// Putting a record replaces the one with the same key; deleting what is not there does nothing.
#[derive(Clone, Debug)]
pub enum Change {
    /// Entries leave a queue: acknowledged, dropped, expired or purged.
    ///
    /// The ranges name messages that the queue has been given, and no others: an id between them
    /// may be on its way to the queue, and would be settled before it arrives. Ids that the store
    /// does not have are ignored.
    Settle {
        /// The queue they leave.
        queue: QueueId,
        /// The ids, as inclusive ranges in any order.
        ids: Vec<RangeInclusive<MessageId>>,
    },
    /// Notes what has happened to messages in a queue, for as long as it holds them. What it does
    /// not hold in the store is ignored: what was settled, was never written because it was
    /// settled before, or is only paged out.
    PutProgress {
        /// The queue.
        queue: QueueId,
        /// The progress of some of its messages, which replaces what was put before.
        progress: Vec<Progress>,
    },
    /// Remembers keys, in order. One that is remembered already gets the new end and becomes the
    /// newest.
    Remember {
        /// For whom: any text.
        owner: String,
        /// The keys.
        keys: Vec<RememberedKey>,
    },
    /// Forgets some keys of an owner.
    Forget {
        /// For whom they were remembered.
        owner: String,
        /// The keys.
        keys: Vec<Vec<u8>>,
    },
    /// Forgets all keys of an owner.
    ForgetOwner {
        /// For whom they were remembered.
        owner: String,
    },
    /// Adds or replaces a vhost.
    PutVhost(VhostRecord),
    /// Deletes a vhost, and only it: what was in it, and its parameters, are the caller's to
    /// delete.
    DeleteVhost {
        /// Its name.
        name: String,
    },
    /// Adds or replaces a user.
    PutUser(UserRecord),
    /// Deletes a user, and only it: the permissions are the caller's to delete.
    DeleteUser {
        /// Its name.
        name: String,
    },
    /// Adds or replaces what a user may do in a vhost.
    PutPermission(PermissionRecord),
    /// Deletes what a user may do in a vhost.
    DeletePermission {
        /// The user.
        user: String,
        /// The vhost.
        vhost: String,
    },
    /// Adds or replaces what a user may do at a topic exchange.
    PutTopicPermission(TopicPermissionRecord),
    /// Deletes what a user may do at a topic exchange.
    DeleteTopicPermission {
        /// The user.
        user: String,
        /// The vhost.
        vhost: String,
        /// The exchange.
        exchange: String,
    },
    /// Adds or replaces a parameter of a vhost.
    PutParameter(ParameterRecord),
    /// Deletes a parameter of a vhost.
    DeleteParameter {
        /// The vhost.
        vhost: String,
        /// What it is a parameter of.
        component: String,
        /// Its name.
        name: String,
    },
    /// Adds or replaces a global parameter.
    PutGlobalParameter(GlobalParameterRecord),
    /// Deletes a global parameter.
    DeleteGlobalParameter {
        /// Its name.
        name: String,
    },
    /// Adds or replaces an exchange.
    PutExchange(ExchangeRecord),
    /// Deletes an exchange, and only it: its bindings are the caller's to delete.
    DeleteExchange {
        /// The vhost it is in.
        vhost: String,
        /// Its name.
        name: String,
    },
    /// Adds or replaces a queue; the key is its id.
    PutQueue(QueueRecord),
    /// Deletes a queue with all its entries; its bindings are the caller's to delete. Publishes
    /// to it that are committed together with the deletion leave nothing behind.
    DeleteQueue(QueueId),
    /// Adds a binding.
    PutBinding(BindingRecord),
    /// Deletes the binding that is equal in every field.
    DeleteBinding(BindingRecord),
    /// Notes the highest id that was ever delivered from a queue, so that after a clean stop only
    /// these are marked as redelivered. Ignored for a queue without a record.
    DeliveredTo {
        /// The queue.
        queue: QueueId,
        /// The highest id delivered.
        id: MessageId,
    },
}

/// Told what became of a batch: its ticket once it is durable, or why it never will be.
///
/// Called on the committer's thread in ticket order, so it must not block. It is called exactly
/// once, also when the store has failed or the committer has stopped.
pub type Completion = Box<dyn FnOnce(Result<Ticket, CommitError>) + Send>;

/// What is committed together: after a crash either all of it is there or nothing.
#[derive(Default)]
pub struct Batch {
    /// Messages to store. Their ids may come in any order.
    pub publishes: Vec<Publish>,
    /// Changes, in order.
    pub changes: Vec<Change>,
    /// Called when the batch is durable or refused.
    pub done: Option<Completion>,
}

impl Batch {
    /// A batch of one change, without a completion.
    #[must_use]
    pub fn change(change: Change) -> Self {
        Self { changes: vec![change], ..Self::default() }
    }

    /// The same batch with a completion.
    #[must_use]
    pub fn on_done(mut self, done: Completion) -> Self {
        self.done = Some(done);
        self
    }

    /// Bytes of the messages in it.
    #[must_use]
    pub fn message_bytes(&self) -> usize {
        self.publishes.iter().map(|publish| publish.message.size()).sum()
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("publishes", &self.publishes)
            .field("changes", &self.changes)
            .finish_non_exhaustive()
    }
}
