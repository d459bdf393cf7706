//! Class `basic` (specification section 1.8): publishing and settling. Consuming is in `consume.rs`.

use std::sync::Arc;

use amq_protocol::protocol::AMQPClass;
use amq_protocol::protocol::basic::{AMQPMethod, RecoverOk};
use leveret_persistence::{Message, Stamp};

use super::Mode;
use super::content::Published;
use super::exchange::unimplemented;
use super::publish::Routed;
use super::unacked::UnknownTag;
use crate::connection::{Connection, Slot};
use crate::limits::EXPIRATION_MAX_MS;
use crate::protocol::content::check_name;
use crate::protocol::delivery::{Content, Return, encode_return};
use crate::protocol::properties::Properties;
use crate::protocol::rewrite::with_reply_to;
use crate::protocol::{Fault, ReplyCode};
use crate::queue::Command;
use crate::queue::state::Outcome;
use crate::vhost::dispatch::{Outgoing, without_blind_copies};
use crate::vhost::publish::{Route, Wishes};
use crate::vhost::reply_to::{REPLY_TO, ReplyTo};

impl Connection {
    /// Carries out one method of the class; `basic.publish` comes as [`Connection::publish`].
    pub(crate) async fn basic_method(
        &mut self,
        channel: u16,
        method: AMQPMethod,
    ) -> Result<(), Fault> {
        match method {
            AMQPMethod::Qos(qos) => self.basic_qos(channel, &qos).await,
            AMQPMethod::Consume(consume) => self.basic_consume(channel, consume).await,
            AMQPMethod::Cancel(cancel) => self.basic_cancel(channel, cancel).await,
            // A client's answer to the broker's own `basic.cancel`.
            AMQPMethod::CancelOk(_) => Ok(()),
            AMQPMethod::Get(get) => self.basic_get(channel, &get).await,
            AMQPMethod::Ack(ack) => {
                self.settle(channel, ack.delivery_tag, ack.multiple, Outcome::Ack)
            }
            AMQPMethod::Nack(nack) => {
                let outcome = if nack.requeue { Outcome::Requeue } else { Outcome::Reject };
                self.settle(channel, nack.delivery_tag, nack.multiple, outcome)
            }
            AMQPMethod::Reject(reject) => {
                let outcome = if reject.requeue { Outcome::RequeueFailed } else { Outcome::Reject };
                self.settle(channel, reject.delivery_tag, false, outcome)
            }
            AMQPMethod::Recover(recover) => {
                self.basic_recover(channel, recover.requeue).await?;
                self.send(channel, AMQPClass::Basic(AMQPMethod::RecoverOk(RecoverOk {})));
                Ok(())
            }
            AMQPMethod::RecoverAsync(recover) => self.basic_recover(channel, recover.requeue).await,
            AMQPMethod::Publish(_)
            | AMQPMethod::QosOk(_)
            | AMQPMethod::ConsumeOk(_)
            | AMQPMethod::Return(_)
            | AMQPMethod::Deliver(_)
            | AMQPMethod::GetOk(_)
            | AMQPMethod::GetEmpty(_)
            | AMQPMethod::RecoverOk(_) => Err(unimplemented()),
        }
    }

    /// A whole message has arrived. Checks in RabbitMQ's order; it goes out with the others of this read.
    pub(crate) fn publish(&mut self, number: u16, published: Published) -> Result<(), Fault> {
        let Published { mut message, mandatory, immediate } = published;
        // Names that have been routed need not be checked again.
        let is_known = self.router.again(message.exchange(), message.routing_key()).is_some();
        if !is_known {
            check_name(message.exchange())?;
            check_name(message.routing_key())?;
        }
        if immediate {
            return Err(Fault::new(ReplyCode::NotImplemented, "immediate=true"));
        }
        let size = message.body().len() as u64;
        if size > self.node.config.max_message_size {
            return Err(self.too_large(size));
        }
        let properties = Properties::parse(message.properties())?;
        let persistent = properties.is_persistent();
        let (mut own_route, mut flags) = (None, 0);
        if !is_known || !properties.are_plain() {
            let (route, asked, rewritten) = self.route(number, &message, &properties)?;
            (own_route, flags) = (Some(route), asked);
            message = rewritten.unwrap_or(message);
        }
        message.set_stamp(Stamp { arrived_ms: self.read_ms, flags });
        let (exchange, routing_key) = (message.exchange(), message.routing_key());
        let route = own_route.as_ref().or_else(|| self.router.last());
        let route = route.expect("a message takes the last route, or has found its own");
        let reply = exchange.is_empty() && ReplyTo::is_address(routing_key);
        let routable = match reply {
            true => self.vhost.reply_to.is_waiting(routing_key),
            false => route.is_routed,
        };
        self.has_published = true;
        let Some(Slot::Open(channel)) = self.channels.get_mut(&number) else {
            return Ok(());
        };
        let (channel, returned) = (&mut **channel, mandatory && !routable);
        let confirm = match &mut channel.mode {
            Mode::Confirm(confirms) => Some(confirms.next()),
            Mode::Plain => None,
            Mode::Tx(tx) => {
                let outgoing = Outgoing::new(message, Arc::clone(route), persistent);
                let confirm = None;
                return tx.publish(Routed {
                    outgoing,
                    channel: channel.id,
                    confirm,
                    returned,
                    reply,
                });
            }
        };
        if returned {
            encode_no_route(self.out.buffer(), number, &message, self.frame_max);
        }
        if reply || confirm.is_some() || !route.targets.is_empty() {
            let outgoing = Outgoing::new(message, (), persistent);
            let routed = Routed { outgoing, channel: channel.id, confirm, returned, reply };
            self.publishes.add(route, routed);
        }
        Ok(())
    }

