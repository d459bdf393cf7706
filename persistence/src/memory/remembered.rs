//! Remembered keys, numbered in the order in which they were put. Changed by commits, listed when
//! the store is opened.

use std::collections::{BTreeMap, HashMap};

use crate::remembered::RememberedKey;

/// The keys of all owners.
#[derive(Default)]
pub(super) struct Remembered {
    /// By owner and key: the number, and until when.
    keys: BTreeMap<(String, Vec<u8>), (u64, u64)>,
    next: u64,
}

impl Remembered {
    pub(super) fn put(&mut self, owner: &str, keys: Vec<RememberedKey>) {
        for RememberedKey { key, until_ms } in keys {
            self.keys.insert((owner.to_owned(), key), (self.next, until_ms));
            self.next += 1;
        }
    }

    pub(super) fn forget(&mut self, owner: &str, keys: Vec<Vec<u8>>) {
        for key in keys {
            self.keys.remove(&(owner.to_owned(), key));
        }
    }

    pub(super) fn forget_owner(&mut self, owner: &str) {
        self.keys.retain(|(other, _), _| other != owner);
    }

    /// The keys of each owner, oldest first.
    pub(super) fn list(&self) -> HashMap<String, Vec<RememberedKey>> {
        let mut numbered: Vec<_> = self.keys.iter().collect();
        numbered.sort_unstable_by_key(|(_, (number, _))| *number);
        let mut lists: HashMap<String, Vec<RememberedKey>> = HashMap::new();
        for ((owner, key), (_, until_ms)) in numbered {
            let key = RememberedKey { key: key.clone(), until_ms: *until_ms };
            lists.entry(owner.clone()).or_default().push(key);
        }
        lists
    }
}
