//! Exchanges of a vhost: declare, look up, delete.

use std::sync::Arc;

use amq_protocol::types::FieldTable;
use leveret_persistence::{Change, ExchangeRecord, Ticket};
use leveret_routing::{Declared, DeleteError, Exchange, ExchangeType, InvalidArgument, Removed};

use super::refusals::{self, Resource};
use super::{Vhost, arguments_text};
use crate::protocol::{Fault, ReplyCode};

/// What `exchange.declare` asks for.
#[derive(Debug)]
pub(crate) struct ExchangeDeclare<'a> {
    pub(crate) name: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) durable: bool,
    pub(crate) auto_delete: bool,
    pub(crate) internal: bool,
    pub(crate) arguments: FieldTable,
}

impl Vhost {
    /// Declares an exchange, or checks that the one that is there is equivalent.
    /// The ticket is what to wait for before saying so.
    pub(crate) fn declare_exchange(
        self: &Arc<Self>,
        declare: ExchangeDeclare<'_>,
    ) -> Result<Option<Ticket>, Fault> {
        let ExchangeDeclare { name, kind, durable, auto_delete, internal, arguments } = declare;
        let kind: ExchangeType = kind.parse().map_err(|_| {
            let text = format!("unknown exchange type '{kind}'");
            Fault::new(ReplyCode::PreconditionFailed, text)
        })?;
        let exchange = Exchange::new(name, kind, durable, auto_delete, internal, arguments)
            .map_err(|invalid| self.refused_argument(name, &invalid))?;
        let mut change = self.change();
        self.check_not_deleted()?;
        let is_new = change.topology.graph.exchange(name).is_none();
        if is_new && name.starts_with("amq.") {
            return Err(refusals::reserved_prefix(Resource::Exchange(name)));
        }
        if durable {
            change.rows.push(Change::PutExchange(self.exchange_record(&exchange)));
        }
        match change.topology.graph.declare_exchange(exchange.clone()) {
            Ok(Declared::New) => {
                self.add_keeper(&mut change, &exchange);
                change.topology.apply_exchange_policy(name);
                Ok(change.apply())
            }
            // Whoever declared it first may still be waiting for the store.
            Ok(Declared::Existing) => Ok(durable.then(|| self.storage.committer.submitted())),
            Err(error) => {
                let (property, resource) = (error.property.as_str(), Resource::Exchange(name));
                let (received, current) = (&error.received, &error.current);
                Err(refusals::inequivalent(property, resource, &self.name, received, current))
            }
        }
    }

    /// Refuses with 404 if there is no exchange of this name.
    pub(crate) fn check_exchange(&self, name: &str) -> Result<(), Fault> {
        match self.topology().graph.exchange(name) {
            Some(_) => Ok(()),
            None => Err(refusals::not_found(Resource::Exchange(name), &self.name)),
        }
    }

    /// Whether there is a topic exchange of this name: only those have topic permissions.
    pub(crate) fn is_topic(&self, name: &str) -> bool {
        let topology = self.topology();
        topology.graph.exchange(name).is_some_and(|found| found.kind == ExchangeType::Topic)
    }

    /// Deletes an exchange with its bindings; a missing one is deleted already.
    pub(crate) fn delete_exchange(
        &self,
        name: &str,
        if_unused: bool,
    ) -> Result<Option<Ticket>, Fault> {
        let mut change = self.change();
        match change.topology.graph.delete_exchange(name, if_unused) {
            Ok(removed) if removed.exchanges.is_empty() => Ok(None),
            Ok(removed) => {
                change.rows = self.removed_rows(&removed, false);
                self.drop_keepers(&mut change, &removed);
                Ok(change.apply())
            }
            Err(DeleteError::InUse) => Err(refusals::in_use(Resource::Exchange(name), &self.name)),
            Err(DeleteError::DefaultExchange) => Err(refusals::default_exchange()),
            Err(DeleteError::SystemExchange) => Err(refusals::system_exchange(name, &self.name)),
        }
    }

    fn refused_argument(&self, exchange: &str, invalid: &InvalidArgument) -> Fault {
        let text = match invalid {
            InvalidArgument::Type { .. } => {
                format!("{invalid} in {}", Resource::Exchange(exchange).in_vhost(&self.name))
            }
            InvalidArgument::NotPositive(_)
            | InvalidArgument::DelayedType
            | InvalidArgument::UnknownDelayedType(_)
            | InvalidArgument::HashOnTwo
            | InvalidArgument::HashProperty(_)
            | InvalidArgument::RecentHistoryLength(_) => invalid.to_string(),
        };
        Fault::new(ReplyCode::PreconditionFailed, text)
    }

    /// What the store forgets when these go. `stored`: the queue that took them along was in the store.
    pub(super) fn removed_rows(&self, removed: &Removed, stored: bool) -> Vec<Change> {
        if !stored && !removed.exchanges.iter().any(|exchange| exchange.durable) {
            return Vec::new();
        }
        let exchanges = removed.exchanges.iter().filter(|exchange| exchange.durable);
        let exchanges = exchanges.map(|exchange| Change::DeleteExchange {
            vhost: self.name.to_string(),
            name: exchange.name.to_string(),
        });
        // Those that were never stored are not there to delete, which is fine with the store.
        let bindings = removed.bindings.iter();
        let bindings = bindings.map(|binding| Change::DeleteBinding(self.binding_record(binding)));
        exchanges.chain(bindings).collect()
    }

    fn exchange_record(&self, exchange: &Exchange) -> ExchangeRecord {
        ExchangeRecord {
            vhost: self.name.to_string(),
            name: exchange.name.to_string(),
            kind: exchange.kind.as_str().to_owned(),
            durable: exchange.durable,
            auto_delete: exchange.auto_delete,
            internal: exchange.internal,
            arguments: arguments_text(&exchange.arguments),
        }
    }
}
