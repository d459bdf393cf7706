//! Message groups: messages with the same key go to one consumer at a time, in order, while other
//! groups go to other consumers. Who has which group, and what waits for its turn. Called by the
//! queue while it hands out messages; without I/O, and without knowing what a message is.
//!
//! The queue keeps to this, then the order within each group is that of the queue:
//!
//! 1. A consumer with room is given what [`Groups::take_for`] has for it, before anything new.
//! 2. A new message of a group is delivered if [`Groups::admits`] the consumer, and otherwise
//!    parked. While [`Groups::is_full`], the queue takes no new messages from its head.
//! 3. A message that comes back unacknowledged is settled and then parked again, at its old
//!    position, even when that makes more than there is room for: prefetch has bounded it.
#![cfg_attr(not(test), expect(dead_code, reason = "the queue does not call it yet"))]

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::Arc;

/// Messages parked in one queue. At the limit it looks no further for a group that is free: one
/// group that stands still then holds up the others.
pub(crate) const PARKED_MAX: usize = 4096;

/// The value by which messages are one group.
pub(crate) type GroupKey = Arc<[u8]>;

/// What a settlement made of a group.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Settled {
    /// Its holder has other messages of it.
    Held,
    /// Nobody holds it and nothing of it waits.
    Free,
    /// Nobody holds it, and any consumer may take what waits.
    Runnable,
}

/// A parked message, on its way to a consumer.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Taken<T> {
    pub(crate) group: GroupKey,
    pub(crate) position: u64,
    pub(crate) item: T,
}

/// The groups of one queue. `H` is a consumer, `T` a message.
#[derive(Debug)]
pub(crate) struct Groups<H, T> {
    /// Those that somebody holds or of which something waits; the others cost nothing.
    groups: HashMap<GroupKey, Group<H, T>>,
    /// Those of which something waits, by who may take it (`None`: anyone), in the order in which
    /// it is their turn.
    turns: HashMap<Option<H>, BTreeMap<u64, GroupKey>>,
    next_turn: u64,
    parked: usize,
}

#[derive(Debug)]
struct Group<H, T> {
    holder: Option<H>,
    /// Messages that the holder has not settled.
    unsettled: usize,
    /// By position in the queue.
    parked: BTreeMap<u64, T>,
    /// When it is its turn; of use only while something is parked.
    turn: u64,
}

impl<H, T> Default for Group<H, T> {
    fn default() -> Self {
        Self { holder: None, unsettled: 0, parked: BTreeMap::new(), turn: 0 }
    }
}

impl<H, T> Default for Groups<H, T> {
    fn default() -> Self {
        Self { groups: HashMap::new(), turns: HashMap::new(), next_turn: 0, parked: 0 }
    }
}

impl<H: Copy + Eq + Hash, T> Groups<H, T> {
    /// Who has unsettled messages of `group`, and is alone to get more.
    pub(crate) fn holder(&self, group: &[u8]) -> Option<H> {
        self.groups.get(group)?.holder
    }

    /// Whether a new message of `group` may go to `consumer`: nobody else holds the group, and
    /// nothing older of it waits.
    pub(crate) fn admits(&self, group: &[u8], consumer: H) -> bool {
        self.groups.get(group).is_none_or(|group| {
            group.parked.is_empty() && group.holder.is_none_or(|holder| holder == consumer)
        })
    }

    /// Notes that `consumer` was given a new message of `group`, which had to admit it.
    pub(crate) fn delivered(&mut self, group: &[u8], consumer: H) {
        debug_assert!(self.admits(group, consumer), "a group has one holder at a time");
        let group = self.groups.entry(group.into()).or_default();
        group.holder = Some(consumer);
        group.unsettled += 1;
    }

    /// Keeps a message until its turn. `position` is its place in the queue: lower goes first, no
    /// two messages have the same.
    pub(crate) fn park(&mut self, group: &[u8], position: u64, item: T) {
        let key = match self.groups.get_key_value(group) {
            Some((key, _)) => Arc::clone(key),
            None => group.into(),
        };
        let group = self.groups.entry(Arc::clone(&key)).or_default();
        if group.parked.is_empty() {
            group.turn = self.next_turn;
            self.next_turn += 1;
            self.turns.entry(group.holder).or_default().insert(group.turn, key);
        }
        if group.parked.insert(position, item).is_none() {
            self.parked += 1;
        }
    }

