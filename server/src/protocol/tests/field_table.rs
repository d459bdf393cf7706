//! Field tables: what passes the check is what `amq_protocol` decodes, and nothing that would hurt
//! it.

use super::arbitrary::{damage, table};
use crate::protocol::field_table::{
    MalformedTable, TABLE_DEPTH_MAX, TABLE_VALUES_MAX, check, fields,
};
use amq_protocol::frame::WriteContext;
use amq_protocol::types::FieldTable;
use amq_protocol::types::generation::gen_field_table;
use amq_protocol::types::parsing::parse_field_table;
use proptest::prelude::*;

/// A table without its length.
fn encoded_fields(table: &FieldTable) -> Vec<u8> {
    gen_field_table(table)(WriteContext::from(Vec::new())).unwrap().write.split_off(4)
}

fn with_length(bytes: &[u8]) -> Vec<u8> {
    let mut out = u32::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
    out.extend_from_slice(bytes);
    out
}

/// The fields of `depth` tables inside one another, or of arrays inside a table.
pub(super) fn nested(depth: usize, value_type: u8) -> Vec<u8> {
    let mut inner = Vec::new();
    for level in 1..depth {
        let is_outermost = level + 1 == depth;
        let has_name = value_type == b'F' || is_outermost;
        let mut outer = if has_name { vec![1, b'k', value_type] } else { vec![value_type] };
        outer.extend(with_length(&inner));
        inner = outer;
    }
    inner
}

#[test]
fn a_malformed_table_is_refused_for_what_is_wrong_with_it() {
    let table: [(&[u8], MalformedTable); 8] = [
        (&[5, b'k'], MalformedTable::Truncated),
        (&[1, b'k'], MalformedTable::Truncated),
        (&[1, b'k', b'I', 0, 0], MalformedTable::Truncated),
        (&[1, b'k', b'S', 0, 0, 0, 1], MalformedTable::Truncated),
        (&[1, b'k', b'S', 255, 255, 255, 255, 0], MalformedTable::Truncated),
        (&[1, b'k', b'z', 0], MalformedTable::UnknownType(b'z')),
        (&[1, b'k', b'F', 0, 0, 0, 3, 1, b'j', b'?'], MalformedTable::UnknownType(b'?')),
        (&[1, 0xFF, b'V'], MalformedTable::NameNotUtf8),
    ];
    for (bytes, error) in table {
        assert_eq!(check(bytes), Err(error), "{bytes:?}");
    }
}

#[test]
fn tables_nest_as_deep_as_allowed_and_no_deeper() {
    for value_type in [b'F', b'A'] {
        assert_eq!(check(&nested(TABLE_DEPTH_MAX, value_type)), Ok(()));
        assert_eq!(check(&nested(TABLE_DEPTH_MAX + 1, value_type)), Err(MalformedTable::TooDeep));
        // As deep as a frame of 128 KiB can make it.
        assert_eq!(check(&nested(16_000, value_type)), Err(MalformedTable::TooDeep));
    }
}

#[test]
fn the_deepest_table_allowed_is_decoded_on_a_small_stack() {
    let bytes = with_length(&nested(TABLE_DEPTH_MAX, b'F'));
    let decode = move || parse_field_table(bytes.as_slice()).is_ok();
    // An eighth of what a worker thread has.
    let thread = std::thread::Builder::new().stack_size(256 * 1024).spawn(decode).unwrap();
    assert!(thread.join().unwrap());
}

#[test]
fn a_table_holds_as_many_values_as_allowed_and_no_more() {
    let array_of = |len: usize| {
        let mut bytes = vec![0, b'A'];
        bytes.extend(with_length(&vec![b'V'; len]));
        bytes
    };
    assert_eq!(check(&array_of(TABLE_VALUES_MAX - 1)), Ok(()));
    assert_eq!(check(&array_of(TABLE_VALUES_MAX)), Err(MalformedTable::TooManyValues));
}

proptest! {
    #[test]
    fn the_check_agrees_with_amq_protocol(table in table(), damage in damage()) {
        let mut bytes = encoded_fields(&table);
        damage.apply(&mut bytes);
        let whole = with_length(&bytes);
        let decoded = parse_field_table(whole.as_slice());
        prop_assert_eq!(check(&bytes).is_ok(), decoded.is_ok(), "{:?}", decoded);
    }

    #[test]
    fn arbitrary_bytes_that_pass_are_decoded(
        bytes in proptest::collection::vec(prop_oneof![any::<u8>(), 0..3_u8, Just(b'A')], 0..100),
    ) {
        let whole = with_length(&bytes);
        prop_assert_eq!(check(&bytes).is_ok(), parse_field_table(whole.as_slice()).is_ok());
    }

    #[test]
    fn the_fields_are_those_of_the_decoded_table(table in table()) {
        let bytes = encoded_fields(&table);
        let mut found = FieldTable::default();
        let mut len = 0;
        for field in fields(&bytes) {
            let name = std::str::from_utf8(field.name).unwrap();
            found.insert(name.into(), field.decode().unwrap());
            len += field.whole.len();
        }
        prop_assert_eq!(found, table);
        prop_assert_eq!(len, bytes.len());
    }
}
