//! A message's properties as JSON, and back: by RabbitMQ's keys, as its management API shows and takes them.

use amq_protocol::frame::WriteContext;
use amq_protocol::protocol::BasicProperties;
use amq_protocol::protocol::basic::{gen_properties, parse_properties};
use amq_protocol::types::ShortString;

use leveret_admin_ui::management::{Error, Object};
use serde_json::Value;

use super::arguments;
use crate::protocol::properties::Properties;

/// Raw properties, which have been checked when they came, as JSON.
pub(super) fn to_json(raw: &[u8]) -> Object {
    let mut object = Object::new();
    let Some((_, properties)) =
        Properties::parse(raw).ok().and_then(|_| parse_properties(raw).ok())
    else {
        return object;
    };
    let mut text = |name: &str, text: &Option<ShortString>| {
        if let Some(text) = text {
            object.insert(name.to_owned(), text.as_str().into());
        }
    };
    text("content_type", properties.content_type());
    text("content_encoding", properties.content_encoding());
    text("correlation_id", properties.correlation_id());
    text("reply_to", properties.reply_to());
    text("expiration", properties.expiration());
    text("message_id", properties.message_id());
    text("type", properties.kind());
    text("user_id", properties.user_id());
    text("app_id", properties.app_id());
    text("cluster_id", properties.cluster_id());
    if let Some(mode) = properties.delivery_mode() {
        object.insert("delivery_mode".to_owned(), (*mode).into());
    }
    if let Some(priority) = properties.priority() {
        object.insert("priority".to_owned(), (*priority).into());
    }
    if let Some(seconds) = properties.timestamp() {
        object.insert("timestamp".to_owned(), (*seconds).into());
    }
    if let Some(headers) = properties.headers() {
        object.insert("headers".to_owned(), arguments::to_json(headers).into());
    }
    object
}

/// Raw properties from JSON. Keys that are none of AMQP's are passed over, as by RabbitMQ.
pub(super) fn from_json(object: &Object) -> Result<Vec<u8>, Error> {
    let mut properties = BasicProperties::default();
    for (name, value) in object {
        properties = set(properties, name, value)?;
    }
    let written = gen_properties(&properties)(WriteContext::from(Vec::new()));
    written.map(|written| written.write).map_err(|_| Error::BadRequest("too large".to_owned()))
}

fn set(properties: BasicProperties, name: &str, value: &Value) -> Result<BasicProperties, Error> {
    let text = || match value.as_str() {
        Some(text) if text.len() <= usize::from(u8::MAX) => Ok(ShortString::from(text)),
        _ => Err(Error::BadRequest(format!("not_string: {name}"))),
    };
    let not_int = || Error::BadRequest(format!("not_int: {name}"));
    let octet = || value.as_u64().and_then(|n| u8::try_from(n).ok()).ok_or_else(not_int);
    Ok(match name {
        "content_type" => properties.with_content_type(text()?),
        "content_encoding" => properties.with_content_encoding(text()?),
        "correlation_id" => properties.with_correlation_id(text()?),
        "reply_to" => properties.with_reply_to(text()?),
        "expiration" => properties.with_expiration(text()?),
        "message_id" => properties.with_message_id(text()?),
        "type" => properties.with_type(text()?),
        "user_id" => properties.with_user_id(text()?),
        "app_id" => properties.with_app_id(text()?),
        "cluster_id" => properties.with_cluster_id(text()?),
        "delivery_mode" => properties.with_delivery_mode(octet()?),
        "priority" => properties.with_priority(octet()?),
        "timestamp" => properties.with_timestamp(value.as_u64().ok_or_else(not_int)?),
        "headers" => {
            let headers = value.as_object();
            let headers =
                headers.ok_or_else(|| Error::BadRequest("not_an_object: headers".to_owned()))?;
            properties.with_headers(arguments::from_json(headers)?)
        }
        _ => properties,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(value: Value) -> Object {
        let Value::Object(object) = value else { panic!("{value} is no object") };
        object
    }

    #[test]
    fn all_properties_come_back_as_they_were() {
        let json = object(json!({
            "content_type": "t", "content_encoding": "e", "headers": {"a": 1, "b": ["x"]},
            "delivery_mode": 2, "priority": 3, "correlation_id": "c", "reply_to": "r",
            "expiration": "60000", "message_id": "m", "timestamp": 12345, "type": "k",
            "user_id": "guest", "app_id": "a", "cluster_id": "l",
        }));
        let raw = from_json(&json).unwrap();
        assert_eq!(to_json(&raw), json);
        assert_eq!(to_json(&from_json(&Object::new()).unwrap()), Object::new());
        assert_eq!(to_json(b"nonsense"), Object::new());
    }

    #[test]
    fn values_of_another_type_are_refused_and_other_keys_passed_over() {
        let table = [
            (json!({"delivery_mode": "2"}), Some("not_int: delivery_mode")),
            (json!({"priority": 300}), Some("not_int: priority")),
            (json!({"timestamp": -1}), Some("not_int: timestamp")),
            (json!({"expiration": 5}), Some("not_string: expiration")),
            (json!({"type": "t".repeat(256)}), Some("not_string: type")),
            (json!({"headers": 5}), Some("not_an_object: headers")),
            (json!({"other": 5}), None),
        ];
        for (value, reason) in table {
            let refused = from_json(&object(value.clone())).err();
            let reason = reason.map(|reason| Error::BadRequest(reason.to_owned()));
            assert_eq!(refused, reason, "{value}");
        }
    }
}
