//! What others have left in the outbox, and what this connection has for them.

use std::sync::Arc;

use amq_protocol::protocol::AMQPClass;
use amq_protocol::protocol::basic::{AMQPMethod, Cancel};
use amq_protocol::protocol::connection::{AMQPMethod as ConnectionMethod, Blocked, Unblocked};
use bytes::BytesMut;
use leveret_persistence::{Completion, Message};

use super::{ChannelId, Connection, Event, Slot, StoreFailed};
use crate::channel::Mode;
use crate::channel::confirms::Confirms;
use crate::channel::publish::{ConfirmRun, Sent};
use crate::limits::{CONSUMER_WINDOW_BYTES, CONSUMER_WINDOW_MESSAGES};
use crate::protocol::Fault;
use crate::protocol::delivery::{Deliver, encode_ack, encode_nack};
use crate::queue::Command;
use crate::queue::consumers::{ConsumerId, ConsumerSpec, Delivery};
use crate::vhost::refusals;

impl Connection {
    /// Acts on all that waits in the outbox.
    pub(crate) async fn take_waiting_events(&mut self) -> Result<(), Fault> {
        while let Some(event) = self.events.try_next() {
            self.take_event(event).await?;
        }
        Ok(())
    }

    /// Acts on one event.
    pub(super) async fn take_event(&mut self, event: Event) -> Result<(), Fault> {
        match event {
            Event::Deliver { consumer, messages } => self.deliver(&consumer, messages).await,
            Event::ConsumerCancelled { channel, consumer } => {
                self.consumer_cancelled(channel, consumer);
            }
            Event::ConsumerTimedOut { channel, consumer } => {
                return self.consumer_timed_out(channel, consumer).await;
            }
            Event::Reply { channel, message } => self.deliver_reply(channel, &message),
            Event::Stored(result) => {
                for run in self.in_store.pop_front().unwrap_or_default() {
                    self.confirm_stored(run, result);
                }
            }
            Event::Close(fault) => return Err(fault),
        }
        Ok(())
    }

    /// An alarm is on: RabbitMQ's `connection.blocked`, to clients that understand it.
    pub(super) fn blocked(&mut self, reason: &str) {
        tracing::warn!(connection = self.id.0, reason, "publisher blocked");
        if self.capabilities.connection_blocked {
            let blocked = ConnectionMethod::Blocked(Blocked { reason: reason.into() });
            self.send(0, AMQPClass::Connection(blocked));
        }
    }

    /// The alarm is over.
    pub(super) fn unblocked(&mut self) {
        tracing::info!(connection = self.id.0, "publisher unblocked");
        self.has_published = false;
        if self.capabilities.connection_blocked {
            self.send(0, AMQPClass::Connection(ConnectionMethod::Unblocked(Unblocked {})));
        }
    }

    /// Hands on the publishes and settlements of this read.
    pub(super) async fn send_gathered(&mut self) {
        if !self.publishes.is_empty() {
            self.send_publishes().await;
        }
        self.send_settlements().await;
    }

    /// Hands on the settlements of this read.
    pub(crate) async fn send_settlements(&mut self) {
        if self.settlements.is_empty() {
            return;
        }
        let settled = self.settlements.channels();
        self.settlements.send(false).await;
        for channel in settled {
            if self.channel_of(channel).is_some_and(|channel| channel.limit.is_set()) {
                self.channel_freed(channel.number).await;
            }
        }
    }

    async fn send_publishes(&mut self) {
        if self.node.storage.committer.failed() && self.publishes.any_stored() {
            self.refuse_unconfirmed().await;
        }
        let outbox = self.outbox.clone();
        let stored = move || -> Completion {
            Box::new(move |result| {
                outbox.send(Event::Stored(result.map(drop).map_err(|_| StoreFailed)));
            })
        };
        let Sent { after_store, now, refused, held } =
            self.publishes.send(&self.vhost, stored).await;
        self.held_by.extend(held);
        for run in &after_store {
            if let Some((confirms, _)) = self.confirms_of(run.channel) {
                confirms.wait(run.range);
            }
        }
        if !after_store.is_empty() {
            self.in_store.push_back(after_store);
        }
        for run in now {
            let number = run.channel.number;
            if let Some((confirms, out)) = self.confirms_of(run.channel) {
                confirms.confirm(run.range, |tag, multiple| encode_ack(out, number, tag, multiple));
            }
        }
        for run in refused {
            let number = run.channel.number;
            if let Some((confirms, out)) = self.confirms_of(run.channel) {
                confirms
                    .confirm(run.range, |tag, multiple| encode_nack(out, number, tag, multiple));
            }
        }
    }

    /// The store has failed: a publisher that asked for no confirms learns it by its channel being closed.
    async fn refuse_unconfirmed(&mut self) {
        for number in self.publishes.unconfirmed_channels() {
            // Closing a channel by a channel fault does not fail.
            drop(self.channel_fault(number, refusals::store_failed()).await);
        }
    }