    /// The queues for a message, the flags of its stamp, and the message itself if it is to go on another one than it came. In the
    /// order of RabbitMQ's checks.
    fn route(
        &mut self,
        number: u16,
        message: &Message,
        properties: &Properties<'_>,
    ) -> Result<(Arc<Route>, u8, Option<Message>), Fault> {
        let exchange = check_name(message.exchange())?;
        let routing_key = check_name(message.routing_key())?;
        let wishes = Wishes::of(properties)?;
        let route = self.router.route(&self.vhost, exchange, routing_key, &wishes, properties)?;
        self.access.check_user_id(properties)?;
        check_expiration(properties)?;
        let rewritten = self.rewritten(number, message, properties)?;
        Ok((route, wishes.flags, rewritten))
    }

    /// 406 for a body over the configured limit.
    pub(crate) fn too_large(&self, size: u64) -> Fault {
        let max = self.node.config.max_message_size;
        let text = format!("message size {size} is larger than configured max size {max}");
        Fault::new(ReplyCode::PreconditionFailed, text)
    }

    /// The message with its address for direct replies, if it asks for them.
    fn rewritten(
        &mut self,
        number: u16,
        message: &Message,
        properties: &Properties<'_>,
    ) -> Result<Option<Message>, Fault> {
        if properties.reply_to() != Some(REPLY_TO) {
            return Ok(None);
        }
        let channel = self.channel(number);
        let consumer = channel.and_then(|channel| channel.reply_consumer.as_ref());
        let Some(consumer) = consumer else {
            let text = "fast reply consumer does not exist";
            return Err(Fault::new(ReplyCode::PreconditionFailed, text));
        };
        let properties = with_reply_to(properties.raw(), consumer.address.name());
        let (exchange, routing_key) = (message.exchange(), message.routing_key());
        Ok(Some(Message::new(exchange, routing_key, &properties, message.body())))
    }

    /// `basic.ack`, `basic.nack`, `basic.reject`: the queues hear of it with the others of this read.
    pub(crate) fn settle(
        &mut self,
        number: u16,
        tag: u64,
        multiple: bool,
        outcome: Outcome,
    ) -> Result<(), Fault> {
        let Some(Slot::Open(channel)) = self.channels.get_mut(&number) else {
            return Ok(());
        };
        let (id, mode, settlements) = (channel.id, &mut channel.mode, &mut self.settlements);
        let mut counted = 0;
        let taken = channel.outstanding.take(tag, multiple, |unsettled| {
            counted += u32::from(unsettled.counted);
            match mode {
                Mode::Tx(tx) => tx.settle(unsettled, outcome),
                Mode::Plain | Mode::Confirm(_) => settlements.add(id, unsettled, outcome),
            }
        });
        taken.map_err(|UnknownTag(tag)| {
            let text = format!("unknown delivery tag {tag}");
            Fault::new(ReplyCode::PreconditionFailed, text)
        })?;
        match &channel.mode {
            Mode::Tx(tx) => tx.check(),
            Mode::Plain | Mode::Confirm(_) => {
                channel.limit.release(counted);
                Ok(())
            }
        }
    }

    /// `basic.recover`: everything unsettled goes back to its queue.
    async fn basic_recover(&mut self, number: u16, requeue: bool) -> Result<(), Fault> {
        if !requeue {
            return Err(Fault::new(ReplyCode::NotImplemented, "requeue=false"));
        }
        self.settle(number, 0, true, Outcome::Requeue)?;
        self.send_settlements().await;
        Ok(())
    }

    /// Tells the queues of a channel that its limit over all consumers may have room again.
    pub(crate) async fn channel_freed(&mut self, number: u16) {
        let Some(channel) = self.channel(number) else { return };
        let id = channel.id;
        let queues: Vec<_> = channel.consumers.values().map(|c| c.queue.clone()).collect();
        for queue in queues {
            queue.send(Command::ChannelFreed { channel: id }).await.ok();
        }
    }
}

/// Puts `basic.return` into the write buffer: a mandatory message that reached no queue.
pub(crate) fn encode_no_route(
    out: &mut bytes::BytesMut,
    channel: u16,
    message: &Message,
    frame_max: u32,
) {
    let message = without_blind_copies(message);
    let returned = Return {
        reply_code: ReplyCode::NoRoute,
        exchange: message.exchange(),
        routing_key: message.routing_key(),
    };
    let content = Content { properties: message.properties(), body: message.body() };
    encode_return(out, channel, &returned, content, frame_max);
}

/// RabbitMQ's `rabbit_basic:parse_expiration/1`: decimal digits, and nothing after them.
pub(crate) fn check_expiration(properties: &Properties<'_>) -> Result<(), Fault> {
    let Some(expiration) = properties.expiration() else {
        return Ok(());
    };
    let digits = expiration.strip_prefix(['-', '+']).unwrap_or(expiration);
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let (number, rest) = digits.split_at(end);
    let reason = if number.is_empty() {
        "no_integer".to_owned()
    } else if !rest.is_empty() {
        format!("{{leftover_string,\"{rest}\"}}")
    } else if expiration.starts_with('-') && number.bytes().any(|digit| digit != b'0') {
        format!("{{value_negative,-{}}}", number.trim_start_matches('0'))
    } else if number.parse::<u64>().is_ok_and(|value| value <= EXPIRATION_MAX_MS) {
        return Ok(());
    } else {
        format!("{{value_too_large,{}}}", number.trim_start_matches('0'))
    };
    let text = format!("invalid expiration '{expiration}': {reason}");
    Err(Fault::new(ReplyCode::PreconditionFailed, text))
}