    /// The next parked message that `consumer` may have, which counts as delivered to it. Groups
    /// take turns, one message each.
    pub(crate) fn take_for(&mut self, consumer: H) -> Option<Taken<T>> {
        let turn = |owner| Some((*self.turns.get(&owner)?.first_key_value()?.0, owner));
        // Of its own groups and those that are free, the one whose turn it is.
        let own = turn(Some(consumer));
        let (turn, owner) = own.into_iter().chain(turn(None)).min_by_key(|(turn, _)| *turn)?;

        let key = self.leave_turn(owner, turn)?;
        let group = self.groups.get_mut(&key)?;
        let (position, item) = group.parked.pop_first()?;
        self.parked -= 1;
        group.holder = Some(consumer);
        group.unsettled += 1;
        if !group.parked.is_empty() {
            group.turn = self.next_turn;
            self.next_turn += 1;
            self.turns.entry(group.holder).or_default().insert(group.turn, Arc::clone(&key));
        }
        Some(Taken { group: key, position, item })
    }

    /// Notes that `consumer` has settled a message of `group`, or that it came back. What somebody
    /// settles who does not hold the group changes nothing.
    pub(crate) fn settled(&mut self, group: &[u8], consumer: H) -> Settled {
        let Some(state) = self.groups.get_mut(group) else {
            return Settled::Free;
        };
        if state.holder == Some(consumer) {
            state.unsettled = state.unsettled.saturating_sub(1);
            if state.unsettled == 0 {
                return self.release(group);
            }
        }
        match self.holder(group) {
            Some(_) => Settled::Held,
            None => Settled::Runnable,
        }
    }

    /// Frees what `consumer` holds, and says which groups that are: its channel is closed. What it had
    /// not settled is the caller's to park again before anything is taken.
    pub(crate) fn holder_gone(&mut self, consumer: H) -> Vec<GroupKey> {
        let held = self.groups.iter().filter(|(_, group)| group.holder == Some(consumer));
        let mut freed: Vec<_> = held.map(|(key, _)| Arc::clone(key)).collect();
        // In an order that does not change from run to run.
        freed.sort_unstable();
        for group in &freed {
            self.release(group);
        }
        freed
    }

    /// How many messages wait.
    pub(crate) fn parked_len(&self) -> usize {
        self.parked
    }

    /// Whether no new message is to be parked.
    pub(crate) fn is_full(&self) -> bool {
        self.parked >= PARKED_MAX
    }

    /// Takes out all that waits, with positions and in their order: the queue is purged or ends. Who
    /// holds which group stays.
    pub(crate) fn drain_parked(&mut self) -> impl Iterator<Item = (u64, T)> + use<H, T> {
        let mut all = BTreeMap::new();
        for group in self.groups.values_mut() {
            all.append(&mut group.parked);
        }
        self.groups.retain(|_, group| group.holder.is_some());
        self.turns.clear();
        self.parked = 0;
        all.into_iter()
    }

    /// Ends the hold on `group`. What waits keeps its turn, among what anyone may take.
    fn release(&mut self, group: &[u8]) -> Settled {
        let Some((key, mut state)) = self.groups.remove_entry(group) else {
            return Settled::Free;
        };
        if state.parked.is_empty() {
            return Settled::Free;
        }
        self.leave_turn(state.holder, state.turn);
        self.turns.entry(None).or_default().insert(state.turn, Arc::clone(&key));
        state.holder = None;
        state.unsettled = 0;
        self.groups.insert(key, state);
        Settled::Runnable
    }

    fn leave_turn(&mut self, owner: Option<H>, turn: u64) -> Option<GroupKey> {
        let turns = self.turns.get_mut(&owner)?;
        let key = turns.remove(&turn);
        if turns.is_empty() {
            self.turns.remove(&owner);
        }
        key
    }
}

#[cfg(test)]
mod tests;
