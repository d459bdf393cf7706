//! The plainest queue that could be right: everything in memory, every choice by looking at everything.
//!
//! It decides nothing that depends on what is in memory: when an expired message is noticed, and when one over the limit is
//! dropped. There it checks that what the queue did was allowed.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};

use leveret_persistence::{MessageId, Progress};

use crate::limits::{CONSUMER_TIMEOUT_STEP_MS, MESSAGE_OVERHEAD_BYTES, QUEUE_DYING_MAX};
use crate::protocol::death::Reason;
use crate::queue::consumers::ConsumerId;
use crate::queue::dying::Fate;
use crate::queue::rules::{Keeps, Rules};
use crate::queue::state::{Counts, Outcome};

use super::turns::Turns;

/// What there is to know of a message besides its id.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Known {
    pub(super) durable: bool,
    /// Bytes of the whole message, and of its body.
    pub(super) size: usize,
    pub(super) body: usize,
    /// When it expires, and when it is due in a delayed exchange.
    pub(super) expires_ms: u64,
    pub(super) due_ms: u64,
    pub(super) priority: u8,
    pub(super) redelivered: bool,
    pub(super) acquired: u32,
    pub(super) deliveries: u32,
    pub(super) retries: u32,
    /// What a restart finds of it.
    pub(super) noted: Option<Progress>,
}

/// A delivered, unsettled message.
#[derive(Clone, Copy, Debug)]
struct Held {
    id: MessageId,
    known: Known,
    consumer: Option<ConsumerId>,
    since_ms: u64,
}

/// The order of delivery.
type Place = (Reverse<u8>, MessageId);

#[derive(Debug)]
pub(super) struct Reference {
    rules: Rules,
    pub(super) turns: Turns,
    ready: BTreeMap<Place, Known>,
    /// By channel, by delivery number.
    unacked: HashMap<u64, BTreeMap<u64, Held>>,
    /// Numbers that a channel may still name although their messages were taken back.
    late: HashMap<u64, Vec<u64>>,
    /// By time.
    waiting: BTreeMap<(u64, MessageId), Known>,
    /// Why each leaves, as far as that is known.
    dying: BTreeMap<MessageId, (Known, Option<Fate>)>,
    moving: BTreeMap<MessageId, (Known, Fate)>,
    /// Messages that have left the queue and that nobody has told the store of.
    left: Vec<MessageId>,
    /// The first of what was published since the last dispatch.
    batch_first: Option<MessageId>,
    delivered_to: MessageId,
    pub(super) counts: Counts,
}

impl Reference {
    pub(super) fn new(rules: Rules) -> Reference {
        Reference {
            turns: Turns::new(rules.single_active_consumer),
            rules,
            ready: BTreeMap::new(),
            unacked: HashMap::new(),
            late: HashMap::new(),
            waiting: BTreeMap::new(),
            dying: BTreeMap::new(),
            moving: BTreeMap::new(),
            left: Vec::new(),
            batch_first: None,
            delivered_to: 0,
            counts: Counts::default(),
        }
    }

    pub(super) fn publish(&mut self, id: MessageId, known: Known) {
        self.batch_first = Some(self.batch_first.map_or(id, |first| first.min(id)));
        if self.rules.keeps == Keeps::UntilDue {
            self.waiting.insert((known.due_ms, id), known);
        } else {
            self.make_ready(id, known);
        }
    }

    pub(super) fn close_channel(&mut self, channel: u64) {
        self.turns.leave(|_, on| on == channel);
        self.late.remove(&channel);
        for (_, held) in self.unacked.remove(&channel).unwrap_or_default() {
            self.give_back(held.id, held.known, true);
        }
    }

    /// Settles one delivery.
    pub(super) fn settle(&mut self, channel: u64, number: u64, outcome: Outcome, now_ms: u64) {
        let held = self.unacked.get_mut(&channel).and_then(|held| held.remove(&number));
        let Held { id, known, consumer, .. } = held.expect("only what is unsettled is settled");
        if let Some(consumer) = consumer {
            self.turns.settled(consumer);
        }
        match outcome {
            Outcome::Ack => self.left.push(id),
            Outcome::Requeue => self.give_back(id, known, false),
            Outcome::RequeueFailed => self.give_back(id, known, true),
            Outcome::Reject => self.reject(id, known, now_ms),
        }
    }

    fn give_back(&mut self, id: MessageId, mut known: Known, failed: bool) {
        known.redelivered = true;
        known.acquired += 1;
        if failed {
            known.deliveries += 1;
            if self.rules.delivery_limit.is_some_and(|limit| known.deliveries > limit) {
                self.counts.over_limit += 1;
                return self.bury(id, known, Some(Fate::Dead(Reason::DeliveryLimit)));
            }
            self.note(id, &mut known, 0);
        }
        self.make_ready(id, known);
    }

