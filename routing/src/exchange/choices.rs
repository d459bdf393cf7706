//! The destinations of an exchange that chooses one by its position: `modulus_hash.rs` and
//! `random.rs`.

use imbl::Vector;

use crate::Destination;

/// One destination for each binding, sorted, so that a position means the same wherever and in
/// whatever order the bindings were made.
#[derive(Clone, Debug, Default)]
pub(super) struct Choices(Vector<Destination>);

impl Choices {
    pub(super) fn insert(&mut self, destination: &Destination) {
        let (Ok(position) | Err(position)) = self.0.binary_search(destination);
        self.0.insert(position, destination.clone());
    }

    /// Takes out one binding to `destination`; does nothing when there is none.
    pub(super) fn remove(&mut self, destination: &Destination) {
        if let Ok(position) = self.0.binary_search(destination) {
            self.0.remove(position);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn get(&self, position: usize) -> Option<&Destination> {
        self.0.get(position)
    }
}
