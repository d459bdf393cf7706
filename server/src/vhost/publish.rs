//! From exchange and routing key to queues, for one connection: checks what RabbitMQ checks before it routes, asks the graph,
//! and remembers the answer until the topology changes.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use amq_protocol::types::FieldTable;
use arc_swap::{ArcSwap, Cache};
use foldhash::fast::RandomState;
use leveret_persistence::{NAME_LEN_MAX, Queues};
use leveret_routing::{ExchangeType, Headers, NoExchange, Route as Walk, type_name};

use super::gate::Gate;
use super::keepers::is_for_history;
use super::refusals::{self, Resource};
use super::{Topology, Vhost};
use crate::access::permissions::Right;
use crate::access::user_access::UserAccess;
use crate::limits::ROUTE_CACHE_ENTRIES;
use crate::protocol::field_table::Field;
use crate::protocol::field_value::{Value, values};
use crate::protocol::properties::Properties;
use crate::protocol::{Fault, ReplyCode};
use crate::queue::rules::Keeps;
use crate::queue::{Queue, delay};
use crate::stamp;

/// Where a message goes.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) targets: Vec<Arc<Queue>>,
    /// For each of them, whether it keeps transient and persistent messages through a restart. To ask the queue for each message
    /// would be to read a cache line that its consumers write to.
    durable: Vec<[bool; 2]>,
    /// Those of the targets that keep persistent messages through a restart.
    pub(crate) stored: Queues,
    /// Those of the targets that keep every message through a restart: as in RabbitMQ, quorum queues.
    pub(crate) always_stored: Queues,
    /// Whether any of the targets is a queue of clients, or keeps the message for one: those of an exchange's history do not
    /// count.
    pub(crate) is_routed: bool,
    /// Whether a queue or the exchange may refuse the message: it has to ask first.
    pub(crate) gated: bool,
    /// The gate of the exchange, if it knows duplicates.
    pub(crate) exchange_gate: Option<Arc<Gate>>,
}

impl Default for Route {
    fn default() -> Route {
        Route::of(Vec::new())
    }
}

/// The headers of a publisher that numbers its messages.
pub(crate) const X_PUBLISHER_ID: &[u8] = b"x-publisher-id";
pub(crate) const X_SEQUENCE: &[u8] = b"x-sequence";

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
    known: HashMap<Box<[u8]>, Arc<Route>, RandomState>,
    /// The last answer: most publishers send to one place.
    last: Last,
    scratch: Vec<u8>,
    walk: Walk,
}

/// A question and its answer.
#[derive(Debug, Default)]
struct Last {
    exchange: Vec<u8>,
    routing_key: Vec<u8>,
    route: Option<Arc<Route>>,
}

impl Router {
    pub(crate) fn new(vhost: &Vhost, publisher: UserAccess) -> Router {
        Router {
            publisher,
            topology: Cache::new(Arc::clone(&vhost.topology)),
            version: 0,
            revision: 0,
            known: HashMap::default(),
            last: Last::default(),
            scratch: Vec::new(),
            walk: Walk::with_seed(rand::random()),
        }
    }

    /// The last answer once more, if it was for these names and nothing has changed since. It holds for messages that ask for
    /// nothing (see [`Wishes`]).
    #[inline]
    pub(crate) fn again(&mut self, exchange: &[u8], routing_key: &[u8]) -> Option<&Arc<Route>> {
        if (self.version, self.revision)
            != (self.topology.load().version, self.publisher.current().1)
        {
            return None;
        }
        let Last { exchange: last_exchange, routing_key: last_key, route } = &self.last;
        let is_same = last_key == routing_key && last_exchange == exchange;
        route.as_ref().filter(|_| is_same)
    }

    /// The last answer, whatever has changed since.
    #[inline]
    pub(crate) fn last(&self) -> Option<&Arc<Route>> {
        self.last.route.as_ref()
    }

    /// Lets go of what is outdated: a connection that publishes nothing must not keep an old topology alive.
    pub(crate) fn refresh(&mut self) {
        self.publisher.current();
        let version = self.topology.load().version;
        if version != self.version {
            self.known.clear();
            self.last.route = None;
            self.version = version;
        }
    }

