//! Queues.

use std::sync::Arc;

use async_trait::async_trait;
use leveret_admin_ui::management::{Error, Object, Put, QueueDeclaration, QueueView, Queues};
use serde_json::json;

use super::{Managed, arguments, fault};
use crate::access::permissions::Right;
use crate::connection::ConnectionId;
use crate::queue::{Command, Queue, Status};
use crate::vhost::Vhost;
use crate::vhost::queues::QueueDeclare;
use crate::vhost::refusals::Resource;

/// The connection of who comes over HTTP: none, so queues that are another's are closed to it.
pub(super) const NO_CONNECTION: ConnectionId = ConnectionId(0);

#[async_trait]
impl Queues for Managed {
    async fn queues(&self, vhost: Option<&str>) -> Result<Vec<QueueView>, Error> {
        let mut views = Vec::new();
        for vhost in self.vhosts_of(vhost)? {
            let queues: Vec<_> = vhost.topology().queues.values().cloned().collect();
            for queue in queues {
                // One that ends meanwhile is not there any more.
                views.extend(view(&vhost, &queue).await);
            }
        }
        Ok(views)
    }

    async fn queue(&self, vhost: &str, name: &str) -> Result<QueueView, Error> {
        let vhost = self.vhost_of(vhost)?;
        let queue = vhost.topology().queues.get(name).cloned().ok_or(Error::NotFound)?;
        view(&vhost, &queue).await.ok_or(Error::NotFound)
    }

    async fn put_queue(
        &self,
        by: &str,
        vhost: &str,
        name: &str,
        declaration: QueueDeclaration,
    ) -> Result<Put, Error> {
        let QueueDeclaration { durable, auto_delete, arguments } = declaration;
        let vhost = self.vhost_of(vhost)?;
        let access = self.access_of(by, &vhost)?;
        access.check(Right::Configure, Resource::Queue(name))?;
        if let Some(exchange) = arguments.get("x-dead-letter-exchange").and_then(|x| x.as_str()) {
            access.check(Right::Read, Resource::Queue(name))?;
            access.check(Right::Write, Resource::Exchange(exchange))?;
        }
        let is_new = !vhost.topology().queues.contains_key(name);
        let declare = QueueDeclare {
            name: name.to_owned(),
            named_by_server: false,
            durable,
            exclusive: false,
            auto_delete,
            arguments: arguments::from_json(&arguments)?,
        };
        let queue = vhost.declare_queue(declare, NO_CONNECTION).map_err(fault)?;
        vhost.written(queue.created.get().copied()).await.map_err(fault)?;
        Ok(if is_new { Put::Created } else { Put::Updated })
    }

    async fn delete_queue(
        &self,
        by: &str,
        vhost: &str,
        name: &str,
        if_empty: bool,
        if_unused: bool,
    ) -> Result<(), Error> {
        let vhost = self.vhost_of(vhost)?;
        self.access_of(by, &vhost)?.check(Right::Configure, Resource::Queue(name))?;
        let queue = vhost.queue(name, NO_CONNECTION).map_err(fault)?;
        // A task of its own: whoever has asked may go away, and a queue that has ended must leave its vhost.
        let deletion =
            tokio::spawn(async move { vhost.delete_queue(&queue, if_unused, if_empty).await });
        match deletion.await {
            Ok(deleted) => deleted.map(drop).map_err(fault),
            Err(_) => Err(Error::Unavailable("the broker stops".to_owned())),
        }
    }

    async fn purge_queue(&self, by: &str, vhost: &str, name: &str) -> Result<u64, Error> {
        let vhost = self.vhost_of(vhost)?;
        self.access_of(by, &vhost)?.check(Right::Read, Resource::Queue(name))?;
        let queue = vhost.queue(name, NO_CONNECTION).map_err(fault)?;
        let purged = queue.ask(|reply| Command::Purge { reply }).await;
        purged.map(|count| count as u64).map_err(|_| Error::NotFound)
    }
}

/// A queue as it is now; none if its task has ended.
async fn view(vhost: &Vhost, queue: &Arc<Queue>) -> Option<QueueView> {
    let status = queue.status(false).await.ok()?;
    let policy = queue.policy.load_full();
    Some(QueueView {
        vhost: vhost.name.to_string(),
        name: queue.name.to_string(),
        queue_type: queue.kind.as_str().to_owned(),
        durable: queue.durable,
        auto_delete: queue.auto_delete,
        exclusive: queue.owner.is_some(),
        arguments: arguments::to_json(&queue.arguments),
        state: if queue.flow.is_held() { "flow" } else { "running" }.to_owned(),
        messages_ready: status.ready as u64,
        messages_unacknowledged: status.unacked as u64,
        message_bytes_ready: status.ready_bytes,
        message_bytes_unacknowledged: status.unacked_bytes,
        consumers: status.consumers as u64,
        policy: policy.policy.as_deref().map(str::to_owned),
        operator_policy: policy.operator_policy.as_deref().map(str::to_owned),
        effective_policy_definition: policy.definition.clone(),
        extra: extra(&status, queue.gate.duplicates()),
        ..QueueView::default()
    })
}

/// What RabbitMQ's management API has no key for, or only in its statistics.
fn extra(status: &Status, duplicates: u64) -> Object {
    let Status { waiting, memory_bytes, counts, publishers, .. } = status;
    let extra = json!({
        "memory": memory_bytes,
        "messages_waiting": waiting,
        "messages_expired": counts.expired,
        "messages_dropped": counts.dropped,
        "messages_rejected": counts.rejected,
        "messages_over_delivery_limit": counts.over_limit,
        "messages_dead_lettered": counts.dead_lettered,
        "messages_retried": counts.retried,
        "messages_duplicate": duplicates,
        "publisher_messages_missing": publishers.missing,
        "publisher_messages_repeated": publishers.duplicates,
        "publisher_messages_reordered": publishers.reordered,
    });
    extra.as_object().cloned().unwrap_or_default()
}
