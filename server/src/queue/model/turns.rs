//! Whose turn it is, by looking at every consumer every time.

use crate::limits::{CONSUMER_UNACKED_MAX, CONSUMER_WINDOW_BYTES, CONSUMER_WINDOW_MESSAGES};
use crate::queue::consumers::{ConsumeError, ConsumerId};

use super::Wish;

#[derive(Debug)]
struct Member {
    id: ConsumerId,
    wish: Wish,
    unacked: u32,
    window_messages: u32,
    window_bytes: usize,
    /// When it last took a message or began to wait for one; none while it may not have one.
    waits_since: Option<u64>,
}

impl Member {
    fn has_room(&self) -> bool {
        let limit = match (self.wish.no_ack, self.wish.prefetch) {
            (true, _) => u32::MAX,
            (false, 0) => CONSUMER_UNACKED_MAX,
            (false, prefetch) => u32::from(prefetch),
        };
        self.unacked < limit
            && self.window_messages < CONSUMER_WINDOW_MESSAGES
            && self.window_bytes < CONSUMER_WINDOW_BYTES
    }
}

/// Who gets which message next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    pub(super) consumer: ConsumerId,
    pub(super) channel: u64,
    pub(super) no_ack: bool,
}

#[derive(Debug)]
pub(super) struct Turns {
    single_active: bool,
    /// In order of registration.
    members: Vec<Member>,
    active: Option<ConsumerId>,
    moment: u64,
}

impl Turns {
    pub(super) fn new(single_active: bool) -> Turns {
        Turns { single_active, members: Vec::new(), active: None, moment: 0 }
    }

    pub(super) fn join(&mut self, id: ConsumerId, wish: Wish) -> Result<(), ConsumeError> {
        let taken = self.members.iter().any(|member| member.wish.exclusive);
        if taken || wish.exclusive && (self.single_active || !self.members.is_empty()) {
            return Err(ConsumeError::InExclusiveUse);
        }
        self.members.push(Member {
            id,
            wish,
            unacked: 0,
            window_messages: 0,
            window_bytes: 0,
            waits_since: None,
        });
        self.choose_active();
        self.wait(id);
        Ok(())
    }

    pub(super) fn leave(&mut self, leaves: impl Fn(ConsumerId, u64) -> bool) {
        self.members.retain(|member| !leaves(member.id, member.wish.channel));
        self.choose_active();
    }

    pub(super) fn settled(&mut self, id: ConsumerId) {
        if let Some(member) = self.members.iter_mut().find(|member| member.id == id) {
            member.unacked -= 1;
        }
        self.wait(id);
    }

    /// Empties a consumer's window; tells what was in it.
    pub(super) fn window_freed(&mut self, id: ConsumerId) -> (u32, usize) {
        let member = self.members.iter_mut().find(|member| member.id == id);
        let freed = member.map(|member| {
            let messages = std::mem::take(&mut member.window_messages);
            (messages, std::mem::take(&mut member.window_bytes))
        });
        self.wait(id);
        freed.unwrap_or_default()
    }

    /// The consumer that must get the next message, if any may have it.
    pub(super) fn next(&self) -> Option<Turn> {
        let waiting = self.members.iter().filter(|member| member.waits_since.is_some());
        let next = waiting.min_by_key(|member| (-member.wish.priority, member.waits_since))?;
        let Wish { channel, no_ack, .. } = next.wish;
        Some(Turn { consumer: next.id, channel, no_ack })
    }

    /// Counts a delivery against its consumer, which then waits behind its equals.
    pub(super) fn took(&mut self, turn: Turn, size: usize) {
        let found = self.members.iter_mut().find(|member| member.id == turn.consumer);
        let member = found.expect("turns are given to members");
        member.unacked += u32::from(!turn.no_ack);
        member.window_messages += 1;
        member.window_bytes += size;
        member.waits_since = None;
        self.wait(turn.consumer);
    }

    /// How long a consumer may hold a message.
    pub(super) fn timeout_ms(&self, id: ConsumerId, of_queue: Option<u64>) -> Option<u64> {
        let member = self.members.iter().find(|member| member.id == id)?;
        member.wish.timeout_ms.or(of_queue)
    }

    pub(super) fn ids(&self) -> Vec<ConsumerId> {
        self.members.iter().map(|member| member.id).collect()
    }

    /// A consumer that has room and does not wait yet begins to.
    fn wait(&mut self, id: ConsumerId) {
        let may = !self.single_active || self.active == Some(id);
        if let Some(member) = self.members.iter_mut().find(|member| member.id == id)
            && may
            && member.waits_since.is_none()
            && member.has_room()
        {
            self.moment += 1;
            member.waits_since = Some(self.moment);
        }
    }

    /// The active consumer stays until it leaves.
    fn choose_active(&mut self) {
        let members = &self.members;
        if members.iter().any(|member| self.active == Some(member.id)) {
            return;
        }
        let highest = members.iter().map(|member| member.wish.priority).max();
        let next = members.iter().find(|member| Some(member.wish.priority) == highest);
        self.active = next.map(|member| member.id);
        if let Some(id) = self.active {
            self.wait(id);
        }
    }
}
