//! A queue's rules, as a plain state machine: no lock, no I/O, no clock. `task.rs` brings it what happened and carries
//! out its [`Effects`]. Delivering is in [`super::dispatch`], settling in [`super::settling`], what time does in
//! [`super::timers`], what it tells of itself in [`super::view`].

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use leveret_persistence::{IdSet, Message, MessageId, Progress, Ticket};

use super::consumers::{ConsumeError, Consumer, ConsumerId, ConsumerSpec, Consumers, Delivery};
use super::dying::{Dying, Leaving};
use super::entry::Entry;
use super::groups::Groups;
use super::ready::Ready;
use super::recovered::Backlog;
use super::rules::{Keeps, Rules};
use super::sequences::{self, Sequences};
use super::unacked::Session;
use super::waiting::Waiting;
use crate::connection::ChannelId;
use crate::stamp;

/// What becomes of a delivered message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    /// The consumer has dealt with it.
    Ack,
    /// It goes back to its old place, marked as redelivered: `basic.nack` and `basic.recover`.
    Requeue,
    /// The same, and counts against the delivery limit: `basic.reject`, as RabbitMQ's quorum queues have it.
    RequeueFailed,
    /// The consumer refuses it for good.
    Reject,
}

/// What the task has to do for the state machine.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    /// Messages that left the queue and that the store still holds or will hold.
    pub(crate) settled: Vec<MessageId>,
    /// As `settled`, for many at once.
    pub(crate) settled_set: IdSet,
    /// What the store has to know of messages that came back.
    pub(crate) progress: Vec<Progress>,
    /// Messages to write so that memory can let them go.
    pub(crate) page_out: Vec<(MessageId, Message)>,
    /// Messages to read back.
    pub(crate) load: Vec<MessageId>,
    /// Messages whose bodies are to be measured.
    pub(crate) measure: Vec<MessageId>,
    /// Consumers to tell that their queue is gone.
    pub(crate) cancelled: Vec<Arc<ConsumerSpec>>,
    /// Consumers to tell that they have held a message for too long.
    pub(crate) timed_out: Vec<Arc<ConsumerSpec>>,
}

/// What a read of the store is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Load {
    /// The head of the lane of this priority.
    Ready(u8),
    /// What is to be moved elsewhere.
    Dying,
}

/// What `basic.get` found.
#[derive(Debug)]
pub(crate) enum Got {
    /// A message, and how many are ready after it.
    Message(Delivery, usize),
    /// None is ready.
    Empty,
    /// The next one is being read from the store: ask again when it has come.
    Loading,
}

/// Why a queue may not be deleted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum DeleteRefusal {
    InUse,
    NotEmpty,
}

/// What has become of messages since the broker started.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Counts {
    /// Too old.
    pub(crate) expired: u64,
    /// Over the length limit.
    pub(crate) dropped: u64,
    /// Refused by a consumer.
    pub(crate) rejected: u64,
    /// Came back too often.
    pub(crate) over_limit: u64,
    /// Put into another queue by the dead-letter exchange, or dropped by it.
    pub(crate) dead_lettered: u64,
    /// Made to wait by the retry schedule.
    pub(crate) retried: u64,
}

/// What is left of a queue that has nothing to do.
#[derive(Debug, Default)]
pub(crate) struct Residue {
    delivered_to: MessageId,
    pub(super) numbers_from: u64,
    pub(crate) counts: Counts,
    pub(super) sequences: Option<Box<Sequences>>,
}

impl Residue {
    /// Whether there is anything to remember.
    pub(super) fn is_anything(&self) -> bool {
        let Residue { delivered_to, numbers_from, counts, sequences } = self;
        *delivered_to > 0
            || *numbers_from > 0
            || *counts != Counts::default()
            || sequences.is_some()
    }

    /// What numbering publishers have sent.
    pub(crate) fn publisher_counts(&self) -> sequences::Counts {
        self.sequences.as_ref().map(|sequences| sequences.totals()).unwrap_or_default()
    }
}

/// How much a queue that refuses messages still takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Room {
    /// Messages that go straight to a consumer.
    pub(crate) direct: u64,
    /// Messages after these.
    pub(crate) messages: u64,
    /// Bytes of body of these.
    pub(crate) bytes: u64,
}