    fn confirm_stored(&mut self, run: ConfirmRun, result: Result<(), StoreFailed>) {
        let number = run.channel.number;
        if let Some((confirms, out)) = self.confirms_of(run.channel) {
            confirms.finished(run.range, |tag, multiple| match result {
                Ok(()) => encode_ack(out, number, tag, multiple),
                Err(StoreFailed) => encode_nack(out, number, tag, multiple),
            });
        }
    }

    /// The confirms of a channel that is still open and in confirm mode, and the buffer they are written to.
    fn confirms_of(&mut self, id: ChannelId) -> Option<(&mut Confirms, &mut BytesMut)> {
        match self.channels.get_mut(&id.number) {
            Some(Slot::Open(channel)) if channel.id == id => match &mut channel.mode {
                Mode::Confirm(confirms) => Some((confirms, self.out.buffer())),
                Mode::Plain | Mode::Tx(_) => None,
            },
            _ => None,
        }
    }

    /// Deliveries to a channel that is closed meanwhile have gone back to their queue already.
    async fn deliver(&mut self, spec: &Arc<ConsumerSpec>, messages: Vec<Delivery>) {
        let frame_max = self.frame_max;
        let Some(Slot::Open(channel)) = self.channels.get_mut(&spec.channel_number) else {
            return;
        };
        let channel = &mut **channel;
        let consumer = channel.consumers.get_mut(&spec.tag).filter(|found| found.id == spec.id);
        let (true, Some(consumer)) = (channel.id == spec.channel, consumer) else {
            return;
        };
        let count = u32::try_from(messages.len()).unwrap_or(u32::MAX);
        let mut bytes = 0;
        for delivery in messages {
            let Delivery { id, number, redelivered, message } = delivery;
            let delivery_tag = match spec.no_ack {
                true => channel.outstanding.next_settled_tag(),
                false => channel.outstanding.push(&consumer.queue, number, id, true),
            };
            bytes += message.size();
            let deliver = Deliver {
                consumer_tag: &spec.tag,
                delivery_tag,
                redelivered,
                exchange: message.exchange(),
                routing_key: message.routing_key(),
            };
            self.out.deliver(spec.channel_number, &deliver, &message, frame_max);
        }
        consumer.freed_messages += count;
        consumer.freed_bytes += bytes;
        // Often enough that the window never runs dry, seldom enough that it costs nothing a message.
        let due = consumer.freed_messages >= CONSUMER_WINDOW_MESSAGES / 4
            || consumer.freed_bytes >= CONSUMER_WINDOW_BYTES / 4;
        if due {
            let messages = std::mem::take(&mut consumer.freed_messages);
            let bytes = std::mem::take(&mut consumer.freed_bytes);
            let queue = Arc::clone(&consumer.queue);
            queue.send(Command::WindowFreed { id: spec.id, messages, bytes }).await.ok();
        }
    }

    fn deliver_reply(&mut self, id: ChannelId, message: &Message) {
        let frame_max = self.frame_max;
        let Some(Slot::Open(channel)) = self.channels.get_mut(&id.number) else {
            return;
        };
        let channel = &mut **channel;
        let (true, Some(consumer)) = (channel.id == id, &channel.reply_consumer) else {
            return;
        };
        consumer.address.taken();
        let deliver = Deliver {
            consumer_tag: &consumer.tag,
            delivery_tag: channel.outstanding.next_settled_tag(),
            redelivered: false,
            exchange: message.exchange(),
            routing_key: message.routing_key(),
        };
        self.out.deliver(id.number, &deliver, message, frame_max);
    }

    /// A consumer has held a message for too long, and its queue has taken it back: RabbitMQ takes the consumer off the queue,
    /// or closes the channel of a client that would not understand that.
    async fn consumer_timed_out(
        &mut self,
        id: ChannelId,
        consumer: ConsumerId,
    ) -> Result<(), Fault> {
        if self.capabilities.consumer_cancel_notify {
            self.consumer_cancelled(id, consumer);
            return Ok(());
        }
        if self.channel_of(id).is_none() {
            return Ok(());
        }
        self.channel_fault(id.number, refusals::acknowledgement_timed_out(id.number)).await
    }

    /// The queue of a consumer was deleted: RabbitMQ's consumer cancel notification, to clients that understand it.
    fn consumer_cancelled(&mut self, id: ChannelId, consumer: ConsumerId) {
        let notify = self.capabilities.consumer_cancel_notify;
        let Some(channel) = self.channel_of(id) else {
            return;
        };
        let known = channel.consumers.iter().find(|(_, known)| known.id == consumer);
        let Some(tag) = known.map(|(tag, _)| Arc::clone(tag)) else {
            return;
        };
        channel.consumers.remove(&tag);
        if notify {
            let cancel = Cancel { consumer_tag: (&*tag).into(), nowait: true };
            self.send(id.number, AMQPClass::Basic(AMQPMethod::Cancel(cancel)));
        }
    }
}
