//! Values read in place are the values `amq_protocol` decodes, and whatever bytes there are.

use super::arbitrary::{damage, properties, table};
use crate::protocol::field_table::fields;
use crate::protocol::field_value::{Value, values};
use crate::protocol::properties::Properties;
use amq_protocol::frame::WriteContext;
use amq_protocol::protocol::basic::gen_properties;
use amq_protocol::types::AMQPValue;
use amq_protocol::types::generation::gen_field_table;
use proptest::collection::vec;
use proptest::prelude::*;

/// Whether `view` says what `decoded` does, as deep as it goes.
fn agrees(view: Value<'_>, decoded: &AMQPValue) -> bool {
    match (view, decoded) {
        (Value::Boolean(view), AMQPValue::Boolean(decoded)) => view == *decoded,
        (Value::Text(view), AMQPValue::LongString(decoded)) => view == decoded.as_bytes(),
        (Value::Timestamp(view), AMQPValue::Timestamp(decoded)) => view == *decoded,
        (Value::Integer(view), decoded) => match decoded {
            AMQPValue::ShortShortInt(decoded) => view == i64::from(*decoded),
            AMQPValue::ShortShortUInt(decoded) => view == i64::from(*decoded),
            AMQPValue::ShortInt(decoded) => view == i64::from(*decoded),
            AMQPValue::ShortUInt(decoded) => view == i64::from(*decoded),
            AMQPValue::LongInt(decoded) => view == i64::from(*decoded),
            AMQPValue::LongUInt(decoded) => view == i64::from(*decoded),
            AMQPValue::LongLongInt(decoded) => view == *decoded,
            _ => false,
        },
        (Value::Array(array), AMQPValue::FieldArray(decoded)) => {
            let views: Vec<_> = values(array).collect();
            let decoded = decoded.as_slice();
            views.len() == decoded.len()
                && views.iter().zip(decoded).all(|(view, decoded)| agrees(*view, decoded))
        }
        (Value::Table(table), AMQPValue::FieldTable(decoded)) => {
            // Of two fields with one name, the decoded table has the last.
            fields(table).all(|field| {
                std::str::from_utf8(field.name).is_ok_and(|name| decoded.contains_key(name))
            })
        }
        (Value::Other, decoded) => matches!(
            decoded,
            AMQPValue::Float(_)
                | AMQPValue::Double(_)
                | AMQPValue::DecimalValue(_)
                | AMQPValue::ByteArray(_)
                | AMQPValue::Void
        ),
        _ => false,
    }
}

#[test]
fn an_integer_of_any_width_is_read_with_its_sign() {
    let table: [(&[u8], i64); 10] = [
        (&[b'b', 0xFF], -1),
        (&[b'B', 0xFF], 255),
        (&[b's', 0xFF, 0xFE], -2),
        (&[b'U', 0xFF, 0xFE], -2),
        (&[b'u', 0xFF, 0xFE], 65_534),
        (&[b'I', 0xFF, 0xFF, 0xFF, 0xFD], -3),
        (&[b'i', 0xFF, 0xFF, 0xFF, 0xFD], 4_294_967_293),
        (&[b'l', 0, 0, 0, 0, 0, 0, 1, 0], 256),
        (&[b'l', 0x80, 0, 0, 0, 0, 0, 0, 0], i64::MIN),
        (&[b'L', 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFC], -4),
    ];
    for (typed, number) in table {
        let value = Value::read(typed);
        assert_eq!(value.integer(), Some(number), "{typed:?}");
        assert_eq!(value.unsigned(), u64::try_from(number).ok(), "{typed:?}");
        assert_eq!(value.text(), None, "{typed:?}");
    }
}

#[test]
fn a_value_of_the_wrong_type_or_cut_off_is_no_number_and_no_text() {
    let table: [&[u8]; 8] = [
        &[],
        &[b'l', 0],
        b"V",
        &[b't', 1],
        &[b'T', 0, 0, 0, 0, 0, 0, 0, 1],
        &[b'S', 0, 0, 0, 1, 0xFF],
        &[b'S', 0, 0, 0, 9, b'x'],
        b"z",
    ];
    for typed in table {
        let value = Value::read(typed);
        assert_eq!((value.integer(), value.text()), (None, None), "{typed:?}");
    }
}

proptest! {
    #[test]
    fn a_view_says_what_amq_protocol_decodes(table in table()) {
        let bytes = gen_field_table(&table)(WriteContext::from(Vec::new())).unwrap().write;
        for field in fields(&bytes[4..]) {
            let decoded = field.decode().unwrap();
            prop_assert!(agrees(field.view(), &decoded), "{:?} {decoded:?}", field.view());
        }
    }

    #[test]
    fn one_walk_meets_every_header(properties in properties()) {
        let raw = gen_properties(&properties)(WriteContext::from(Vec::new())).unwrap().write;
        let view = Properties::parse(&raw).unwrap();
        let found = view.header_fields().map(|field| field.name.to_vec());
        let expected = properties.headers().iter().flatten().map(|(name, _)| name.as_str().into());
        prop_assert_eq!(found.collect::<Vec<_>>(), expected.collect::<Vec<Vec<u8>>>());
    }

    #[test]
    fn damaged_and_arbitrary_bytes_never_panic(
        table in table(),
        damage in damage(),
        noise in vec(any::<u8>(), 0..60),
    ) {
        let mut bytes = gen_field_table(&table)(WriteContext::from(Vec::new())).unwrap().write;
        damage.apply(&mut bytes);
        for bytes in [bytes.as_slice(), &noise] {
            let _value = Value::read(bytes);
            let read = fields(bytes).map(|field| field.whole.len()).sum::<usize>();
            prop_assert!(read <= bytes.len());
            prop_assert!(values(bytes).count() <= bytes.len());
        }
    }
}