/// One queue.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(super) rules: Rules,
    pub(super) ready: Ready,
    pub(super) waiting: Waiting,
    pub(super) dying: Dying,
    pub(super) sessions: HashMap<ChannelId, Session, RandomState>,
    /// Where new sessions begin to number: above what was taken back from consumers that held it for too long, since their
    /// channels may still name those numbers.
    pub(super) numbers_from: u64,
    /// The sessions that have had deliveries in this batch.
    pub(super) delivered_in: Vec<ChannelId>,
    pub(super) unacked_bytes: usize,
    pub(super) consumers: Consumers,
    pub(super) had_consumer: bool,
    pub(super) groups: Groups,
    /// What numbering publishers have sent; most queues have none.
    pub(super) sequences: Option<Box<Sequences>>,
    pub(super) loading: Option<Load>,
    pub(super) measuring: Option<u8>,
    /// The highest id that was ever handed to a client: what a clean stop remembers, so that `redelivered` is exact.
    pub(super) delivered_to: MessageId,
    /// The first id of the batch being taken in: what stays of it must leave the read buffer it came in, and is delivered
    /// even if it expires at once.
    pub(super) batch_first: Option<MessageId>,
    /// When it was last used, for `x-expires`.
    pub(super) used_ms: u64,
    /// When deliveries were last looked through for ones that are held too long, and when to do it again.
    pub(super) timeouts_due_ms: u64,
    pub(super) counts: Counts,
    /// What is to be done; the task empties it.
    pub(crate) effects: Effects,
}

impl State {
    /// A queue with the backlog that the store kept for it.
    pub(crate) fn new(rules: Rules, backlog: Backlog, now_ms: u64) -> State {
        let delivered_to = backlog.delivered_to;
        let (ready, waiting) = backlog.into_parts();
        State {
            ready,
            waiting,
            consumers: Consumers::new(rules.single_active_consumer),
            rules,
            delivered_to,
            used_ms: now_ms,
            ..State::default()
        }
    }

    /// A queue that had nothing to do.
    pub(crate) fn resumed(rules: Rules, residue: Residue, now_ms: u64) -> State {
        let Residue { delivered_to, numbers_from, counts, sequences } = residue;
        let state = State::new(rules, Backlog::default(), now_ms);
        State { delivered_to, numbers_from, counts, sequences, ..state }
    }

    /// What is to be remembered of it until it has something to do again.
    pub(crate) fn into_residue(self) -> Residue {
        let State { delivered_to, numbers_from, counts, sequences, .. } = self;
        Residue { delivered_to, numbers_from, counts, sequences }
    }

    /// Other rules from now on: a policy has changed.
    pub(crate) fn set_rules(&mut self, rules: Rules, now_ms: u64) {
        if rules.expires_ms != self.rules.expires_ms {
            self.used_ms = now_ms;
        }
        self.rules = rules;
        self.timeouts_due_ms = 0;
        if self.rules.dead_letter.is_none() && self.rules.keeps == Keeps::ForClients {
            for kept in self.dying.take_all() {
                self.forget(&kept);
            }
        }
    }

    /// The consumers that publishes have waited for do not read: nothing waits for them any more.
    pub(crate) fn stall_consumers(&mut self) {
        self.consumers.stall();
    }

    /// Takes in published messages, in the order of their ids.
    pub(crate) fn publish(&mut self, entries: Vec<Entry>) {
        let Some(first) = entries.first().map(|entry| entry.id) else {
            return;
        };
        self.batch_first = Some(self.batch_first.map_or(first, |earlier| earlier.min(first)));
        // What another publisher has been given ids for later may have come earlier.
        let newer = self.ready.take_newer(first);
        if newer.is_empty() {
            entries.into_iter().for_each(|entry| self.take_in(entry));
            return;
        }
        let mut newer = newer.into_iter().peekable();
        for entry in entries {
            while let Some(earlier) = newer.next_if(|newer| newer.id < entry.id) {
                self.ready.push(earlier);
            }
            self.take_in(entry);
        }
        newer.for_each(|entry| self.ready.push(entry));
    }

    /// Takes in one published message that comes after those that are there.
    #[inline]
    fn take_in(&mut self, mut entry: Entry) {
        self.note_sequence(&entry.message);
        if self.rules.keeps == Keeps::UntilDue {
            let due_ms = super::delay::due_ms(&entry.message);
            return self.waiting.add(due_ms, entry.into());
        }
        entry.mark.priority = self.rules.priority(&entry.message);
        entry.expires_ms = self.rules.expiry(&entry.message);
        self.ready.push(entry);
    }

    /// A consumer joins; it gets deliveries from the next [`State::dispatch`] on.
    pub(crate) fn consume(&mut self, spec: ConsumerSpec) -> Result<(), ConsumeError> {
        self.consumers.add(spec)?;
        self.had_consumer = true;
        self.timeouts_due_ms = 0;
        Ok(())
    }

