//! Queues of a vhost: declare, look up, delete.

use std::sync::{Arc, OnceLock};

use amq_protocol::types::FieldTable;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use leveret_persistence::{Change, IdSet, MessageId, QueueId, QueueRecord, Ticket};
use leveret_routing::Name;

use super::refusals::{self, Resource};
use super::{Vhost, arguments_text};
use crate::connection::ConnectionId;
use crate::protocol::Fault;
use crate::queue::state::DeleteRefusal;
use crate::queue::{self, Command, Queue, arguments};

/// What `queue.declare` asks for.
#[derive(Debug)]
pub(crate) struct QueueDeclare {
    pub(crate) name: String,
    /// The broker has chosen the name, which may then begin with `amq.`.
    pub(crate) named_by_server: bool,
    pub(crate) durable: bool,
    pub(crate) exclusive: bool,
    pub(crate) auto_delete: bool,
    pub(crate) arguments: FieldTable,
}

impl Vhost {
    /// Declares a queue, or checks that the one that is there is equivalent. Wait for [`Queue::created`] before saying so.
    pub(crate) fn declare_queue(
        self: &Arc<Self>,
        declare: QueueDeclare,
        connection: ConnectionId,
    ) -> Result<Arc<Queue>, Fault> {
        let name: Name = declare.name.as_str().into();
        let rules = arguments::rules(&declare.arguments, declare.auto_delete, &name, &self.name)?;
        let mut change = self.change();
        if let Some(queue) = change.topology.queues.get(&name) {
            self.check_equivalent(queue, &declare, connection)?;
            return Ok(Arc::clone(queue));
        }
        if name.starts_with("amq.") && !declare.named_by_server {
            return Err(refusals::reserved_prefix(Resource::Queue(&name)));
        }
        self.check_not_deleted()?;
        self.check_queue_limit(&change.topology, &name)?;
        for argument in arguments::without_effect(&declare.arguments) {
            tracing::warn!(queue = %name, argument, "kept, but without effect in this version");
        }
        let definition = Definition {
            id: self.storage.committer.next_queue_id(),
            name,
            durable: declare.durable,
            auto_delete: declare.auto_delete,
            owner: declare.exclusive.then_some(connection),
            arguments: Arc::new(declare.arguments),
        };
        let queue = self.start_queue(definition, rules, IdSet::new(), 0);
        change.topology.graph.add_queue(Arc::clone(&queue.name));
        change.topology.queues.insert(Arc::clone(&queue.name), Arc::clone(&queue));
        if queue.stored {
            change.rows.push(Change::PutQueue(self.queue_record(&queue)));
        }
        if let Some(ticket) = change.apply() {
            queue.created.set(ticket).expect("a new queue is submitted once");
        }
        Ok(queue)
    }

    /// The queue of this name: 404 without one, 405 if it is another connection's.
    pub(crate) fn queue(&self, name: &str, connection: ConnectionId) -> Result<Arc<Queue>, Fault> {
        let topology = self.topology();
        let Some(queue) = topology.queues.get(name) else {
            return Err(refusals::not_found(Resource::Queue(name), &self.name));
        };
        if queue.is_open_to(connection) {
            Ok(Arc::clone(queue))
        } else {
            Err(refusals::locked(name, &self.name))
        }
    }

    /// Deletes a queue with its messages; returns how many were ready.
    pub(crate) async fn delete_queue(
        &self,
        queue: &Queue,
        if_unused: bool,
        if_empty: bool,
    ) -> Result<usize, Fault> {
        let verdict = queue.ask(|reply| Command::Delete { if_unused, if_empty, reply }).await;
        match verdict {
            Ok(Ok(count)) => {
                let ticket = self.forget_queue(queue.id, &queue.name);
                self.written(ticket).await.map(|()| count)
            }
            Ok(Err(DeleteRefusal::InUse)) => {
                Err(refusals::in_use(Resource::Queue(&queue.name), &self.name))
            }
            Ok(Err(DeleteRefusal::NotEmpty)) => Err(refusals::not_empty(&queue.name, &self.name)),
            // Someone else was faster.
            Err(queue::QueueGone) => Ok(0),
        }
    }

    /// An auto-delete queue has lost its last consumer and is gone.
    pub(crate) fn queue_abandoned(&self, id: QueueId, name: &Name) {
        self.forget_queue(id, name);
    }

    /// Starts the task of a queue.
    pub(super) fn start_queue(
        self: &Arc<Self>,
        definition: Definition,
        rules: queue::state::Rules,
        backlog: IdSet,
        delivered_to: MessageId,
    ) -> Arc<Queue> {
        let Definition { id, name, durable, auto_delete, owner, arguments } = definition;
        let stored = durable && owner.is_none();
        let (storage, vhost) = (self.storage.clone(), Arc::downgrade(self));
        queue::start(rules, backlog, delivered_to, storage, vhost, |inbox, flow| {
            let created = OnceLock::new();
            Queue { id, name, durable, stored, auto_delete, owner, arguments, created, flow, inbox }
        })
    }

    /// Takes a queue out of the topology. Another queue that has its name by now stays.
    fn forget_queue(&self, id: QueueId, name: &Name) -> Option<Ticket> {
        let mut change = self.change();
        let queue = change.topology.queues.get(name).filter(|queue| queue.id == id)?;
        let stored = queue.stored;
        change.topology.queues.remove(name);
        let removed = change.topology.graph.remove_queue(name);
        change.rows = self.removed_rows(&removed, stored);
        if stored {
            change.rows.push(Change::DeleteQueue(id));
        }
        change.apply()
    }

    /// RabbitMQ's order: who may use it, durable, auto-delete, arguments.
    fn check_equivalent(
        &self,
        queue: &Queue,
        declare: &QueueDeclare,
        connection: ConnectionId,
    ) -> Result<(), Fault> {
        let name = &queue.name;
        if !queue.is_open_to(connection) || queue.owner.is_some() != declare.exclusive {
            return Err(refusals::locked(name, &self.name));
        }
        let flags = [
            ("durable", declare.durable, queue.durable),
            ("auto_delete", declare.auto_delete, queue.auto_delete),
        ];
        for (flag, received, current) in flags {
            if received != current {
                let [received, current] = [received, current].map(|value| format!("'{value}'"));
                let resource = Resource::Queue(name);
                return Err(refusals::inequivalent(
                    flag, resource, &self.name, &received, &current,
                ));
            }
        }
        arguments::check_equivalent(&declare.arguments, &queue.arguments, name, &self.name)
    }

    fn queue_record(&self, queue: &Queue) -> QueueRecord {
        QueueRecord {
            id: queue.id,
            vhost: self.name.to_string(),
            name: queue.name.to_string(),
            durable: queue.durable,
            auto_delete: queue.auto_delete,
            arguments: arguments_text(&queue.arguments),
            delivered_to: 0,
            keeps_for: String::new(),
        }
    }
}

/// What makes a queue, as declared or as the store remembers it.
pub(super) struct Definition {
    pub(super) id: QueueId,
    pub(super) name: Name,
    pub(super) durable: bool,
    pub(super) auto_delete: bool,
    pub(super) owner: Option<ConnectionId>,
    pub(super) arguments: Arc<FieldTable>,
}

/// A name that no one can guess, in RabbitMQ's form.
pub(crate) fn server_name(prefix: &str) -> String {
    let random: [u8; 16] = rand::random();
    format!("{prefix}{}", URL_SAFE_NO_PAD.encode(random))
}
