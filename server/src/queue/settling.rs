//! What becomes of deliveries: acknowledged, given back, refused, dead. Part of the state machine of [`super::state`].

use leveret_persistence::Progress;

use super::consumers::ConsumerId;
use super::dying::Fate;
use super::entry::{Entry, Kept};
use super::state::{Outcome, State};
use super::unacked::{DeliveryRange, Unacked};
use crate::connection::ChannelId;
use crate::protocol::death::Reason;

impl State {
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
    pub(super) fn forget(&mut self, kept: &Kept) {
        if kept.ticket.is_some() {
            self.effects.settled.push(kept.id);
        }
    }

    fn note_progress(&mut self, kept: &Kept, due_ms: u64) {
        if kept.mark.durable && self.rules.counts_deliveries() {
            let (deliveries, retries) = (kept.mark.deliveries, kept.mark.retries);
            self.effects.progress.push(Progress { id: kept.id, deliveries, retries, due_ms });
        }
    }
}
