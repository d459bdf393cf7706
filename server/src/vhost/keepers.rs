//! What exchanges keep: the messages of delayed exchanges until they are due, the last ones of recent-history exchanges, and
//! the keys by which exchanges know duplicates. Messages are kept in queues that clients do not see.

use std::sync::Arc;

use amq_protocol::types::{AMQPValue, FieldTable};
use leveret_persistence::{Batch, Change, Message, RememberedKey, Stamp};
use leveret_routing::{Binding, Destination, Exchange, Removed, Route as Walk};

use super::dispatch::{Outgoing, dispatch};
use super::gate::{Deduplication, Gate};
use super::policy::Effective;
use super::publish::Route;
use super::queues::Definition;
use super::{Topology, TopologyChange, Vhost};
use crate::clock;
use crate::protocol::field_value::Value;
use crate::protocol::properties::Properties;
use crate::queue::Command;
use crate::queue::recovered::Backlog;
use crate::queue::rules::{Keeps, QueueType};

/// What a message says that is not to be kept for later bindings.
const NO_STORE: &[u8] = b"x-recent-history-no-store";

impl Vhost {
    /// Makes what a new exchange keeps its messages in.
    pub(super) fn add_keeper(
        self: &Arc<Self>,
        change: &mut TopologyChange<'_>,
        exchange: &Exchange,
    ) {
        if let Some(found) = exchange.deduplication() {
            let owner = exchange.durable.then(|| self.key_owner(&exchange.name));
            let gate = exchange_gate(self, found, owner, Vec::new());
            change.topology.exchange_gates.insert(Arc::clone(&exchange.name), gate);
        }
        let Some(definition) = self.keeper_of(exchange) else {
            return;
        };
        let none = Effective::default();
        let keeper = self.start_queue(definition, none, Backlog::default(), Vec::new());
        if keeper.stored {
            change.rows.push(Change::PutQueue(self.queue_record(&keeper, &exchange.name)));
        }
        change.topology.keepers.insert(Arc::clone(&exchange.name), keeper);
    }

    /// The gate of an exchange that was recovered with these keys.
    pub(super) fn restore_exchange_gate(
        &self,
        topology: &mut Topology,
        exchange: &Exchange,
        keys: Vec<RememberedKey>,
    ) {
        if let Some(found) = exchange.deduplication() {
            let gate = exchange_gate(self, found, Some(self.key_owner(&exchange.name)), keys);
            topology.exchange_gates.insert(Arc::clone(&exchange.name), gate);
        }
    }

    /// Exchanges have gone: so has what they kept.
    pub(super) fn drop_keepers(&self, change: &mut TopologyChange<'_>, removed: &Removed) {
        for exchange in &removed.exchanges {
            if change.topology.exchange_gates.remove(&exchange.name).is_some() && exchange.durable {
                let owner = self.key_owner(&exchange.name);
                change.rows.push(Change::ForgetOwner { owner });
            }
            let Some(keeper) = change.topology.keepers.remove(&exchange.name) else {
                continue;
            };
            if keeper.stored {
                change.rows.push(Change::DeleteQueue(keeper.id));
            }
            // The topology is locked: its inbox may have to be waited for elsewhere.
            tokio::spawn(async move { keeper.end().await });
        }
    }

    /// A new binding of a recent-history exchange: its destination gets the last messages, oldest first.
    pub(crate) async fn replay(&self, binding: &Binding) {
        let keeper = self.topology().keepers.get(&binding.source).cloned();
        let Some(keeper) = keeper.filter(|keeper| keeper.keeps == Keeps::AsHistory) else {
            return;
        };
        // One that is gone has nothing to replay.
        let kept = keeper.ask(|reply| Command::Peek { reply }).await.unwrap_or_default();
        for (id, message) in kept {
            let message = match message {
                Some(message) => Some(message),
                None => self.storage.read_one(id).await,
            };
            let Some(outgoing) = message.and_then(|message| self.replayed(message, binding)) else {
                continue;
            };
            self.storage.committer.room().await;
            dispatch(&self.storage, 1, std::iter::once(outgoing), Batch::default()).await;
        }
    }

    fn replayed(&self, message: Message, binding: &Binding) -> Option<Outgoing> {
        let topology = self.topology();
        let properties = message.clone();
        let properties = Properties::parse(properties.properties()).ok()?;
        let route = match &binding.destination {
            Destination::Queue(name) => Route::of(vec![topology.queues.get(name)?.clone()]),
            Destination::Exchange(name) => {
                let routing_key = String::from_utf8_lossy(message.routing_key()).into_owned();
                let mut walk = Walk::with_seed(rand::random());
                topology.route(name, &[&routing_key], &properties, &mut walk).ok()?
            }
        };
        let stamp = Stamp { arrived_ms: clock::now_ms(), ..message.stamp() };
        let persistent = properties.is_persistent();
        Some(Outgoing::new(message.stamped(stamp), Arc::new(route), persistent))
    }

    /// The queue in which an exchange of a type that keeps messages keeps them.
    fn keeper_of(&self, exchange: &Exchange) -> Option<Definition> {
        let mut arguments = FieldTable::default();
        let keeps = if exchange.delays() {
            Keeps::UntilDue
        } else {
            let length = exchange.recent_history_length()?;
            let length = i64::try_from(length).unwrap_or(i64::MAX);
            arguments.insert("x-max-length".into(), AMQPValue::LongLongInt(length));
            Keeps::AsHistory
        };
        Some(Definition {
            id: self.storage.committer.next_queue_id(),
            name: Arc::clone(&exchange.name),
            durable: exchange.durable,
            auto_delete: false,
            kind: QueueType::Classic,
            keeps,
            owner: None,
            arguments: Arc::new(arguments),
        })
    }

    /// The name of an exchange's keys in the store.
    pub(super) fn key_owner(&self, exchange: &str) -> String {
        format!("exchange {exchange} in {}", self.name)
    }
}

fn exchange_gate(
    vhost: &Vhost,
    found: &leveret_routing::Deduplication,
    owner: Option<String>,
    keys: Vec<RememberedKey>,
) -> Arc<Gate> {
    let leveret_routing::Deduplication { header, size, ttl_ms } = found.clone();
    let deduplication = Deduplication { header, size, ttl_ms, owner };
    let id = vhost.storage.committer.next_queue_id();
    Arc::new(Gate::new(u64::from(id.0), Some(deduplication), keys))
}

/// Whether a message is to be kept for later bindings of a recent-history exchange.
pub(super) fn is_for_history(properties: &Properties<'_>) -> bool {
    properties.header_field(NO_STORE).is_none_or(|field| field.view() != Value::Boolean(true))
}
