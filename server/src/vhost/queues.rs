//! Queues of a vhost: declare, look up, delete.

use std::sync::{Arc, LazyLock, OnceLock};

use amq_protocol::types::FieldTable;
use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use leveret_persistence::{Change, QueueId, QueueRecord, RememberedKey, Ticket};
use leveret_routing::Name;

use super::gate::{Deduplication, Gate};
use super::policy::Effective;
use super::refusals::{self, Resource};
use super::{Vhost, arguments_text};
use crate::connection::ConnectionId;
use crate::protocol::{Fault, ReplyCode};
use crate::queue::arguments::{self, integer_of};
use crate::queue::recovered::Backlog;
use crate::queue::rules::{Keeps, Overflow, QueueType, Rules};
use crate::queue::state::DeleteRefusal;
use crate::queue::{self, Command, Dormancy, Queue, settings};

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
        let kind = self.check_declare(&declare)?;
        let mut change = self.change();
        self.check_not_deleted()?;
        if let Some(queue) = change.topology.queues.get(&name) {
            self.check_equivalent(queue, &declare, kind, connection)?;
            return Ok(Arc::clone(queue));
        }
        arguments::check(&declare.arguments, kind, &name, &self.name)?;
        if name.starts_with("amq.") && !declare.named_by_server {
            return Err(refusals::reserved_prefix(Resource::Queue(&name)));
        }
        self.check_queue_limit(&change.topology, &name)?;
        let definition = Definition {
            id: self.storage.committer.next_queue_id(),
            name,
            durable: declare.durable,
            auto_delete: declare.auto_delete,
            kind,
            keeps: Keeps::ForClients,
            owner: declare.exclusive.then_some(connection),
            arguments: Arc::new(declare.arguments),
        };
        if kind == QueueType::Quorum {
            tracing::info!(
                queue = &*definition.name,
                "a quorum queue on one node: durable as any, not replicated"
            );
        }
        let policy = change.topology.policies.for_queue(&definition.name, kind);
        let queue = self.start_queue(definition, policy, Backlog::default(), Vec::new());
        change.topology.graph.add_queue(Arc::clone(&queue.name));
        change.topology.queues.insert(Arc::clone(&queue.name), Arc::clone(&queue));
        if queue.stored {
            change.rows.push(Change::PutQueue(self.queue_record(&queue, "")));
        }
        if let Some(ticket) = change.apply() {
            queue.created.set(ticket).expect("a new queue is submitted once");
        }
        Ok(queue)
    }

    /// Refuses what no queue of its type can be declared with, whether it is there or not; gives the type.
    fn check_declare(&self, declare: &QueueDeclare) -> Result<QueueType, Fault> {
        let QueueDeclare { name, durable, exclusive, auto_delete, arguments, .. } = declare;
        let fits_quorum = *durable && !exclusive && !auto_delete;
        let default = match self.default_queue_type().as_deref() {
            Some("quorum") if fits_quorum && !declare.named_by_server => QueueType::Quorum,
            Some("stream") if fits_quorum && !arguments.contains_key("x-queue-type") => {
                return Err(arguments::no_streams(name, &self.name));
            }
            _ => QueueType::Classic,
        };
        let kind = arguments::queue_type(arguments, default, name, &self.name)?;
        if kind == QueueType::Classic {
            return Ok(kind);
        }
        if declare.named_by_server {
            let text = "Cannot declare a server-named queue for type rabbit_quorum_queue";
            return Err(Fault::new(ReplyCode::PreconditionFailed, text));
        }
        let unfit = [
            ("exclusive-owner", *exclusive),
            ("auto-delete", *auto_delete),
            ("non-durable", !durable),
        ];
        match unfit.iter().find(|(_, is_unfit)| *is_unfit) {
            Some((property, _)) => {
                Err(refusals::invalid_property(property, Resource::Queue(name), &self.name))
            }
            None => Ok(kind),
        }
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

    /// Starts the task of a queue. `keys`: those that it has remembered, if it knows duplicates.
    pub(super) fn start_queue(
        self: &Arc<Self>,
        definition: Definition,
        policy: Effective,
        backlog: Backlog,
        keys: Vec<RememberedKey>,
    ) -> Arc<Queue> {
        let rules = definition.rules(&policy);
        let Definition { id, name, durable, auto_delete, kind, keeps, owner, arguments } =
            definition;
        let has_arguments = !arguments.inner().is_empty();
        let arguments = if has_arguments { arguments } else { Arc::clone(&NO_ARGUMENTS) };
        let stored = durable && owner.is_none();
        let gate = queue_gate(id, &arguments, stored, keys);
        gate.set_refuses(rules.overflow != Overflow::DropHead);
        let (storage, vhost) = (self.storage.clone(), Arc::downgrade(self));
        queue::start(rules.clone(), backlog, storage, vhost, |inbox, flow| Queue {
            id,
            name,
            durable,
            stored,
            auto_delete,
            kind,
            keeps,
            owner,
            arguments,
            created: OnceLock::new(),
            rules: ArcSwap::new(shared(rules, &PLAIN_RULES)),
            policy: ArcSwap::new(shared(policy, &NO_POLICY)),
            gate: Arc::new(gate),
            flow,
            inbox,
            dormancy: Dormancy::default(),
        })
    }

    /// Takes a queue out of the topology. Another queue that has its name by now stays.
    fn forget_queue(&self, id: QueueId, name: &Name) -> Option<Ticket> {
        let mut change = self.change();
        let queue = change.topology.queues.get(name).filter(|queue| queue.id == id)?.clone();
        let stored = queue.stored;
        change.topology.queues.remove(name);
        let removed = change.topology.graph.remove_queue(name);
        change.rows = self.removed_rows(&removed, stored);
        self.drop_keepers(&mut change, &removed);
        if stored {
            change.rows.push(Change::DeleteQueue(id));
            if queue.gate.deduplication().is_some() {
                change.rows.push(Change::ForgetOwner { owner: key_owner(id) });
            }
        }
        change.apply()
    }

    /// RabbitMQ's order: who may use it, durable, auto-delete, arguments.
    fn check_equivalent(
        &self,
        queue: &Queue,
        declare: &QueueDeclare,
        kind: QueueType,
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
        let types = [kind, queue.kind];
        arguments::check_equivalent(&declare.arguments, &queue.arguments, types, name, &self.name)
    }

    /// `keeps_for`: the exchange whose messages it keeps, if it is not a queue of clients.
    pub(super) fn queue_record(&self, queue: &Queue, keeps_for: &str) -> QueueRecord {
        QueueRecord {
            id: queue.id,
            vhost: self.name.to_string(),
            name: queue.name.to_string(),
            durable: queue.durable,
            auto_delete: queue.auto_delete,
            arguments: arguments_text(&queue.arguments),
            delivered_to: 0,
            keeps_for: keeps_for.to_owned(),
        }
    }
}

