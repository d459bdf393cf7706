//! The fanout exchange: every binding matches, whatever its key (AMQP 0-9-1, 3.1.3.2).

use crate::Binding;
use crate::route::Route;
use crate::targets::Targets;

/// All destinations.
#[derive(Clone, Debug, Default)]
pub(crate) struct FanoutRule {
    targets: Targets,
}

impl FanoutRule {
    pub(crate) fn insert(&mut self, binding: &Binding) {
        self.targets.insert(&binding.destination);
    }

    pub(crate) fn remove(&mut self, binding: &Binding) {
        self.targets.remove(&binding.destination);
    }

    pub(crate) fn route(&self, out: &mut Route) {
        out.add(&self.targets);
    }
}
