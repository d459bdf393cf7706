//! AMQP field tables as JSON, and back: arguments and headers, as RabbitMQ's management API shows and takes them.

use amq_protocol::types::{AMQPValue, FieldArray, FieldTable};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use leveret_admin_ui::management::{Error, Object};
use serde_json::{Number, Value};

use crate::protocol::field_table::TABLE_DEPTH_MAX;

/// A table as JSON.
pub(super) fn to_json(table: &FieldTable) -> Object {
    table.inner().iter().map(|(name, value)| (name.to_string(), value_to_json(value))).collect()
}

fn value_to_json(value: &AMQPValue) -> Value {
    match value {
        AMQPValue::Boolean(flag) => (*flag).into(),
        AMQPValue::ShortShortInt(number) => (*number).into(),
        AMQPValue::ShortShortUInt(number) => (*number).into(),
        AMQPValue::ShortInt(number) => (*number).into(),
        AMQPValue::ShortUInt(number) => (*number).into(),
        AMQPValue::LongInt(number) => (*number).into(),
        AMQPValue::LongUInt(number) => (*number).into(),
        AMQPValue::LongLongInt(number) => (*number).into(),
        AMQPValue::Timestamp(seconds) => (*seconds).into(),
        AMQPValue::Float(number) => float(f64::from(*number)),
        AMQPValue::Double(number) => float(*number),
        AMQPValue::DecimalValue(decimal) => {
            float(f64::from(decimal.value) / 10_f64.powi(i32::from(decimal.scale)))
        }
        AMQPValue::ShortString(text) => text.as_str().into(),
        AMQPValue::LongString(text) => bytes_to_json(text.as_bytes()),
        AMQPValue::ByteArray(bytes) => bytes_to_json(bytes.as_slice()),
        AMQPValue::FieldArray(items) => items.as_slice().iter().map(value_to_json).collect(),
        AMQPValue::FieldTable(table) => to_json(table).into(),
        AMQPValue::Void => Value::Null,
    }
}

/// What JSON cannot say, such as infinity, is null.
fn float(number: f64) -> Value {
    Number::from_f64(number).map_or(Value::Null, Value::Number)
}

/// RabbitMQ's words for what is no text.
fn bytes_to_json(bytes: &[u8]) -> Value {
    match str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => format!("Not UTF-8, base64 is: {}", STANDARD.encode(bytes)).into(),
    }
}

/// JSON as a table. Integers become 64-bit ones, texts long strings, as in RabbitMQ.
pub(super) fn from_json(object: &Object) -> Result<FieldTable, Error> {
    table(object, TABLE_DEPTH_MAX)
}

fn table(object: &Object, depth: usize) -> Result<FieldTable, Error> {
    let mut table = FieldTable::default();
    for (name, value) in object {
        if name.len() > usize::from(u8::MAX) {
            return Err(Error::BadRequest("a key has at most 255 bytes".to_owned()));
        }
        table.insert(name.as_str().into(), value_from_json(value, depth)?);
    }
    Ok(table)
}

fn value_from_json(value: &Value, depth: usize) -> Result<AMQPValue, Error> {
    let invalid = |reason: &str| Error::BadRequest(reason.to_owned());
    let deeper = || depth.checked_sub(1).ok_or_else(|| invalid("nested too deep"));
    Ok(match value {
        Value::Null => AMQPValue::Void,
        Value::Bool(flag) => AMQPValue::Boolean(*flag),
        Value::String(text) => AMQPValue::LongString(text.as_str().into()),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => AMQPValue::LongLongInt(integer),
            (None, Some(float)) if number.is_f64() => AMQPValue::Double(float),
            _ => return Err(invalid("an integer is beyond 64 bits")),
        },
        Value::Array(items) => {
            let depth = deeper()?;
            let mut array = FieldArray::default();
            for item in items {
                array.push(value_from_json(item, depth)?);
            }
            AMQPValue::FieldArray(array)
        }
        Value::Object(object) => AMQPValue::FieldTable(table(object, deeper()?)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use amq_protocol::types::DecimalValue;
    use serde_json::json;

    fn object(value: Value) -> Object {
        let Value::Object(object) = value else { panic!("{value} is no object") };
        object
    }

    #[test]
    fn json_that_became_a_table_comes_back_as_it_was() {
        let json = object(json!({
            "integer": 5, "large": 99_999_999_999_i64, "negative": -1, "float": 1.5,
            "text": "t", "flag": true, "nothing": null, "list": [1, "x", [2.5]], "table": {"k": {}},
        }));
        assert_eq!(to_json(&from_json(&json).unwrap()), json);
    }

    #[test]
    fn values_that_only_amqp_has_are_shown_as_rabbitmq_shows_them() {
        let table = [
            (AMQPValue::ShortShortInt(-3), json!(-3)),
            (AMQPValue::LongUInt(4_000_000_000), json!(4_000_000_000_u32)),
            (AMQPValue::Timestamp(1_577_836_800), json!(1_577_836_800)),
            (AMQPValue::Float(0.5), json!(0.5)),
            (AMQPValue::Double(f64::INFINITY), json!(null)),
            (AMQPValue::DecimalValue(DecimalValue { scale: 2, value: 125 }), json!(1.25)),
            (AMQPValue::LongString(vec![0xFF, 0].into()), json!("Not UTF-8, base64 is: /wA=")),
        ];
        for (value, expected) in table {
            assert_eq!(value_to_json(&value), expected, "{value:?}");
        }
    }

    #[test]
    fn what_no_table_can_hold_is_refused() {
        let deep = (0..=TABLE_DEPTH_MAX).fold(json!([]), |inner, _| json!([inner]));
        let table = [
            (json!({"a": u64::MAX}), "an integer is beyond 64 bits"),
            (json!({"a": deep}), "nested too deep"),
            (json!({ "k".repeat(256): 1 }), "a key has at most 255 bytes"),
        ];
        for (value, reason) in table {
            let refused = from_json(&object(value)).unwrap_err();
            assert_eq!(refused, Error::BadRequest(reason.to_owned()));
        }
    }
}
