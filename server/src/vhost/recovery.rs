//! From the store's records to running vhosts: on start, once.

use std::collections::HashMap;
use std::sync::Arc;

use amq_protocol::types::FieldTable;
use imbl::OrdMap;
use leveret_persistence::{
    BindingRecord, Definitions, ExchangeRecord, IdSet, MessageId, QueueId, QueueRecord,
};
use leveret_routing::{Binding, Destination, Exchange};

use super::bindings::EXCHANGE;
use super::queues::Definition;
use super::{Vhost, VhostName};
use crate::queue::arguments;
use crate::storage::Storage;

/// A record that this version cannot use: starting without it would lose messages quietly.
#[derive(Debug, thiserror::Error)]
#[error("the store's record of {what} cannot be used: {reason}")]
pub(crate) struct BadRecord {
    what: String,
    reason: String,
}

/// All vhosts of the store, their queues running over `backlog`. After an unclean stop any message of the
/// backlog may have been delivered before.
pub(crate) fn recover(
    definitions: &Definitions,
    mut backlog: HashMap<QueueId, IdSet>,
    clean: bool,
    storage: &Storage,
) -> Result<OrdMap<VhostName, Arc<Vhost>>, BadRecord> {
    let mut vhosts = OrdMap::new();
    for record in &definitions.vhosts {
        let name: VhostName = record.name.as_str().into();
        let vhost = Vhost::new(Arc::clone(&name), storage.clone());
        let mine = |other: &str| other == record.name;
        let mut change = vhost.change();
        let graph = &mut change.topology.graph;
        for exchange in definitions.exchanges.iter().filter(|exchange| mine(&exchange.vhost)) {
            let declared = graph.declare_exchange(read_exchange(exchange)?);
            declared.map_err(|error| bad("exchange", &exchange.name, error))?;
        }
        for queue in definitions.queues.iter().filter(|queue| mine(&queue.vhost)) {
            let backlog = backlog.remove(&queue.id).unwrap_or_default();
            let last = backlog.max().unwrap_or_default();
            let delivered_to = if clean { queue.delivered_to } else { last };
            let queue = start_queue(&vhost, queue, backlog, delivered_to)?;
            change.topology.graph.add_queue(Arc::clone(&queue.name));
            change.topology.queues.insert(Arc::clone(&queue.name), queue);
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

fn start_queue(
    vhost: &Arc<Vhost>,
    record: &QueueRecord,
    backlog: IdSet,
    delivered_to: MessageId,
) -> Result<Arc<crate::queue::Queue>, BadRecord> {
    let arguments =
        read_arguments(&record.arguments).map_err(|error| bad("queue", &record.name, error))?;
    let rules = arguments::rules(&arguments, record.auto_delete, &record.name, &record.vhost)
        .map_err(|fault| bad("queue", &record.name, fault))?;
    let definition = Definition {
        id: record.id,
        name: record.name.as_str().into(),
        durable: record.durable,
        auto_delete: record.auto_delete,
        owner: None,
        arguments: Arc::new(arguments),
    };
    Ok(vhost.start_queue(definition, rules, backlog, delivered_to))
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
