//! What the arguments of an exchange's declaration mean: read and checked once, when `mod.rs` makes
//! the exchange, so that the walk does not look them up for each message.

use std::sync::Arc;

use amq_protocol::types::AMQPValue;

use super::ExchangeType;
use crate::{Arguments, InvalidArgument, Name, term, type_name};

const ALTERNATE_EXCHANGE: &str = "alternate-exchange";
const DELAYED_TYPE: &str = "x-delayed-type";
const DELAYED_EXCHANGE: &str = "x-delayed-exchange";
const HASH_HEADER: &str = "hash-header";
const HASH_PROPERTY: &str = "hash-property";
const RECENT_HISTORY_LENGTH: &str = "x-recent-history-length";
const MESSAGE_DEDUPLICATION: &str = "x-message-deduplication";
const DEDUPLICATION_HEADER: &str = "x-deduplication-header";
const CACHE_SIZE: &str = "x-cache-size";
const CACHE_TTL: &str = "x-cache-ttl";

/// How many messages a recent history exchange keeps when its arguments do not say.
const RECENT_HISTORY_LENGTH_DEFAULT: u64 = 20;

/// The arguments that mean something to the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) alternate: Option<Name>,
    pub(super) matching: Matching,
    pub(super) delays: bool,
    pub(super) deduplication: Option<Deduplication>,
}

/// How an exchange matches: its type, or the one that a delayed exchange names, with the arguments
/// of that type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Matching {
    Direct,
    Fanout,
    Topic,
    Headers,
    ConsistentHash(HashOn),
    ModulusHash,
    Random,
    LocalRandom,
    RecentHistory { length: u64 },
}

/// What a consistent hash exchange hashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HashOn {
    RoutingKey,
    Header(Arc<str>),
    Property(HashProperty),
}

/// A property that can be hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HashProperty {
    CorrelationId,
    MessageId,
    Timestamp,
}

/// How an exchange tells that it has seen a message before. The server keeps what it has seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deduplication {
    /// The header whose value tells: `x-deduplication-header` unless the argument of that name
    /// names another.
    pub header: Arc<str>,
    /// How many values are remembered (`x-cache-size`), when the arguments say.
    pub size: Option<u64>,
    /// For how many milliseconds each is remembered (`x-cache-ttl`); `None` is no limit.
    pub ttl_ms: Option<u64>,
}

impl Options {
    pub(super) fn of(kind: ExchangeType, arguments: &Arguments) -> Result<Self, InvalidArgument> {
        Ok(Self {
            alternate: string(arguments, ALTERNATE_EXCHANGE)?.map(Name::from),
            matching: Matching::of(kind, arguments)?,
            delays: kind == ExchangeType::DelayedMessage || boolean(arguments, DELAYED_EXCHANGE)?,
            deduplication: deduplication(arguments)?,
        })
    }
}

impl Matching {
    fn of(kind: ExchangeType, arguments: &Arguments) -> Result<Self, InvalidArgument> {
        match kind {
            ExchangeType::Direct => Ok(Self::Direct),
            ExchangeType::Fanout => Ok(Self::Fanout),
            ExchangeType::Topic => Ok(Self::Topic),
            ExchangeType::Headers => Ok(Self::Headers),
            ExchangeType::ConsistentHash => hash_on(arguments).map(Self::ConsistentHash),
            ExchangeType::ModulusHash => Ok(Self::ModulusHash),
            ExchangeType::Random => Ok(Self::Random),
            ExchangeType::LocalRandom => Ok(Self::LocalRandom),
            ExchangeType::DelayedMessage => Self::of_delayed(arguments),
            ExchangeType::RecentHistory => {
                recent_history_length(arguments).map(|length| Self::RecentHistory { length })
            }
        }
    }

