//! Properties read in place, and rewritten with every other byte kept.

use super::arbitrary::{damage, properties, short_string, table};
use super::field_table::nested;
use crate::protocol::properties::Properties;
use crate::protocol::rewrite::{with_headers, with_reply_to, without_expiration, without_header};
use amq_protocol::frame::WriteContext;
use amq_protocol::protocol::BasicProperties;
use amq_protocol::protocol::basic::{gen_properties, parse_properties};
use amq_protocol::types::{AMQPValue, FieldTable, ShortString};
use proptest::collection::vec;
use proptest::prelude::*;

fn raw(properties: &BasicProperties) -> Vec<u8> {
    gen_properties(properties)(WriteContext::from(Vec::new())).unwrap().write
}

fn their(raw: &[u8]) -> Option<BasicProperties> {
    match parse_properties(raw) {
        Ok(([], properties)) => Some(properties),
        _ => None,
    }
}

fn text(value: &Option<ShortString>) -> Option<&str> {
    value.as_ref().map(ShortString::as_str)
}

#[test]
fn malformed_properties_are_refused_for_what_is_wrong_with_them() {
    let deep = nested(40, b'F');
    let deep_len = u32::try_from(deep.len()).unwrap().to_be_bytes();
    let too_deep = [&[0x20, 0], deep_len.as_slice(), &deep].concat();
    let malformed = "SYNTAX_ERROR - malformed content properties";
    let table: [(&[u8], &str); 11] = [
        (&[], malformed),
        (&[0], malformed),
        (&[0x10, 0], malformed),
        (&[0x10, 0, 2, 9], malformed),
        (&[0, 1, 0, 0], malformed),
        (&[0, 2], malformed),
        (&[0x80, 0, 5, b'a'], malformed),
        (&[0, 0x40, 0, 0, 0, 0], malformed),
        (&[0x01, 0, 1, 0xFF], "FRAME_ERROR - Malformed UTF-8 in shortstr"),
        (
            &[0x20, 0, 0, 0, 0, 3, 1, b'k', b'z'],
            "SYNTAX_ERROR - field table has a value of unknown type 122",
        ),
        (&too_deep, "SYNTAX_ERROR - field table is nested more than 32 levels deep"),
    ];
    for (raw, text) in table {
        assert_eq!(Properties::parse(raw).unwrap_err().reply_text().as_str(), text, "{raw:?}");
    }
}

#[test]
fn a_binary_correlation_id_is_accepted_as_in_rabbitmq() {
    let raw = [0x04, 0, 2, 0xFF, 0xFE];
    let properties = Properties::parse(&raw).unwrap();
    assert_eq!(properties.correlation_id(), Some(&[0xFF, 0xFE][..]));
    assert_eq!(properties.decode(), None);
}

#[test]
fn only_delivery_mode_2_is_persistent() {
    for (raw, persistent) in [(&[0x10, 0, 2][..], true), (&[0x10, 0, 1], false), (&[0, 0], false)] {
        assert_eq!(Properties::parse(raw).unwrap().is_persistent(), persistent);
    }
}

#[test]
fn of_two_headers_with_one_name_the_first_is_read_and_both_are_removed() {
    let raw = [0x20, 0, 0, 0, 0, 8, 1, b'k', b't', 1, 1, b'k', b't', 0];
    let properties = Properties::parse(&raw).unwrap();
    assert_eq!(properties.header("k"), Some(AMQPValue::Boolean(true)));
    assert_eq!(without_header(&raw, "k"), [0x20, 0, 0, 0, 0, 0]);
}

