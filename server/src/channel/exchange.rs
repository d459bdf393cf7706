//! Class `exchange` (specification section 1.6) with RabbitMQ's exchange-to-exchange bindings.

use amq_protocol::protocol::AMQPClass;
use amq_protocol::protocol::exchange::{
    AMQPMethod, Bind, BindOk, Declare, DeclareOk, Delete, DeleteOk, Unbind, UnbindOk,
};
use leveret_routing::{Binding, Destination};

use super::clean_name;
use crate::access::permissions::Right;
use crate::connection::Connection;
use crate::protocol::{Fault, ReplyCode};
use crate::vhost::exchanges::ExchangeDeclare;
use crate::vhost::refusals::{self, Resource};

impl Connection {
    /// Carries out one method of the class.
    pub(crate) async fn exchange_method(
        &mut self,
        channel: u16,
        method: AMQPMethod,
    ) -> Result<(), Fault> {
        match method {
            AMQPMethod::Declare(declare) => {
                let nowait = declare.nowait;
                self.exchange_declare(declare).await?;
                let ok = AMQPClass::Exchange(AMQPMethod::DeclareOk(DeclareOk {}));
                self.reply(channel, nowait, ok);
            }
            AMQPMethod::Delete(delete) => {
                self.exchange_delete(&delete).await?;
                let ok = AMQPClass::Exchange(AMQPMethod::DeleteOk(DeleteOk {}));
                self.reply(channel, delete.nowait, ok);
            }
            AMQPMethod::Bind(bind) => {
                let nowait = bind.nowait;
                self.exchange_bind(bind).await?;
                let ok = AMQPClass::Exchange(AMQPMethod::BindOk(BindOk {}));
                self.reply(channel, nowait, ok);
            }
            AMQPMethod::Unbind(unbind) => {
                let nowait = unbind.nowait;
                self.exchange_unbind(unbind).await?;
                let ok = AMQPClass::Exchange(AMQPMethod::UnbindOk(UnbindOk {}));
                self.reply(channel, nowait, ok);
            }
            AMQPMethod::DeclareOk(_)
            | AMQPMethod::DeleteOk(_)
            | AMQPMethod::BindOk(_)
            | AMQPMethod::UnbindOk(_) => return Err(unimplemented()),
        }
        Ok(())
    }

    async fn exchange_declare(&mut self, declare: Declare) -> Result<(), Fault> {
        let name = clean_name(declare.exchange.as_str());
        check_not_default(&name)?;
        if declare.passive {
            self.check_any(Resource::Exchange(&name))?;
            return self.vhost.check_exchange(&name);
        }
        self.check(Right::Configure, Resource::Exchange(&name))?;
        if let Some(alternate) = declare.arguments.inner().get("alternate-exchange") {
            let alternate = alternate.as_long_string().map(ToString::to_string);
            let alternate = alternate.unwrap_or_default();
            self.check(Right::Read, Resource::Exchange(&name))?;
            self.check(Right::Write, Resource::Exchange(&alternate))?;
        }
        let ticket = self.vhost.declare_exchange(ExchangeDeclare {
            name: &name,
            kind: declare.kind.as_str(),
            durable: declare.durable,
            auto_delete: declare.auto_delete,
            internal: declare.internal,
            arguments: declare.arguments,
        })?;
        self.answer_after(ticket)
    }

    async fn exchange_delete(&mut self, delete: &Delete) -> Result<(), Fault> {
        let name = clean_name(delete.exchange.as_str());
        check_not_default(&name)?;
        self.check(Right::Configure, Resource::Exchange(&name))?;
        let ticket = self.vhost.delete_exchange(&name, delete.if_unused)?;
        self.answer_after(ticket)
    }

    async fn exchange_bind(&mut self, bind: Bind) -> Result<(), Fault> {
        let Bind { destination, source, routing_key, arguments, .. } = bind;
        let binding = exchange_binding(destination, source, routing_key, arguments);
        self.check_binding(&binding)?;
        self.bind(binding).await
    }

    /// Binds, and gives a new binding what its exchange has kept for it.
    pub(crate) async fn bind(&mut self, binding: Binding) -> Result<(), Fault> {
        let (is_new, ticket) = self.vhost.bind(binding.clone())?;
        self.answer_after(ticket)?;
        if is_new {
            self.vhost.replay(&binding).await;
        }
        Ok(())
    }

    async fn exchange_unbind(&mut self, unbind: Unbind) -> Result<(), Fault> {
        let Unbind { destination, source, routing_key, arguments, .. } = unbind;
        let binding = exchange_binding(destination, source, routing_key, arguments);
        self.check_binding(&binding)?;
        let ticket = self.vhost.unbind(&binding);
        self.answer_after(ticket)
    }

    /// A binding needs `write` on its destination and `read` on its source, and may not touch the default exchange.
    pub(crate) fn check_binding(&mut self, binding: &Binding) -> Result<(), Fault> {
        check_not_default(&binding.source)?;
        let destination = match &binding.destination {
            Destination::Queue(name) => Resource::Queue(name),
            Destination::Exchange(name) => {
                check_not_default(name)?;
                Resource::Exchange(name)
            }
        };
        self.check(Right::Write, destination)?;
        self.check(Right::Read, Resource::Exchange(&binding.source))?;
        self.check_topic_read(binding)
    }
}

/// 503: a method that only a server sends.
pub(crate) fn unimplemented() -> Fault {
    Fault::new(ReplyCode::CommandInvalid, "unimplemented method")
}

fn check_not_default(exchange: &str) -> Result<(), Fault> {
    if exchange.is_empty() { Err(refusals::default_exchange()) } else { Ok(()) }
}

fn exchange_binding(
    destination: amq_protocol::types::ShortString,
    source: amq_protocol::types::ShortString,
    routing_key: amq_protocol::types::ShortString,
    arguments: amq_protocol::types::FieldTable,
) -> Binding {
    Binding {
        source: clean_name(source.as_str()).into(),
        destination: Destination::Exchange(clean_name(destination.as_str()).into()),
        routing_key: routing_key.as_str().into(),
        arguments: arguments.into(),
    }
}
