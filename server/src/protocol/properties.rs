//! The content properties (specification section 1.8.1) as they came: checked once, then read in
//! place. Called by the channel for each publish, and by whoever acts on a property later: queue,
//! consistent-hash routing, dead-lettering.

use super::fault::Fault;
use super::field_table::{self, Field};
use super::reply_code::ReplyCode;
use super::wire::Reader;
use amq_protocol::protocol::{BasicProperties, basic::parse_properties};
use amq_protocol::types::{AMQPValue, FieldTable, parsing::parse_field_table};
use std::ops::Range;

/// The properties, in the order of their flags and of their values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Property {
    ContentType,
    ContentEncoding,
    Headers,
    DeliveryMode,
    Priority,
    CorrelationId,
    ReplyTo,
    Expiration,
    MessageId,
    Timestamp,
    Type,
    UserId,
    AppId,
    ClusterId,
}

impl Property {
    pub(super) const ALL: [Self; 14] = [
        Self::ContentType,
        Self::ContentEncoding,
        Self::Headers,
        Self::DeliveryMode,
        Self::Priority,
        Self::CorrelationId,
        Self::ReplyTo,
        Self::Expiration,
        Self::MessageId,
        Self::Timestamp,
        Self::Type,
        Self::UserId,
        Self::AppId,
        Self::ClusterId,
    ];

    /// Its bit in the flags: the first property has the highest.
    pub(super) const fn flag(self) -> u16 {
        0x8000 >> self as u16
    }
}

/// The two lowest flags: no property has them, and the last would announce more flags, which no
/// property needs.
const FLAGS_UNUSED: u16 = 0b11;

/// A view of raw properties that have been checked.
///
/// Nothing is kept but the flags: most properties are absent from most messages, which a flag
/// tells, and the few that are read are a handful of lengths away. That is cheaper than to note for
/// each message where everything is.
#[derive(Debug, Clone, Copy)]
pub struct Properties<'a> {
    raw: &'a [u8],
    flags: u16,
}

impl<'a> Properties<'a> {
    /// Checks `raw`, the properties of a content header from their flags on. Does not allocate.
    ///
    /// The encoding of texts is not checked, and RabbitMQ does not either: a correlation id is
    /// often a binary UUID. Those the broker compares with text (reply-to, expiration, user id)
    /// must be UTF-8.
    ///
    /// # Errors
    /// 502 SYNTAX_ERROR for unknown flags, bytes missing or left over and a malformed header table;
    /// 501 FRAME_ERROR for a text that is not UTF-8 and must be.
    pub fn parse(raw: &'a [u8]) -> Result<Self, Fault> {
        let mut reader = Reader::new(raw);
        let flags = reader.u16().ok_or_else(malformed)?;
        if flags & FLAGS_UNUSED != 0 {
            return Err(malformed());
        }
        for property in present(flags) {
            check_value(&mut reader, property)?;
        }
        if !reader.is_empty() {
            return Err(malformed());
        }
        Ok(Self { raw, flags })
    }

    /// Whether there is nothing in them that says what the broker is to do with the message, but for its delivery mode and
    /// priority: no headers, reply-to, expiration or user id.
    #[inline]
    #[must_use]
    pub fn are_plain(&self) -> bool {
        const ASKING: u16 = Property::Headers.flag()
            | Property::ReplyTo.flag()
            | Property::Expiration.flag()
            | Property::UserId.flag();
        self.flags & ASKING == 0
    }

    /// The bytes this is a view of.
    #[must_use]
    pub fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// 2 for a persistent message; anything else is transient.
    #[must_use]
    pub fn delivery_mode(&self) -> Option<u8> {
        self.value(Property::DeliveryMode)?.u8()
    }

    /// Whether the message is to survive a restart: delivery mode 2.
    #[must_use]
    pub fn is_persistent(&self) -> bool {
        self.delivery_mode() == Some(2)
    }

    /// The priority, 0 to 255.
    #[must_use]
    pub fn priority(&self) -> Option<u8> {
        self.value(Property::Priority)?.u8()
    }

