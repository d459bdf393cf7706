//! From exchange and routing key to queues, for one connection: checks what RabbitMQ checks before it routes, asks the graph,
//! and remembers the answer until the topology changes.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use amq_protocol::types::{AMQPValue, FieldTable};
use arc_swap::{ArcSwap, Cache};
use leveret_persistence::Queues;
use leveret_routing::{Headers, Name, NoExchange, Route as Walk, type_name};

use super::refusals::{self, Resource};
use super::{Topology, Vhost};
use crate::access::permissions::{Permissions, Right};
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

/// Who publishes.
#[derive(Clone, Debug)]
pub(crate) struct Publisher {
    pub(crate) user: Arc<str>,
    pub(crate) permissions: Arc<Permissions>,
}

/// Routes the messages of one connection.
#[derive(Debug)]
pub(crate) struct Router {
    publisher: Publisher,
    /// Sees a new topology with one load and a comparison a message.
    topology: Cache<Arc<ArcSwap<Topology>>, Arc<Topology>>,
    /// The topology that `known` is about.
    version: u64,
    /// By exchange and key, joined by a byte that no name has.
    known: HashMap<Box<[u8]>, Arc<Route>>,
    /// The last answer: most publishers send to one place.
    last: Option<(Box<[u8]>, Arc<Route>)>,
    scratch: Vec<u8>,
    walk: Walk,
}

impl Router {
    pub(crate) fn new(vhost: &Vhost, publisher: Publisher) -> Router {
        Router {
            publisher,
            topology: Cache::new(Arc::clone(&vhost.topology)),
            version: 0,
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
        let Router { publisher, topology, version, known, last, scratch, walk } = self;
        let topology = topology.load();
        if *version != topology.version {
            known.clear();
            *last = None;
            *version = topology.version;
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
        publisher.check(vhost, topology, exchange)?;
        let mut keys = vec![routing_key];
        keys.extend(extra.keys.iter().map(String::as_str));
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

impl Publisher {
    fn check(&self, vhost: &Vhost, topology: &Topology, exchange: &str) -> Result<(), Fault> {
        if !self.permissions.allows(Right::Write, exchange) {
            let resource = Resource::Exchange(exchange);
            let user = &self.user;
            return Err(refusals::access_refused(Right::Write, resource, &vhost.name, user));
        }
        match topology.graph.exchange(exchange) {
            None => Err(no_exchange(vhost, exchange)),
            Some(found) if found.internal => {
                Err(refusals::internal_exchange(exchange, &vhost.name))
            }
            Some(_) => Ok(()),
        }
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
