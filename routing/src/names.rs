//! Names in the order of their discovery, each once: what `route.rs` collects on its walk.

use std::collections::HashSet;
use std::sync::Arc;

use crate::Name;

/// A list without duplicates. The names all come from one graph, which keeps one allocation per
/// name, so the address tells them apart.
#[derive(Debug, Default)]
pub(crate) struct Names {
    names: Vec<Name>,
    /// The addresses of `names`, filled only when there are too many to look through.
    addresses: HashSet<usize>,
}

impl Names {
    /// Up to this many names are compared one by one, which is faster than hashing.
    const SCANNED_MAX: usize = 16;

    pub(crate) fn as_slice(&self) -> &[Name] {
        &self.names
    }

    pub(crate) fn insert(&mut self, name: &Name) {
        if self.names.len() <= Self::SCANNED_MAX {
            if self.names.iter().any(|known| Arc::ptr_eq(known, name)) {
                return;
            }
        } else {
            if self.addresses.len() != self.names.len() {
                self.addresses.extend(self.names.iter().map(address));
            }
            if !self.addresses.insert(address(name)) {
                return;
            }
        }
        self.names.push(Arc::clone(name));
    }

    /// Adds a name that is known not to be here.
    pub(crate) fn push(&mut self, name: &Name) {
        self.names.push(Arc::clone(name));
    }

    pub(crate) fn clear(&mut self) {
        self.names.clear();
        self.addresses.clear();
    }
}

fn address(name: &Name) -> usize {
    Arc::as_ptr(name).addr()
}
