//! The destinations that share one match: those of a fanout exchange, of one key of a direct
//! exchange, of one node of a topic trie, of one set of header conditions. The rules in `exchange/`
//! keep them, `route.rs` collects them.

use std::mem;

use imbl::OrdMap;

use crate::Destination;

/// A set of destinations, each with the number of bindings that lead to it: bindings that differ
/// only in arguments a rule ignores share a place, which has to stay until the last of them goes.
///
/// Most keys have one destination, and a tree node for it would be twenty times its size.
#[derive(Clone, Debug, Default)]
pub(crate) enum Targets {
    #[default]
    None,
    One(Destination, usize),
    Many(OrdMap<Destination, usize>),
}

impl Targets {
    /// Counts one more binding to `destination`.
    pub(crate) fn insert(&mut self, destination: &Destination) {
        *self = match mem::take(self) {
            Self::None => Self::One(destination.clone(), 1),
            Self::One(only, count) if only == *destination => Self::One(only, count + 1),
            Self::One(only, count) => {
                Self::Many([(only, count), (destination.clone(), 1)].into_iter().collect())
            }
            Self::Many(mut counts) => {
                *counts.entry(destination.clone()).or_insert(0) += 1;
                Self::Many(counts)
            }
        };
    }

    /// Counts one binding to `destination` less; does nothing when there is none.
    pub(crate) fn remove(&mut self, destination: &Destination) {
        *self = match mem::take(self) {
            Self::One(only, count) if only == *destination => match count {
                0 | 1 => Self::None,
                _ => Self::One(only, count - 1),
            },
            Self::Many(mut counts) => {
                match counts.get_mut(destination) {
                    Some(count) if *count > 1 => *count -= 1,
                    _ => {
                        counts.remove(destination);
                    }
                }
                if counts.is_empty() { Self::None } else { Self::Many(counts) }
            }
            unchanged @ (Self::None | Self::One(..)) => unchanged,
        };
    }

    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Self::None)
    }
}
