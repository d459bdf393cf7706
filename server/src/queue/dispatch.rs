//! Delivering: which message to which consumer next. Part of the state machine of [`super::state`].

use std::sync::Arc;

use leveret_persistence::{Message, Ticket};

use super::consumers::{ConsumerId, ConsumerSpec, Delivery, Turn};
use super::entry::{Entry, Kept, Mark, body_len};
use super::groups::{Group, Holder, group_of};
use super::lane::{Ahead, Next};
use super::state::{Got, Load, State};
use super::unacked::{Session, Unacked};
use crate::connection::ChannelId;
use crate::protocol::death::Reason;
use crate::protocol::rewrite::with_header_number;
use crate::stamp;
use crate::vhost::dispatch::without_blind_copies;

/// What the state machine is told of the world when it delivers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    /// Milliseconds since the Unix epoch.
    pub(crate) now_ms: u64,
    /// What the store has finished.
    pub(crate) committed: Ticket,
    /// What this queue may keep in memory, in bytes.
    pub(crate) memory_limit: usize,
}

/// Where a message goes.
#[derive(Clone, Copy)]
struct Recipient {
    /// None: `basic.get`.
    consumer: Option<ConsumerId>,
    channel: ChannelId,
    no_ack: bool,
}

impl From<Turn> for Recipient {
    fn from(Turn { consumer, channel, no_ack, .. }: Turn) -> Recipient {
        Recipient { consumer: Some(consumer), channel, no_ack }
    }
}

impl Recipient {
    fn holder(self) -> Holder {
        Holder { channel: self.channel, consumer: self.consumer }
    }
}

impl State {
    /// Delivers ready messages for as long as a consumer has room, and does what is due.
    pub(crate) fn dispatch(&mut self, moment: Moment) {
        self.wake(moment);
        // Delivering takes no memory: who is short of it now stays the judge of the whole batch.
        let short_of_memory = self.memory() > moment.memory_limit;
        if self.rules.group_header.is_some() {
            self.deliver_groups(moment);
        } else {
            while self.consumers.any_has_room() && self.skip_expired(moment) {
                let Ahead::Message(next) = self.ready.ahead() else {
                    break;
                };
                let Some(turn) = self.consumers.take_turn(next.message.size()) else {
                    break;
                };
                if let Next::Message(entry) = self.ready.pop() {
                    self.deliver(entry, turn, None, short_of_memory, moment);
                }
            }
        }
        if let Some(first) = self.batch_first.take() {
            self.ready.compact_from(first);
        }
        self.compact_delivered();
        self.bury_expired(moment.now_ms);
        self.drop_head(moment.now_ms);
        self.page_out(moment);
        self.want(moment.now_ms, self.consumers.any_has_room() || self.needs_head());
    }

    /// Sends what [`State::dispatch`] gathered.
    pub(crate) fn flush(&mut self, send: impl FnMut(&Arc<ConsumerSpec>, Vec<Delivery>)) {
        self.consumers.flush(send);
    }

    /// One message for `basic.get`.
    pub(crate) fn get(&mut self, channel: ChannelId, no_ack: bool, moment: Moment) -> Got {
        self.used_ms = moment.now_ms;
        let recipient = Recipient { channel, consumer: None, no_ack };
        let (entry, group) = match self.rules.group_header.clone() {
            None => match self.next_message(moment) {
                Next::Empty => return Got::Empty,
                Next::InStore => {
                    self.want(moment.now_ms, true);
                    return Got::Loading;
                }
                Next::Message(entry) => (entry, None),
            },
            Some(header) => match self.next_for(&header, recipient.holder(), moment) {
                Err(got) => return got,
                Ok(found) => found,
            },
        };
        let delivery = self.hand_out(entry, recipient, group, false, moment);
        self.compact_delivered();
        Got::Message(delivery, self.ready_count())
    }

    /// The next message that is not too old.
    fn next_message(&mut self, moment: Moment) -> Next {
        if self.skip_expired(moment) { self.ready.pop() } else { Next::Empty }
    }

    /// Buries what is too old before the next message. Says whether there was room for it all: if not, nothing is next.
    #[inline]
    fn skip_expired(&mut self, moment: Moment) -> bool {
        while let Ahead::Message(next) = self.ready.ahead()
            && self.is_expired(next, moment.now_ms)
        {
            if self.dying.is_full() {
                return false;
            }
            if let Next::Message(entry) = self.ready.pop() {
                self.counts.expired += 1;
                self.bury(entry.into(), Reason::Expired);
            }
        }
        true
    }