    fn reject(&mut self, id: MessageId, mut known: Known, now_ms: u64) {
        let Some(schedule) = self.rules.retry.clone() else {
            self.counts.rejected += 1;
            return self.bury(id, known, Some(Fate::Dead(Reason::Rejected)));
        };
        // The delays of the model are too short for any jitter.
        let Some(delay) = schedule.delay(known.retries, 0) else {
            self.counts.over_limit += 1;
            return self.bury(id, known, Some(Fate::Dead(Reason::DeliveryLimit)));
        };
        self.counts.retried += 1;
        known.redelivered = true;
        known.acquired += 1;
        known.deliveries += 1;
        known.retries += 1;
        let due_ms = now_ms + u64::try_from(delay.as_millis()).unwrap();
        self.note(id, &mut known, due_ms);
        self.waiting.insert((due_ms, id), known);
    }

    fn note(&self, id: MessageId, known: &mut Known, due_ms: u64) {
        if known.durable && self.rules.counts_deliveries() {
            let Known { deliveries, retries, .. } = *known;
            known.noted = Some(Progress { id, deliveries, retries, due_ms });
        }
    }

    fn bury(&mut self, id: MessageId, known: Known, fate: Option<Fate>) {
        if self.rules.dead_letter.is_some() {
            self.dying.insert(id, (known, fate));
        } else {
            self.left.push(id);
        }
    }

    fn make_ready(&mut self, id: MessageId, known: Known) {
        let doubled = self.ready.insert((Reverse(known.priority), id), known);
        assert!(doubled.is_none(), "{id} is there twice");
    }

    pub(super) fn purge(&mut self) -> usize {
        let mut gone: Vec<_> =
            std::mem::take(&mut self.ready).into_keys().map(|(_, id)| id).collect();
        if self.rules.keeps == Keeps::UntilDue {
            gone.extend(std::mem::take(&mut self.waiting).into_keys().map(|(_, id)| id));
        }
        self.left.extend(&gone);
        gone.len()
    }

    /// What waits until now at most waits no longer. Returns whether there was any.
    pub(super) fn release_due(&mut self, now_ms: u64) -> bool {
        let still = self.waiting.split_off(&(now_ms + 1, 0));
        let due = std::mem::replace(&mut self.waiting, still);
        let any = !due.is_empty();
        for ((_, id), known) in due {
            match self.rules.keeps {
                Keeps::UntilDue => drop(self.dying.insert(id, (known, Some(Fate::Due)))),
                _ => self.make_ready(id, known),
            }
        }
        any
    }

    /// The queue says that a consumer has held a message for too long.
    pub(super) fn timed_out(&mut self, id: ConsumerId, now_ms: u64) {
        let timeout_ms = self.turns.timeout_ms(id, self.rules.consumer_timeout_ms);
        let timeout_ms = timeout_ms.expect("only who has a timeout is late");
        let mut back = Vec::new();
        for (channel, deliveries) in &mut self.unacked {
            for (number, held) in deliveries.extract_if(.., |_, held| held.consumer == Some(id)) {
                self.late.entry(*channel).or_default().push(number);
                back.push(held);
            }
        }
        assert!(back.iter().any(|held| held.since_ms + timeout_ms <= now_ms), "it was in time");
        self.turns.leave(|other, _| other == id);
        for held in back {
            self.give_back(held.id, held.known, false);
        }
    }

    /// Nobody may hold anything much longer than he may.
    pub(super) fn check_timeouts(&self, now_ms: u64) {
        for held in self.unacked.values().flat_map(BTreeMap::values) {
            let of_queue = self.rules.consumer_timeout_ms;
            let timeout_ms = held.consumer.and_then(|id| self.turns.timeout_ms(id, of_queue));
            let late_ms = timeout_ms.map_or(u64::MAX, |timeout_ms| held.since_ms + timeout_ms);
            let bound_ms = late_ms.saturating_add(CONSUMER_TIMEOUT_STEP_MS);
            assert!(bound_ms > now_ms, "{} is held for too long", held.id);
        }
    }

    fn is_expired(&self, (_, id): Place, known: &Known, now_ms: u64) -> bool {
        let is_new = self.batch_first.is_some_and(|first| id >= first) && !known.redelivered;
        known.expires_ms <= now_ms && !is_new
    }

    /// Whether there is a message that may be delivered.
    pub(super) fn any_deliverable(&self, now_ms: u64) -> bool {
        self.ready.iter().any(|(place, known)| !self.is_expired(*place, known, now_ms))
    }

