//! What a message's headers say about its deaths: `x-death`, `x-first-death-*` and `x-last-death-*`,
//! as RabbitMQ 4 writes them. Called when a queue dead-letters a message, by routing to keep it from
//! going in circles, and by whoever shows people where a message has been.
//!
//! A client may write the same headers into what it publishes. They are not counted, and the first
//! real death replaces them; so the caller says whether the headers of a message are the broker's
//! own (`trusted`).

use super::field_table::{self, Field};
use super::field_value::{Value, values};
use super::field_writer::FieldWriter;
use super::properties::Properties;
use super::rewrite::{with_own_headers, without_expiration};

/// Bytes of routing keys that one death remembers; the keys after them are left out. The routing key
/// itself comes first and always fits.
pub const DEATH_ROUTING_KEYS_BYTES_MAX: usize = 4 * 1024;

/// Bytes of `x-death` that a message carries; the oldest deaths beyond them are forgotten. The
/// headers of a message must fit into one frame, and the publisher's are in it too.
pub const DEATHS_BYTES_MAX: usize = 64 * 1024;

/// What a text in an array takes besides its own bytes: type and length. A key may be empty.
const TEXT_OVERHEAD_BYTES: usize = 5;

const X_DEATH: &str = "x-death";

/// Why a queue gave up a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// A consumer rejected it without requeue.
    Rejected,
    /// Its time to live was over.
    Expired,
    /// The queue was longer than allowed.
    MaxLen,
    /// It was returned more often than allowed.
    DeliveryLimit,
}

impl Reason {
    const ALL: [Self; 4] = [Self::Rejected, Self::Expired, Self::MaxLen, Self::DeliveryLimit];

    /// The reason as the headers have it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::MaxLen => "maxlen",
            Self::DeliveryLimit => "delivery_limit",
        }
    }

    fn from_text(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text)
    }
}

/// One death, as the queue knows it.
#[derive(Debug, Clone)]
pub struct Death<'a> {
    /// The queue that gives the message up.
    pub queue: &'a str,
    /// Why it does.
    pub reason: Reason,
    /// The exchange through which the message came to the queue.
    pub exchange: &'a str,
    /// The routing key of the message, then those of its `CC` header. Those of `BCC` are nobody's
    /// business.
    pub routing_keys: Vec<String>,
    /// When, in seconds since 1970.
    pub time_secs: u64,
}

/// All deaths of a message in one queue for one reason: one table of `x-death`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeathRecord {
    /// The queue.
    pub queue: String,
    /// The reason.
    pub reason: Reason,
    /// How often. The other fields tell of the first time.
    pub count: u64,
    /// The exchange the message had come through.
    pub exchange: String,
    /// The routing key, then the keys of `CC`.
    pub routing_keys: Vec<String>,
    /// Seconds since 1970.
    pub time_secs: u64,
    /// The expiration that the message had, in milliseconds as text.
    pub original_expiration: Option<String>,
}

/// The deaths in these properties, the most recent first; none unless the headers are the broker's
/// own.
#[must_use]
pub fn deaths(raw: &[u8], trusted: bool) -> Vec<DeathRecord> {
    let Ok(properties) = Properties::parse(raw) else {
        return Vec::new();
    };
    let x_death = properties.header_field(X_DEATH.as_bytes());
    match x_death.map(|field| field.view()) {
        Some(Value::Array(array)) if trusted => {
            values(array).filter_map(DeathRecord::read).collect()
        }
        _ => Vec::new(),
    }
}

/// Whether a message with these deaths (most recent first, the present one included) must not go
/// into `target_queue`: it has died there before, and since then nobody has rejected it, so it would
/// go round for ever. A client's reject breaks the circle, as in RabbitMQ.
#[must_use]
pub fn is_cycle(deaths: &[DeathRecord], target_queue: &str) -> bool {
    let Some(last_there) = deaths.iter().position(|death| death.queue == target_queue) else {
        return false;
    };
    deaths.iter().take(last_there + 1).all(|death| death.reason != Reason::Rejected)
}