proptest! {
    #[test]
    fn every_property_is_read_as_amq_protocol_does(properties in properties()) {
        let raw = raw(&properties);
        let view = Properties::parse(&raw).unwrap();
        prop_assert_eq!(view.raw(), raw.as_slice());
        prop_assert_eq!(view.delivery_mode(), *properties.delivery_mode());
        prop_assert_eq!(view.priority(), *properties.priority());
        prop_assert_eq!(view.expiration(), text(properties.expiration()));
        prop_assert_eq!(view.reply_to(), text(properties.reply_to()));
        prop_assert_eq!(view.user_id(), text(properties.user_id()));
        let bytes = |value| text(value).map(str::as_bytes);
        prop_assert_eq!(view.message_id(), bytes(properties.message_id()));
        prop_assert_eq!(view.correlation_id(), bytes(properties.correlation_id()));
        prop_assert_eq!(view.timestamp(), *properties.timestamp());
        prop_assert_eq!(&view.headers(), properties.headers());
        prop_assert_eq!(view.headers_raw().is_some(), properties.headers().is_some());
        for (name, value) in properties.headers().iter().flatten() {
            prop_assert_eq!(view.header(name.as_str()), Some(value.clone()));
        }
        prop_assert_eq!(view.decode(), Some(properties));
    }

    #[test]
    fn damaged_properties_that_amq_protocol_accepts_are_accepted(
        properties in properties(),
        damage in damage(),
    ) {
        let mut raw = raw(&properties);
        damage.apply(&mut raw);
        let Ok(view) = Properties::parse(&raw) else {
            // amq_protocol does not look at the two flags that no property has.
            let unused_flags = raw.get(1).is_some_and(|low| low & 0b11 != 0);
            prop_assert!(their(&raw).is_none() || unused_flags);
            return Ok(());
        };
        // The other way round, only a text that nobody compares may be what amq_protocol minds.
        if let Some(theirs) = their(&raw) {
            prop_assert_eq!(view.priority(), *theirs.priority());
            prop_assert_eq!(view.expiration(), text(theirs.expiration()));
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(raw in vec(any::<u8>(), 0..60)) {
        if let Ok(view) = Properties::parse(&raw) {
            let _read = (view.headers(), view.header("CC"), view.decode(), view.user_id());
        }
        let _rewritten = (without_header(&raw, "BCC"), with_reply_to(&raw, "q"));
        let _rewritten = (without_expiration(&raw), with_headers(&raw, &FieldTable::default()));
    }

    #[test]
    fn a_header_is_removed_and_all_else_stays(
        properties in properties(),
        headers in table(),
        present in any::<bool>(),
    ) {
        let mut without = FieldTable::default();
        for (name, value) in headers.inner() {
            if name.as_str() != "BCC" {
                without.insert(name.clone(), value.clone());
            }
        }
        let mut with = without.clone();
        if present {
            with.insert("BCC".into(), AMQPValue::LongString("secret".into()));
        }
        let before = raw(&properties.clone().with_headers(with));
        prop_assert_eq!(without_header(&before, "BCC"), raw(&properties.with_headers(without)));
    }

    #[test]
    fn without_headers_there_is_none_to_remove(properties in properties()) {
        let bytes = raw(&properties);
        if properties.headers().is_none() {
            prop_assert_eq!(without_header(&bytes, "BCC"), bytes);
        }
    }

    #[test]
    fn a_property_is_set_or_replaced_and_all_else_stays(
        properties in properties(),
        reply_to in short_string(),
        headers in table(),
    ) {
        let bytes = raw(&properties);
        prop_assert_eq!(
            with_reply_to(&bytes, reply_to.as_str()),
            raw(&properties.clone().with_reply_to(reply_to))
        );
        prop_assert_eq!(with_headers(&bytes, &headers), raw(&properties.with_headers(headers)));
    }

    #[test]
    fn the_expiration_is_removed_and_all_else_stays(
        properties in properties(),
        expiration in short_string(),
    ) {
        let before = raw(&properties.clone().with_expiration(expiration));
        let after = without_expiration(&before);
        let view = Properties::parse(&after).unwrap();
        prop_assert_eq!(view.expiration(), None);
        if properties.expiration().is_none() {
            prop_assert_eq!(after, raw(&properties));
        }
    }
}
