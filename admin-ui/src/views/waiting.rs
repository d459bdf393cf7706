//! Messages that wait for their time.

use serde_json::{Value, json};

use super::object;
use crate::management::{Object, WaitingMessage, WaitingPage, Window};

/// Those of a delayed exchange.
pub(crate) fn delayed(page: &WaitingPage, window: Window) -> Object {
    waiting(page, window, message)
}

/// Those of a queue that tries them again: with how often it has.
pub(crate) fn retrying(page: &WaitingPage, window: Window) -> Object {
    waiting(page, window, |waiting| {
        let mut json = message(waiting);
        json.insert("retries".into(), waiting.retries.into());
        json
    })
}

fn waiting(page: &WaitingPage, window: Window, json: fn(&WaitingMessage) -> Object) -> Object {
    let messages: Vec<Value> = page.messages.iter().map(|one| Value::Object(json(one))).collect();
    object(json!({ "total": page.total, "offset": window.offset, "messages": messages }))
}

fn message(message: &WaitingMessage) -> Object {
    object(json!({
        "id": message.id,
        "due": message.due_ms,
        "exchange": message.exchange,
        "routing_key": message.routing_key,
        "properties": message.properties,
        "payload_bytes": message.body_len_bytes,
    }))
}