    /// Whether it is too old. What has just come may be delivered whatever its TTL: 0 means at once or never.
    #[inline]
    fn is_expired(&self, entry: &Entry, now_ms: u64) -> bool {
        let is_new =
            || self.batch_first.is_some_and(|first| entry.id >= first) && !entry.mark.redelivered;
        entry.expires_ms <= now_ms && !is_new()
    }

    /// As [`State::dispatch`] for a queue whose messages are in groups.
    fn deliver_groups(&mut self, moment: Moment) {
        for holder in self.groups.holders() {
            self.deliver_parked(holder, moment);
        }
        while let Some(bytes) = self.groups.next_free() {
            let Some(turn) = self.consumers.take_turn(bytes) else {
                break;
            };
            if let Some((group, entry)) = self.groups.take_free() {
                self.deliver(entry, turn, Some(group), false, moment);
                // It has the group now, and may have room for more of it.
                self.deliver_parked(Recipient::from(turn).holder(), moment);
            }
        }
        let Some(header) = self.rules.group_header.clone() else {
            return;
        };
        while self.consumers.any_has_room() && !self.groups.is_full() {
            let Next::Message(entry) = self.next_message(moment) else {
                break;
            };
            let bytes = entry.message.size();
            let Some(group) = group_of(&entry.message, &header) else {
                match self.consumers.take_turn(bytes) {
                    Some(turn) => self.deliver(entry, turn, None, false, moment),
                    None => return self.ready.requeue(entry),
                }
                continue;
            };
            let turn = match self.groups.holder(&group) {
                _ if self.groups.has_parked(&group) => None,
                Some(Holder { consumer: Some(id), .. }) => self.consumers.take_turn_of(id, bytes),
                Some(Holder { consumer: None, .. }) => None,
                None => match self.consumers.take_turn(bytes) {
                    Some(turn) => Some(turn),
                    None => return self.ready.requeue(entry),
                },
            };
            match turn {
                Some(turn) => self.deliver(entry, turn, Some(group), false, moment),
                None => self.groups.park(&group, entry),
            }
        }
    }

    /// Delivers what was put aside for a consumer that had no room, as far as it has now.
    fn deliver_parked(&mut self, holder: Holder, moment: Moment) {
        let Some(consumer) = holder.consumer else {
            return;
        };
        while let Some(bytes) = self.groups.next_of(holder) {
            let Some(turn) = self.consumers.take_turn_of(consumer, bytes) else {
                return;
            };
            if let Some((group, entry)) = self.groups.take_of(holder) {
                self.deliver(entry, turn, Some(group), false, moment);
            }
        }
    }

    /// The next message that a `basic.get` of this holder may have.
    fn next_for(
        &mut self,
        header: &str,
        holder: Holder,
        moment: Moment,
    ) -> Result<(Entry, Option<Group>), Got> {
        self.bury_parked(moment.now_ms);
        let parked = self.groups.take_of(holder).or_else(|| self.groups.take_free());
        if let Some((group, entry)) = parked {
            return Ok((entry, Some(group)));
        }
        while !self.groups.is_full() {
            let entry = match self.next_message(moment) {
                Next::Empty => return Err(Got::Empty),
                Next::InStore => {
                    self.want(moment.now_ms, true);
                    return Err(Got::Loading);
                }
                Next::Message(entry) => entry,
            };
            let Some(group) = group_of(&entry.message, header) else {
                return Ok((entry, None));
            };
            let is_free = self.groups.holder(&group).is_none_or(|other| other == holder);
            if is_free && !self.groups.has_parked(&group) {
                return Ok((entry, Some(group)));
            }
            self.groups.park(&group, entry);
        }
        Err(Got::Empty)
    }

    #[inline]
    fn deliver(
        &mut self,
        entry: Entry,
        turn: Turn,
        group: Option<Group>,
        short_of_memory: bool,
        moment: Moment,
    ) {
        let delivery = self.hand_out(entry, turn.into(), group, short_of_memory, moment);
        self.consumers.gather(turn, delivery);
    }

    fn compact_delivered(&mut self) {
        for channel in self.delivered_in.drain(..) {
            if let Some(session) = self.sessions.get_mut(&channel) {
                session.compact();
            }
        }
    }

