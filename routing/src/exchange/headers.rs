//! The headers exchange (AMQP 0-9-1, 3.1.3.4): the message's headers fulfil all, or any, of the
//! conditions in the binding's arguments.
//!
//! A message does not look at every binding. Bindings with equal arguments share one entry, and an
//! entry is filed under a condition that the message must fulfil for it to match: under every
//! condition for `any`, under one of them for `all`. So a message only visits entries that one of
//! its headers leads to.

use std::sync::Arc;

use amq_protocol::types::FieldTable;
use imbl::{OrdMap, OrdSet};

use super::header_conditions::{Condition, Conditions};
use crate::headers::HeaderValue;
use crate::route::Route;
use crate::targets::Targets;
use crate::{Arguments, BindError, Binding};

/// The number of an [`Entry`].
type EntryId = u64;

/// The conditions of all bindings, indexed by header.
#[derive(Clone, Debug, Default)]
pub(crate) struct HeadersRule {
    ids: OrdMap<Arguments, EntryId>,
    entries: OrdMap<EntryId, Entry>,
    index: OrdMap<Arc<str>, Index>,
    /// The entries that every message matches: `all` of no conditions.
    unconditional: OrdSet<EntryId>,
}

/// The bindings with the same arguments.
#[derive(Clone, Debug)]
struct Entry {
    conditions: Arc<Conditions>,
    targets: Targets,
}

/// The entries filed under one header name.
#[derive(Clone, Debug, Default)]
struct Index {
    present: OrdSet<EntryId>,
    values: OrdMap<HeaderValue, OrdSet<EntryId>>,
}

impl HeadersRule {
    /// Refuses an `x-match` that is none of the four.
    pub(crate) fn check(binding: &Binding) -> Result<(), BindError> {
        Conditions::check(&binding.arguments)
    }

    pub(crate) fn insert(&mut self, binding: &Binding) {
        let id = match self.ids.get(&binding.arguments) {
            Some(id) => *id,
            None => self.add_entry(&binding.arguments),
        };
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.targets.insert(&binding.destination);
        }
    }

    pub(crate) fn remove(&mut self, binding: &Binding) {
        let Some(id) = self.ids.get(&binding.arguments).copied() else {
            return;
        };
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        entry.targets.remove(&binding.destination);
        if entry.targets.is_empty() {
            let conditions = Arc::clone(&entry.conditions);
            self.entries.remove(&id);
            self.ids.remove(&binding.arguments);
            self.unfile(id, &conditions);
        }
    }

    pub(crate) fn route(&self, headers: Option<&FieldTable>, out: &mut Route) {
        for entry in self.unconditional.iter().filter_map(|id| self.entries.get(id)) {
            out.add(&entry.targets);
        }
        let Some(headers) = headers else { return };
        for (name, value) in headers {
            let Some(index) = self.index.get(name.as_str()) else {
                continue;
            };
            let equal = if index.values.is_empty() {
                None
            } else {
                index.values.get(&HeaderValue::from(value))
            };
            for id in index.present.iter().chain(equal.into_iter().flatten()) {
                let Some(entry) = self.entries.get(id) else {
                    continue;
                };
                if entry.conditions.confirm(headers) {
                    out.add(&entry.targets);
                }
            }
        }
    }

    /// Makes the entry for arguments that no binding had so far, without targets yet.
    fn add_entry(&mut self, arguments: &Arguments) -> EntryId {
        let id = self.entries.get_max().map_or(0, |(last, _)| last + 1);
        let mut conditions = Conditions::of(arguments);
        conditions.put_first_least_by_key(|condition| self.entries_under(condition));
        self.file(id, &conditions);
        let entry = Entry { conditions: Arc::new(conditions), targets: Targets::None };
        self.entries.insert(id, entry);
        self.ids.insert(arguments.clone(), id);
        id
    }

    /// How many entries are filed under `condition`.
    fn entries_under(&self, condition: &Condition) -> usize {
        let Some(index) = self.index.get(&condition.name) else {
            return 0;
        };
        match &condition.value {
            None => index.present.len(),
            Some(value) => index.values.get(value).map_or(0, OrdSet::len),
        }
    }

    fn file(&mut self, id: EntryId, conditions: &Conditions) {
        if conditions.always() {
            self.unconditional.insert(id);
        }
        for condition in conditions.filed_under() {
            let index = self.index.entry(Arc::clone(&condition.name)).or_default();
            match &condition.value {
                None => index.present.insert(id),
                Some(value) => index.values.entry(value.clone()).or_default().insert(id),
            };
        }
    }

    fn unfile(&mut self, id: EntryId, conditions: &Conditions) {
        self.unconditional.remove(&id);
        for condition in conditions.filed_under() {
            let Some(index) = self.index.get_mut(&condition.name) else {
                continue;
            };
            match &condition.value {
                None => {
                    index.present.remove(&id);
                }
                Some(value) => {
                    if let Some(ids) = index.values.get_mut(value) {
                        ids.remove(&id);
                        if ids.is_empty() {
                            index.values.remove(value);
                        }
                    }
                }
            }
            if index.present.is_empty() && index.values.is_empty() {
                self.index.remove(&condition.name);
            }
        }
    }
}
