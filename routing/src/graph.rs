//! The exchanges, queues and bindings of one virtual host: declaring, binding, deleting, and what
//! goes with what is deleted. The server's topology code calls it and stores what it reports as
//! removed; `route.rs` reads it.

use std::cmp::Ordering;
use std::sync::Arc;

use imbl::{OrdMap, OrdSet};

use crate::error::{BindError, DeclareError, DeleteError};
use crate::exchange::{Exchange, ExchangeType, Rule};
use crate::{Arguments, Binding, Destination, Name};

/// Names with this prefix belong to the broker.
const SYSTEM_PREFIX: &str = "amq.";

/// The exchanges that every virtual host has (AMQP 0-9-1, 3.1.3, and RabbitMQ's trace exchange):
/// name, type, internal. All are durable.
const PREDECLARED: [(&str, ExchangeType, bool); 7] = [
    ("", ExchangeType::Direct, false),
    ("amq.direct", ExchangeType::Direct, false),
    ("amq.fanout", ExchangeType::Fanout, false),
    ("amq.headers", ExchangeType::Headers, false),
    ("amq.match", ExchangeType::Headers, false),
    ("amq.rabbitmq.trace", ExchangeType::Topic, true),
    ("amq.topic", ExchangeType::Topic, false),
];

/// The topology of a virtual host. A clone is O(1) and independent of the original.
#[derive(Clone, Debug)]
pub struct Graph {
    pub(crate) exchanges: OrdMap<Name, Arc<Node>>,
    /// A set that gives back the name it holds: destinations share that allocation, see `route.rs`. Ordered, since a hash map
    /// of imbl takes three to five times the room, depending on how many there are.
    pub(crate) queues: OrdSet<Name>,
    /// One set for all: a set for each destination, which most often has one binding, would be ten times its size.
    by_destination: OrdSet<ByDestination>,
}

/// A binding in a set that is ordered by destinations.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ByDestination(Arc<Binding>);

impl Ord for ByDestination {
    fn cmp(&self, other: &Self) -> Ordering {
        let Self(binding) = self;
        let Self(other) = other;
        binding.destination.cmp(&other.destination).then_with(|| binding.cmp(other))
    }
}

impl PartialOrd for ByDestination {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// An exchange and the bindings that it is the source of.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) exchange: Exchange,
    /// From a policy; the exchange's own argument wins.
    policy_alternate: Option<Name>,
    pub(crate) rule: Rule,
    bindings: OrdSet<Arc<Binding>>,
}

impl Node {
    /// Where messages go that match nothing here.
    pub(crate) fn alternate(&self) -> Option<&Name> {
        self.exchange.alternate().or(self.policy_alternate.as_ref())
    }
}

/// Whether a declaration made something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Declared {
    /// It did not exist before.
    New,
    /// It existed, with equivalent properties.
    Existing,
}

/// Everything that a deletion took away, so that the store can be told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// The bindings that are gone, each once.
    pub bindings: Vec<Binding>,
    /// The exchanges that are gone: the deleted one first, if one was, then those that were
    /// auto-deleted because their last binding went.
    pub exchanges: Vec<Exchange>,
}

impl Default for Graph {
    fn default() -> Self {
        Self::new()
    }
}

impl Graph {
    /// A virtual host as it is created: the default exchange, `amq.direct`, `amq.fanout`,
    /// `amq.headers`, `amq.match`, `amq.rabbitmq.trace` and `amq.topic`; no queues.
    #[must_use]
    pub fn new() -> Self {
        let mut graph =
            Self { exchanges: OrdMap::new(), queues: OrdSet::new(), by_destination: OrdSet::new() };
        for (name, kind, internal) in PREDECLARED {
            let exchange = Exchange::new(name, kind, true, false, internal, Arguments::default())
                .expect("no arguments, so none is invalid");
            graph.insert_exchange(exchange);
        }
        graph
    }

    /// The exchange of that name.
    #[must_use]
    pub fn exchange(&self, name: &str) -> Option<&Exchange> {
        self.exchanges.get(name).map(|node| &node.exchange)
    }

    /// All exchanges in the order of their names, the predeclared ones included.
    pub fn exchanges(&self) -> impl Iterator<Item = &Exchange> {
        self.exchanges.values().map(|node| &node.exchange)
    }

