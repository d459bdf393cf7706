//! `/api/whoami`: who is asking.

use axum::Json;
use serde_json::{Value, json};

use crate::caller::Caller;

/// Any user of the API may ask.
pub(super) async fn get(caller: Caller) -> Json<Value> {
    let who = caller.who();
    // Every user is one of this broker's own: there is no other place to know users from.
    Json(json!({ "name": who.name, "tags": who.tags, "is_internal_user": true }))
}
