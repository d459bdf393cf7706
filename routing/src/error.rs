//! Why a change of topology, or a publish, was refused. One type per operation, one variant per
//! cause; the server maps each to a reply code. The texts are what RabbitMQ says after the code's
//! name, without the `in vhost '...'` that a graph cannot know.

use crate::Name;

/// A publish, or a query, named an exchange that does not exist: 404.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no such exchange")]
pub struct NoExchange;

/// A property of an exchange that has to be equal when it is declared again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Property {
    /// The exchange type.
    Type,
    /// Whether it survives a restart.
    Durable,
    /// Whether it goes with its last binding.
    AutoDelete,
    /// Whether clients may not publish to it.
    Internal,
    /// The argument `alternate-exchange`, the only one that RabbitMQ compares.
    AlternateExchange,
}

impl Property {
    /// The name in RabbitMQ's reply text.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Type => "type",
            Self::Durable => "durable",
            Self::AutoDelete => "auto_delete",
            Self::Internal => "internal",
            Self::AlternateExchange => "alternate-exchange",
        }
    }
}

/// An exchange of this name exists and was declared differently: 406.
///
/// The reply text is `inequivalent arg '<property>' for exchange '<name>' in vhost '<vhost>':
/// received <received> but current is <current>`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("inequivalent arg '{}': received {received} but current is {current}", property.as_str())]
pub struct DeclareError {
    /// The first property that differs, in RabbitMQ's order of comparison.
    pub property: Property,
    /// What the declaration said, with RabbitMQ's quotes: `'true'`, `none`, `the value 'x' of type
    /// 'longstr'`.
    pub received: String,
    /// What the existing exchange has, likewise.
    pub current: String,
}

/// An argument of a new exchange is not what it has to be: 406.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidArgument {
    /// It has a type that it cannot have. The reply text goes on with `in exchange '<name>' in
    /// vhost '<vhost>'`.
    #[error("invalid type '{type_name}' for arg '{argument}'")]
    Type {
        /// The argument's name.
        argument: &'static str,
        /// RabbitMQ's name of the type it had.
        type_name: &'static str,
    },
    /// It is not an integer above zero. Holds its name.
    #[error("Invalid argument, '{0}' must be an integer greater than 0")]
    NotPositive(&'static str),
    /// A delayed exchange names no type to match as, or its own.
    #[error("Invalid argument, 'x-delayed-type' must be an existing exchange type")]
    DelayedType,
    /// A delayed exchange names a type that does not exist. Holds the name.
    #[error("unknown exchange type '{0}'")]
    UnknownDelayedType(String),
    /// A consistent hash exchange is to hash two things.
    #[error("hash-header and hash-property are mutually exclusive")]
    HashOnTwo,
    /// A consistent hash exchange is to hash a property that it cannot hash. Holds its name.
    #[error("Unsupported property: {0}")]
    HashProperty(String),
    /// The length of a recent history is not an integer above zero. Holds the value, printed.
    #[error("Invalid argument {0}, 'x-recent-history-length' must be a positive integer")]
    RecentHistoryLength(String),
}

/// An exchange was not deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeleteError {
    /// `if-unused` was set and the exchange is the source of a binding: 406.
    #[error("in use")]
    InUse,
    /// The default exchange cannot be deleted: 403.
    #[error("operation not permitted on the default exchange")]
    DefaultExchange,
    /// Nor can one whose name starts with `amq.`: 403.
    #[error("deletion of system exchange not allowed")]
    SystemExchange,
}

/// A binding was not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BindError {
    /// The default exchange has one binding per queue and no others: 403.
    #[error("operation not permitted on the default exchange")]
    DefaultExchange,
    /// The source, or the destination, is an exchange that does not exist: 404.
    #[error("no exchange '{0}'")]
    NoExchange(Name),
    /// The destination is a queue that does not exist: 404.
    #[error("no queue '{0}'")]
    NoQueue(Name),
    /// A headers exchange was given an unknown `x-match`: 406. Holds the value.
    #[error(
        "Invalid x-match field value <<\"{0}\">>; expected all, any, all-with-x, or any-with-x"
    )]
    XMatchValue(String),
    /// A headers exchange was given an `x-match` that is not a string: 406.
    #[error("Invalid x-match field type {type_name} (value {value}); expected longstr")]
    XMatchType {
        /// RabbitMQ's name of the type.
        type_name: &'static str,
        /// The value, printed.
        value: String,
    },
    /// A consistent hash exchange was given a binding key that is no integer: 406. Holds the key,
    /// printed.
    #[error("The binding key must be an integer: {0}")]
    WeightNotANumber(String),
    /// A consistent hash exchange was given a weight below 1: 406.
    #[error("The binding key must be greater than 0")]
    WeightTooLow,
    /// A consistent hash exchange was given a weight above 10,000: 406.
    #[error("The binding key must not exceed 10000")]
    WeightTooHigh,
    /// A local random exchange was given a binding key: 406. Holds the key.
    #[error("Non empty binding '{0}' key not permitted")]
    KeyNotEmpty(String),
    /// A local random exchange was to be bound to an exchange: 406.
    #[error("Destination not found")]
    NotAQueue,
}
