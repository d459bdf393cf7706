//! Bindings of a vhost: bind and unbind.

use leveret_persistence::{BindingRecord, Change, Ticket};
use leveret_routing::{BindError, Binding, Destination};

use super::refusals::{self, Resource};
use super::{Topology, Vhost, arguments_text};
use crate::protocol::{Fault, ReplyCode};

/// The words for a binding's destination in the store.
pub(super) const QUEUE: &str = "queue";
pub(super) const EXCHANGE: &str = "exchange";

impl Vhost {
    /// Adds a binding; one that is there already stays as it is. Says whether it is new, and what to wait for before saying so.
    pub(crate) fn bind(&self, binding: Binding) -> Result<(bool, Option<Ticket>), Fault> {
        let mut change = self.change();
        self.check_not_deleted()?;
        let stored = is_stored(&change.topology, &binding);
        if stored {
            change.rows.push(Change::PutBinding(self.binding_record(&binding)));
        }
        match change.topology.graph.bind(binding) {
            Ok(true) => Ok((true, change.apply())),
            Ok(false) => Ok((false, stored.then(|| self.storage.committer.submitted()))),
            Err(error) => Err(self.refused_binding(&error)),
        }
    }

    /// Removes a binding; a missing one is removed already.
    pub(crate) fn unbind(&self, binding: &Binding) -> Option<Ticket> {
        let mut change = self.change();
        let stored = is_stored(&change.topology, binding);
        let removed = change.topology.graph.unbind(binding);
        if removed.bindings.is_empty() {
            return None;
        }
        change.rows = self.removed_rows(&removed, stored);
        self.drop_keepers(&mut change, &removed);
        change.apply()
    }

    pub(super) fn binding_record(&self, binding: &Binding) -> BindingRecord {
        let (kind, destination) = match &binding.destination {
            Destination::Queue(name) => (QUEUE, name),
            Destination::Exchange(name) => (EXCHANGE, name),
        };
        BindingRecord {
            vhost: self.name.to_string(),
            source: binding.source.to_string(),
            destination_kind: kind.to_owned(),
            destination: destination.to_string(),
            routing_key: binding.routing_key.to_string(),
            arguments: arguments_text(&binding.arguments),
        }
    }

    fn refused_binding(&self, error: &BindError) -> Fault {
        match error {
            BindError::DefaultExchange => refusals::default_exchange(),
            BindError::NoExchange(name) => {
                refusals::not_found(Resource::Exchange(name), &self.name)
            }
            BindError::NoQueue(name) => refusals::not_found(Resource::Queue(name), &self.name),
            BindError::XMatchValue(_)
            | BindError::XMatchType { .. }
            | BindError::WeightNotANumber(_)
            | BindError::WeightTooLow
            | BindError::WeightTooHigh
            | BindError::KeyNotEmpty(_)
            | BindError::NotAQueue => Fault::new(ReplyCode::PreconditionFailed, error.to_string()),
        }
    }
}

/// A binding outlives a restart if both of its ends do.
pub(super) fn is_stored(topology: &Topology, binding: &Binding) -> bool {
    let durable = |name: &str| topology.graph.exchange(name).is_some_and(|found| found.durable);
    durable(&binding.source)
        && match &binding.destination {
            Destination::Queue(name) => topology.queues.get(name).is_some_and(|queue| queue.stored),
            Destination::Exchange(name) => durable(name),
        }
}