    /// Whether [`Graph::add_queue`] was called for that name.
    #[must_use]
    pub fn has_queue(&self, name: &str) -> bool {
        self.queues.contains(name)
    }

    /// Adds an exchange, or checks that the existing one is equivalent: same type, flags and
    /// `alternate-exchange`. Other arguments are not compared.
    ///
    /// # Errors
    /// An exchange of that name exists with other properties.
    pub fn declare_exchange(&mut self, exchange: Exchange) -> Result<Declared, DeclareError> {
        match self.exchange(&exchange.name) {
            Some(current) => current.check_equivalent(&exchange).map(|()| Declared::Existing),
            None => {
                self.insert_exchange(exchange);
                Ok(Declared::New)
            }
        }
    }

    /// Gives an exchange the alternate exchange that its policy names, or none. It counts for as
    /// long as the exchange exists, and only if the exchange was declared without one. Does nothing
    /// when there is no exchange of that name.
    pub fn set_policy_alternate(&mut self, exchange: &str, alternate: Option<Name>) {
        // Reapplying policies changes few exchanges, and only those are copied.
        let changed = |node: &Arc<Node>| node.policy_alternate != alternate;
        if self.exchanges.get(exchange).is_some_and(changed)
            && let Some(node) = self.exchanges.get_mut(exchange)
        {
            Arc::make_mut(node).policy_alternate = alternate;
        }
    }

    /// Removes an exchange, the bindings from and to it, and auto-delete exchanges that were bound
    /// to nothing else. Deleting one that does not exist succeeds, as in RabbitMQ.
    ///
    /// # Errors
    /// It is predeclared, or `if_unused` is set and it is the source of a binding.
    pub fn delete_exchange(&mut self, name: &str, if_unused: bool) -> Result<Removed, DeleteError> {
        if name.is_empty() {
            return Err(DeleteError::DefaultExchange);
        }
        if name.starts_with(SYSTEM_PREFIX) {
            return Err(DeleteError::SystemExchange);
        }
        let mut removed = Removed::default();
        let Some(node) = self.exchanges.get(name) else {
            return Ok(removed);
        };
        if if_unused && !node.bindings.is_empty() {
            return Err(DeleteError::InUse);
        }
        let doomed = self.take_exchange(name, &mut removed);
        self.remove_bindings(doomed, &mut removed);
        Ok(removed)
    }

    /// Makes a queue known: it can be bound, and the default exchange routes to it.
    pub fn add_queue(&mut self, name: Name) {
        // The set keeps the name it has: replacing it would leave bindings with another
        // allocation.
        if !self.queues.contains(&name) {
            self.queues.insert(name);
        }
    }

    /// Forgets a queue, with its bindings and the auto-delete exchanges that were bound to nothing
    /// else.
    pub fn remove_queue(&mut self, name: &str) -> Removed {
        let mut removed = Removed::default();
        if let Some(name) = self.queues.remove(name) {
            let doomed = self.bindings_to(&Destination::Queue(name)).cloned().collect();
            self.remove_bindings(doomed, &mut removed);
        }
        removed
    }

    /// Adds a binding; false when it existed already.
    ///
    /// # Errors
    /// The source or the destination does not exist (the source is checked first) or is the default
    /// exchange, or the source's type refuses the arguments.
    pub fn bind(&mut self, binding: Binding) -> Result<bool, BindError> {
        let binding = Arc::new(self.with_own_names(binding)?);
        let missing = || BindError::NoExchange(Arc::clone(&binding.source));
        let node = self.exchanges.get(&*binding.source).ok_or_else(missing)?;
        node.rule.check(&binding)?;
        if node.bindings.contains(&*binding) {
            return Ok(false);
        }
        let node = Arc::make_mut(self.exchanges.get_mut(&*binding.source).ok_or_else(missing)?);
        node.rule.insert(&binding);
        node.bindings.insert(Arc::clone(&binding));
        self.by_destination.insert(ByDestination(binding));
        Ok(true)
    }

    /// Removes a binding, and its source if that is an auto-delete exchange and this was its last
    /// one. Removing one that does not exist succeeds, as in RabbitMQ.
    pub fn unbind(&mut self, binding: &Binding) -> Removed {
        let mut removed = Removed::default();
        let node = self.exchanges.get(&*binding.source);
        if let Some(binding) = node.and_then(|node| node.bindings.get(binding)) {
            let doomed = vec![Arc::clone(binding)];
            self.remove_bindings(doomed, &mut removed);
        }
        removed
    }

