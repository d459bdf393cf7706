//! How RabbitMQ prints a value in a reply text: as an Erlang term. Clients and people compare these
//! texts, so `error.rs` and the checks of arguments and binding keys print alike.

use amq_protocol::types::AMQPValue;

use crate::type_name;

/// The value of an argument: `1`, `true`, `<<"text">>`, `[{signedint,1}]`.
pub(crate) fn of(value: &AMQPValue) -> String {
    match value {
        AMQPValue::Void => "undefined".to_owned(),
        AMQPValue::Boolean(value) => value.to_string(),
        AMQPValue::ShortShortInt(value) => value.to_string(),
        AMQPValue::ShortShortUInt(value) => value.to_string(),
        AMQPValue::ShortInt(value) => value.to_string(),
        AMQPValue::ShortUInt(value) => value.to_string(),
        AMQPValue::LongInt(value) => value.to_string(),
        AMQPValue::LongUInt(value) => value.to_string(),
        AMQPValue::LongLongInt(value) => value.to_string(),
        AMQPValue::Timestamp(value) => value.to_string(),
        AMQPValue::Float(value) => format!("{:?}", f64::from(*value)),
        AMQPValue::Double(value) => format!("{value:?}"),
        AMQPValue::DecimalValue(value) => format!("{{{},{}}}", value.scale, value.value),
        AMQPValue::ShortString(text) => binary(text.as_str().as_bytes()),
        AMQPValue::LongString(text) => binary(text.as_bytes()),
        AMQPValue::ByteArray(bytes) => binary(bytes.as_slice()),
        AMQPValue::FieldArray(values) => list(
            values.as_slice().iter().map(|item| format!("{{{},{}}}", type_name(item), of(item))),
        ),
        AMQPValue::FieldTable(fields) => list(fields.into_iter().map(|(name, field)| {
            let name = binary(name.as_str().as_bytes());
            format!("{{{name},{},{}}}", type_name(field), of(field))
        })),
    }
}

/// A string, which in Erlang is a binary: `<<"text">>`, `<<"é"/utf8>>`, or the bytes when they are
/// no printable text.
pub(crate) fn binary(bytes: &[u8]) -> String {
    let quoted = str::from_utf8(bytes).ok().and_then(quoted);
    match quoted {
        _ if bytes.is_empty() => "<<>>".to_owned(),
        Some(text) if text.is_ascii() => format!("<<{text}>>"),
        Some(text) => format!("<<{text}/utf8>>"),
        None => {
            let bytes: Vec<String> = bytes.iter().map(u8::to_string).collect();
            format!("<<{}>>", bytes.join(","))
        }
    }
}

fn quoted(text: &str) -> Option<String> {
    let mut quoted = String::from('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            control if control.is_control() => return None,
            plain => quoted.push(plain),
        }
    }
    quoted.push('"');
    Some(quoted)
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(","))
}
