//! Class `basic`, the consuming side: `basic.qos`, `basic.consume`, `basic.cancel`, `basic.get`.

use std::sync::Arc;

use amq_protocol::protocol::AMQPClass;
use amq_protocol::protocol::basic::{
    AMQPMethod, Cancel, CancelOk, Consume, ConsumeOk, Get, GetEmpty, Qos, QosOk,
};

use super::queue::count;
use super::{Consumer, ReplyConsumer};
use crate::access::permissions::Right;
use crate::connection::Connection;
use crate::protocol::delivery::{Content, GetOk, encode_get_ok};
use crate::protocol::{Fault, ReplyCode};
use crate::queue::arguments::integer_of;
use crate::queue::consumers::{ConsumeError, ConsumerSpec};
use crate::queue::rules::QueueType;
use crate::queue::state::Got;
use crate::queue::{Command, QueueGone, Unreadable};
use crate::vhost::queues::server_name;
use crate::vhost::refusals::{self, Resource};
use crate::vhost::reply_to::REPLY_TO;

impl Connection {
    /// Refuses a limit in bytes, which amq-protocol does not decode: RabbitMQ has none either.
    pub(crate) fn check_prefetch_size(qos: &[u8]) -> Result<(), Fault> {
        let size = qos.get(4..8).and_then(|bytes| bytes.try_into().ok());
        match size.map_or(0, u32::from_be_bytes) {
            0 => Ok(()),
            size => {
                let text = format!("prefetch_size!=0 ({size})");
                Err(Fault::new(ReplyCode::NotImplemented, text))
            }
        }
    }

    pub(super) async fn basic_qos(&mut self, number: u16, qos: &Qos) -> Result<(), Fault> {
        if let Some(channel) = self.channel(number) {
            if qos.global {
                channel.limit.set(qos.prefetch_count);
                // A consumer that the old limit has stopped may go on under the new one.
                self.channel_freed(number).await;
            } else {
                channel.prefetch = qos.prefetch_count;
            }
        }
        self.send(number, AMQPClass::Basic(AMQPMethod::QosOk(QosOk {})));
        Ok(())
    }

    pub(super) async fn basic_consume(
        &mut self,
        number: u16,
        consume: Consume,
    ) -> Result<(), Fault> {
        let tag: Arc<str> = match consume.consumer_tag.as_str() {
            "" => server_name("amq.ctag-").into(),
            given => given.into(),
        };
        if consume.queue.as_str() == REPLY_TO {
            return self.consume_replies(number, &tag, &consume);
        }
        let name = self.queue_name(number, consume.queue.as_str())?;
        self.check(Right::Read, Resource::Queue(&name))?;
        let queue = self.vhost.queue(&name, self.id)?;
        self.check_tag(number, &tag)?;
        let id = self.node.next_consumer_id();
        let outbox = self.outbox.clone();
        let Some(channel) = self.channel(number) else {
            return Ok(());
        };
        let priority = consume.arguments.inner().get("x-priority");
        let timeout = consume.arguments.inner().get("x-consumer-timeout");
        let spec = ConsumerSpec {
            id,
            tag: Arc::clone(&tag),
            channel: channel.id,
            channel_number: number,
            outbox,
            no_ack: consume.no_ack,
            // As in RabbitMQ, a quorum queue is shared by whoever wants it.
            exclusive: consume.exclusive && queue.kind == QueueType::Classic,
            priority: consumer_priority(priority)?,
            prefetch: channel.prefetch,
            timeout_ms: timeout.and_then(integer_of).and_then(|ms| ms.try_into().ok()),
            channel_limit: Arc::clone(&channel.limit),
        };
        let joined = queue.ask(|reply| Command::Consume { spec: Box::new(spec), reply }).await;
        match joined.unwrap_or(Err(ConsumeError::QueueGone)) {
            Ok(()) => {}
            Err(ConsumeError::InExclusiveUse) => {
                return Err(refusals::exclusive_use(&name, &self.vhost.name));
            }
            Err(ConsumeError::QueueGone) => {
                return Err(refusals::not_found(Resource::Queue(&name), &self.vhost.name));
            }
        }
        if let Some(channel) = self.channel(number) {
            let consumer = Consumer { id, queue, freed_messages: 0, freed_bytes: 0 };
            channel.consumers.insert(Arc::clone(&tag), consumer);
        }
        self.consume_ok(number, consume.nowait, &tag);
        Ok(())
    }

    fn consume_replies(
        &mut self,
        number: u16,
        tag: &Arc<str>,
        consume: &Consume,
    ) -> Result<(), Fault> {
        self.check_tag(number, tag)?;
        let refused = |text| Err(Fault::new(ReplyCode::PreconditionFailed, text));
        let outbox = self.outbox.clone();
        let vhost = Arc::clone(&self.vhost);
        let Some(channel) = self.channel(number) else {
            return Ok(());
        };
        if channel.reply_consumer.is_some() {
            return refused("reply consumer already set");
        }
        if !consume.no_ack {
            return refused("reply consumer cannot acknowledge");
        }
        let address = vhost.reply_to.join(channel.id, outbox);
        channel.reply_consumer = Some(ReplyConsumer { tag: Arc::clone(tag), address });
        self.consume_ok(number, consume.nowait, tag);
        Ok(())
    }