    /// Takes the message that must be delivered next; what is before it has expired.
    pub(super) fn take_message(&mut self, now_ms: u64) -> Option<(MessageId, Known)> {
        loop {
            let ((_, id), known) = self.ready.pop_first()?;
            if self.is_expired((Reverse(known.priority), id), &known, now_ms) {
                self.counts.expired += 1;
                self.bury(id, known, Some(Fate::Dead(Reason::Expired)));
                continue;
            }
            self.delivered_to = self.delivered_to.max(id);
            return Some((id, known));
        }
    }

    /// Messages that `still` lacks have left by themselves. Checks that `still` is the rest in order, and that they
    /// were allowed to leave.
    pub(super) fn departed(&mut self, still: &[MessageId], counts: Counts, now_ms: u64) {
        let kept: HashSet<_> = still.iter().copied().collect();
        let gone: Vec<(Place, Known)> =
            self.ready.extract_if(.., |(_, id), _| !kept.contains(id)).collect();
        assert_eq!(self.ready_ids(), still, "the ready messages in order");
        let expired = usize::try_from(counts.expired - self.counts.expired).unwrap();
        let dropped = usize::try_from(counts.dropped - self.counts.dropped).unwrap();
        (self.counts.expired, self.counts.dropped) = (counts.expired, counts.dropped);
        assert_eq!(gone.len(), expired + dropped, "every one is counted");
        for (place, _) in &gone {
            let ahead = self.ready.range(..*place).next_back();
            assert!(
                ahead.is_none_or(|((lane, _), _)| *lane != place.0),
                "{place:?} was not the first"
            );
        }
        let late = gone.iter().filter(|(_, known)| known.expires_ms <= now_ms).count();
        assert!(expired <= late, "some have not expired");
        let last_in_time = gone.iter().rev().find(|(_, known)| known.expires_ms > now_ms);
        if let (Some((last, _)), Some((first, _))) = (last_in_time, self.ready.first_key_value()) {
            assert!(last < first, "an older one was to be dropped first");
        }
        // Those that have expired may have left after the last that was dropped.
        let expired_bodies = gone.iter().filter(|(_, known)| known.expires_ms <= now_ms);
        let expired_bytes: usize = expired_bodies.map(|(_, known)| known.body).sum();
        let needed =
            |known: &Known| self.is_too_long_with(1 + expired as u64, known.body + expired_bytes);
        assert!(dropped == 0 || gone.iter().any(|(_, known)| needed(known)), "too many dropped");
        for ((_, id), known) in gone {
            let in_time = known.expires_ms > now_ms;
            let fate = match (in_time, dropped) {
                (true, _) => Some(Fate::Dead(Reason::MaxLen)),
                (false, 0) => Some(Fate::Dead(Reason::Expired)),
                (false, _) => None,
            };
            self.bury(id, known, fate);
        }
    }

    /// The batch has been dispatched: what is left of it is no longer new.
    pub(super) fn dispatched(&mut self) {
        self.batch_first = None;
    }

    pub(super) fn is_too_long(&self) -> bool {
        self.is_too_long_with(0, 0)
    }

    fn is_too_long_with(&self, messages: u64, bytes: usize) -> bool {
        let count = self.ready.len() as u64 + messages;
        let bytes = self.ready_body_bytes() + bytes as u64;
        self.rules.max_length.is_some_and(|max| count > max)
            || self.rules.max_length_bytes.is_some_and(|max| bytes > max)
    }

    /// The first of each lane that is expired.
    pub(super) fn expired_heads(&self, now_ms: u64) -> Vec<MessageId> {
        let mut lanes = HashSet::new();
        let heads = self.ready.iter().filter(|((lane, _), _)| lanes.insert(*lane));
        heads.filter(|(_, known)| known.expires_ms <= now_ms).map(|((_, id), _)| *id).collect()
    }

    pub(super) fn is_dying_full(&self) -> bool {
        self.dying_count() >= QUEUE_DYING_MAX
    }

    pub(super) fn dying_count(&self) -> usize {
        self.dying.len() + self.moving.len()
    }

    /// Whether something is to be moved elsewhere and nothing is on its way.
    pub(super) fn is_to_move(&self) -> bool {
        self.moving.is_empty() && !self.dying.is_empty()
    }

    /// A message sets off for elsewhere.
    pub(super) fn leaves(&mut self, id: MessageId, fate: Fate) -> Known {
        let (known, expected) = self.dying.remove(&id).expect("only what dies is moved");
        assert!(expected.is_none_or(|expected| expected == fate), "{id}: {fate:?}");
        self.moving.insert(id, (known, fate));
        known
    }

    /// What was on its way has arrived, but for `refused`.
    pub(super) fn moved(&mut self, refused: &[MessageId]) {
        for (id, (known, fate)) in std::mem::take(&mut self.moving) {
            if refused.contains(&id) {
                self.dying.insert(id, (known, Some(fate)));
            } else {
                self.counts.dead_lettered += 1;
            }
        }
    }

