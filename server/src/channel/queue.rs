//! Class `queue` (specification section 1.7).

use amq_protocol::protocol::AMQPClass;
use amq_protocol::protocol::queue::{
    AMQPMethod, Bind, BindOk, Declare, DeclareOk, Delete, DeleteOk, Purge, PurgeOk, Unbind,
    UnbindOk,
};
use amq_protocol::types::{AMQPValue, FieldTable};
use leveret_routing::{Binding, Destination};

use super::exchange::unimplemented;
use super::{Channel, clean_name};
use crate::access::permissions::Right;
use crate::connection::Connection;
use crate::protocol::{Fault, ReplyCode};
use crate::queue::rules::QueueType;
use crate::queue::{Command, Queue, Status};
use crate::vhost::queues::{QueueDeclare, server_name};
use crate::vhost::refusals::{self, Resource};
use crate::vhost::reply_to::{REPLY_TO, ReplyTo};

impl Connection {
    /// Carries out one method of the class.
    pub(crate) async fn queue_method(
        &mut self,
        channel: u16,
        method: AMQPMethod,
    ) -> Result<(), Fault> {
        match method {
            AMQPMethod::Declare(declare) => self.queue_declare(channel, declare).await,
            AMQPMethod::Bind(bind) => {
                let nowait = bind.nowait;
                self.queue_bind(channel, bind).await?;
                let ok = AMQPClass::Queue(AMQPMethod::BindOk(BindOk {}));
                self.reply(channel, nowait, ok);
                Ok(())
            }
            AMQPMethod::Unbind(unbind) => {
                self.queue_unbind(channel, unbind).await?;
                self.send(channel, AMQPClass::Queue(AMQPMethod::UnbindOk(UnbindOk {})));
                Ok(())
            }
            AMQPMethod::Purge(purge) => self.queue_purge(channel, &purge).await,
            AMQPMethod::Delete(delete) => self.queue_delete(channel, &delete).await,
            AMQPMethod::DeclareOk(_)
            | AMQPMethod::BindOk(_)
            | AMQPMethod::UnbindOk(_)
            | AMQPMethod::PurgeOk(_)
            | AMQPMethod::DeleteOk(_) => Err(unimplemented()),
        }
    }

    async fn queue_declare(&mut self, channel: u16, declare: Declare) -> Result<(), Fault> {
        let nowait = declare.nowait;
        let (name, status) = if declare.passive {
            self.queue_declare_passive(channel, declare.queue.as_str()).await?
        } else {
            self.queue_declare_active(declare).await?
        };
        if let Some(channel) = self.channel(channel) {
            channel.declared(&name);
        }
        let ok = DeclareOk {
            queue: name.into(),
            message_count: count(status.ready),
            consumer_count: count(status.consumers),
        };
        self.reply(channel, nowait, AMQPClass::Queue(AMQPMethod::DeclareOk(ok)));
        Ok(())
    }

    async fn queue_declare_active(&mut self, declare: Declare) -> Result<(String, Status), Fault> {
        let Declare { queue, durable, exclusive, auto_delete, arguments, .. } = declare;
        let name = clean_name(queue.as_str());
        if ReplyTo::owns(&name) {
            return self.reply_address_status(name);
        }
        let named_by_server = name.is_empty();
        let name = if named_by_server { server_name("amq.gen-") } else { name };
        self.check(Right::Configure, Resource::Queue(&name))?;
        self.check_dead_letter_rights(&name, &arguments)?;
        let declare =
            QueueDeclare { name, named_by_server, durable, exclusive, auto_delete, arguments };
        let queue = self.vhost.declare_queue(declare, self.id)?;
        if exclusive && !self.exclusive.iter().any(|known| known.id == queue.id) {
            self.exclusive.push(queue.clone());
        }
        self.answer_after(queue.created.get().copied());
        let status = queue.status(true).await.unwrap_or_default();
        Ok((queue.name.to_string(), status))
    }

    /// A queue that dead-letters reads itself and writes to its dead-letter exchange, which need not be there.
    fn check_dead_letter_rights(
        &mut self,
        name: &str,
        arguments: &FieldTable,
    ) -> Result<(), Fault> {
        let Some(AMQPValue::LongString(exchange)) = arguments.inner().get("x-dead-letter-exchange")
        else {
            return Ok(());
        };
        if self.vhost.topology().queues.contains_key(name) {
            return Ok(());
        }
        self.check(Right::Read, Resource::Queue(name))?;
        let exchange = String::from_utf8_lossy(exchange.as_bytes());
        self.check(Right::Write, Resource::Exchange(&exchange))
    }

    async fn queue_declare_passive(
        &mut self,
        channel: u16,
        name: &str,
    ) -> Result<(String, Status), Fault> {
        let name = self.queue_name(channel, name)?;
        if ReplyTo::owns(&name) {
            return self.reply_address_status(name);
        }
        self.check_any(Resource::Queue(&name))?;
        let queue = self.vhost.queue(&name, self.id)?;
        let status = queue.status(true).await;
        let gone = |_| refusals::not_found(Resource::Queue(&name), &self.vhost.name);
        let status = status.map_err(gone)?;
        Ok((name, status))
    }

