//! The node: what all connections share.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;

use crate::access::login::{LoginRefused, Logins};
use crate::access::user::User;
use crate::alarms::Alarms;
use crate::config::Config;
use crate::connection::ConnectionId;
use crate::connections::Connections;
use crate::definitions::{Definitions, Refused, Registry};
use crate::protocol::{Fault, ReplyCode};
use crate::queue::consumers::ConsumerId;
use crate::storage::Storage;
use crate::vhost::refusals;

/// One running broker.
pub(crate) struct Node {
    pub(crate) config: Config,
    /// What `connection.start` says.
    pub(crate) cluster_name: String,
    pub(crate) storage: Storage,
    pub(crate) registry: Registry,
    pub(crate) logins: Logins,
    pub(crate) connections: Arc<Connections>,
    pub(crate) alarms: watch::Receiver<Alarms>,
    serial: AtomicU64,
}

impl Node {
    pub(crate) fn new(
        config: Config,
        storage: Storage,
        definitions: Definitions,
        alarms: watch::Receiver<Alarms>,
    ) -> Node {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Node {
            config,
            cluster_name: format!("leveret@{host}"),
            registry: Registry::new(definitions, storage.clone()),
            storage,
            logins: Logins::new(),
            connections: Arc::default(),
            alarms,
            serial: AtomicU64::new(1),
        }
    }

    /// Checks a name and password of a client at `peer`.
    pub(crate) async fn login(
        &self,
        name: &str,
        password: Vec<u8>,
        peer: IpAddr,
    ) -> Result<Arc<User>, LoginRefused> {
        let user = self.registry.now().users.get(name).cloned();
        self.logins.check(user, password, peer).await
    }

    /// Deletes a user and closes its connections.
    pub(crate) async fn delete_user(&self, name: &str) -> Result<(), Refused> {
        let ticket = self.registry.delete_user(name)?;
        let text = format!("user '{name}' is deleted");
        self.connections.close_of_user(name, &Fault::new(ReplyCode::ConnectionForced, text));
        self.registry.written(ticket).await
    }

    /// Deletes a vhost with all that is in it, and closes its connections; one that is protected stays.
    pub(crate) async fn delete_vhost(self: &Arc<Self>, name: &str) -> Result<(), Refused> {
        let vhost = self.registry.vhost(name).ok_or(Refused::NotFound)?;
        if vhost.settings().protected {
            return Err(Refused::Protected(name.to_owned()));
        }
        if !vhost.begin_deletion() {
            return Err(Refused::NotFound);
        }
        let node = Arc::clone(self);
        // A task of its own: whoever has asked may go away, and half a deletion is none.
        let deletion = tokio::spawn(async move {
            vhost.end_queues().await;
            let deleted = node.registry.delete_vhost(&vhost);
            node.connections.close_of_vhost(&vhost.name, &refusals::vhost_deleted(&vhost.name));
            node.registry.written(deleted?).await
        });
        deletion.await.unwrap_or(Err(Refused::StoreFailed))
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