/// What makes a queue, as declared or as the store remembers it.
pub(super) struct Definition {
    pub(super) id: QueueId,
    pub(super) name: Name,
    pub(super) durable: bool,
    pub(super) auto_delete: bool,
    pub(super) kind: QueueType,
    pub(super) keeps: Keeps,
    pub(super) owner: Option<ConnectionId>,
    pub(super) arguments: Arc<FieldTable>,
}

impl Definition {
    /// The rules under this policy.
    pub(super) fn rules(&self, policy: &Effective) -> Rules {
        match self.keeps {
            Keeps::ForClients => {
                settings::rules(&self.arguments, self.kind, self.auto_delete, policy)
            }
            Keeps::UntilDue => Rules { keeps: self.keeps, ..Rules::default() },
            Keeps::AsHistory => {
                let length = self.arguments.inner().get("x-max-length").and_then(integer_of);
                let max_length = length.and_then(|length| length.try_into().ok());
                Rules { keeps: self.keeps, max_length, ..Rules::default() }
            }
        }
    }
}

/// Most queues have no arguments and follow no policy: they share what says so.
static PLAIN_RULES: LazyLock<Arc<Rules>> = LazyLock::new(Arc::default);
static NO_POLICY: LazyLock<Arc<Effective>> = LazyLock::new(Arc::default);
static NO_ARGUMENTS: LazyLock<Arc<FieldTable>> = LazyLock::new(Arc::default);

fn shared<T: PartialEq>(value: T, plain: &Arc<T>) -> Arc<T> {
    if value == **plain { Arc::clone(plain) } else { Arc::new(value) }
}

fn queue_gate(id: QueueId, arguments: &FieldTable, stored: bool, keys: Vec<RememberedKey>) -> Gate {
    let found = Deduplication::of(arguments, stored.then(|| key_owner(id)));
    Gate::new(u64::from(id.0), found, keys)
}

/// The name of a queue's keys in the store.
pub(super) fn key_owner(id: QueueId) -> String {
    format!("queue {id}")
}

/// A name that no one can guess, in RabbitMQ's form.
pub(crate) fn server_name(prefix: &str) -> String {
    let random: [u8; 16] = rand::random();
    format!("{prefix}{}", URL_SAFE_NO_PAD.encode(random))
}
