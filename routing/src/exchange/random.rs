//! The random exchanges, `x-random` and `x-local-random`: one of the bindings, whatever its key and
//! the message's. Every binding counts, so a queue that is bound twice gets twice as much, as in
//! RabbitMQ.

use super::choices::Choices;
use crate::route::Route;
use crate::{BindError, Binding, Destination};

/// What there is to choose from.
#[derive(Clone, Debug, Default)]
pub(crate) struct RandomRule {
    choices: Choices,
}

impl RandomRule {
    /// What `x-local-random` refuses: it prefers queues of the node that the publisher is connected
    /// to, so there have to be queues, and a key would mean nothing.
    pub(crate) fn check_local(binding: &Binding) -> Result<(), BindError> {
        if !binding.routing_key.is_empty() {
            return Err(BindError::KeyNotEmpty(binding.routing_key.to_string()));
        }
        match binding.destination {
            Destination::Queue(_) => Ok(()),
            Destination::Exchange(_) => Err(BindError::NotAQueue),
        }
    }

    pub(crate) fn insert(&mut self, binding: &Binding) {
        self.choices.insert(&binding.destination);
    }

    pub(crate) fn remove(&mut self, binding: &Binding) {
        self.choices.remove(&binding.destination);
    }

    pub(crate) fn route(&self, out: &mut Route) {
        let chosen = out.random_below(self.choices.len());
        if let Some(destination) = chosen.and_then(|chosen| self.choices.get(chosen)) {
            out.add_destination(destination);
        }
    }
}
