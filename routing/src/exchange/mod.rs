//! What an exchange is, and which matching rule its type has. `graph.rs` keeps one [`Rule`] per
//! exchange and tells it about every binding; `route.rs` asks it for targets. A new exchange type
//! is a file in this folder and a variant here: the compiler lists the rest.

mod direct;
mod fanout;
mod header_conditions;
mod headers;
mod topic;

use std::fmt;
use std::str::FromStr;

use amq_protocol::types::AMQPValue;

use crate::error::{DeclareError, InvalidArgument, Property};
use crate::{Arguments, BindError, Binding, Name, type_name};

pub(crate) use direct::DirectRule;
pub(crate) use fanout::FanoutRule;
pub(crate) use headers::HeadersRule;
pub(crate) use topic::{TopicRule, VisitedHashes};

/// The argument that names the exchange for messages which match nothing.
const ALTERNATE_EXCHANGE: &str = "alternate-exchange";

/// How an exchange matches messages to bindings. The default exchange has the type direct, as in
/// RabbitMQ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExchangeType {
    /// The routing key equals the binding key.
    Direct,
    /// Every binding matches.
    Fanout,
    /// The binding key is a pattern of words.
    Topic,
    /// The message's headers fulfil the binding's arguments.
    Headers,
}

impl ExchangeType {
    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Fanout => "fanout",
            Self::Topic => "topic",
            Self::Headers => "headers",
        }
    }
}

impl fmt::Display for ExchangeType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The name is not that of an exchange type: 406 `unknown exchange type '...'`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown exchange type")]
pub struct UnknownExchangeType;

impl FromStr for ExchangeType {
    type Err = UnknownExchangeType;

    fn from_str(name: &str) -> Result<Self, UnknownExchangeType> {
        match name {
            "direct" => Ok(Self::Direct),
            "fanout" => Ok(Self::Fanout),
            "topic" => Ok(Self::Topic),
            "headers" => Ok(Self::Headers),
            _ => Err(UnknownExchangeType),
        }
    }
}

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
    /// From the arguments, so that the walk does not have to look it up for each message.
    alternate: Option<Name>,
}

impl Exchange {
    /// An exchange as declared by `exchange.declare`.
    ///
    /// # Errors
    /// The argument `alternate-exchange` is not a string.
    pub fn new(
        name: impl Into<Name>,
        kind: ExchangeType,
        durable: bool,
        auto_delete: bool,
        internal: bool,
        arguments: impl Into<Arguments>,
    ) -> Result<Self, InvalidArgument> {
        let arguments = arguments.into();
        let alternate = match arguments.get(ALTERNATE_EXCHANGE) {
            None => None,
            Some(AMQPValue::ShortString(name)) => Some(Name::from(name.as_str())),
            // Names are UTF-8, so one that is not can only be the name of nothing.
            Some(AMQPValue::LongString(name)) => {
                Some(String::from_utf8_lossy(name.as_bytes()).into())
            }
            Some(other) => {
                return Err(InvalidArgument {
                    argument: ALTERNATE_EXCHANGE,
                    type_name: type_name(other),
                });
            }
        };
        let name = name.into();
        Ok(Self { name, kind, durable, auto_delete, internal, arguments, alternate })
    }

    /// The exchange that gets what matches nothing here, from the argument `alternate-exchange`. It
    /// need not exist.
    #[must_use]
    pub fn alternate(&self) -> Option<&Name> {
        self.alternate.as_ref()
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

/// The matching rule of an exchange together with what it knows of the bindings.
#[derive(Clone, Debug)]
pub(crate) enum Rule {
    /// The nameless exchange: every queue by its name, with no binding to keep.
    Default,
    Direct(DirectRule),
    Fanout(FanoutRule),
    Topic(TopicRule),
    Headers(HeadersRule),
}

impl Rule {
    /// The rule of a new exchange.
    pub(crate) fn new(exchange: &Exchange) -> Self {
        if exchange.name.is_empty() {
            return Self::Default;
        }
        match exchange.kind {
            ExchangeType::Direct => Self::Direct(DirectRule::default()),
            ExchangeType::Fanout => Self::Fanout(FanoutRule::default()),
            ExchangeType::Topic => Self::Topic(TopicRule::default()),
            ExchangeType::Headers => Self::Headers(HeadersRule::default()),
        }
    }

    /// Whether `binding` makes sense for this rule; asked before it is kept anywhere.
    pub(crate) fn check(&self, binding: &Binding) -> Result<(), BindError> {
        match self {
            Self::Default => Err(BindError::DefaultExchange),
            Self::Headers(_) => HeadersRule::check(binding),
            Self::Direct(_) | Self::Fanout(_) | Self::Topic(_) => Ok(()),
        }
    }

    /// Takes a new binding that [`Rule::check`] approved.
    pub(crate) fn insert(&mut self, binding: &Binding) {
        match self {
            Self::Default => {}
            Self::Direct(rule) => rule.insert(binding),
            Self::Fanout(rule) => rule.insert(binding),
            Self::Topic(rule) => rule.insert(binding),
            Self::Headers(rule) => rule.insert(binding),
        }
    }

    /// Forgets a binding that was inserted.
    pub(crate) fn remove(&mut self, binding: &Binding) {
        match self {
            Self::Default => {}
            Self::Direct(rule) => rule.remove(binding),
            Self::Fanout(rule) => rule.remove(binding),
            Self::Topic(rule) => rule.remove(binding),
            Self::Headers(rule) => rule.remove(binding),
        }
    }
}
