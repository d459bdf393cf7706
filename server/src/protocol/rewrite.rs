//! Raw properties with one property changed and every other byte kept as the publisher sent it.
//! Called by the channel (BCC, direct reply-to), by dead-lettering (`x-death`, expiration) and by
//! deliveries (`x-delivery-count`).
//!
//! All of it takes properties that [`Properties::parse`](super::properties::Properties::parse) has
//! accepted. What comes back for others is of no use, but nothing panics.

use super::field_table;
use super::field_writer::FieldWriter;
use super::properties::{Property, locate};
use super::wire::{Reader, put_short_string};
use amq_protocol::frame::WriteContext;
use amq_protocol::types::{FieldTable, generation::gen_field_table};
use bytes::BytesMut;

/// The properties without the header `name`. A header table that becomes empty stays, as in
/// RabbitMQ.
#[must_use]
pub fn without_header(raw: &[u8], name: &str) -> Vec<u8> {
    let Some(headers) = headers(raw) else {
        return raw.to_vec();
    };
    let mut kept = Vec::with_capacity(headers.len());
    for field in field_table::fields(headers) {
        if field.name != name.as_bytes() {
            kept.extend_from_slice(field.whole);
        }
    }
    if kept.len() == headers.len() {
        return raw.to_vec();
    }
    replace(raw, Property::Headers, Some(&with_length(&kept)))
}

/// The properties with `headers` for a header table, whether there was one or not.
#[must_use]
pub fn with_headers(raw: &[u8], headers: &FieldTable) -> Vec<u8> {
    let value = gen_field_table(headers)(WriteContext::from(Vec::new()))
        .expect("writing to a vector does not fail")
        .write;
    replace(raw, Property::Headers, Some(&value))
}

/// The properties with the header `name`, a number of the broker such as `x-delivery-count`, instead
/// of what the publisher may have sent under that name. RabbitMQ writes all of its numbers as a
/// long (`l`), and sorts the headers by name when it adds one.
#[must_use]
pub fn with_header_number(raw: &[u8], name: &str, number: i64) -> Vec<u8> {
    let mut own = FieldWriter::default();
    own.long(name, number);
    with_own_headers(raw, &own, &[])
}

/// The properties with the broker's `own` headers, without those in `dropped`, and sorted by name.
/// Of several headers with one name the broker's stays, otherwise the first.
pub(super) fn with_own_headers(raw: &[u8], own: &FieldWriter, dropped: &[&str]) -> Vec<u8> {
    let theirs = headers(raw).unwrap_or_default();
    let kept = field_table::fields(theirs)
        .filter(|field| !dropped.iter().any(|name| name.as_bytes() == field.name));
    let mut fields: Vec<_> = field_table::fields(own.as_bytes()).chain(kept).collect();
    fields.sort_by_key(|field| field.name);
    fields.dedup_by_key(|field| field.name);
    let sorted: Vec<_> = fields.iter().map(|field| field.whole).collect();
    replace(raw, Property::Headers, Some(&with_length(&sorted.concat())))
}

/// The properties with `reply_to`, a text of at most 255 bytes, whether there was one or not.
#[must_use]
pub fn with_reply_to(raw: &[u8], reply_to: &str) -> Vec<u8> {
    let mut value = BytesMut::with_capacity(1 + reply_to.len());
    put_short_string(&mut value, reply_to.as_bytes());
    replace(raw, Property::ReplyTo, Some(&value))
}

/// The properties without an expiration: a dead-lettered message does not expire again.
#[must_use]
pub fn without_expiration(raw: &[u8]) -> Vec<u8> {
    replace(raw, Property::Expiration, None)
}

/// The properties with `property` set to `value`, as it is encoded, or with none.
fn replace(raw: &[u8], property: Property, value: Option<&[u8]>) -> Vec<u8> {
    let changed = || {
        let (flags, place) = locate(raw, property)?;
        let flags = match value {
            Some(_) => flags | property.flag(),
            None => flags & !property.flag(),
        };
        let value = value.unwrap_or_default();
        let mut changed = Vec::with_capacity(raw.len() - place.len() + value.len());
        changed.extend_from_slice(&flags.to_be_bytes());
        changed.extend_from_slice(raw.get(2..place.start)?);
        changed.extend_from_slice(value);
        changed.extend_from_slice(raw.get(place.end..)?);
        Some(changed)
    };
    changed().unwrap_or_else(|| raw.to_vec())
}

/// The fields of the header table, without its length.
fn headers(raw: &[u8]) -> Option<&[u8]> {
    let (_, place) = locate(raw, Property::Headers)?;
    Reader::new(raw.get(place)?).long_string()
}

fn with_length(fields: &[u8]) -> Vec<u8> {
    let len = u32::try_from(fields.len()).expect("a part of a frame has less than four gigabytes");
    let mut value = len.to_be_bytes().to_vec();
    value.extend_from_slice(fields);
    value
}
