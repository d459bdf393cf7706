//! What time does to a queue: messages expire, wait and become due, consumers hold them for too long, queues fall out of use.
//! Part of the state machine of [`super::state`], which is told the time and says when it wants to be told again.

use super::consumers::Consumer;
use super::dispatch::Moment;
use super::dying::Fate;
use super::entry::{Entry, Kept, NEVER};
use super::lane::Next;
use super::rules::{Keeps, Overflow};
use super::state::State;
use crate::limits::CONSUMER_TIMEOUT_STEP_MS;
use crate::protocol::death::Reason;

impl State {
    /// When something happens by itself next, in milliseconds since the Unix epoch: [`State::dispatch`] is to be called then.
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        let expiry =
            [self.ready.next_expiry(), self.groups.next_expiry()].into_iter().flatten().min();
        let expiry = expiry.filter(|expiry| *expiry != NEVER && !self.dying.is_full());
        let due = self.waiting.next_due();
        let attempt = self.dying.next_attempt_ms();
        let unused = self.unused_at();
        let held = (!self.sessions.is_empty() && self.consumers.any_timeout(&self.rules))
            .then_some(self.timeouts_due_ms);
        [expiry, due, attempt, unused, held].into_iter().flatten().min()
    }

    /// Whether nobody has used the queue for as long as `x-expires` says.
    pub(crate) fn is_unused(&self, now_ms: u64) -> bool {
        self.unused_at().is_some_and(|unused_at| unused_at <= now_ms)
    }

    /// It was declared again or asked for a message.
    pub(crate) fn used(&mut self, now_ms: u64) {
        self.used_ms = now_ms;
    }

    fn unused_at(&self) -> Option<u64> {
        let expires_ms = self.rules.expires_ms.filter(|_| self.consumers.is_empty())?;
        Some(self.used_ms.saturating_add(expires_ms))
    }

    /// Does what is due before anything is delivered.
    pub(super) fn wake(&mut self, moment: Moment) {
        let Moment { now_ms, committed, .. } = moment;
        while let Some(kept) = self.waiting.take_due(now_ms, committed) {
            self.released(kept);
        }
        if self.timeouts_due_ms <= now_ms && self.consumers.any_timeout(&self.rules) {
            self.time_out_consumers(now_ms);
        }
        self.bury_parked(now_ms);
        self.bury_expired(now_ms);
    }

    /// The wait of a message is over.
    pub(super) fn released(&mut self, kept: Kept) {
        match (self.rules.keeps, kept) {
            (Keeps::UntilDue, kept) => self.dying.add(kept, Fate::Due),
            (_, Kept { id, message: Some(message), ticket, mut mark, .. }) => {
                mark.priority = self.rules.priority(&message);
                let expires_ms = self.rules.expiry(&message);
                self.ready.requeue(Entry { id, message, ticket, expires_ms, mark });
            }
            (_, in_store) => self.ready.requeue_paged(&in_store),
        }
    }

    /// Buries what has expired at the head of each lane. RabbitMQ's classic queues too look no further than the head.
    pub(super) fn bury_expired(&mut self, now_ms: u64) {
        if self.batch_first.is_some() {
            return;
        }
        while !self.dying.is_full()
            && let Some(entry) = self.ready.pop_expired(now_ms)
        {
            self.counts.expired += 1;
            self.bury(entry.into(), Reason::Expired);
        }
    }

    /// Buries what has expired while its group was busy.
    pub(super) fn bury_parked(&mut self, now_ms: u64) {
        if self.dying.is_full() {
            return;
        }
        for entry in self.groups.take_expired(now_ms) {
            self.counts.expired += 1;
            self.bury(entry.into(), Reason::Expired);
        }
    }

    /// Whether the queue has more ready messages than it may.
    pub(super) fn is_too_long(&self) -> bool {
        self.rules.overflow == Overflow::DropHead && {
            let over_length =
                self.rules.max_length.is_some_and(|max| self.ready_count() as u64 > max);
            let max_bytes = self.rules.max_length_bytes;
            over_length || max_bytes.is_some_and(|max| self.ready_body_bytes() > max)
        }
    }

    /// Drops the oldest ready messages that are over the length limit, and what then has expired at the head.
    pub(super) fn drop_head(&mut self, now_ms: u64) {
        if self.needs_head() {
            // The oldest may be among them.
            self.unpark_all();
        }
        while self.needs_head() {
            let Next::Message(entry) = self.ready.pop() else {
                return;
            };
            self.counts.dropped += 1;
            self.bury(entry.into(), Reason::MaxLen);
            self.bury_expired(now_ms);
        }
    }

    /// Whether messages have to be read without a consumer asking for them: to be dropped.
    pub(super) fn needs_head(&self) -> bool {
        self.is_too_long() && !self.dying.is_full()
    }

    /// Whether the queue has to know when its next message expires.
    pub(super) fn watches_head(&self) -> bool {
        self.rules.keeps == Keeps::ForClients && !self.dying.is_full()
    }

    /// Takes back what consumers have held for too long, and takes the consumers off the queue.
    fn time_out_consumers(&mut self, now_ms: u64) {
        let mut late = Vec::new();
        // What is delivered from now on is due no sooner than the shortest time-out.
        let shortest_ms = self.consumers.shortest_timeout(&self.rules);
        let step_ms = shortest_ms
            .map_or(CONSUMER_TIMEOUT_STEP_MS, |ms| ms.clamp(1, CONSUMER_TIMEOUT_STEP_MS));
        let mut next_ms = now_ms.saturating_add(step_ms);
        for session in self.sessions.values() {
            for unacked in session.iter() {
                let timeout_ms =
                    unacked.consumer.and_then(|id| self.consumers.timeout(id, &self.rules));
                let (Some(id), Some(timeout_ms)) = (unacked.consumer, timeout_ms) else {
                    continue;
                };
                let due_ms = unacked.since_ms.saturating_add(timeout_ms);
                if due_ms > now_ms {
                    next_ms = next_ms.min(due_ms);
                } else if !late.contains(&id) {
                    late.push(id);
                }
            }
        }
        self.timeouts_due_ms = next_ms;
        for id in late {
            for Consumer { spec, .. } in self.consumers.remove(|spec| spec.id == id) {
                let Some(session) = self.sessions.get_mut(&spec.channel) else {
                    continue;
                };
                self.numbers_from = self.numbers_from.max(session.next_number());
                let mut held = Vec::new();
                session.take_from(id, |unacked| held.push(unacked));
                if session.is_empty() {
                    self.sessions.remove(&spec.channel);
                }
                for unacked in held {
                    self.unacked_bytes -= unacked.kept.cost();
                    self.give_back(unacked, false);
                }
                self.used_ms = now_ms;
                self.effects.timed_out.push(spec);
            }
        }
    }
}

#[cfg(test)]
mod tests;
