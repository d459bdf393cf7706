//! Methods off the hot path: the bytes of `amq_protocol`, and its judgement except where it is told
//! apart or guarded.

use super::arbitrary::{damage, method};
use super::field_table::nested;
use super::{encoded, payload};
use crate::protocol::fault::Reach;
use crate::protocol::method::{decode_method, encode_method, method_id, method_name};
use amq_protocol::frame::AMQPFrame;
use amq_protocol::protocol::parse_class;
use bytes::BytesMut;
use proptest::collection::vec;
use proptest::prelude::*;

const ALL_IDS: std::ops::Range<u16> = 0..256;

fn ids() -> impl Iterator<Item = (u16, u16)> {
    ALL_IDS.flat_map(|class| ALL_IDS.map(move |method| (class, method)))
}

fn payload_of((class, method): (u16, u16), arguments: &[u8]) -> Vec<u8> {
    [&class.to_be_bytes(), &method.to_be_bytes(), arguments].concat()
}

#[test]
fn the_methods_known_are_those_of_amq_protocol() {
    for id in ids() {
        // Zeros are arguments of any shape, and enough of them for any method.
        let known = parse_class(payload_of(id, &[0; 64]).as_slice()).is_ok();
        assert_eq!(method_name(id).is_some(), known, "{id:?}");
    }
}

#[test]
fn an_unknown_method_is_an_internal_error_as_in_rabbitmq() {
    for id in [(0, 0), (10, 99), (60, 22), (110, 10), (65_535, 65_535)] {
        let fault = decode_method(&payload_of(id, &[0; 8])).unwrap_err();
        assert_eq!(fault.reply_text().as_str(), "INTERNAL_ERROR");
        assert_eq!(fault.reach, Reach::Connection);
        assert_eq!((fault.class_id, fault.method_id), id);
    }
}

#[test]
fn malformed_arguments_are_refused_with_the_method_named() {
    let table: [((u16, u16), &[u8], &str); 5] = [
        ((50, 10), &[0, 0, 5, b'q'], "SYNTAX_ERROR - malformed queue.declare"),
        ((90, 10), &[1], "SYNTAX_ERROR - malformed tx.select"),
        ((50, 30), &[0, 0, 1, 0xFF, 0], "FRAME_ERROR - Malformed UTF-8 in shortstr"),
        (
            (50, 10),
            &[0, 0, 0, 0, 0, 0, 0, 3, 1, b'k', b'z'],
            "SYNTAX_ERROR - field table has a value of unknown type 122",
        ),
        (
            (50, 10),
            &[0, 0, 0, 0, 0, 0, 0, 3, 9, b'k', b'z'],
            "SYNTAX_ERROR - field table is cut off",
        ),
    ];
    for (id, arguments, text) in table {
        let fault = decode_method(&payload_of(id, arguments)).unwrap_err();
        assert_eq!(fault.reply_text().as_str(), text);
        assert_eq!((fault.class_id, fault.method_id), id);
    }
}

/// Whatever method has a table anywhere, the table is checked before `amq_protocol` sees it. Where
/// the tables are is found out by trying: a table with one void field, after every number of zeros.
#[test]
fn no_method_takes_a_table_deeper_than_allowed() {
    let table_of = |fields: &[u8]| {
        let len = u32::try_from(fields.len()).unwrap();
        [&len.to_be_bytes(), fields].concat()
    };
    let shallow = table_of(&[0, b'V']);
    let deep = table_of(&nested(200, b'F'));
    let mut tables = 0;
    for id in ids().filter(|id| method_name(*id).is_some()) {
        for zeros in 0..16 {
            let arguments = |table: &[u8]| [&vec![0; zeros], table, &[0; 64]].concat();
            let with_shallow = payload_of(id, &arguments(&shallow));
            let Ok((_, method)) = parse_class(with_shallow.as_slice()) else {
                continue;
            };
            if format!("{method:?}").contains("Void") {
                tables += 1;
                let fault = decode_method(&payload_of(id, &arguments(&deep))).unwrap_err();
                let text = "SYNTAX_ERROR - field table is nested more than 32 levels deep";
                assert_eq!(fault.reply_text().as_str(), text, "{id:?}");
            }
        }
    }
    assert_eq!(tables, 9, "methods with a table");
}

proptest! {
    #[test]
    fn a_method_is_encoded_as_amq_protocol_does_and_decoded_back(
        channel in any::<u16>(),
        method in method(),
    ) {
        let mut out = BytesMut::from(&b"before"[..]);
        encode_method(&mut out, channel, &method);
        let frame = out.split_off(6);
        prop_assert_eq!(frame.as_ref(), encoded(&AMQPFrame::Method(channel, method.clone())));
        let id = method_id(payload(&frame));
        prop_assert_eq!(id, Some((method.get_amqp_class_id(), method.get_amqp_method_id())));
        prop_assert_eq!(decode_method(payload(&frame)), Ok(method));
    }

    #[test]
    fn damaged_methods_are_judged_as_amq_protocol_does(method in method(), damage in damage()) {
        let frame = encoded(&AMQPFrame::Method(1, method));
        let mut bytes = payload(&frame).to_vec();
        damage.apply(&mut bytes);
        let ours = decode_method(&bytes).ok();
        let theirs = match parse_class(bytes.as_slice()) {
            Ok(([], method)) => Some(method),
            _ => None,
        };
        // Debug text, because a damaged float may be not-a-number, which equals nothing.
        prop_assert_eq!(format!("{ours:?}"), format!("{theirs:?}"));
    }

    #[test]
    fn arbitrary_arguments_never_panic(
        class in prop::sample::select(vec![10_u16, 20, 30, 40, 50, 60, 85, 90]),
        method in 0..130_u16,
        arguments in vec(any::<u8>(), 0..200),
    ) {
        let _judged = decode_method(&payload_of((class, method), &arguments));
    }

    #[test]
    fn arbitrary_payloads_never_panic(payload in vec(any::<u8>(), 0..20)) {
        let _judged = decode_method(&payload);
    }
}
