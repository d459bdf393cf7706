//! Message groups (`x-message-group-header`): the messages of one group go to one consumer at a time and in order, while
//! groups run side by side. A group is held from the delivery of one of its messages until all that were delivered of it are
//! settled; what comes to a group whose holder has no room is parked. Asked by [`super::dispatch`].

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use leveret_persistence::Message;

use super::consumers::ConsumerId;
use super::entry::{Entry, NEVER, body_len};
use crate::connection::ChannelId;
use crate::limits::{GROUPS_PARKED_BYTES, GROUPS_PARKED_MESSAGES};
use crate::protocol::properties::Properties;

/// The value of the header that names a message's group.
pub(crate) type Group = Arc<[u8]>;

/// Who has a group: a consumer, or a channel by `basic.get`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Holder {
    pub(crate) channel: ChannelId,
    pub(crate) consumer: Option<ConsumerId>,
}

/// The groups of one queue that are held or have parked messages.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    known: HashMap<Group, State>,
    /// Groups with parked messages that nobody holds, in turn order.
    free: VecDeque<Group>,
    /// Groups with parked messages by who holds them, in turn order.
    waiting: HashMap<Holder, VecDeque<Group>>,
    parked: usize,
    parked_bytes: usize,
    /// Bytes of body of the parked messages.
    body_bytes: u64,
    /// Parked messages with a TTL.
    expiring: usize,
}

#[derive(Debug, Default)]
struct State {
    holder: Option<Holder>,
    /// Deliveries that are not settled.
    unacked: usize,
    /// In order.
    parked: VecDeque<Entry>,
}

impl Groups {
    /// The number of parked messages.
    pub(crate) fn parked(&self) -> usize {
        self.parked
    }