    fn consume_ok(&mut self, number: u16, nowait: bool, tag: &str) {
        let ok = ConsumeOk { consumer_tag: tag.into() };
        self.reply(number, nowait, AMQPClass::Basic(AMQPMethod::ConsumeOk(ok)));
    }

    /// A tag names one consumer of its channel; using it again closes the connection.
    fn check_tag(&mut self, number: u16, tag: &str) -> Result<(), Fault> {
        let Some(channel) = self.channel(number) else {
            return Ok(());
        };
        let replies = channel.reply_consumer.as_ref().is_some_and(|reply| &*reply.tag == tag);
        if replies || channel.consumers.contains_key(tag) {
            let text = format!("attempt to reuse consumer tag '{tag}'");
            return Err(Fault::new(ReplyCode::NotAllowed, text));
        }
        Ok(())
    }

    /// After `basic.cancel-ok` no delivery may follow: what the queue has sent by then is taken from the outbox first.
    pub(super) async fn basic_cancel(&mut self, number: u16, cancel: Cancel) -> Result<(), Fault> {
        let tag = cancel.consumer_tag.as_str();
        let vhost = Arc::clone(&self.vhost);
        if let Some(channel) = self.channel(number) {
            if let Some(reply) = channel.reply_consumer.take_if(|reply| &*reply.tag == tag) {
                vhost.reply_to.leave(&reply.address);
            } else if let Some(consumer) = channel.consumers.get(tag) {
                let (id, queue) = (consumer.id, Arc::clone(&consumer.queue));
                let cancelled = queue.ask(|reply| Command::Cancel { id, reply }).await;
                // A queue that is gone has nothing more to deliver either.
                let (Ok(()) | Err(QueueGone)) = cancelled;
                self.take_waiting_events().await?;
                if let Some(channel) = self.channel(number) {
                    channel.consumers.remove(tag);
                }
            }
        }
        let ok = CancelOk { consumer_tag: cancel.consumer_tag };
        self.reply(number, cancel.nowait, AMQPClass::Basic(AMQPMethod::CancelOk(ok)));
        Ok(())
    }

    pub(super) async fn basic_get(&mut self, number: u16, get: &Get) -> Result<(), Fault> {
        let name = self.queue_name(number, get.queue.as_str())?;
        self.check(Right::Read, Resource::Queue(&name))?;
        let queue = self.vhost.queue(&name, self.id)?;
        if queue.kind == QueueType::Quorum && queue.rules.load().single_active_consumer {
            return Err(refusals::get_from_single_active(&name, &self.vhost.name));
        }
        let (no_ack, frame_max) = (get.no_ack, self.frame_max);
        let Some(id) = self.channel(number).map(|channel| channel.id) else {
            return Ok(());
        };
        let got = queue.ask(|reply| Command::Get { channel: id, no_ack, reply }).await;
        let gone = |QueueGone| refusals::not_found(Resource::Queue(&name), &self.vhost.name);
        let got = got.map_err(gone)?.map_err(|Unreadable| refusals::store_unreadable())?;
        let (delivery, left) = match got {
            Got::Message(delivery, left) => (delivery, left),
            Got::Empty | Got::Loading => {
                self.send(number, AMQPClass::Basic(AMQPMethod::GetEmpty(GetEmpty {})));
                return Ok(());
            }
        };
        let Some(channel) = self.channel(number) else {
            return Ok(());
        };
        let delivery_tag = match no_ack {
            true => channel.outstanding.next_settled_tag(),
            false => channel.outstanding.push(&queue, delivery.number, delivery.id, false),
        };
        let message = &delivery.message;
        let get_ok = GetOk {
            delivery_tag,
            redelivered: delivery.redelivered,
            exchange: message.exchange(),
            routing_key: message.routing_key(),
            message_count: count(left),
        };
        let content = Content { properties: message.properties(), body: message.body() };
        encode_get_ok(self.out.buffer(), number, &get_ok, content, frame_max);
        Ok(())
    }
}

/// `x-priority` of a consumer: any integer, 0 without one.
fn consumer_priority(value: Option<&amq_protocol::types::AMQPValue>) -> Result<i64, Fault> {
    match value {
        None => Ok(0),
        Some(value) => integer_of(value).ok_or_else(|| {
            let type_name = leveret_routing::type_name(value);
            let text = format!("invalid arg 'x-priority': {{unacceptable_type,{type_name}}}");
            Fault::new(ReplyCode::PreconditionFailed, text)
        }),
    }
}