    /// Remembers a delivery that is to be settled.
    pub(super) fn hold(
        &mut self,
        channel: u64,
        number: u64,
        (id, known): (MessageId, Known),
        consumer: Option<ConsumerId>,
        since_ms: u64,
    ) {
        let held = Held { id, known, consumer, since_ms };
        let doubled = self.unacked.entry(channel).or_default().insert(number, held);
        assert!(doubled.is_none(), "two unsettled deliveries of a channel have one number");
        assert!(!self.late(channel).contains(&number), "a late number names another message");
    }

    /// A message has left with its delivery.
    pub(super) fn leave(&mut self, id: MessageId) {
        self.left.push(id);
    }

    /// What the store is to be told of.
    pub(super) fn take_left(&mut self) -> Vec<MessageId> {
        std::mem::take(&mut self.left)
    }

    /// The broker starts again with what is durable; up to `delivered_to` it may have been seen.
    pub(super) fn restart(&mut self, delivered_to: MessageId) {
        let old = std::mem::replace(self, Reference::new(self.rules.clone()));
        self.delivered_to = delivered_to;
        let unacked = old.unacked.into_values().flat_map(BTreeMap::into_values);
        let all = old.ready.into_iter().map(|((_, id), known)| (id, known));
        let all = all.chain(unacked.map(|held| (held.id, held.known)));
        let all = all.chain(old.waiting.into_iter().map(|((_, id), known)| (id, known)));
        let all = all.chain(old.dying.into_iter().map(|(id, (known, _))| (id, known)));
        let all = all.chain(old.moving.into_iter().map(|(id, (known, _))| (id, known)));
        for (id, known) in all.filter(|(_, known)| known.durable) {
            assert!(!known.redelivered || id <= delivered_to, "{id} was delivered before");
            let found =
                known.noted.unwrap_or(Progress { id, deliveries: 0, retries: 0, due_ms: 0 });
            let Progress { deliveries, retries, due_ms, .. } = found;
            let redelivered = id <= delivered_to;
            let acquired = deliveries;
            let known = Known { redelivered, acquired, deliveries, retries, ..known };
            if self.rules.keeps == Keeps::UntilDue {
                self.waiting.insert((known.due_ms, id), known);
            } else if due_ms > 0 {
                self.waiting.insert((due_ms, id), known);
            } else {
                self.make_ready(id, known);
            }
        }
    }

    /// The ready messages in the order of delivery.
    pub(super) fn ready_ids(&self) -> Vec<MessageId> {
        self.ready.keys().map(|(_, id)| *id).collect()
    }

    /// The message, unless a client has it or it has left.
    pub(super) fn known(&self, id: MessageId) -> Option<&Known> {
        let lanes = 0..=self.rules.max_priority;
        let ready = lanes.filter_map(|lane| self.ready.get(&(Reverse(lane), id))).next();
        let waiting = self.waiting.iter().find(|((_, other), _)| *other == id);
        ready.or(waiting.map(|(_, known)| known)).or(self.dying.get(&id).map(|(known, _)| known))
    }

    /// When the next one is due that waits.
    pub(super) fn next_due(&self) -> Option<u64> {
        self.waiting.first_key_value().map(|((due_ms, _), _)| *due_ms)
    }

    pub(super) fn waiting_count(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn ready_count(&self) -> usize {
        self.ready.len()
    }

    pub(super) fn ready_body_bytes(&self) -> u64 {
        self.ready.values().map(|known| known.body as u64).sum()
    }

    pub(super) fn unacked_count(&self) -> usize {
        self.unacked.values().map(BTreeMap::len).sum()
    }

    /// The unsettled deliveries of a channel, oldest first.
    pub(super) fn unsettled(&self, channel: u64) -> Vec<u64> {
        let held = self.unacked.get(&channel);
        held.map(|held| held.keys().copied().collect()).unwrap_or_default()
    }

    /// See the field.
    pub(super) fn late(&self, channel: u64) -> &[u64] {
        self.late.get(&channel).map_or(&[], Vec::as_slice)
    }

    pub(super) fn delivered_to(&self) -> MessageId {
        self.delivered_to
    }

    /// What its messages would cost in memory, in bytes: without and with those that wait, which leave it when they may.
    pub(super) fn memory(&self) -> std::ops::RangeInclusive<usize> {
        let cost = |known: &Known| known.size + MESSAGE_OVERHEAD_BYTES;
        let unacked =
            self.unacked.values().flat_map(BTreeMap::values).map(|held| cost(&held.known));
        let dying = self.dying.values().map(|(known, _)| cost(known));
        let least = self.ready.values().map(cost).chain(unacked).chain(dying).sum::<usize>();
        least..=least + self.waiting.values().map(cost).sum::<usize>()
    }
}
