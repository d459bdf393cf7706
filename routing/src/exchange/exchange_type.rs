//! The exchange types and their names on the wire. A new one is a variant here: the compiler lists
//! what else there is to do.

use std::fmt;
use std::str::FromStr;

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
    /// One destination, chosen by a hash of the message; the binding key is its weight.
    ConsistentHash,
    /// One binding, chosen by a hash of the routing key.
    ModulusHash,
    /// One binding, chosen at random.
    Random,
    /// One queue of this node, chosen at random.
    LocalRandom,
    /// Matches as the type in its argument `x-delayed-type`, after the delay that the message asks
    /// for.
    DelayedMessage,
    /// Matches as fanout, and keeps the last messages for queues that are bound later.
    RecentHistory,
}

impl ExchangeType {
    /// Every type.
    pub const ALL: [Self; 10] = [
        Self::Direct,
        Self::Fanout,
        Self::Topic,
        Self::Headers,
        Self::ConsistentHash,
        Self::ModulusHash,
        Self::Random,
        Self::LocalRandom,
        Self::DelayedMessage,
        Self::RecentHistory,
    ];

    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Fanout => "fanout",
            Self::Topic => "topic",
            Self::Headers => "headers",
            Self::ConsistentHash => "x-consistent-hash",
            Self::ModulusHash => "x-modulus-hash",
            Self::Random => "x-random",
            Self::LocalRandom => "x-local-random",
            Self::DelayedMessage => "x-delayed-message",
            Self::RecentHistory => "x-recent-history",
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
        Self::ALL.into_iter().find(|kind| kind.as_str() == name).ok_or(UnknownExchangeType)
    }
}