    /// Declaring the address of a direct reply asks whether someone still waits there; the pseudo-queue always answers.
    fn reply_address_status(&self, name: String) -> Result<(String, Status), Fault> {
        if name == REPLY_TO || self.vhost.reply_to.is_waiting(name.as_bytes()) {
            Ok((name, Status { consumers: 1, ..Status::default() }))
        } else {
            Err(refusals::not_found(Resource::Queue(&name), &self.vhost.name))
        }
    }

    async fn queue_bind(&mut self, channel: u16, bind: Bind) -> Result<(), Fault> {
        let Bind { queue, exchange, routing_key, arguments, .. } = bind;
        let binding =
            self.queue_binding(channel, queue.as_str(), exchange.as_str(), routing_key.as_str())?;
        let binding = Binding { arguments: arguments.into(), ..binding };
        self.check_binding(&binding)?;
        self.vhost.queue(binding.destination.name(), self.id)?;
        self.bind(binding).await
    }

    async fn queue_unbind(&mut self, channel: u16, unbind: Unbind) -> Result<(), Fault> {
        let Unbind { queue, exchange, routing_key, arguments } = unbind;
        let binding =
            self.queue_binding(channel, queue.as_str(), exchange.as_str(), routing_key.as_str())?;
        let binding = Binding { arguments: arguments.into(), ..binding };
        self.check_binding(&binding)?;
        match self.vhost.queue(binding.destination.name(), self.id) {
            Err(fault) if fault.code == ReplyCode::ResourceLocked => return Err(fault),
            // Unbinding what is not there succeeds.
            Ok(_) | Err(_) => {}
        }
        let ticket = self.vhost.unbind(&binding);
        self.answer_after(ticket);
        Ok(())
    }

    /// An empty queue name means the last declared queue, and then an empty key means its name (RabbitMQ's `expand_routing_key_shortcut`).
    fn queue_binding(
        &mut self,
        channel: u16,
        queue: &str,
        exchange: &str,
        routing_key: &str,
    ) -> Result<Binding, Fault> {
        let name = self.queue_name(channel, queue)?;
        if ReplyTo::owns(&name) {
            let text = "cannot bind or unbind to a volatile (direct reply-to) queue";
            return Err(Fault::new(ReplyCode::AccessRefused, text));
        }
        let by_shortcut = queue.is_empty() && routing_key.is_empty();
        let routing_key = if by_shortcut { name.as_str() } else { routing_key };
        Ok(Binding {
            source: clean_name(exchange).into(),
            routing_key: routing_key.into(),
            destination: Destination::Queue(name.into()),
            arguments: FieldTable::default().into(),
        })
    }

    async fn queue_purge(&mut self, channel: u16, purge: &Purge) -> Result<(), Fault> {
        let name = self.queue_name(channel, purge.queue.as_str())?;
        self.check(Right::Read, Resource::Queue(&name))?;
        let queue = self.vhost.queue(&name, self.id)?;
        let purged = queue.ask(|reply| Command::Purge { reply }).await.unwrap_or_default();
        let ok = AMQPMethod::PurgeOk(PurgeOk { message_count: count(purged) });
        self.reply(channel, purge.nowait, AMQPClass::Queue(ok));
        Ok(())
    }

    async fn queue_delete(&mut self, channel: u16, delete: &Delete) -> Result<(), Fault> {
        let name = self.queue_name(channel, delete.queue.as_str())?;
        self.check(Right::Configure, Resource::Queue(&name))?;
        let deleted = match self.vhost.queue(&name, self.id) {
            Ok(queue) => {
                check_deletion(&queue, delete, &self.vhost.name)?;
                let deleted =
                    self.vhost.delete_queue(&queue, delete.if_unused, delete.if_empty).await?;
                self.exclusive.retain(|known| known.id != queue.id);
                deleted
            }
            // Deleting what is not there succeeds.
            Err(fault) if fault.code == ReplyCode::NotFound => 0,
            Err(fault) => return Err(fault),
        };
        let ok = AMQPMethod::DeleteOk(DeleteOk { message_count: count(deleted) });
        self.reply(channel, delete.nowait, AMQPClass::Queue(ok));
        Ok(())
    }

    /// See [`Channel::queue_name`].
    pub(crate) fn queue_name(&mut self, channel: u16, name: &str) -> Result<String, Fault> {
        match self.channel(channel) {
            Some(channel) => Channel::queue_name(channel, name),
            None => Ok(clean_name(name)),
        }
    }
}

/// RabbitMQ's quorum queues do not know what it would take to keep these promises.
fn check_deletion(queue: &Queue, delete: &Delete, vhost: &str) -> Result<(), Fault> {
    let flag = match queue.kind {
        QueueType::Classic => return Ok(()),
        QueueType::Quorum if delete.if_unused => "if-unused",
        QueueType::Quorum if delete.if_empty => "if-empty",
        QueueType::Quorum => return Ok(()),
    };
    let queue = Resource::Queue(&queue.name).in_vhost(vhost);
    let text = format!(
        "cannot delete {queue}. queue.delete operations with {flag} flag set are not supported by quorum queues"
    );
    Err(Fault::new(ReplyCode::NotImplemented, text))
}

/// A count as the wire has it.
pub(crate) fn count(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