    /// What the parked messages cost in memory, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.parked_bytes
    }

    /// Bytes of body of the parked messages.
    pub(crate) fn body_bytes(&self) -> u64 {
        self.body_bytes
    }

    /// Whether no more messages may be parked: then the queue looks no further for a group that can run.
    pub(crate) fn is_full(&self) -> bool {
        self.parked >= GROUPS_PARKED_MESSAGES || self.parked_bytes >= GROUPS_PARKED_BYTES
    }

    /// Who may have the next message of the group: its holder, or anyone.
    pub(crate) fn holder(&self, group: &Group) -> Option<Holder> {
        self.known.get(group).and_then(|state| state.holder)
    }

    /// Whether messages of the group are parked: a later one has to wait behind them.
    pub(crate) fn has_parked(&self, group: &Group) -> bool {
        self.known.get(group).is_some_and(|state| !state.parked.is_empty())
    }

    /// Puts a message aside, in its order.
    pub(crate) fn park(&mut self, group: &Group, mut entry: Entry) {
        // It does not leave with the others of the read that it came in.
        entry.message = entry.message.compact();
        self.count_in(&entry);
        let state = self.known.entry(Arc::clone(group)).or_default();
        if state.parked.is_empty() {
            match state.holder {
                Some(holder) => self.waiting.entry(holder).or_default().push_back(group.clone()),
                None => self.free.push_back(group.clone()),
            }
        }
        let place = state.parked.partition_point(|other| other.id < entry.id);
        state.parked.insert(place, entry);
    }

    /// A message of the group was delivered and is to be settled.
    pub(crate) fn delivered(&mut self, group: &Group, holder: Holder) {
        let state = self.known.entry(Arc::clone(group)).or_default();
        state.unacked += 1;
        if state.holder != Some(holder) {
            let former = state.holder.replace(holder);
            if !state.parked.is_empty() {
                leave(&mut self.free, &mut self.waiting, group, former);
                self.waiting.entry(holder).or_default().push_back(group.clone());
            }
        }
    }

    /// A delivery of the group was settled or went back.
    pub(crate) fn settled(&mut self, group: &Group) {
        let Some(state) = self.known.get_mut(group) else {
            return;
        };
        state.unacked = state.unacked.saturating_sub(1);
        if state.unacked > 0 {
            return;
        }
        let former = state.holder.take();
        if state.parked.is_empty() {
            self.known.remove(group);
        } else {
            leave(&mut self.free, &mut self.waiting, group, former);
            self.free.push_back(group.clone());
        }
    }

    /// The size of the next message of a group that nobody holds.
    pub(crate) fn next_free(&self) -> Option<usize> {
        let state = self.known.get(self.free.front()?)?;
        state.parked.front().map(|entry| entry.message.size())
    }

    /// Takes it.
    pub(crate) fn take_free(&mut self) -> Option<(Group, Entry)> {
        let group = self.free.pop_front()?;
        let entry = self.unpark(&group)?;
        if self.has_parked(&group) {
            // It goes to whom the message is delivered; if it needs no settling, anyone may have the next one.
            self.free.push_back(group.clone());
        }
        Some((group, entry))
    }

    /// Those who hold groups with parked messages.
    pub(crate) fn holders(&self) -> Vec<Holder> {
        self.waiting.keys().copied().collect()
    }

    /// The size of the next message that is parked for a holder.
    pub(crate) fn next_of(&self, holder: Holder) -> Option<usize> {
        let state = self.known.get(self.waiting.get(&holder)?.front()?)?;
        state.parked.front().map(|entry| entry.message.size())
    }

    /// Takes it.
    pub(crate) fn take_of(&mut self, holder: Holder) -> Option<(Group, Entry)> {
        let groups = self.waiting.get_mut(&holder)?;
        let group = groups.pop_front()?;
        if groups.is_empty() {
            self.waiting.remove(&holder);
        }
        let entry = self.unpark(&group)?;
        if self.has_parked(&group) {
            self.waiting.entry(holder).or_default().push_back(group.clone());
        }
        Some((group, entry))
    }

    /// Takes the parked messages of a group; who holds it keeps it.
    pub(crate) fn take_group(&mut self, group: &Group) -> Vec<Entry> {
        let Some(state) = self.known.get_mut(group) else {
            return Vec::new();
        };
        let parked: Vec<Entry> = std::mem::take(&mut state.parked).into();
        if !parked.is_empty() {
            leave(&mut self.free, &mut self.waiting, group, state.holder);
        }
        if state.unacked == 0 {
            self.known.remove(group);
        }
        parked.iter().for_each(|entry| self.count_out(entry));
        parked
    }

    /// When the next message of a group expires, of those that are parked.
    pub(crate) fn next_expiry(&self) -> Option<u64> {
        if self.expiring == 0 {
            return None;
        }
        let next = self.known.values().filter_map(|state| state.parked.front());
        next.map(|entry| entry.expires_ms).min()
    }

    /// Takes what has expired by `now_ms` and is the next of its group.
    pub(crate) fn take_expired(&mut self, now_ms: u64) -> Vec<Entry> {
        if self.expiring == 0 {
            return Vec::new();
        }
        let is_expired = |entry: &Entry| entry.expires_ms <= now_ms;
        let next_is_expired = |state: &State| state.parked.front().is_some_and(is_expired);
        let groups = self.known.iter().filter(|(_, state)| next_is_expired(state));
        let groups: Vec<Group> = groups.map(|(group, _)| Arc::clone(group)).collect();
        let mut expired = Vec::new();
        for group in groups {
            let holder = self.holder(&group);
            while self.known.get(&group).is_some_and(next_is_expired) {
                expired.extend(self.unpark(&group));
            }
            if !self.has_parked(&group) {
                leave(&mut self.free, &mut self.waiting, &group, holder);
            }
        }
        expired
    }

    /// Takes all parked messages; who holds a group keeps it.
    pub(crate) fn take_parked(&mut self) -> Vec<Entry> {
        self.free.clear();
        self.waiting.clear();
        (self.parked, self.parked_bytes, self.body_bytes, self.expiring) = (0, 0, 0, 0);
        let parked = self.known.values_mut().flat_map(|state| std::mem::take(&mut state.parked));
        let parked = parked.collect();
        self.known.retain(|_, state| state.unacked > 0);
        parked
    }

    fn unpark(&mut self, group: &Group) -> Option<Entry> {
        let state = self.known.get_mut(group)?;
        let entry = state.parked.pop_front()?;
        if state.parked.is_empty() && state.unacked == 0 {
            self.known.remove(group);
        }
        self.count_out(&entry);
        Some(entry)
    }

    fn count_in(&mut self, entry: &Entry) {
        self.parked += 1;
        self.parked_bytes += entry.cost();
        self.body_bytes += u64::from(body_len(&entry.message));
        self.expiring += usize::from(entry.expires_ms != NEVER);
    }

    fn count_out(&mut self, entry: &Entry) {
        self.parked -= 1;
        self.parked_bytes -= entry.cost();
        self.body_bytes -= u64::from(body_len(&entry.message));
        self.expiring -= usize::from(entry.expires_ms != NEVER);
    }
}

/// Takes a group out of the turn order that it is in.
fn leave(
    free: &mut VecDeque<Group>,
    waiting: &mut HashMap<Holder, VecDeque<Group>>,
    group: &Group,
    holder: Option<Holder>,
) {
    let Some(holder) = holder else {
        return free.retain(|other| other != group);
    };
    if let Some(groups) = waiting.get_mut(&holder) {
        groups.retain(|other| other != group);
        if groups.is_empty() {
            waiting.remove(&holder);
        }
    }
}

/// The group of a message; none without the header.
pub(crate) fn group_of(message: &Message, header: &str) -> Option<Group> {
    let properties = Properties::parse(message.properties()).ok()?;
    Some(properties.header_field(header.as_bytes())?.value.into())
}

#[cfg(test)]
mod tests;
