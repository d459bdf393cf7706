//! A vhost: its exchanges, bindings and queues. Readers see an immutable snapshot, writers replace it one at a time.

pub(crate) mod admission;
pub(crate) mod bindings;
mod deletion;
pub(crate) mod dispatch;
pub(crate) mod exchanges;
pub(crate) mod gate;
mod keepers;
mod policies;
pub(crate) mod policy;
pub(crate) mod publish;
pub(crate) mod queues;
pub(crate) mod recovery;
pub(crate) mod refusals;
pub(crate) mod relay;
pub(crate) mod reply_to;
pub(crate) mod settings;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use amq_protocol::types::FieldTable;
use arc_swap::ArcSwap;
use leveret_persistence::{Batch, Change, Ticket};
use leveret_routing::{Graph, Name};

use crate::protocol::Fault;
use crate::queue::Queue;
use crate::storage::Storage;
use gate::Gate;
use policy::Policies;
use reply_to::ReplyTo;
use settings::VhostSettings;

/// The name of a vhost.
pub(crate) type VhostName = Arc<str>;

/// The vhost that exists on a new data directory.
pub(crate) const DEFAULT_VHOST: &str = "/";

/// What routing needs, as of one moment. Cloning shares everything.
#[derive(Clone, Debug, Default)]
pub(crate) struct Topology {
    /// Counts changes: what was derived from an older topology is void.
    pub(crate) version: u64,
    pub(crate) graph: Graph,
    /// Ordered, since a hash map of imbl takes three to five times the room, depending on how many there are.
    pub(crate) queues: imbl::OrdMap<Name, Arc<Queue>>,
    /// By exchange: the queues that keep messages for delayed and recent-history exchanges.
    pub(crate) keepers: imbl::HashMap<Name, Arc<Queue>>,
    /// The gates of exchanges that know duplicates.
    pub(crate) exchange_gates: imbl::HashMap<Name, Arc<Gate>>,
    /// What operators say about queues and exchanges by their names.
    pub(crate) policies: Policies,
}

/// One vhost.
pub(crate) struct Vhost {
    pub(crate) name: VhostName,
    topology: Arc<ArcSwap<Topology>>,
    /// Held while a change is decided, applied and submitted, so that the store sees changes in the order in which they took effect.
    changing: Mutex<()>,
    settings: ArcSwap<VhostSettings>,
    /// Its deletion has begun. Changes while `changing` is held only.
    deleted: AtomicBool,
    pub(crate) storage: Storage,
    /// Who waits for direct replies.
    pub(crate) reply_to: ReplyTo,
}

impl Vhost {
    /// A vhost with the predeclared exchanges and nothing else.
    pub(crate) fn new(name: VhostName, storage: Storage) -> Arc<Vhost> {
        let topology = Topology { graph: Graph::new(), ..Topology::default() };
        Arc::new(Vhost {
            name,
            topology: Arc::new(ArcSwap::from_pointee(topology)),
            changing: Mutex::new(()),
            settings: ArcSwap::default(),
            deleted: AtomicBool::new(false),
            storage,
            reply_to: ReplyTo::default(),
        })
    }

    /// The topology of this moment.
    pub(crate) fn topology(&self) -> arc_swap::Guard<Arc<Topology>> {
        self.topology.load()
    }

    /// Waits until the store has written everything up to `ticket`.
    pub(crate) async fn written(&self, ticket: Option<Ticket>) -> Result<(), Fault> {
        match ticket {
            Some(ticket) => {
                self.storage.written(ticket).await.map_err(|_| refusals::store_failed())
            }
            None => Ok(()),
        }
    }

    /// Starts a change; the next one waits for it.
    fn change(&self) -> TopologyChange<'_> {
        // A panic while holding it leaves the topology as it was before: it is only ever replaced whole.
        let guard = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let topology = Topology::clone(&self.topology.load());
        TopologyChange { vhost: self, topology, rows: Vec::new(), _guard: guard }
    }
}

/// A change of the topology being made. Dropped without [`TopologyChange::apply`], nothing happens.
struct TopologyChange<'a> {
    vhost: &'a Vhost,
    /// The topology as it will be.
    topology: Topology,
    /// What the store has to write.
    rows: Vec<Change>,
    _guard: MutexGuard<'a, ()>,
}

impl TopologyChange<'_> {
    /// Makes the change: readers see it from now on. Returns the ticket to wait for, if the store has to write something.
    fn apply(mut self) -> Option<Ticket> {
        // The store first: what is published to a new queue must reach it after the queue's own record.
        let ticket = (!self.rows.is_empty()).then(|| {
            let batch = Batch { changes: self.rows, ..Batch::default() };
            self.vhost.storage.committer.submit(batch)
        });
        self.topology.version += 1;
        self.vhost.topology.store(Arc::new(self.topology));
        ticket
    }
}

/// Arguments as the store keeps them: JSON with each value's AMQP type.
fn arguments_text(arguments: &FieldTable) -> String {
    serde_json::to_string(arguments).expect("a field table has text keys and no failing values")
}
