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

/// An argument of a new exchange has a type that it cannot have: 406.
///
/// The reply text is `invalid type '<type_name>' for arg '<argument>' in exchange '<name>' in vhost
/// '<vhost>'`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid type '{type_name}' for arg '{argument}'")]
pub struct InvalidArgument {
    /// The argument's name.
    pub argument: &'static str,
    /// RabbitMQ's name of the type it had.
    pub type_name: &'static str,
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
}
