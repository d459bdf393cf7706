//! Walking the graph for one message: collecting queues, each once, and the exchanges still to
//! visit. The server's publish path calls [`Graph::route`] with a [`Route`] that it keeps and
//! reuses.

use std::sync::Arc;

use crate::exchange::{Rule, VisitedHashes};
use crate::graph::{Graph, Node};
use crate::message::Message;
use crate::names::Names;
use crate::random::Random;
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
    delaying: Names,
    remembering: Names,
    /// Whether something other than exchange and routing key decided.
    by_other: bool,
    random: Random,
    /// Scratch space of the topic rule.
    pub(crate) visited_hashes: VisitedHashes,
}

impl Route {
    /// An empty route whose random choices are those of the seed 0.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty route. The seed decides what the random exchanges choose in all its walks, one
    /// after the other: who wants them to be random draws it at random, once.
    #[must_use]
    pub fn with_seed(seed: u64) -> Self {
        Self { random: Random::with_seed(seed), ..Self::default() }
    }

    /// Every queue that gets a copy, each once. The order is the same for the same graph and
    /// message, and means nothing.
    #[must_use]
    pub fn queues(&self) -> &[Name] {
        self.queues.as_slice()
    }

    /// The delayed exchanges at which the message has to wait, each once. It reached them, but its
    /// [`Headers::delayed`] is true, so they were not asked where it goes on to: that is another
    /// route, from each of them, when its time has come and `delayed` is false. A message that
    /// waits has matched: no alternate exchange takes it.
    #[must_use]
    pub fn delaying(&self) -> &[Name] {
        self.delaying.as_slice()
    }

    /// The recent history exchanges that the message has passed, each once: they keep it for the
    /// queues that are bound to them later.
    #[must_use]
    pub fn remembering(&self) -> &[Name] {
        self.remembering.as_slice()
    }

    /// Whether the same exchange and routing key lead to the same queues, and are remembered by the
    /// same exchanges, for as long as the graph is the same. False when something else decided: the
    /// message's headers or properties, chance, or whether it has to wait.
    #[must_use]
    pub fn cacheable(&self) -> bool {
        !self.by_other
    }

    /// Notes that the message's headers or properties decided.
    pub(crate) fn decided_by_content(&mut self) {
        self.by_other = true;
    }

    /// A random number below `end`; `None` when there is none.
    pub(crate) fn random_below(&mut self, end: usize) -> Option<usize> {
        self.by_other = true;
        self.random.below(end)
    }

    /// Collects the targets of one match.
    pub(crate) fn add(&mut self, targets: &Targets) {
        match targets {
            Targets::None => {}
            Targets::One(destination, _) => self.add_destination(destination),
            Targets::Many(destinations) if self.queues.as_slice().is_empty() => {
                // A fanout to thousands of queues is usually the only match, and is a set already.
                self.matched = true;
                for destination in destinations.keys() {
                    match destination {
                        Destination::Queue(name) => self.queues.push(name),
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

    pub(crate) fn add_destination(&mut self, destination: &Destination) {
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
        self.delaying.clear();
        self.remembering.clear();
        self.by_other = false;
    }
}

impl Graph {
    /// Finds every queue that gets a copy of a message published to `exchange` with `routing_key`,
    /// and leaves them in `out`, whose former content is dropped.
    ///
    /// Bindings to exchanges are followed, each exchange once. An exchange whose own rule matches
    /// nothing passes the message to its alternate exchange, if that exists; a match that leads to
    /// an exchange which matches nothing is a match nevertheless, as in RabbitMQ.
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
        let message = Message::new(routing_keys, headers);
        // The first exchange is not noted as reached, because that would write to its reference
        // count for every message, from every connection.
        let first = self.exchanges.get(exchange).ok_or(NoExchange)?;
        self.visit(first, &message, out);
        let mut visited = 0;
        while let Some(name) = out.exchanges.as_slice().get(visited) {
            visited += 1;
            let is_first = Arc::ptr_eq(name, &first.exchange.name);
            if !is_first && let Some(node) = self.exchanges.get(&**name) {
                self.visit(node, &message, out);
            }
        }
        Ok(())
    }

    /// The rule of the default exchange: the queues that the routing keys name.
    fn visit_default(&self, routing_keys: &[&str], out: &mut Route) {
        for key in routing_keys {
            if let Some(queue) = self.queues.get(*key) {
                out.queues.insert(queue);
            }
        }
    }

    fn visit(&self, node: &Node, message: &Message<'_>, out: &mut Route) {
        if node.exchange.delays() {
            out.decided_by_content();
            if message.properties().delayed() {
                out.delaying.insert(&node.exchange.name);
                return;
            }
        }
        out.matched = false;
        match &node.rule {
            Rule::Default => self.visit_default(message.routing_keys(), out),
            Rule::Direct(rule) => message.each_key(|key| rule.route(key, out)),
            Rule::Topic(rule) => message.each_key(|key| rule.route(key, out)),
            Rule::Fanout(rule) => rule.route(out),
            Rule::RecentHistory(rule) => {
                out.remembering.insert(&node.exchange.name);
                rule.route(out);
            }
            Rule::Headers(rule) => {
                out.decided_by_content();
                rule.route(message.table(), out);
            }
            Rule::ConsistentHash(rule) => rule.route(message, out),
            Rule::ModulusHash(rule) => rule.route(message, out),
            Rule::Random(rule) | Rule::LocalRandom(rule) => rule.route(out),
        }
        if !out.matched
            && let Some(alternate) = node.alternate()
            && let Some((name, _)) = self.exchanges.get_key_value(&**alternate)
        {
            out.exchanges.insert(name);
        }
    }
}
