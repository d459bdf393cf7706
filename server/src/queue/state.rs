//! A queue's rules, as a plain state machine: no lock, no I/O, no clock. `task.rs` brings it what happened and carries
//! out its [`Effects`]. Delivering is in [`super::dispatch`], what time does in [`super::timers`].

use std::collections::HashMap;
use std::sync::Arc;

use leveret_persistence::{IdSet, Message, MessageId, Progress, Ticket};

use super::consumers::{ConsumeError, Consumer, ConsumerId, ConsumerSpec, Consumers, Delivery};
use super::dying::{Dying, Fate, Leaving};
use super::entry::{Entry, Kept};
use super::groups::Groups;
use super::ready::Ready;
use super::recovered::Backlog;
use super::rules::{Keeps, Overflow, Rules};
use super::sequences::{self, Publisher, Sequences};
use super::unacked::{DeliveryRange, Session, Unacked};
use super::waiting::Waiting;
use crate::connection::ChannelId;
use crate::limits::QUEUE_FLOW_MESSAGES;
use crate::protocol::death::Reason;
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
    numbers_from: u64,
    pub(crate) counts: Counts,
    sequences: Option<Box<Sequences>>,
}

impl Residue {
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
    pub(super) sessions: HashMap<ChannelId, Session>,
    /// Where new sessions begin to number: above what was taken back from consumers that held it for too long, since their
    /// channels may still name those numbers.
    pub(super) numbers_from: u64,
    pub(super) unacked_bytes: usize,
    pub(super) consumers: Consumers,
    had_consumer: bool,
    pub(super) groups: Groups,
    /// What numbering publishers have sent; most queues have none.
    sequences: Option<Box<Sequences>>,
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

    /// Whether it has no messages, no consumers and nothing to wait for.
    pub(crate) fn has_nothing_to_do(&self) -> bool {
        self.ready_count() == 0
            && self.sessions.is_empty()
            && self.consumers.is_empty()
            && self.waiting.len() == 0
            && self.dying.len() == 0
            && self.loading.is_none()
            && self.measuring.is_none()
            && self.rules.expires_ms.is_none()
    }

    /// Whether messages have come since the last delivery.
    pub(crate) fn has_new_messages(&self) -> bool {
        self.batch_first.is_some()
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

    /// Messages ready to be delivered.
    pub(crate) fn ready_count(&self) -> usize {
        self.ready.len() + self.groups.parked()
    }

    /// Bytes of body of these.
    pub(crate) fn ready_body_bytes(&self) -> u64 {
        self.ready.body_bytes() + self.groups.body_bytes()
    }

    /// Bytes of body of the messages that are delivered, not settled and in memory.
    pub(crate) fn unacked_body_bytes(&self) -> u64 {
        let unacked = self.sessions.values().flat_map(Session::iter);
        let messages = unacked.filter_map(|unacked| unacked.kept.message.as_ref());
        messages.map(|message| message.body().len() as u64).sum()
    }

    /// Messages delivered and not settled.
    pub(crate) fn unacked_count(&self) -> usize {
        self.sessions.values().map(Session::len).sum()
    }

    /// Messages that wait for their time.
    pub(crate) fn waiting(&self) -> &Waiting {
        &self.waiting
    }

    pub(crate) fn consumer_count(&self) -> usize {
        self.consumers.len()
    }

    /// See the field.
    pub(crate) fn delivered_to(&self) -> MessageId {
        self.delivered_to
    }

    pub(crate) fn rules(&self) -> &Rules {
        &self.rules
    }

    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    /// What numbering publishers have sent.
    pub(crate) fn publishers(&self) -> Vec<Publisher> {
        self.sequences.iter().flat_map(|sequences| sequences.publishers()).collect()
    }

    /// The same over all of them.
    pub(crate) fn publisher_counts(&self) -> sequences::Counts {
        self.sequences.as_ref().map(|sequences| sequences.totals()).unwrap_or_default()
    }

    /// The ready messages, where they stay.
    pub(crate) fn peek(&self) -> Vec<(MessageId, Option<Message>)> {
        self.ready.peek()
    }

    /// What the messages of this queue cost in memory, in bytes.
    pub(crate) fn memory(&self) -> usize {
        let aside = self.groups.bytes() + self.waiting.bytes() + self.dying.bytes();
        self.ready.bytes() + self.unacked_bytes + aside
    }

    /// Whether publishes had better wait for the consumers; see [`QUEUE_FLOW_MESSAGES`].
    pub(crate) fn is_ahead_of_consumers(&self) -> bool {
        self.ready.len() >= QUEUE_FLOW_MESSAGES && self.consumers.any_behind()
            || self.dying.is_full() && self.is_too_long()
    }

    /// The consumers that publishes have waited for do not read: nothing waits for them any more.
    pub(crate) fn stall_consumers(&mut self) {
        self.consumers.stall();
    }

    /// Whether memory is short only until the store has finished what it was given.
    pub(crate) fn waits_for_store(&self) -> bool {
        self.ready.waits_for_store()
    }

    /// Whether the last consumer of an auto-delete queue has left.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.rules.auto_delete && self.had_consumer && self.consumers.is_empty()
    }

