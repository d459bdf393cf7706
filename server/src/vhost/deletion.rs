//! The end of a vhost: nothing new in it, its queues ended, its rows named, in this order (`Node::delete_vhost`).

use std::sync::atomic::Ordering;

use leveret_persistence::Change;
use leveret_routing::Graph;

use super::bindings::is_stored;
use super::{Vhost, refusals};
use crate::protocol::Fault;
use crate::queue::Command;

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
        let queues: Vec<_> = self.topology().queues.values().cloned().collect();
        for queue in queues {
            let (if_unused, if_empty) = (false, false);
            // One that is gone has ended already.
            drop(queue.ask(|reply| Command::Delete { if_unused, if_empty, reply }).await);
        }
    }

    /// Empties it, and gives the rows of what was in it.
    pub(crate) fn clear(&self) -> Vec<Change> {
        let mut change = self.change();
        let topology = &change.topology;
        let stored = topology.queues.values().filter(|queue| queue.stored);
        let mut rows: Vec<Change> = stored.map(|queue| Change::DeleteQueue(queue.id)).collect();
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
        change.apply();
        rows
    }
}