    /// All bindings, in order. Those of the default exchange are implicit and not among them.
    pub fn bindings(&self) -> impl Iterator<Item = &Binding> {
        self.exchanges.values().flat_map(|node| &node.bindings).map(|binding| &**binding)
    }

    /// The bindings that the exchange `source` is the source of, in order.
    pub fn bindings_of_source(&self, source: &str) -> impl Iterator<Item = &Binding> {
        let node = self.exchanges.get(source);
        node.into_iter().flat_map(|node| &node.bindings).map(|binding| &**binding)
    }

    /// The bindings that lead to `destination`, in order.
    pub fn bindings_of_destination(
        &self,
        destination: &Destination,
    ) -> impl Iterator<Item = &Binding> + use<'_> {
        self.bindings_to(destination).map(|binding| &**binding)
    }

    fn insert_exchange(&mut self, exchange: Exchange) {
        let name = Arc::clone(&exchange.name);
        let rule = Rule::new(&exchange);
        let node = Node { exchange, policy_alternate: None, rule, bindings: OrdSet::new() };
        self.exchanges.insert(name, Arc::new(node));
    }

    /// The same binding with the graph's own allocations of the names, and the proof that both ends
    /// exist.
    fn with_own_names(&self, binding: Binding) -> Result<Binding, BindError> {
        let source = self.own_exchange_name(&binding.source)?;
        let destination = match &binding.destination {
            Destination::Exchange(name) => Destination::Exchange(self.own_exchange_name(name)?),
            Destination::Queue(name) => match self.queues.get(name) {
                Some(name) => Destination::Queue(Arc::clone(name)),
                None => return Err(BindError::NoQueue(Arc::clone(name))),
            },
        };
        Ok(Binding { source, destination, ..binding })
    }

    fn own_exchange_name(&self, name: &Name) -> Result<Name, BindError> {
        match self.exchanges.get_key_value(name) {
            Some((name, _)) if name.is_empty() => Err(BindError::DefaultExchange),
            Some((name, _)) => Ok(Arc::clone(name)),
            None => Err(BindError::NoExchange(Arc::clone(name))),
        }
    }

    fn bindings_to(
        &self,
        destination: &Destination,
    ) -> impl Iterator<Item = &Arc<Binding>> + use<'_> {
        // No binding comes before it.
        let first = Arc::new(Binding {
            source: "".into(),
            destination: destination.clone(),
            routing_key: "".into(),
            arguments: Arguments::default(),
        });
        let from = self.by_destination.range(ByDestination(first)..);
        let destination = destination.clone();
        from.map(|ByDestination(binding)| binding)
            .take_while(move |binding| binding.destination == destination)
    }

    /// Removes `doomed`, each exchange that is auto-deleted for want of bindings, and so on until
    /// nothing more follows. A binding can be doomed twice; the second time does nothing.
    fn remove_bindings(&mut self, mut doomed: Vec<Arc<Binding>>, removed: &mut Removed) {
        while let Some(binding) = doomed.pop() {
            let Some(node) = self.exchanges.get_mut(&*binding.source) else {
                continue;
            };
            let node = Arc::make_mut(node);
            if node.bindings.remove(&*binding).is_none() {
                continue;
            }
            node.rule.remove(&binding);
            let unused = node.exchange.auto_delete && node.bindings.is_empty();
            self.forget_destination(&binding);
            if unused {
                doomed.append(&mut self.take_exchange(&binding.source, removed));
            }
            removed.bindings.push(Arc::unwrap_or_clone(binding));
        }
    }

    /// Removes an exchange with the bindings that it is the source of; returns those that lead to
    /// it, which are still there.
    fn take_exchange(&mut self, name: &str, removed: &mut Removed) -> Vec<Arc<Binding>> {
        let Some(node) = self.exchanges.remove(name) else {
            return Vec::new();
        };
        for binding in &node.bindings {
            self.forget_destination(binding);
            removed.bindings.push((**binding).clone());
        }
        let to = Destination::Exchange(Arc::clone(&node.exchange.name));
        let doomed = self.bindings_to(&to).cloned().collect();
        removed.exchanges.push(node.exchange.clone());
        doomed
    }

    fn forget_destination(&mut self, binding: &Binding) {
        self.by_destination.remove(&ByDestination(Arc::new(binding.clone())));
    }
}
