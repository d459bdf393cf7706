//! The end of a vhost: nothing new in it, its queues ended, its rows named, in this order (`Node::delete_vhost`).

use std::sync::atomic::Ordering;

use leveret_persistence::Change;
use leveret_routing::Graph;

use super::bindings::is_stored;
use super::queues::key_owner;
use super::{Vhost, refusals};
use crate::protocol::Fault;

impl Vhost {
    /// From now on nothing is declared in it. False if its deletion has begun already.
    pub(crate) fn begin_deletion(&self) -> bool {
        // With the lock: a declaration under way is seen by what comes next.
        let _change = self.change();
        !self.deleted.swap(true, Ordering::Relaxed)
    }

    /// Refuses what would add to a vhost that is being deleted. Asked while a change is being made.
    pub(super) fn check_not_deleted(&self) -> Result<(), Fault> {
        match self.deleted.load(Ordering::Relaxed) {
            true => Err(refusals::vhost_deleted(&self.name)),
            false => Ok(()),
        }
    }

    /// Ends the tasks of its queues; what the store has of them stays, for one transaction with the rest.
    pub(crate) async fn end_queues(&self) {
        let topology = self.topology().clone();
        for queue in topology.queues.values().chain(topology.keepers.values()) {
            queue.end().await;
        }
    }

    /// Empties it, and gives the rows of what was in it.
    pub(crate) fn clear(&self) -> Vec<Change> {
        let mut change = self.change();
        let topology = &change.topology;
        let queues = topology.queues.values().chain(topology.keepers.values());
        let mut rows = Vec::new();
        for queue in queues.filter(|queue| queue.stored) {
            rows.push(Change::DeleteQueue(queue.id));
            rows.push(Change::ForgetOwner { owner: key_owner(queue.id) });
        }
        let gates = topology.exchange_gates.keys().map(|exchange| self.key_owner(exchange));
        rows.extend(gates.map(|owner| Change::ForgetOwner { owner }));
        rows.extend(topology.graph.exchanges().filter(|exchange| exchange.durable).map(
            |exchange| Change::DeleteExchange {
                vhost: self.name.to_string(),
                name: exchange.name.to_string(),
            },
        ));
        let bindings = topology.graph.bindings().filter(|binding| is_stored(topology, binding));
        rows.extend(bindings.map(|binding| Change::DeleteBinding(self.binding_record(binding))));
        change.topology.graph = Graph::new();
        change.topology.queues.clear();
        change.topology.keepers.clear();
        change.topology.exchange_gates.clear();
        change.apply();
        rows
    }
}