    fn of_delayed(arguments: &Arguments) -> Result<Self, InvalidArgument> {
        let Ok(Some(name)) = string(arguments, DELAYED_TYPE) else {
            return Err(InvalidArgument::DelayedType);
        };
        match name.parse() {
            Ok(ExchangeType::DelayedMessage) => Err(InvalidArgument::DelayedType),
            Ok(kind) => Self::of(kind, arguments),
            Err(_) => Err(InvalidArgument::UnknownDelayedType(name)),
        }
    }
}

fn hash_on(arguments: &Arguments) -> Result<HashOn, InvalidArgument> {
    match (string(arguments, HASH_HEADER)?, string(arguments, HASH_PROPERTY)?) {
        (None, None) => Ok(HashOn::RoutingKey),
        (Some(header), None) => Ok(HashOn::Header(header.into())),
        (Some(_), Some(_)) => Err(InvalidArgument::HashOnTwo),
        (None, Some(property)) => Ok(HashOn::Property(match property.as_str() {
            "correlation_id" => HashProperty::CorrelationId,
            "message_id" => HashProperty::MessageId,
            "timestamp" => HashProperty::Timestamp,
            _ => return Err(InvalidArgument::HashProperty(property)),
        })),
    }
}

fn recent_history_length(arguments: &Arguments) -> Result<u64, InvalidArgument> {
    match arguments.get(RECENT_HISTORY_LENGTH) {
        None => Ok(RECENT_HISTORY_LENGTH_DEFAULT),
        Some(value) => {
            positive(value).ok_or_else(|| InvalidArgument::RecentHistoryLength(term::of(value)))
        }
    }
}

/// The arguments of the community plugin for RabbitMQ, and of LavinMQ.
fn deduplication(arguments: &Arguments) -> Result<Option<Deduplication>, InvalidArgument> {
    if !boolean(arguments, MESSAGE_DEDUPLICATION)? {
        return Ok(None);
    }
    let number = |name| match arguments.get(name) {
        None => Ok(None),
        Some(value) => positive(value).map(Some).ok_or(InvalidArgument::NotPositive(name)),
    };
    let header = string(arguments, DEDUPLICATION_HEADER)?;
    Ok(Some(Deduplication {
        header: header.map_or_else(|| DEDUPLICATION_HEADER.into(), Arc::from),
        size: number(CACHE_SIZE)?,
        ttl_ms: number(CACHE_TTL)?,
    }))
}

/// A string argument. Names are UTF-8, so one that is not can only be the name of nothing.
fn string(arguments: &Arguments, name: &'static str) -> Result<Option<String>, InvalidArgument> {
    match arguments.get(name) {
        None => Ok(None),
        Some(AMQPValue::ShortString(text)) => Ok(Some(text.as_str().to_owned())),
        Some(AMQPValue::LongString(text)) => {
            Ok(Some(String::from_utf8_lossy(text.as_bytes()).into_owned()))
        }
        Some(other) => Err(invalid_type(name, other)),
    }
}

/// A boolean argument; false when it is absent.
fn boolean(arguments: &Arguments, name: &'static str) -> Result<bool, InvalidArgument> {
    match arguments.get(name) {
        None => Ok(false),
        Some(AMQPValue::Boolean(value)) => Ok(*value),
        Some(other) => Err(invalid_type(name, other)),
    }
}

fn invalid_type(argument: &'static str, value: &AMQPValue) -> InvalidArgument {
    InvalidArgument::Type { argument, type_name: type_name(value) }
}

/// An integer above zero, of whatever width.
fn positive(value: &AMQPValue) -> Option<u64> {
    let number = match value {
        AMQPValue::ShortShortInt(number) => (*number).try_into().ok(),
        AMQPValue::ShortShortUInt(number) => Some((*number).into()),
        AMQPValue::ShortInt(number) => (*number).try_into().ok(),
        AMQPValue::ShortUInt(number) => Some((*number).into()),
        AMQPValue::LongInt(number) => (*number).try_into().ok(),
        AMQPValue::LongUInt(number) => Some((*number).into()),
        AMQPValue::LongLongInt(number) => (*number).try_into().ok(),
        _ => None,
    };
    number.filter(|number| *number > 0)
}