    /// The queues for a message. Refuses as RabbitMQ does: no permission, no such exchange, an internal one.
    pub(crate) fn route(
        &mut self,
        vhost: &Vhost,
        exchange: &str,
        routing_key: &str,
        wishes: &Wishes,
        properties: &Properties<'_>,
    ) -> Result<Arc<Route>, Fault> {
        let last = self.again(exchange.as_bytes(), routing_key.as_bytes());
        if let Some(route) = last.filter(|_| wishes.is_empty()) {
            return Ok(Arc::clone(route));
        }
        let Router { publisher, topology, version, revision, known, last, scratch, walk } = self;
        let topology = topology.load();
        let allowed = publisher.current().1;
        if (*version, *revision) != (topology.version, allowed) {
            known.clear();
            last.route = None;
            (*version, *revision) = (topology.version, allowed);
        }
        scratch.clear();
        scratch.extend_from_slice(exchange.as_bytes());
        scratch.push(0xFF);
        scratch.extend_from_slice(routing_key.as_bytes());
        if let Some(route) = known.get(scratch.as_slice()).filter(|_| wishes.is_empty()) {
            last.set(exchange, routing_key, route);
            return Ok(Arc::clone(route));
        }
        let mut keys = vec![routing_key];
        keys.extend(wishes.keys.iter().map(String::as_str));
        check(publisher, vhost, topology, exchange, &keys)?;
        let route = topology.route(exchange, &keys, properties, walk);
        let route = Arc::new(route.map_err(|NoExchange| no_exchange(vhost, exchange))?);
        // A message may ask not to be remembered by the exchanges that do.
        let is_same_for_all = walk.cacheable() && walk.remembering().is_empty();
        if wishes.is_empty() && is_same_for_all {
            if known.len() >= ROUTE_CACHE_ENTRIES {
                known.clear();
            }
            known.insert(scratch.as_slice().into(), Arc::clone(&route));
            last.set(exchange, routing_key, &route);
        }
        Ok(route)
    }
}

impl Last {
    fn set(&mut self, exchange: &str, routing_key: &str, route: &Arc<Route>) {
        for (kept, name) in [(&mut self.exchange, exchange), (&mut self.routing_key, routing_key)] {
            kept.clear();
            // Room for any name keeps it away from small blocks that other threads write to: beside a reference count that
            // they changed, looking at it took a fifth of scenario A.
            kept.reserve(NAME_LEN_MAX);
            kept.extend_from_slice(name.as_bytes());
        }
        self.route = Some(Arc::clone(route));
    }
}

impl Route {
    /// The route to these queues.
    pub(crate) fn of(targets: Vec<Arc<Queue>>) -> Route {
        let ids =
            |of: fn(&Queue) -> bool| targets.iter().filter(move |q| of(q)).map(|q| q.id).collect();
        let (stored, always_stored) =
            (ids(|q| q.keeps_message(true)), ids(|q| q.keeps_message(false)));
        let is_routed = targets.iter().any(|queue| queue.keeps != Keeps::AsHistory);
        let gated = targets.iter().any(|queue| queue.gate.is_closed());
        let durable = targets.iter().map(|queue| [false, true].map(|p| queue.keeps_message(p)));
        let durable = durable.collect();
        Route { targets, durable, stored, always_stored, is_routed, gated, exchange_gate: None }
    }

    /// Whether the target at a place keeps a message through a restart.
    #[inline]
    pub(crate) fn is_durable(&self, place: usize, persistent: bool) -> bool {
        let [transient_too, persistent_ones] = self.durable.get(place).copied().unwrap_or_default();
        if persistent { persistent_ones } else { transient_too }
    }

    /// The queues for which the store has to write a message.
    #[inline]
    pub(crate) fn stored_in(&self, persistent: bool) -> &Queues {
        if persistent { &self.stored } else { &self.always_stored }
    }
}

