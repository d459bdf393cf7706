//! Walking the graph for one message: collecting queues, each once, and the exchanges still to
//! visit. The server's publish path calls [`Graph::route`] with a [`Route`] that it keeps and
//! reuses.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::HashSet;
use std::sync::Arc;

use amq_protocol::types::FieldTable;

use crate::exchange::{Rule, VisitedHashes};
use crate::graph::{Graph, Node};
use crate::targets::Targets;
use crate::{Destination, Headers, Name, NoExchange};

/// Where a message goes, and the buffers of the walk that found out. Reuse it: a walk that has had
/// a like one before allocates nothing.
#[derive(Debug, Default)]
pub struct Route {
    queues: Names,
    /// The exchanges reached so far, the visited ones first.
    exchanges: Names,
    /// Whether the rule of the exchange being visited matched anything.
    matched: bool,
    by_headers: bool,
    /// Scratch space of the topic rule.
    pub(crate) visited_hashes: VisitedHashes,
}

impl Route {
    /// An empty route.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Every queue that gets a copy, each once. The order is the same for the same graph and
    /// message, and means nothing.
    #[must_use]
    pub fn queues(&self) -> &[Name] {
        &self.queues.names
    }

    /// Whether the same exchange and routing key lead to the same queues for as long as the graph
    /// is the same. False when a headers exchange took part.
    #[must_use]
    pub fn cacheable(&self) -> bool {
        !self.by_headers
    }

    /// Collects the targets of one match.
    pub(crate) fn add(&mut self, targets: &Targets) {
        match targets {
            Targets::None => {}
            Targets::One(destination, _) => self.add_destination(destination),
            Targets::Many(destinations) if self.queues.names.is_empty() => {
                // A fanout to thousands of queues is usually the only match, and is a set already.
                self.matched = true;
                for destination in destinations.keys() {
                    match destination {
                        Destination::Queue(name) => self.queues.names.push(Arc::clone(name)),
                        Destination::Exchange(name) => self.exchanges.insert(name),
                    }
                }
            }
            Targets::Many(destinations) => {
                for destination in destinations.keys() {
                    self.add_destination(destination);
                }
            }
        }
    }

    fn add_destination(&mut self, destination: &Destination) {
        self.matched = true;
        match destination {
            Destination::Queue(name) => self.queues.insert(name),
            Destination::Exchange(name) => self.exchanges.insert(name),
        }
    }

    fn clear(&mut self) {
        self.queues.clear();
        self.exchanges.clear();
        self.matched = false;
        self.by_headers = false;
    }
}

impl Graph {
    /// Finds every queue that gets a copy of a message published to `exchange` with `routing_key`,
    /// and leaves them in `out`, whose former content is dropped.
    ///
    /// Bindings to exchanges are followed, cycles of them included. An exchange whose own rule
    /// matches nothing passes the message to its alternate exchange, if that exists; a match that
    /// leads to an exchange which matches nothing is a match nevertheless, as in RabbitMQ.
    ///
    /// # Errors
    /// There is no exchange of that name.
    pub fn route(
        &self,
        exchange: &str,
        routing_key: &str,
        headers: &dyn Headers,
        out: &mut Route,
    ) -> Result<(), NoExchange> {
        self.route_keys(exchange, &[routing_key], headers, out)
    }

    /// Like [`Graph::route`] for a message with several routing keys: RabbitMQ adds those in the
    /// headers `CC` and `BCC` to the published one. An alternate exchange is used when none of them
    /// matches.
    ///
    /// # Errors
    /// There is no exchange of that name.
    pub fn route_keys(
        &self,
        exchange: &str,
        routing_keys: &[&str],
        headers: &dyn Headers,
        out: &mut Route,
    ) -> Result<(), NoExchange> {
        out.clear();
        if exchange.is_empty() {
            // The most used exchange of all, and it leads nowhere but to queues.
            self.visit_default(routing_keys, out);
            return Ok(());
        }
        let message = Message { routing_keys, headers, table: OnceCell::new() };
        // The first exchange is not noted as reached, because that would write to its reference
        // count for every message, from every connection. A cycle back to it visits it once more
        // and finds nothing new.
        let first = self.exchanges.get(exchange).ok_or(NoExchange)?;
        self.visit(first, &message, out);
        let mut visited = 0;
        while let Some(name) = out.exchanges.names.get(visited) {
            visited += 1;
            if let Some(node) = self.exchanges.get(&**name) {
                self.visit(node, &message, out);
            }
        }
        Ok(())
    }

    /// The rule of the default exchange: the queues that the routing keys name.
    fn visit_default(&self, routing_keys: &[&str], out: &mut Route) {
        for key in routing_keys {
            if let Some((queue, ())) = self.queues.get_key_value(*key) {
                out.queues.insert(queue);
            }
        }
    }

    fn visit(&self, node: &Node, message: &Message<'_>, out: &mut Route) {
        out.matched = false;
        match &node.rule {
            Rule::Headers(rule) => {
                out.by_headers = true;
                rule.route(message.table(), out);
            }
            Rule::Fanout(rule) => rule.route(out),
            Rule::Default => self.visit_default(message.routing_keys, out),
            Rule::Direct(rule) => message.each_key(|key| rule.route(key, out)),
            Rule::Topic(rule) => message.each_key(|key| rule.route(key, out)),
        }
        if !out.matched
            && let Some(alternate) = node.exchange.alternate()
            && let Some((name, _)) = self.exchanges.get_key_value(&**alternate)
        {
            out.exchanges.insert(name);
        }
    }
}

/// What is known of the message being routed.
struct Message<'a> {
    routing_keys: &'a [&'a str],
    headers: &'a dyn Headers,
    /// The decoded headers, once a headers exchange asked for them.
    table: OnceCell<Option<Cow<'a, FieldTable>>>,
}

impl Message<'_> {
    fn each_key(&self, route: impl FnMut(&str)) {
        self.routing_keys.iter().copied().for_each(route);
    }

    fn table(&self) -> Option<&FieldTable> {
        self.table.get_or_init(|| self.headers.table()).as_deref()
    }
}

/// Names in the order of their discovery, each once. They all come from one graph, which keeps one
/// allocation per name, so the address tells them apart.
#[derive(Debug, Default)]
struct Names {
    names: Vec<Name>,
    /// The addresses of `names`, filled only when there are too many to look through.
    addresses: HashSet<usize>,
}

impl Names {
    /// Up to this many names are compared one by one, which is faster than hashing.
    const SCANNED_MAX: usize = 16;

    fn insert(&mut self, name: &Name) {
        if self.names.len() <= Self::SCANNED_MAX {
            if self.names.iter().any(|known| Arc::ptr_eq(known, name)) {
                return;
            }
        } else {
            if self.addresses.len() != self.names.len() {
                self.addresses.extend(self.names.iter().map(address));
            }
            if !self.addresses.insert(address(name)) {
                return;
            }
        }
        self.names.push(Arc::clone(name));
    }

    fn clear(&mut self) {
        self.names.clear();
        self.addresses.clear();
    }
}

fn address(name: &Name) -> usize {
    Arc::as_ptr(name).addr()
}