/// The properties of a message that dies, as it is published to the dead-letter exchange: with this
/// death in its headers, without an expiration and without `BCC`. A `CC` stays to be seen, as from
/// RabbitMQ, also where a dead-letter routing key takes the place of its keys.
///
/// `trusted` says that the headers about deaths in `raw` are the broker's own. Headers come out
/// sorted by name, as from RabbitMQ.
#[must_use]
pub fn with_death(raw: &[u8], trusted: bool, death: &Death<'_>) -> Vec<u8> {
    let mut records = deaths(raw, trusted);
    let is_first = records.is_empty();
    record(&mut records, death, original_expiration(raw));

    let mut own = FieldWriter::default();
    write_deaths(&mut own, &records);
    if is_first {
        own.text("x-first-death-exchange", death.exchange);
        own.text("x-first-death-queue", death.queue);
        own.text("x-first-death-reason", death.reason.as_str());
    }
    own.text("x-last-death-exchange", death.exchange);
    own.text("x-last-death-queue", death.queue);
    own.text("x-last-death-reason", death.reason.as_str());

    with_own_headers(&without_expiration(raw), &own, &["BCC"])
}

/// Counts `death` among `records` and moves its record to the front.
fn record(records: &mut Vec<DeathRecord>, death: &Death<'_>, expiration: Option<String>) {
    let same = |known: &DeathRecord| known.queue == death.queue && known.reason == death.reason;
    let known = records.iter().position(same).map(|index| records.remove(index));
    let record = match known {
        Some(known) => DeathRecord { count: known.count.saturating_add(1), ..known },
        None => DeathRecord {
            queue: death.queue.to_owned(),
            reason: death.reason,
            count: 1,
            exchange: death.exchange.to_owned(),
            routing_keys: bounded(&death.routing_keys),
            time_secs: death.time_secs,
            original_expiration: expiration,
        },
    };
    records.insert(0, record);
}

fn bounded(routing_keys: &[String]) -> Vec<String> {
    let mut bytes_left = DEATH_ROUTING_KEYS_BYTES_MAX;
    let fits = |key: &&String| {
        bytes_left.checked_sub(TEXT_OVERHEAD_BYTES + key.len()).is_some_and(|left| {
            bytes_left = left;
            true
        })
    };
    routing_keys.iter().take_while(fits).cloned().collect()
}

/// RabbitMQ has read the expiration as a number by now, and writes the number.
fn original_expiration(raw: &[u8]) -> Option<String> {
    let expiration = Properties::parse(raw).ok()?.expiration()?;
    Some(expiration.parse::<u64>().map_or_else(|_| expiration.to_owned(), |ms| ms.to_string()))
}

/// Writes `x-death` with as many records as its size allows.
fn write_deaths(own: &mut FieldWriter, records: &[DeathRecord]) {
    let mut bytes = 0;
    let tables: Vec<_> = records
        .iter()
        .map(DeathRecord::write)
        .take_while(|table| {
            bytes += table.as_bytes().len();
            bytes <= DEATHS_BYTES_MAX
        })
        .collect();
    own.tables(X_DEATH, &tables);
}

impl DeathRecord {
    /// In the order of RabbitMQ, which is the order in which people see it.
    fn write(&self) -> FieldWriter {
        let mut table = FieldWriter::default();
        if let Some(expiration) = &self.original_expiration {
            table.text("original-expiration", expiration);
        }
        table.long("count", self.count.try_into().unwrap_or(i64::MAX));
        table.text("reason", self.reason.as_str());
        table.text("queue", &self.queue);
        table.timestamp("time", self.time_secs);
        table.text("exchange", &self.exchange);
        table.texts("routing-keys", self.routing_keys.iter().map(String::as_str));
        table
    }

    /// `None` for what [`write`](Self::write) has not written.
    fn read(table: Value<'_>) -> Option<Self> {
        let Value::Table(fields) = table else {
            return None;
        };
        let value = |name| field_table::fields(fields).find(|f| is(f, name)).map(|f| f.view());
        let text = |name| value(name)?.text().map(str::to_owned);
        let Value::Timestamp(time_secs) = value("time")? else {
            return None;
        };
        let Value::Array(routing_keys) = value("routing-keys")? else {
            return None;
        };
        Some(Self {
            queue: text("queue")?,
            reason: Reason::from_text(value("reason")?.text()?)?,
            count: value("count")?.unsigned()?,
            exchange: text("exchange")?,
            routing_keys: values(routing_keys)
                .filter_map(|key| key.text().map(str::to_owned))
                .collect(),
            time_secs,
            original_expiration: text("original-expiration"),
        })
    }
}

fn is(field: &Field<'_>, name: &str) -> bool {
    field.name == name.as_bytes()
}
