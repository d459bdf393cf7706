//! From exchange and routing key to queues, for one connection: checks what RabbitMQ checks before it routes, asks the graph,
//! and remembers the answer until the topology changes.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use amq_protocol::types::{AMQPValue, FieldTable};
use arc_swap::{ArcSwap, Cache};
use leveret_persistence::Queues;
use leveret_routing::{ExchangeType, Headers, Name, NoExchange, Route as Walk, type_name};

use super::refusals::{self, Resource};
use super::{Topology, Vhost};
use crate::access::permissions::Right;
use crate::access::user_access::UserAccess;
use crate::limits::ROUTE_CACHE_ENTRIES;
use crate::protocol::properties::Properties;
use crate::protocol::{Fault, ReplyCode};
use crate::queue::Queue;

/// Where a message goes.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) targets: Vec<Arc<Queue>>,
    /// Those of the targets that keep persistent messages through a restart.
    pub(crate) stored: Queues,
}

/// Routes the messages of one connection.
#[derive(Debug)]
pub(crate) struct Router {
    /// Who publishes.
    publisher: UserAccess,
    /// Sees a new topology with one load and a comparison a message.
    topology: Cache<Arc<ArcSwap<Topology>>, Arc<Topology>>,
    /// The topology that `known` is about.
    version: u64,
    /// The permissions that `known` is about.
    revision: u64,
    /// By exchange and key, joined by a byte that no name has.
    known: HashMap<Box<[u8]>, Arc<Route>>,
    /// The last answer: most publishers send to one place.
    last: Option<(Box<[u8]>, Arc<Route>)>,
    scratch: Vec<u8>,
    walk: Walk,
}

impl Router {
    pub(crate) fn new(vhost: &Vhost, publisher: UserAccess) -> Router {
        Router {
            publisher,
            topology: Cache::new(Arc::clone(&vhost.topology)),
            version: 0,
            revision: 0,
            known: HashMap::new(),
            last: None,
            scratch: Vec::new(),
            walk: Walk::new(),
        }
    }

    /// The queues for a message. Refuses as RabbitMQ does: no permission, no such exchange, an internal one.
    pub(crate) fn route(
        &mut self,
        vhost: &Vhost,
        exchange: &str,
        routing_key: &str,
        extra: &ExtraKeys,
        properties: &Properties<'_>,
    ) -> Result<Arc<Route>, Fault> {
        let Router { publisher, topology, version, revision, known, last, scratch, walk } = self;
        let topology = topology.load();
        let allowed = publisher.current().1;
        if (*version, *revision) != (topology.version, allowed) {
            known.clear();
            *last = None;
            (*version, *revision) = (topology.version, allowed);
        }
        scratch.clear();
        scratch.extend_from_slice(exchange.as_bytes());
        scratch.push(0xFF);
        scratch.extend_from_slice(routing_key.as_bytes());
        if extra.is_empty() {
            if let Some((_, route)) = last.as_ref().filter(|(key, _)| **key == **scratch) {
                return Ok(Arc::clone(route));
            }
            if let Some(route) = known.get(scratch.as_slice()) {
                *last = Some((scratch.as_slice().into(), Arc::clone(route)));
                return Ok(Arc::clone(route));
            }
        }
        let mut keys = vec![routing_key];
        keys.extend(extra.keys.iter().map(String::as_str));
        check(publisher, vhost, topology, exchange, &keys)?;
        let headers = LazyHeaders(properties);
        let walked = topology.graph.route_keys(exchange, &keys, &headers, walk);
        walked.map_err(|NoExchange| no_exchange(vhost, exchange))?;
        let route = Arc::new(Route::to(walk.queues(), topology));
        if extra.is_empty() && walk.cacheable() {
            if known.len() >= ROUTE_CACHE_ENTRIES {
                known.clear();
            }
            known.insert(scratch.as_slice().into(), Arc::clone(&route));
        }
        Ok(route)
    }
}

impl Route {
    fn to(names: &[Name], topology: &Topology) -> Route {
        let queues = names.iter().filter_map(|name| topology.queues.get(name));
        let targets: Vec<Arc<Queue>> = queues.cloned().collect();
        let stored = targets.iter().filter(|queue| queue.stored).map(|queue| queue.id).collect();
        Route { targets, stored }
    }
}

/// Whether who publishes may publish these keys to the exchange: in RabbitMQ's order.
fn check(
    publisher: &mut UserAccess,
    vhost: &Vhost,
    topology: &Topology,
    exchange: &str,
    keys: &[&str],
) -> Result<(), Fault> {
    let right = Right::Write;
    if !publisher.current().0.allows(right, exchange) {
        let (resource, user) = (Resource::Exchange(exchange), publisher.user_name());
        return Err(refusals::access_refused(right, resource, &vhost.name, user));
    }
    let found = topology.graph.exchange(exchange).ok_or_else(|| no_exchange(vhost, exchange))?;
    if found.internal {
        return Err(refusals::internal_exchange(exchange, &vhost.name));
    }
    if found.kind != ExchangeType::Topic {
        return Ok(());
    }
    let permissions = publisher.current().0;
    match keys.iter().find(|key| !permissions.allows_topic(right, exchange, key)) {
        Some(key) => {
            let user = publisher.user_name();
            Err(refusals::topic_refused(right, key, exchange, &vhost.name, user))
        }
        None => Ok(()),
    }
}

fn no_exchange(vhost: &Vhost, exchange: &str) -> Fault {
    refusals::not_found(Resource::Exchange(exchange), &vhost.name)
}

/// The routing keys of RabbitMQ's sender-selected distribution: the headers `CC` and `BCC`.
#[derive(Debug, Default)]
pub(crate) struct ExtraKeys {
    keys: Vec<String>,
    /// Whether there is a `BCC` to be taken out before the message is delivered.
    pub(crate) has_bcc: bool,
}

impl ExtraKeys {
    /// Reads them; a value that is not an array is refused with 406.
    pub(crate) fn of(properties: &Properties<'_>) -> Result<ExtraKeys, Fault> {
        let mut extra = ExtraKeys::default();
        if properties.headers_raw().is_none() {
            return Ok(extra);
        }
        for name in ["CC", "BCC"] {
            match properties.header(name) {
                None => continue,
                Some(AMQPValue::FieldArray(array)) => {
                    extra.keys.extend(array.as_slice().iter().filter_map(|key| match key {
                        AMQPValue::LongString(key) => {
                            Some(String::from_utf8_lossy(key.as_bytes()).into_owned())
                        }
                        _ => None,
                    }));
                }
                Some(other) => {
                    let text = format!(
                        "invalid message: {{unacceptable_type_in_header,\"{name}\",{}}}",
                        type_name(&other)
                    );
                    return Err(Fault::new(ReplyCode::PreconditionFailed, text));
                }
            }
            extra.has_bcc |= name == "BCC";
        }
        Ok(extra)
    }

    fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

/// Headers that are decoded when a headers exchange asks for them.
struct LazyHeaders<'a, 'b>(&'a Properties<'b>);

impl Headers for LazyHeaders<'_, '_> {
    fn table(&self) -> Option<Cow<'_, FieldTable>> {
        self.0.headers().map(Cow::Owned)
    }
}
