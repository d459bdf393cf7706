//! Definitions, in RabbitMQ's sense: users with their permissions, vhosts, and parameters. Readers see an immutable snapshot; a change is
//! made on a copy, under one lock, and handed to the store before anyone sees it.

pub(crate) mod limits;
pub(crate) mod parameters;
pub(crate) mod recovery;
#[cfg(test)]
mod tests;
mod topic_permissions;
mod users;
pub(crate) mod vhosts;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::{ArcSwap, Guard};
use imbl::OrdMap;
use leveret_persistence::{Batch, Change, Ticket};
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::access::pattern::InvalidPattern;
use crate::access::user::User;
use crate::storage::Storage;
use crate::vhost::policy::Policies;
use crate::vhost::settings::VhostSettings;
use crate::vhost::{Vhost, VhostName};
use parameters::{Parameter, ParameterKey};

/// All definitions as of one moment. Cloning shares everything.
#[derive(Clone, Default)]
pub(crate) struct Definitions {
    /// Counts changes: what was derived from older definitions may be void.
    pub(crate) version: u64,
    pub(crate) users: OrdMap<Arc<str>, Arc<User>>,
    pub(crate) vhosts: OrdMap<VhostName, Arc<Vhost>>,
    pub(crate) parameters: OrdMap<ParameterKey, Arc<Parameter>>,
    pub(crate) global_parameters: OrdMap<Arc<str>, Arc<Value>>,
}

impl fmt::Debug for Definitions {
    /// Says which they are: all of them would fill pages.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Definitions").field("version", &self.version).finish_non_exhaustive()
    }
}

/// Why a definition is not changed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Refused {
    /// What is to be changed, or what it is to belong to, is not there.
    #[error("not found")]
    NotFound,
    /// It says what it may not say; the text is for who has asked.
    #[error("{0}")]
    Invalid(String),
    /// The vhost of this name is protected. The text is RabbitMQ's.
    #[error("Refusing to delete virtual host '{0}' because it is protected from deletion")]
    Protected(String),
    /// The store takes no writes: the change does not outlive this run.
    #[error("the broker's store has failed and takes no more writes")]
    StoreFailed,
}

impl From<InvalidPattern> for Refused {
    fn from(invalid: InvalidPattern) -> Refused {
        Refused::Invalid(invalid.to_string())
    }
}

/// The definitions of a node, which it alone changes.
pub(crate) struct Registry {
    current: Arc<ArcSwap<Definitions>>,
    /// Held while a change is decided, submitted and made, so that the store sees changes in the order in which they took effect.
    changing: Mutex<()>,
    storage: Storage,
}

impl Registry {
    /// A registry of these definitions, which are in the store already.
    pub(crate) fn new(mut definitions: Definitions, storage: Storage) -> Registry {
        definitions.version += 1;
        let current = Arc::new(ArcSwap::from_pointee(definitions));
        Registry { current, changing: Mutex::new(()), storage }
    }

    /// The definitions of this moment.
    pub(crate) fn now(&self) -> Guard<Arc<Definitions>> {
        self.current.load()
    }

    /// For those who look often: see [`arc_swap::Cache`].
    pub(crate) fn shared(&self) -> &Arc<ArcSwap<Definitions>> {
        &self.current
    }

    /// The vhost of this name.
    pub(crate) fn vhost(&self, name: &str) -> Option<Arc<Vhost>> {
        self.now().vhosts.get(name).cloned()
    }

    /// Makes a change and waits until it is durable and queues follow it. `decide` says what it is; if it refuses, nothing
    /// happens. Gives what `decide` gives.
    async fn make<T>(
        &self,
        decide: impl FnOnce(&mut DefinitionsChange<'_>) -> Result<T, Refused>,
    ) -> Result<T, Refused> {
        let (made, applied) = self.decide(decide)?;
        self.written(applied.ticket).await?;
        for followed in applied.followed {
            // It ends early only with the process.
            followed.await.ok();
        }
        Ok(made)
    }

    /// Waits until a change is durable.
    pub(crate) async fn written(&self, ticket: Ticket) -> Result<(), Refused> {
        self.storage.written(ticket).await.map_err(|_| Refused::StoreFailed)
    }

    fn decide<T>(
        &self,
        decide: impl FnOnce(&mut DefinitionsChange<'_>) -> Result<T, Refused>,
    ) -> Result<(T, Applied), Refused> {
        // A panic while holding it leaves the definitions as they were: they are only ever replaced whole.
        let guard = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let definitions = Definitions::clone(&self.now());
        let mut change = DefinitionsChange {
            registry: self,
            definitions,
            rows: Vec::new(),
            settings: Vec::new(),
            policies: Vec::new(),
            _guard: guard,
        };
        let made = decide(&mut change)?;
        Ok((made, change.apply()))
    }
}

/// A change of the definitions that readers see.
struct Applied {
    /// Its submission to the store.
    ticket: Ticket,
    /// Queues being told of their new policies.
    followed: Vec<JoinHandle<()>>,
}

/// A change of the definitions being made. Dropped without `apply`, nothing happens.
struct DefinitionsChange<'a> {
    registry: &'a Registry,
    /// The definitions as they will be.
    definitions: Definitions,
    /// What the store has to write.
    rows: Vec<Change>,
    /// The vhosts whose settings change.
    settings: Vec<(Arc<Vhost>, VhostSettings)>,
    /// The vhosts whose policies change.
    policies: Vec<(Arc<Vhost>, Policies)>,
    _guard: MutexGuard<'a, ()>,
}

impl DefinitionsChange<'_> {
    fn user(&self, name: &str) -> Result<User, Refused> {
        self.definitions.users.get(name).map(|user| User::clone(user)).ok_or(Refused::NotFound)
    }

    fn put_user(&mut self, user: User) {
        self.definitions.users.insert(Arc::clone(&user.name), Arc::new(user));
    }

    fn vhost(&self, name: &str) -> Result<&Arc<Vhost>, Refused> {
        self.definitions.vhosts.get(name).ok_or(Refused::NotFound)
    }

    /// Makes the change: readers see it from now on. One transaction: after a crash all of it is there, or nothing.
    fn apply(mut self) -> Applied {
        let Registry { current, storage, .. } = self.registry;
        if self.rows.is_empty() {
            // Whoever made it so may still be waiting for the store.
            return Applied { ticket: storage.committer.submitted(), followed: Vec::new() };
        }
        // The store first: what is put into a new vhost must reach it after the vhost's own record.
        let ticket = storage.committer.submit(Batch { changes: self.rows, ..Batch::default() });
        for (vhost, settings) in self.settings {
            vhost.set_settings(settings);
        }
        let policies = self.policies.into_iter();
        let followed = policies.map(|(vhost, policies)| vhost.set_policies(policies)).collect();
        self.definitions.version += 1;
        current.store(Arc::new(self.definitions));
        Applied { ticket, followed }
    }
}
