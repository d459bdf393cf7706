//! The modulus hash exchange, `x-modulus-hash`: the hash of the routing key, modulo the number of
//! bindings, chooses one of them. Binding keys are ignored. A new binding moves most keys to
//! another queue; `consistent_hash.rs` does not.

use super::choices::Choices;
use crate::Binding;
use crate::hash::Hash;
use crate::message::Message;
use crate::route::Route;

/// What there is to choose from.
#[derive(Clone, Debug, Default)]
pub(crate) struct ModulusHashRule {
    choices: Choices,
}

impl ModulusHashRule {
    pub(crate) fn insert(&mut self, binding: &Binding) {
        self.choices.insert(&binding.destination);
    }

    pub(crate) fn remove(&mut self, binding: &Binding) {
        self.choices.remove(&binding.destination);
    }

    /// As in RabbitMQ, the keys in `CC` and `BCC` are part of what is hashed.
    pub(crate) fn route(&self, message: &Message<'_>, out: &mut Route) {
        let mut hash = Hash::new();
        message.each_key(|key| hash.write_part(key.as_bytes()));
        let count = u64::try_from(self.choices.len()).unwrap_or(u64::MAX);
        let chosen = hash.finish().checked_rem(count);
        let chosen = chosen.and_then(|chosen| usize::try_from(chosen).ok());
        if let Some(destination) = chosen.and_then(|chosen| self.choices.get(chosen)) {
            out.add_destination(destination);
        }
    }
}
