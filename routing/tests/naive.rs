//! Routing written as the rules are stated, with no regard for speed: every binding is tried for
//! every message. The property tests take it for the truth.

use std::collections::BTreeSet;

use amq_protocol::types::{AMQPValue, FieldTable};
use leveret_routing::{Arguments, Binding, Destination, Exchange, ExchangeType};

use crate::naive_hash;
use crate::support::Content;

/// Exchanges, queues and bindings as flat lists.
#[derive(Clone, Debug, Default)]
pub(crate) struct Naive {
    pub(crate) exchanges: Vec<Exchange>,
    pub(crate) queues: Vec<String>,
    pub(crate) bindings: Vec<Binding>,
}

/// What becomes of a message.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct NaiveRoute {
    pub(crate) queues: BTreeSet<String>,
    pub(crate) delaying: BTreeSet<String>,
    pub(crate) remembering: BTreeSet<String>,
}

impl Naive {
    /// The queues that get the message, the exchanges where it waits and those that remember it.
    pub(crate) fn route(&self, exchange: &str, keys: &[&str], content: &Content) -> NaiveRoute {
        let (mut route, mut reached) = (NaiveRoute::default(), vec![exchange.to_owned()]);
        let mut visited = 0;
        while let Some(name) = reached.get(visited).cloned() {
            visited += 1;
            let Some(exchange) = self.exchanges.iter().find(|exchange| *exchange.name == *name)
            else {
                continue;
            };
            if name.is_empty() {
                let named = self.queues.iter().filter(|queue| keys.contains(&queue.as_str()));
                route.queues.extend(named.cloned());
                continue;
            }
            if content.delayed && exchange.kind == ExchangeType::DelayedMessage {
                route.delaying.insert(name);
                continue;
            }
            let kind = matching_type(exchange);
            if kind == ExchangeType::RecentHistory {
                route.remembering.insert(name.clone());
            }
            let bindings =
                self.bindings.iter().filter(|binding| *binding.source == *name).collect();
            let matched = destinations(kind, &exchange.arguments, bindings, keys, content);
            for destination in &matched {
                match destination {
                    Destination::Queue(name) => {
                        route.queues.insert(name.to_string());
                    }
                    Destination::Exchange(name) => reached.push(name.to_string()),
                }
            }
            if matched.is_empty() {
                reached.extend(exchange.alternate().map(|name| name.to_string()));
            }
            let mut seen = Vec::new();
            reached.retain(|name| {
                !seen.contains(name) && {
                    seen.push(name.clone());
                    true
                }
            });
        }
        route
    }

    /// Drops the bindings that `gone` picks, then the auto-delete exchanges that lost their last
    /// one.
    pub(crate) fn remove_bindings(&mut self, gone: impl Fn(&Binding) -> bool) {
        let (removed, kept) = self.bindings.drain(..).partition::<Vec<_>, _>(|b| gone(b));
        self.bindings = kept;
        for binding in removed {
            let unused = !self.bindings.iter().any(|other| other.source == binding.source);
            let source = self.exchanges.iter().find(|exchange| exchange.name == binding.source);
            if unused && source.is_some_and(|exchange| exchange.auto_delete) {
                self.remove_exchange(&binding.source);
            }
        }
    }

    pub(crate) fn remove_exchange(&mut self, name: &str) {
        self.exchanges.retain(|exchange| *exchange.name != *name);
        let here = Destination::Exchange(name.into());
        self.remove_bindings(|binding| *binding.source == *name || binding.destination == here);
    }

    pub(crate) fn remove_queue(&mut self, name: &str) {
        self.queues.retain(|queue| queue != name);
        let here = Destination::Queue(name.into());
        self.remove_bindings(|binding| binding.destination == here);
    }
}

/// The type whose rule counts: the one that a delayed exchange names.
fn matching_type(exchange: &Exchange) -> ExchangeType {
    match exchange.arguments.get("x-delayed-type") {
        Some(AMQPValue::LongString(name)) if exchange.kind == ExchangeType::DelayedMessage => {
            str::from_utf8(name.as_bytes()).unwrap().parse().unwrap()
        }
        _ => exchange.kind,
    }
}

fn destinations(
    kind: ExchangeType,
    arguments: &Arguments,
    bindings: Vec<&Binding>,
    keys: &[&str],
    content: &Content,
) -> Vec<Destination> {
    match kind {
        ExchangeType::ConsistentHash => {
            naive_hash::consistent(arguments, &bindings, keys, content).into_iter().collect()
        }
        ExchangeType::ModulusHash => naive_hash::modulus(&bindings, keys).into_iter().collect(),
        ExchangeType::Random | ExchangeType::LocalRandom => {
            panic!("what chance chooses is nothing to compare with")
        }
        kind => bindings
            .into_iter()
            .filter(|binding| keys.iter().any(|key| matches(kind, binding, key, &content.headers)))
            .map(|binding| binding.destination.clone())
            .collect(),
    }
}

fn matches(kind: ExchangeType, binding: &Binding, key: &str, headers: &FieldTable) -> bool {
    match kind {
        ExchangeType::Direct => *binding.routing_key == *key,
        ExchangeType::Topic => topic_matches(&binding.routing_key, key),
        ExchangeType::Headers => headers_match(&binding.arguments, headers),
        _ => true,
    }
}

pub(crate) fn topic_matches(pattern: &str, key: &str) -> bool {
    fn words(key: &str) -> Vec<&str> {
        if key.is_empty() { Vec::new() } else { key.split('.').collect() }
    }
    fn words_match(pattern: &[&str], key: &[&str]) -> bool {
        match (pattern, key) {
            ([], key) => key.is_empty(),
            (["#", rest @ ..], key) => {
                words_match(rest, key) || (!key.is_empty() && words_match(pattern, &key[1..]))
            }
            ([_, ..], []) => false,
            ([word, rest @ ..], [first, others @ ..]) => {
                (*word == "*" || word == first) && words_match(rest, others)
            }
        }
    }
    words_match(&words(pattern), &words(key))
}

pub(crate) fn headers_match(arguments: &Arguments, headers: &FieldTable) -> bool {
    let x_match = match arguments.get("x-match") {
        Some(AMQPValue::LongString(value)) => {
            String::from_utf8_lossy(value.as_bytes()).into_owned()
        }
        _ => "all".to_owned(),
    };
    let mut holds = arguments
        .into_iter()
        .filter(|(name, _)| name.as_str() != "x-match")
        .filter(|(name, _)| x_match.ends_with("-with-x") || !name.as_str().starts_with("x-"))
        .map(|(name, expected)| match headers.inner().get(name.as_str()) {
            None => false,
            Some(_) if *expected == AMQPValue::Void => true,
            Some(actual) => same_value(actual, expected),
        });
    if x_match.starts_with("any") { holds.any(|holds| holds) } else { holds.all(|holds| holds) }
}

/// Equality without the type tag, for the types that the generators produce.
fn same_value(a: &AMQPValue, b: &AMQPValue) -> bool {
    fn integer(value: &AMQPValue) -> Option<i128> {
        match value {
            AMQPValue::ShortShortUInt(value) => Some((*value).into()),
            AMQPValue::LongInt(value) => Some((*value).into()),
            AMQPValue::LongLongInt(value) => Some((*value).into()),
            AMQPValue::Timestamp(value) => Some((*value).into()),
            _ => None,
        }
    }
    match (integer(a), integer(b)) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}