    /// Takes in published messages, in the order of their ids.
    pub(crate) fn publish(&mut self, entries: Vec<Entry>) {
        if let Some(first) = entries.first() {
            let first = self.batch_first.map_or(first.id, |earlier| earlier.min(first.id));
            self.batch_first = Some(first);
        }
        for mut entry in entries {
            self.note_sequence(&entry.message);
            if self.rules.keeps == Keeps::UntilDue {
                let due_ms = super::delay::due_ms(&entry.message);
                self.waiting.add(due_ms, entry.into());
                continue;
            }
            entry.mark.priority = self.rules.priority(&entry.message);
            entry.expires_ms = self.rules.expiry(&entry.message);
            self.ready.push(entry);
        }
    }

    /// How much more a queue that refuses what is over its limit takes now.
    pub(crate) fn room(&self) -> Room {
        if self.rules.overflow == Overflow::DropHead {
            return Room { direct: 0, messages: u64::MAX, bytes: u64::MAX };
        }
        let ready = self.ready_count() as u64;
        let (messages, bytes) = (self.rules.max_length, self.rules.max_length_bytes);
        // RabbitMQ looks at the limit before it looks at the consumers.
        let is_direct = ready == 0 && messages != Some(0);
        Room {
            direct: if is_direct { self.consumers.capacity() } else { 0 },
            messages: messages.map_or(u64::MAX, |max| max.saturating_sub(ready)),
            bytes: bytes.map_or(u64::MAX, |max| max.saturating_sub(self.ready_body_bytes())),
        }
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

    /// A channel settles deliveries. `stored`: the store was told of acknowledgements already, by a transaction.
    pub(crate) fn settle(
        &mut self,
        channel: ChannelId,
        ranges: &[DeliveryRange],
        outcome: Outcome,
        stored: bool,
        now_ms: u64,
    ) {
        let Some(mut session) = self.sessions.remove(&channel) else {
            return;
        };
        // Acknowledgements come in runs for one consumer.
        let mut run: Option<(ConsumerId, u32)> = None;
        for range in ranges {
            session.take(*range, |unacked| {
                self.unacked_bytes -= unacked.kept.cost();
                match (&mut run, unacked.consumer) {
                    (Some((id, count)), Some(consumer)) if *id == consumer => *count += 1,
                    (_, Some(consumer)) => {
                        if let Some((id, count)) = run.replace((consumer, 1)) {
                            self.consumers.settled(id, count);
                        }
                    }
                    (_, None) => {}
                }
                match outcome {
                    Outcome::Requeue => self.give_back(unacked, false),
                    Outcome::RequeueFailed => self.give_back(unacked, true),
                    Outcome::Reject => self.reject(unacked, now_ms),
                    Outcome::Ack => {
                        if let Some(group) = &unacked.group {
                            self.groups.settled(group);
                        }
                        if unacked.kept.ticket.is_some() && !stored {
                            self.effects.settled.push(unacked.kept.id);
                        }
                    }
                }
            });
        }
        if let Some((id, count)) = run {
            self.consumers.settled(id, count);
        }
        // Nothing refers to the numbers of an empty one, and not every channel says good-bye to every queue it has asked.
        if !session.is_empty() {
            self.sessions.insert(channel, session);
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

    /// Whether the queue may be deleted under these conditions. RabbitMQ looks at if-empty first.
    pub(crate) fn may_delete(&self, if_unused: bool, if_empty: bool) -> Result<(), DeleteRefusal> {
        if if_empty && self.ready_count() > 0 {
            Err(DeleteRefusal::NotEmpty)
        } else if if_unused && !self.consumers.is_empty() {
            Err(DeleteRefusal::InUse)
        } else {
            Ok(())
        }
    }

    /// The queue goes: its consumers are to be told. Returns how many messages were ready.
    pub(crate) fn delete(&mut self) -> usize {
        let gone = self.consumers.remove(|_| true);
        self.effects.cancelled.extend(gone.into_iter().map(|Consumer { spec, .. }| spec));
        self.ready_count()
    }

    /// A delivery goes back to its old place, or is out of attempts.
    pub(super) fn give_back(&mut self, unacked: Unacked, failed: bool) {
        if let Some(group) = &unacked.group {
            self.groups.settled(group);
            // What came after it in its group must not overtake it.
            for entry in self.groups.take_group(group) {
                self.ready.requeue(entry);
            }
        }
        let mut kept = unacked.kept;
        kept.mark.redelivered = true;
        kept.mark.acquired = kept.mark.acquired.saturating_add(1);
        if failed {
            kept.mark.deliveries = kept.mark.deliveries.saturating_add(1);
            if self.rules.delivery_limit.is_some_and(|limit| kept.mark.deliveries > limit) {
                self.counts.over_limit += 1;
                return self.bury(kept, Reason::DeliveryLimit);
            }
            self.note_progress(&kept, 0);
        }
        match kept {
            Kept { id, message: Some(message), ticket, mark, .. } => {
                let expires_ms = self.rules.expiry(&message);
                self.ready.requeue(Entry { id, message, ticket, expires_ms, mark });
            }
            in_store => self.ready.requeue_paged(&in_store),
        }
    }

    /// A consumer refuses a delivery: it waits to be tried again, or is dead.
    fn reject(&mut self, unacked: Unacked, now_ms: u64) {
        if let Some(group) = &unacked.group {
            self.groups.settled(group);
        }
        let mut kept = unacked.kept;
        let Some(schedule) = &self.rules.retry else {
            self.counts.rejected += 1;
            return self.bury(kept, Reason::Rejected);
        };
        // Any number will do for the jitter; this one needs no source of randomness here.
        let random = kept.id.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ now_ms;
        let Some(delay) = schedule.delay(kept.mark.retries, random) else {
            self.counts.over_limit += 1;
            return self.bury(kept, Reason::DeliveryLimit);
        };
        self.counts.retried += 1;
        kept.mark.retries += 1;
        kept.mark.redelivered = true;
        kept.mark.deliveries = kept.mark.deliveries.saturating_add(1);
        kept.mark.acquired = kept.mark.acquired.saturating_add(1);
        let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        let due_ms = now_ms.saturating_add(delay_ms);
        self.note_progress(&kept, due_ms);
        self.waiting.add(due_ms, kept);
    }

    /// A message leaves the queue for this reason: to the dead-letter exchange, or for good.
    pub(super) fn bury(&mut self, kept: Kept, reason: Reason) {
        if self.rules.dead_letter.is_some() {
            self.dying.add(kept, Fate::Dead(reason));
        } else {
            self.forget(&kept);
        }
    }

    /// The store need not keep it any more.
    fn forget(&mut self, kept: &Kept) {
        if kept.ticket.is_some() {
            self.effects.settled.push(kept.id);
        }
    }

    fn note_sequence(&mut self, message: &Message) {
        if message.stamp().flags & stamp::NUMBERED == 0 {
            return;
        }
        if let Some((publisher, number)) = sequences::numbering(message) {
            self.sequences.get_or_insert_default().observe(&publisher, number);
        }
    }

    fn note_progress(&mut self, kept: &Kept, due_ms: u64) {
        if kept.mark.durable && self.rules.counts_deliveries() {
            let (deliveries, retries) = (kept.mark.deliveries, kept.mark.retries);
            self.effects.progress.push(Progress { id: kept.id, deliveries, retries, due_ms });
        }
    }
}

#[cfg(test)]
mod tests;
