//! The direct exchange: the routing key equals the binding key (AMQP 0-9-1, 3.1.3.1).

use std::sync::Arc;

use imbl::HashMap;

use crate::Binding;
use crate::route::Route;
use crate::targets::Targets;

/// The targets of each binding key.
#[derive(Clone, Debug, Default)]
pub(crate) struct DirectRule {
    /// Looked up, never iterated: its order changes from one process to the next. The targets are
    /// behind a pointer, because the nodes of the map are mostly empty places of the size of an
    /// entry.
    keys: HashMap<Arc<str>, Arc<Targets>>,
}

impl DirectRule {
    pub(crate) fn insert(&mut self, binding: &Binding) {
        let targets = self.keys.entry(Arc::clone(&binding.routing_key)).or_default();
        Arc::make_mut(targets).insert(&binding.destination);
    }

    pub(crate) fn remove(&mut self, binding: &Binding) {
        let Some(targets) = self.keys.get_mut(&*binding.routing_key) else {
            return;
        };
        Arc::make_mut(targets).remove(&binding.destination);
        if targets.is_empty() {
            self.keys.remove(&*binding.routing_key);
        }
    }

    pub(crate) fn route(&self, routing_key: &str, out: &mut Route) {
        if let Some(targets) = self.keys.get(routing_key) {
            out.add(targets);
        }
    }
}
