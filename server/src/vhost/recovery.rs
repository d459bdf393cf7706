//! From the store's records to running vhosts: on start, once.

use std::collections::HashMap;
use std::sync::Arc;

use amq_protocol::types::FieldTable;
use imbl::OrdMap;
use leveret_persistence::{
    BindingRecord, Definitions, ExchangeRecord, IdSet, Progress, QueueId, QueueRecord, ReadError,
    Reader, RememberedKey,
};
use leveret_routing::{Binding, Destination, Exchange};

use super::bindings::EXCHANGE;
use super::policy::{Effective, Policies};
use super::queues::{Definition, key_owner};
use super::{Topology, Vhost, VhostName};
use crate::limits::RECOVERY_SCAN_MESSAGES;
use crate::queue::arguments;
use crate::queue::recovered::Backlog;
use crate::queue::rules::{Keeps, QueueType, Rules};
use crate::storage::Storage;

/// A record that this version cannot use: starting without it would lose messages quietly.
#[derive(Debug, thiserror::Error)]
#[error("the store's record of {what} cannot be used: {reason}")]
pub(crate) struct BadRecord {
    what: String,
    reason: String,
}

/// What a restart found in the store besides the definitions.
pub(crate) struct Found {
    pub(crate) backlog: HashMap<QueueId, IdSet>,
    pub(crate) progress: HashMap<QueueId, Vec<Progress>>,
    pub(crate) remembered: HashMap<String, Vec<RememberedKey>>,
    /// Whether the last stop was clean. If not, any message of the backlog may have been delivered before.
    pub(crate) clean: bool,
    /// Looks at messages whose queues need more of them than their ids.
    pub(crate) reader: Box<dyn Reader>,
}

/// All vhosts of the store, their queues running over what was found. `policies` gives those of a vhost.
pub(crate) fn recover(
    definitions: &Definitions,
    mut found: Found,
    policies: impl Fn(&str) -> Policies,
    storage: &Storage,
) -> Result<OrdMap<VhostName, Arc<Vhost>>, BadRecord> {
    let mut vhosts = OrdMap::new();
    for record in &definitions.vhosts {
        let name: VhostName = record.name.as_str().into();
        let vhost = Vhost::new(Arc::clone(&name), storage.clone());
        let mine = |other: &str| other == record.name;
        let mut change = vhost.change();
        change.topology.policies = policies(&record.name);
        for record in definitions.exchanges.iter().filter(|exchange| mine(&exchange.vhost)) {
            let exchange = read_exchange(record)?;
            let keys = found.remembered.remove(&vhost.key_owner(&exchange.name));
            vhost.restore_exchange_gate(&mut change.topology, &exchange, keys.unwrap_or_default());
            let declared = change.topology.graph.declare_exchange(exchange);
            declared.map_err(|error| bad("exchange", &record.name, error))?;
            change.topology.apply_exchange_policy(&record.name);
        }
        for record in definitions.queues.iter().filter(|queue| mine(&queue.vhost)) {
            recover_queue(&vhost, &mut change.topology, record, &mut found)?;
        }
        for binding in definitions.bindings.iter().filter(|binding| mine(&binding.vhost)) {
            let bound = change.topology.graph.bind(read_binding(binding)?);
            bound.map_err(|error| bad("binding", &binding.source, error))?;
        }
        change.apply();
        vhosts.insert(name, vhost);
    }
    Ok(vhosts)
}

fn recover_queue(
    vhost: &Arc<Vhost>,
    topology: &mut Topology,
    record: &QueueRecord,
    found: &mut Found,
) -> Result<(), BadRecord> {
    let definition = definition(topology, record)?;
    let policy = match definition.keeps {
        Keeps::ForClients => topology.policies.for_queue(&definition.name, definition.kind),
        Keeps::UntilDue | Keeps::AsHistory => Effective::default(),
    };
    let backlog = backlog(&definition.rules(&policy), record, found)
        .map_err(|error| bad("queue", &record.name, error))?;
    let keys = found.remembered.remove(&key_owner(record.id)).unwrap_or_default();
    let queue = vhost.start_queue(definition, policy, backlog, keys);
    let name = Arc::clone(&queue.name);
    if record.keeps_for.is_empty() {
        topology.graph.add_queue(Arc::clone(&name));
        topology.queues.insert(name, queue);
    } else {
        topology.keepers.insert(record.keeps_for.as_str().into(), queue);
    }
    Ok(())
}

fn definition(topology: &Topology, record: &QueueRecord) -> Result<Definition, BadRecord> {
    let arguments =
        read_arguments(&record.arguments).map_err(|error| bad("queue", &record.name, error))?;
    let kind = arguments::queue_type(&arguments, QueueType::Classic, &record.name, &record.vhost)
        .map_err(|fault| bad("queue", &record.name, fault))?;
    let exchange = topology.graph.exchange(&record.keeps_for);
    let keeps = match exchange.filter(|_| !record.keeps_for.is_empty()) {
        None => Keeps::ForClients,
        Some(exchange) if exchange.delays() => Keeps::UntilDue,
        Some(_) => Keeps::AsHistory,
    };
    Ok(Definition {
        id: record.id,
        name: record.name.as_str().into(),
        durable: record.durable,
        auto_delete: record.auto_delete,
        kind,
        keeps,
        owner: None,
        arguments: Arc::new(arguments),
    })
}

fn backlog(rules: &Rules, record: &QueueRecord, found: &mut Found) -> Result<Backlog, ReadError> {
    let ids = found.backlog.remove(&record.id).unwrap_or_default();
    let progress = found.progress.remove(&record.id).unwrap_or_default();
    let last = ids.max().unwrap_or_default();
    let delivered_to = if found.clean { record.delivered_to } else { last };
    if !Backlog::needs_scan(rules) || ids.is_empty() {
        return Ok(Backlog::new(ids, delivered_to, &progress));
    }
    let mut backlog = Backlog::to_scan(delivered_to, &progress);
    let ids: Vec<_> = ids.iter().collect();
    for some in ids.chunks(RECOVERY_SCAN_MESSAGES) {
        backlog.scanned(rules, &found.reader.scan(some)?);
    }
    Ok(backlog)
}

fn read_exchange(record: &ExchangeRecord) -> Result<Exchange, BadRecord> {
    let ExchangeRecord { name, kind, durable, auto_delete, internal, arguments, .. } = record;
    let kind = kind.parse().map_err(|_| bad("exchange", name, format!("its type is '{kind}'")))?;
    let arguments = read_arguments(arguments).map_err(|error| bad("exchange", name, error))?;
    Exchange::new(name.as_str(), kind, *durable, *auto_delete, *internal, arguments)
        .map_err(|error| bad("exchange", name, error))
}

fn read_binding(record: &BindingRecord) -> Result<Binding, BadRecord> {
    let arguments =
        read_arguments(&record.arguments).map_err(|error| bad("binding", &record.source, error))?;
    let destination = record.destination.as_str().into();
    let destination = match record.destination_kind.as_str() {
        EXCHANGE => Destination::Exchange(destination),
        _ => Destination::Queue(destination),
    };
    Ok(Binding {
        source: record.source.as_str().into(),
        destination,
        routing_key: record.routing_key.as_str().into(),
        arguments: arguments.into(),
    })
}

fn read_arguments(text: &str) -> Result<FieldTable, serde_json::Error> {
    if text.is_empty() { Ok(FieldTable::default()) } else { serde_json::from_str(text) }
}

fn bad(kind: &str, name: &str, reason: impl ToString) -> BadRecord {
    BadRecord { what: format!("{kind} '{name}'"), reason: reason.to_string() }
}