    /// A consumer leaves; what it holds unacknowledged stays with its channel.
    pub(crate) fn cancel(&mut self, id: ConsumerId, now_ms: u64) {
        self.consumers.remove(|spec| spec.id == id);
        self.used_ms = now_ms;
    }

    /// A channel closes: its consumers leave and its deliveries go back.
    pub(crate) fn close_channel(&mut self, channel: ChannelId, now_ms: u64) {
        if !self.consumers.remove(|spec| spec.channel == channel).is_empty() {
            self.used_ms = now_ms;
        }
        if let Some(mut session) = self.sessions.remove(&channel) {
            let mut returned = Vec::new();
            session.take_all(|unacked| returned.push(unacked));
            for unacked in returned {
                self.unacked_bytes -= unacked.kept.cost();
                self.give_back(unacked, true);
            }
        }
    }

    /// A connection has taken deliveries from its outbox.
    pub(crate) fn window_freed(&mut self, id: ConsumerId, messages: u32, bytes: usize) {
        self.consumers.window_freed(id, messages, bytes);
    }

    /// A channel's limit over all its consumers may have room again.
    pub(crate) fn channel_freed(&mut self, channel: ChannelId) {
        self.consumers.channel_freed(channel);
    }

    /// The store is writing the messages of [`Effects::page_out`] with `ticket`.
    pub(crate) fn page_out_submitted(&mut self, ids: &[MessageId], ticket: Ticket) {
        self.ready.page_out_submitted(ids, ticket);
        self.waiting.page_out_submitted(ids, ticket);
    }

    /// The store has answered [`Effects::load`]. Returns the messages that it should have had.
    pub(crate) fn loaded(
        &mut self,
        asked: &[MessageId],
        found: Vec<(MessageId, Message)>,
        committed: Ticket,
    ) -> Vec<MessageId> {
        match self.loading.take() {
            Some(Load::Ready(priority)) => {
                let rules = &self.rules;
                let expiry = |message: &Message| rules.expiry(message);
                self.ready.loaded(priority, asked, found, committed, expiry)
            }
            Some(Load::Dying) => self.dying.loaded(asked, found),
            None => Vec::new(),
        }
    }

    /// The store could not answer [`Effects::load`].
    pub(crate) fn load_failed(&mut self) {
        self.loading = None;
    }

    /// The store has answered [`Effects::measure`].
    pub(crate) fn measured(&mut self, bodies: impl Iterator<Item = (MessageId, u64)>) {
        if let Some(priority) = self.measuring.take() {
            self.ready.measured(priority, bodies);
        }
    }

    /// Messages to move elsewhere now; tell [`State::moved`] what became of them before asking for more.
    pub(crate) fn take_leaving(&mut self, now_ms: u64) -> Vec<Leaving> {
        self.dying.take(now_ms)
    }

    /// They have arrived, but for those that were refused.
    pub(crate) fn moved(&mut self, count: usize, refused: Vec<Leaving>, now_ms: u64) {
        self.counts.dead_lettered += (count - refused.len()) as u64;
        self.dying.moved(refused, now_ms);
    }

    /// Drops all ready messages, and those that wait in a delayed exchange; returns how many there were.
    pub(crate) fn purge(&mut self) -> usize {
        self.unpark_all();
        let (stored, mut count) = self.ready.purge();
        self.effects.settled_set |= stored;
        if self.rules.keeps == Keeps::UntilDue {
            let (stored, waiting) = self.waiting.purge();
            self.effects.settled_set |= stored;
            count += waiting;
        }
        count
    }

    /// Puts the parked messages of all groups back at their places.
    pub(super) fn unpark_all(&mut self) {
        for entry in self.groups.take_parked() {
            self.ready.requeue(entry);
        }
    }

    /// The queue goes: its consumers are to be told. Returns how many messages were ready.
    pub(crate) fn delete(&mut self) -> usize {
        let gone = self.consumers.remove(|_| true);
        self.effects.cancelled.extend(gone.into_iter().map(|Consumer { spec, .. }| spec));
        self.ready_count()
    }

    fn note_sequence(&mut self, message: &Message) {
        if message.flags() & stamp::NUMBERED == 0 {
            return;
        }
        if let Some((publisher, number)) = sequences::numbering(message) {
            self.sequences.get_or_insert_default().observe(&publisher, number);
        }
    }
}

#[cfg(test)]
mod tests;