    /// The time to live as text, meant to be decimal milliseconds.
    #[must_use]
    pub fn expiration(&self) -> Option<&'a str> {
        self.text(Property::Expiration)
    }

    /// Where replies go: the name of a queue.
    #[must_use]
    pub fn reply_to(&self) -> Option<&'a str> {
        self.text(Property::ReplyTo)
    }

    /// The user the publisher claims to be.
    #[must_use]
    pub fn user_id(&self) -> Option<&'a str> {
        self.text(Property::UserId)
    }

    /// The application's message id; any bytes.
    #[must_use]
    pub fn message_id(&self) -> Option<&'a [u8]> {
        self.value(Property::MessageId)?.short_string()
    }

    /// The application's correlation id; any bytes.
    #[must_use]
    pub fn correlation_id(&self) -> Option<&'a [u8]> {
        self.value(Property::CorrelationId)?.short_string()
    }

    /// The application's timestamp, in seconds since 1970.
    #[must_use]
    pub fn timestamp(&self) -> Option<u64> {
        self.value(Property::Timestamp)?.u64()
    }

    /// The fields of the header table, without the four octets of its length.
    #[must_use]
    pub fn headers_raw(&self) -> Option<&'a [u8]> {
        self.value(Property::Headers)?.long_string()
    }

    /// The header table, decoded. Allocates; for one header see [`header`](Self::header).
    #[must_use]
    pub fn headers(&self) -> Option<FieldTable> {
        let (_, place) = locate(self.raw, Property::Headers)?;
        let (_, table) = parse_field_table(self.raw.get(place)?).ok()?;
        Some(table)
    }

    /// The headers in their order, undecoded: whoever wants several of them finds them in one walk,
    /// and reads them with [`Field::view`]. Does not allocate.
    pub fn header_fields(&self) -> impl Iterator<Item = Field<'a>> + use<'a> {
        field_table::fields(self.headers_raw().unwrap_or_default())
    }

    /// One header, undecoded. Of two with one name the first counts, as in RabbitMQ.
    #[must_use]
    pub fn header_field(&self, name: &[u8]) -> Option<Field<'a>> {
        self.header_fields().find(|field| field.name == name)
    }

    /// One header, decoded, without decoding the others.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<AMQPValue> {
        self.header_field(name.as_bytes()).and_then(|field| field.decode())
    }

    /// All properties, decoded; for showing a message to people. `None` when a text in them is not
    /// UTF-8.
    #[must_use]
    pub fn decode(&self) -> Option<BasicProperties> {
        let (_, properties) = parse_properties(self.raw).ok()?;
        Some(properties)
    }

    /// A reader that stands at the value of `property`; `None` when there is no such property.
    fn value(&self, property: Property) -> Option<Reader<'a>> {
        if self.flags & property.flag() == 0 {
            return None;
        }
        let (_, place) = locate(self.raw, property)?;
        self.raw.get(place.start..).map(Reader::new)
    }

    fn text(&self, property: Property) -> Option<&'a str> {
        std::str::from_utf8(self.value(property)?.short_string()?).ok()
    }
}

/// The properties whose flags are set, in the order of their values.
fn present(flags: u16) -> impl Iterator<Item = Property> {
    let mut flags_left = flags;
    std::iter::from_fn(move || {
        let property = *Property::ALL.get(flags_left.leading_zeros() as usize)?;
        flags_left &= !property.flag();
        Some(property)
    })
}

/// The flags, and where the value of `property` is or, when there is none, would be. `None` for
/// malformed properties.
pub(super) fn locate(raw: &[u8], property: Property) -> Option<(u16, Range<usize>)> {
    let mut reader = Reader::new(raw);
    let flags = reader.u16()?;
    // The flags above that of `property`.
    let earlier = flags & !(property.flag() | (property.flag() - 1));
    for earlier in present(earlier) {
        skip_value(&mut reader, earlier)?;
    }
    let start = reader.position();
    if flags & property.flag() != 0 {
        skip_value(&mut reader, property)?;
    }
    Some((flags, start..reader.position()))
}

/// Reads past the value of `property` and checks what is in it.
fn check_value(reader: &mut Reader<'_>, property: Property) -> Result<(), Fault> {
    let missing = match property {
        Property::Headers => {
            field_table::check(reader.long_string().ok_or_else(malformed)?)?;
            return Ok(());
        }
        Property::ReplyTo | Property::Expiration | Property::UserId => {
            let text = reader.short_string().ok_or_else(malformed)?;
            return match std::str::from_utf8(text) {
                Ok(_) => Ok(()),
                Err(_) => Err(Fault::malformed_utf8()),
            };
        }
        _ => skip_value(reader, property).is_none(),
    };
    if missing { Err(malformed()) } else { Ok(()) }
}

/// Reads past the value of `property`; `None` when it is cut off.
fn skip_value(reader: &mut Reader<'_>, property: Property) -> Option<()> {
    match property {
        Property::DeliveryMode | Property::Priority => reader.u8().map(drop),
        Property::Timestamp => reader.u64().map(drop),
        Property::Headers => reader.long_string().map(drop),
        Property::ContentType
        | Property::ContentEncoding
        | Property::CorrelationId
        | Property::ReplyTo
        | Property::Expiration
        | Property::MessageId
        | Property::Type
        | Property::UserId
        | Property::AppId
        | Property::ClusterId => reader.short_string().map(drop),
    }
}

fn malformed() -> Fault {
    Fault::new(ReplyCode::SyntaxError, "malformed content properties")
}
