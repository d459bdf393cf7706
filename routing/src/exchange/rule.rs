//! The matching rule of an exchange: what its type does, and what it knows of the bindings.
//! `graph.rs` keeps one per exchange and tells it about every binding; `route.rs` asks it for
//! targets.

use super::{
    ConsistentHashRule, DirectRule, Exchange, FanoutRule, HeadersRule, Matching, ModulusHashRule,
    RandomRule, TopicRule,
};
use crate::{BindError, Binding};

/// One variant for each way of matching; the file of that name has it.
#[derive(Clone, Debug)]
pub(crate) enum Rule {
    /// The nameless exchange: every queue by its name, with no binding to keep.
    Default,
    Direct(DirectRule),
    Fanout(FanoutRule),
    Topic(TopicRule),
    Headers(HeadersRule),
    ConsistentHash(ConsistentHashRule),
    ModulusHash(ModulusHashRule),
    Random(RandomRule),
    LocalRandom(RandomRule),
    RecentHistory(FanoutRule),
}

impl Rule {
    /// The rule of a new exchange.
    pub(crate) fn new(exchange: &Exchange) -> Self {
        if exchange.name.is_empty() {
            return Self::Default;
        }
        match &exchange.options.matching {
            Matching::Direct => Self::Direct(DirectRule::default()),
            Matching::Fanout => Self::Fanout(FanoutRule::default()),
            Matching::Topic => Self::Topic(TopicRule::default()),
            Matching::Headers => Self::Headers(HeadersRule::default()),
            Matching::ConsistentHash(on) => Self::ConsistentHash(ConsistentHashRule::new(on)),
            Matching::ModulusHash => Self::ModulusHash(ModulusHashRule::default()),
            Matching::Random => Self::Random(RandomRule::default()),
            Matching::LocalRandom => Self::LocalRandom(RandomRule::default()),
            Matching::RecentHistory { .. } => Self::RecentHistory(FanoutRule::default()),
        }
    }

    /// Whether `binding` makes sense for this rule; asked before it is kept anywhere.
    pub(crate) fn check(&self, binding: &Binding) -> Result<(), BindError> {
        match self {
            Self::Default => Err(BindError::DefaultExchange),
            Self::Headers(_) => HeadersRule::check(binding),
            Self::ConsistentHash(_) => ConsistentHashRule::check(binding),
            Self::LocalRandom(_) => RandomRule::check_local(binding),
            Self::Direct(_)
            | Self::Fanout(_)
            | Self::Topic(_)
            | Self::ModulusHash(_)
            | Self::Random(_)
            | Self::RecentHistory(_) => Ok(()),
        }
    }

    /// Takes a new binding that [`Rule::check`] approved.
    pub(crate) fn insert(&mut self, binding: &Binding) {
        match self {
            Self::Default => {}
            Self::Direct(rule) => rule.insert(binding),
            Self::Fanout(rule) | Self::RecentHistory(rule) => rule.insert(binding),
            Self::Topic(rule) => rule.insert(binding),
            Self::Headers(rule) => rule.insert(binding),
            Self::ConsistentHash(rule) => rule.insert(binding),
            Self::ModulusHash(rule) => rule.insert(binding),
            Self::Random(rule) | Self::LocalRandom(rule) => rule.insert(binding),
        }
    }

    /// Forgets a binding that was inserted.
    pub(crate) fn remove(&mut self, binding: &Binding) {
        match self {
            Self::Default => {}
            Self::Direct(rule) => rule.remove(binding),
            Self::Fanout(rule) | Self::RecentHistory(rule) => rule.remove(binding),
            Self::Topic(rule) => rule.remove(binding),
            Self::Headers(rule) => rule.remove(binding),
            Self::ConsistentHash(rule) => rule.remove(binding),
            Self::ModulusHash(rule) => rule.remove(binding),
            Self::Random(rule) | Self::LocalRandom(rule) => rule.remove(binding),
        }
    }
}
