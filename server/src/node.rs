//! The node: what all connections share.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, watch};

use crate::access::Access;
use crate::alarms::Alarms;
use crate::config::Config;
use crate::connection::{ConnectionId, Event, Outbox};
use crate::protocol::Fault;
use crate::queue::consumers::ConsumerId;
use crate::storage::Storage;
use crate::vhost::{Vhost, VhostName};

/// One running broker.
pub(crate) struct Node {
    pub(crate) config: Config,
    /// What `connection.start` says.
    pub(crate) cluster_name: String,
    pub(crate) storage: Storage,
    pub(crate) access: Access,
    pub(crate) vhosts: HashMap<VhostName, Arc<Vhost>>,
    pub(crate) connections: Connections,
    pub(crate) alarms: watch::Receiver<Alarms>,
    serial: AtomicU64,
}

impl Node {
    pub(crate) fn new(
        config: Config,
        storage: Storage,
        access: Access,
        vhosts: HashMap<VhostName, Arc<Vhost>>,
        alarms: watch::Receiver<Alarms>,
    ) -> Node {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Node {
            config,
            cluster_name: format!("leveret@{host}"),
            storage,
            access,
            vhosts,
            connections: Connections::default(),
            alarms,
            serial: AtomicU64::new(1),
        }
    }

    pub(crate) fn next_connection_id(&self) -> ConnectionId {
        ConnectionId(self.next_serial())
    }

    pub(crate) fn next_consumer_id(&self) -> ConsumerId {
        ConsumerId(self.next_serial())
    }

    pub(crate) fn next_channel_serial(&self) -> u64 {
        self.next_serial()
    }

    fn next_serial(&self) -> u64 {
        self.serial.fetch_add(1, Ordering::Relaxed)
    }
}

/// The open connections.
#[derive(Default)]
pub(crate) struct Connections {
    open: Mutex<Table>,
    all_closed: Notify,
}

#[derive(Default)]
struct Table {
    outboxes: HashMap<ConnectionId, Outbox>,
    /// The broker stops: no more may open.
    stopping: bool,
}

impl Connections {
    /// Adds a connection for as long as the guard lives; None when the broker stops.
    pub(crate) fn register(&self, id: ConnectionId, outbox: Outbox) -> Option<Registered<'_>> {
        let mut open = self.table();
        if open.stopping {
            return None;
        }
        open.outboxes.insert(id, outbox);
        Some(Registered { connections: self, id })
    }

    /// Closes every connection with this fault and lets no more in.
    pub(crate) fn close_all(&self, fault: &Fault) {
        let mut open = self.table();
        open.stopping = true;
        for outbox in open.outboxes.values() {
            outbox.send(Event::Close(fault.clone()));
        }
    }

    /// Waits until no connection is open.
    pub(crate) async fn all_closed(&self) {
        let mut closed = std::pin::pin!(self.all_closed.notified());
        closed.as_mut().enable();
        if self.table().outboxes.is_empty() {
            return;
        }
        closed.await;
    }

    fn table(&self) -> std::sync::MutexGuard<'_, Table> {
        // Each change is one step: a panic elsewhere leaves nothing half done.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An entry in [`Connections`]; leaves it when dropped.
pub(crate) struct Registered<'a> {
    connections: &'a Connections,
    id: ConnectionId,
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        let mut open = self.connections.table();
        open.outboxes.remove(&self.id);
        if open.outboxes.is_empty() {
            self.connections.all_closed.notify_waiters();
        }
    }
}