    /// Turns a message into a delivery; remembers it if it needs an acknowledgement.
    #[inline]
    fn hand_out(
        &mut self,
        entry: Entry,
        recipient: Recipient,
        group: Option<Group>,
        short_of_memory: bool,
        moment: Moment,
    ) -> Delivery {
        self.delivered_to = self.delivered_to.max(entry.id);
        let Entry { id, message, ticket, mark, .. } = entry;
        let redelivered = mark.redelivered;
        if recipient.no_ack {
            if ticket.is_some() {
                self.effects.settled.push(id);
            }
            let message = self.as_delivered(message, mark);
            return Delivery { id, number: 0, redelivered, message };
        }
        let stored = ticket.is_some_and(|ticket| ticket <= moment.committed);
        let body_len = body_len(&message);
        let kept = (!(short_of_memory && stored)).then(|| message.clone());
        let kept = Kept { id, message: kept, ticket, mark, body_len };
        let message = self.as_delivered(message, mark);
        self.unacked_bytes += kept.cost();
        if let Some(group) = &group {
            self.groups.delivered(group, recipient.holder());
        }
        let numbers_from = self.numbers_from;
        let session = self.sessions.entry(recipient.channel);
        let session = session.or_insert_with(|| Session::starting_at(numbers_from));
        let number = session.next_number();
        let consumer = recipient.consumer;
        if session.push(Unacked { kept, consumer, since_ms: moment.now_ms, group }) {
            self.delivered_in.push(recipient.channel);
        }
        Delivery { id, number, redelivered, message }
    }

    /// The message as it is delivered: mostly as it is.
    #[inline]
    fn as_delivered(&self, message: Message, mark: Mark) -> Message {
        let acquired = if self.rules.counts_acquired { mark.acquired } else { 0 };
        let has_blind_copies = message.flags() & stamp::BLIND_COPIES != 0;
        if has_blind_copies || acquired != 0 || mark.deliveries != 0 || mark.retries != 0 {
            return rewritten(&message, Mark { acquired, ..mark });
        }
        message
    }

    fn page_out(&mut self, moment: Moment) {
        let Moment { committed, memory_limit, .. } = moment;
        let aside = self.memory() - self.ready.bytes();
        let for_ready = memory_limit.saturating_sub(aside);
        self.effects.page_out.append(&mut self.ready.page_out(for_ready, committed));
        self.effects.page_out.append(&mut self.waiting.page_out(committed));
        if self.memory() > memory_limit {
            self.dying.page_out(committed);
        }
    }

    /// Asks the store for the next messages, once at a time. `takes_ready`: somebody would take ready ones.
    fn want(&mut self, now_ms: u64, takes_ready: bool) {
        if self.rules.max_length_bytes.is_some()
            && self.measuring.is_none()
            && let Some((priority, ids)) = self.ready.unmeasured()
        {
            self.effects.measure = ids;
            self.measuring = Some(priority);
        }
        if self.loading.is_some() {
            return;
        }
        let dying = self.dying.wanted(now_ms);
        if !dying.is_empty() {
            self.effects.load = dying;
            self.loading = Some(Load::Dying);
            return;
        }
        let wanted = if takes_ready { self.ready.wanted() } else { None };
        let wanted = wanted.or_else(|| self.ready.wanted_first().filter(|_| self.watches_head()));
        if let Some((priority, ids)) = wanted {
            self.effects.load = ids;
            self.loading = Some(Load::Ready(priority));
        }
    }
}

/// The message without `BCC`, and with the headers that say how often it came back. `x-acquired-count` is RabbitMQ's on quorum
/// queues, which other queues have no use for.
#[cold]
fn rewritten(message: &Message, mark: Mark) -> Message {
    let message = without_blind_copies(message);
    let mut properties = message.properties().to_vec();
    for (name, count) in [
        ("x-acquired-count", mark.acquired),
        ("x-delivery-count", mark.deliveries),
        ("x-retry-count", mark.retries),
    ] {
        if count > 0 {
            properties = with_header_number(&properties, name, count.into());
        }
    }
    let (exchange, routing_key) = (message.exchange(), message.routing_key());
    // The headers are a few bytes of a message that was below the limit by far more.
    let rewritten = Message::try_new(exchange, routing_key, &properties, message.body());
    rewritten.map(|rewritten| rewritten.stamped(message.stamp())).unwrap_or(message)
}
