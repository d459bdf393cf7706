//! What an exchange is. `exchange_type.rs` has its types, `options.rs` what its arguments mean, and
//! `rule.rs` how it matches, with a file for each way. `graph.rs` keeps one [`Rule`] per exchange.

mod choices;
mod consistent_hash;
mod direct;
mod exchange_type;
mod fanout;
mod header_conditions;
mod headers;
mod modulus_hash;
mod options;
mod random;
mod rule;
mod topic;

use std::fmt;

use crate::error::{DeclareError, InvalidArgument, Property};
use crate::{Arguments, Name};

pub use exchange_type::{ExchangeType, UnknownExchangeType};
pub use options::Deduplication;

pub(crate) use consistent_hash::ConsistentHashRule;
pub(crate) use direct::DirectRule;
pub(crate) use fanout::FanoutRule;
pub(crate) use headers::HeadersRule;
pub(crate) use modulus_hash::ModulusHashRule;
pub(crate) use random::RandomRule;
pub(crate) use rule::Rule;
pub(crate) use topic::{TopicRule, VisitedHashes};

use options::{Matching, Options};

/// The properties of an exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// Its name; empty for the default exchange.
    pub name: Name,
    /// How it matches.
    pub kind: ExchangeType,
    /// Whether it survives a restart.
    pub durable: bool,
    /// Whether it is deleted when the last binding that it is the source of goes.
    pub auto_delete: bool,
    /// Whether clients may not publish to it. The server enforces that; routing does not look.
    pub internal: bool,
    /// The arguments of its declaration.
    pub arguments: Arguments,
    options: Options,
}

impl Exchange {
    /// An exchange as declared by `exchange.declare`.
    ///
    /// # Errors
    /// An argument that means something to the broker has a type or a value that it cannot have, or
    /// one that the type needs is missing. Arguments that mean nothing are kept, as in RabbitMQ.
    pub fn new(
        name: impl Into<Name>,
        kind: ExchangeType,
        durable: bool,
        auto_delete: bool,
        internal: bool,
        arguments: impl Into<Arguments>,
    ) -> Result<Self, InvalidArgument> {
        let arguments = arguments.into();
        let options = Options::of(kind, &arguments)?;
        let name = name.into();
        Ok(Self { name, kind, durable, auto_delete, internal, arguments, options })
    }

    /// The exchange that gets what matches nothing here, from the argument `alternate-exchange`. It
    /// need not exist.
    #[must_use]
    pub fn alternate(&self) -> Option<&Name> {
        self.options.alternate.as_ref()
    }

    /// Whether messages that ask for a delay wait here before they are matched: the type is
    /// `x-delayed-message`, or the argument `x-delayed-exchange` is true, as LavinMQ has it.
    #[must_use]
    pub fn delays(&self) -> bool {
        self.options.delays
    }

    /// How many messages a recent history exchange keeps for queues that are bound later; `None`
    /// for one that keeps none.
    #[must_use]
    pub fn recent_history_length(&self) -> Option<u64> {
        match self.options.matching {
            Matching::RecentHistory { length } => Some(length),
            _ => None,
        }
    }

    /// How it drops messages that it has seen before, from the argument `x-message-deduplication`
    /// and those beside it; `None` when it drops none.
    #[must_use]
    pub fn deduplication(&self) -> Option<&Deduplication> {
        self.options.deduplication.as_ref()
    }

    /// Checks that declaring `received` may answer with this exchange, comparing what RabbitMQ
    /// compares in RabbitMQ's order.
    pub(crate) fn check_equivalent(&self, received: &Self) -> Result<(), DeclareError> {
        let quoted = |value: &dyn fmt::Display| format!("'{value}'");
        let differ = |property, received: &dyn fmt::Display, current: &dyn fmt::Display| {
            Err(DeclareError { property, received: quoted(received), current: quoted(current) })
        };
        if self.kind != received.kind {
            return differ(Property::Type, &received.kind, &self.kind);
        }
        for (property, received, current) in [
            (Property::Durable, received.durable, self.durable),
            (Property::AutoDelete, received.auto_delete, self.auto_delete),
            (Property::Internal, received.internal, self.internal),
        ] {
            if received != current {
                return differ(property, &received, &current);
            }
        }
        match (received.alternate(), self.alternate()) {
            (received, current) if received == current => Ok(()),
            (Some(received), Some(current)) => {
                differ(Property::AlternateExchange, received, current)
            }
            (received, current) => Err(DeclareError {
                property: Property::AlternateExchange,
                received: argument_text(received),
                current: argument_text(current),
            }),
        }
    }
}

/// How RabbitMQ prints an argument when only one of the two declarations has it.
fn argument_text(value: Option<&Name>) -> String {
    match value {
        None => "none".to_owned(),
        Some(value) => format!("the value '{value}' of type 'longstr'"),
    }
}
