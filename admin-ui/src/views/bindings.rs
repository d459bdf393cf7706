//! A binding. `properties_key` names it among those between the same two ends, in URLs too.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::object;
use crate::list::Row;
use crate::management::{BindingView, DestinationType, Object};

/// As much of the arguments' hash as is put into the key, in bytes.
const HASH_LEN: usize = 6;

impl Row for BindingView {
    fn order(&self) -> impl Ord {
        (&self.vhost, &self.source, self.destination_type, &self.destination, &self.routing_key)
    }

    fn name(&self) -> &str {
        &self.source
    }

    fn json(&self) -> Object {
        object(json!({
            "vhost": self.vhost,
            "source": self.source,
            "destination": self.destination,
            "destination_type": match self.destination_type {
                DestinationType::Exchange => "exchange",
                DestinationType::Queue => "queue",
            },
            "routing_key": self.routing_key,
            "arguments": self.arguments,
            "properties_key": properties_key(&self.routing_key, &self.arguments),
        }))
    }
}

/// The routing key as in a query string, and a hash of the arguments if there are any. Clients take it as it is.
fn properties_key(routing_key: &str, arguments: &Object) -> String {
    if routing_key.is_empty() && arguments.is_empty() {
        return "~".to_owned();
    }
    let key: String = form_urlencoded::byte_serialize(routing_key.as_bytes()).collect();
    // RabbitMQ encodes the asterisk too.
    let key = key.replace('*', "%2A");
    if arguments.is_empty() {
        return key;
    }
    let hash = Sha256::digest(Value::Object(arguments.clone()).to_string());
    let hash = hash.get(..HASH_LEN).unwrap_or_default();
    format!("{key}~{}", URL_SAFE_NO_PAD.encode(hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_properties_key_is_the_quoted_routing_key_and_a_hash_of_the_arguments() {
        let none = Object::new();
        let table =
            [("", "~"), ("k", "k"), ("a/b c", "a%2Fb+c"), ("~", "%7E"), ("a.*.#", "a.%2A.%23")];
        for (key, expected) in table {
            assert_eq!(properties_key(key, &none), expected, "{key}");
        }
        let some = |n: u64| properties_key("k", &Object::from_iter([("x".to_owned(), json!(n))]));
        assert!(some(1).starts_with("k~") && some(1).len() == 10, "{}", some(1));
        assert_eq!(some(1), some(1));
        assert_ne!(some(1), some(2));
    }
}
