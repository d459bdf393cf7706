//! The JSON shapes, one file a resource. A key without a value is left out, since clients stumble over `null`; empty objects are
//! `{}` and empty lists `[]`.

mod bindings;
mod exchanges;
pub(crate) mod limits;
mod overview;
mod parameters;
mod permissions;
mod policies;
mod publishers;
mod queues;
mod topic_permissions;
mod users;
mod vhosts;
mod waiting;

pub(crate) use overview::overview;
pub(crate) use publishers::publisher;
pub(crate) use waiting::{delayed, retrying};

use serde_json::Value;

use crate::management::Object;

/// What `json!({..})` makes.
fn object(value: Value) -> Object {
    match value {
        Value::Object(object) => object,
        other => unreachable!("{other} is not an object"),
    }
}

/// Adds a key that has a value.
fn put(object: &mut Object, key: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        object.insert(key.to_owned(), value.into());
    }
}