impl Topology {
    /// Asks the graph, and adds what the exchanges on the way keep for themselves.
    pub(super) fn route(
        &self,
        exchange: &str,
        keys: &[&str],
        properties: &Properties<'_>,
        walk: &mut Walk,
    ) -> Result<Route, NoExchange> {
        self.graph.route_keys(exchange, keys, &LazyHeaders(properties), walk)?;
        let queues = walk.queues().iter().filter_map(|name| self.queues.get(name));
        let mut targets: Vec<Arc<Queue>> = queues.cloned().collect();
        let remembering = match walk.remembering() {
            [] => &[],
            exchanges if is_for_history(properties) => exchanges,
            _ => &[],
        };
        let keepers = walk.delaying().iter().chain(remembering);
        targets.extend(keepers.filter_map(|exchange| self.keepers.get(exchange)).cloned());
        let mut route = Route::of(targets);
        route.exchange_gate = self.exchange_gates.get(exchange).cloned();
        route.gated |= route.exchange_gate.is_some();
        Ok(route)
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

/// What the headers of a message ask of the broker, found in one walk over them.
#[derive(Debug, Default)]
pub(crate) struct Wishes {
    /// The further routing keys of RabbitMQ's sender-selected distribution: the headers `CC` and `BCC`.
    keys: Vec<String>,
    /// What its stamp says of it.
    pub(crate) flags: u8,
}

impl Wishes {
    /// Reads them; a `CC` or `BCC` that is not an array is refused with 406.
    pub(crate) fn of(properties: &Properties<'_>) -> Result<Wishes, Fault> {
        let mut wishes = Wishes::default();
        if properties.expiration().is_some() {
            wishes.flags |= stamp::EXPIRES;
        }
        let mut numbered = 0;
        for field in properties.header_fields() {
            match field.name {
                b"CC" => wishes.add_keys("CC", &field)?,
                b"BCC" => {
                    wishes.add_keys("BCC", &field)?;
                    wishes.flags |= stamp::BLIND_COPIES;
                }
                X_PUBLISHER_ID | X_SEQUENCE => numbered += 1,
                _ => {}
            }
        }
        if numbered >= 2 {
            wishes.flags |= stamp::NUMBERED;
        }
        Ok(wishes)
    }

    fn add_keys(&mut self, name: &str, field: &Field<'_>) -> Result<(), Fault> {
        match field.view() {
            Value::Array(array) => {
                self.keys.extend(texts(array));
                Ok(())
            }
            _ => {
                let kind = field.decode().map_or("unknown", |value| type_name(&value));
                let text =
                    format!("invalid message: {{unacceptable_type_in_header,\"{name}\",{kind}}}");
                Err(Fault::new(ReplyCode::PreconditionFailed, text))
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

/// The keys in the header `CC` or `BCC` of a message that was published with it.
pub(super) fn copy_keys(properties: &[u8], header: &str) -> Vec<String> {
    let Ok(properties) = Properties::parse(properties) else {
        return Vec::new();
    };
    match properties.header_field(header.as_bytes()).map(|field| field.view()) {
        Some(Value::Array(array)) => texts(array).collect(),
        _ => Vec::new(),
    }
}

fn texts(array: &[u8]) -> impl Iterator<Item = String> {
    values(array).filter_map(|value| match value {
        Value::Text(key) => Some(String::from_utf8_lossy(key).into_owned()),
        _ => None,
    })
}

/// Headers and properties that are looked at when an exchange asks for them.
struct LazyHeaders<'a, 'b>(&'a Properties<'b>);

impl Headers for LazyHeaders<'_, '_> {
    fn table(&self) -> Option<Cow<'_, FieldTable>> {
        self.0.headers().map(Cow::Owned)
    }

    fn correlation_id(&self) -> Option<&[u8]> {
        self.0.correlation_id()
    }

    fn message_id(&self) -> Option<&[u8]> {
        self.0.message_id()
    }

    fn timestamp(&self) -> Option<u64> {
        self.0.timestamp()
    }

    fn delayed(&self) -> bool {
        delay::of_properties(self.0).and_then(delay::delay_ms).is_some()
    }
}
