//! `/api/exchanges`. The default exchange, whose name is empty, is `amq.default` in a path.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};

use crate::Shared;
use crate::error::{ApiError, missing};
use crate::fields::Fields;
use crate::list::{self, Row};
use crate::management::{ExchangeDeclaration, Object, Publication, Put};
use crate::query::Query;
use crate::target::{Scope, Target};

/// The name of an exchange by its name in a path.
pub(super) fn exchange(name: &str) -> &str {
    match name {
        "amq.default" => "",
        other => other,
    }
}

/// Those of the vhosts that the caller may open.
pub(super) async fn list(
    State(api): State<Shared>,
    scope: Scope,
    query: Query,
) -> Result<Response, ApiError> {
    let mut exchanges = api.management.exchanges(scope.vhost()).await?;
    exchanges.retain(|exchange| scope.contains(&exchange.vhost));
    list::paged(exchanges, query)
}

/// One.
pub(super) async fn get(
    State(api): State<Shared>,
    target: Target,
    query: Query,
) -> Result<Json<Object>, ApiError> {
    let found = api.management.exchange(&target.vhost, exchange(&target.name)).await?;
    let mut json = found.json();
    for key in ["incoming", "outgoing"] {
        json.entry(key).or_insert_with(|| json!([]));
    }
    Ok(Json(query.columns(json)))
}

/// Declares one: `type`, `durable`, `auto_delete`, `internal`, `arguments`.
pub(super) async fn put(
    State(api): State<Shared>,
    Target { caller, vhost, name }: Target,
    mut fields: Fields,
) -> Result<Put, ApiError> {
    let declaration = ExchangeDeclaration {
        exchange_type: fields.string("type")?.unwrap_or_else(|| "direct".to_owned()),
        durable: fields.boolean("durable")?,
        auto_delete: fields.boolean("auto_delete")?,
        internal: fields.boolean("internal")?,
        arguments: fields.object("arguments")?,
    };
    let name = exchange(&name);
    let put = api.management.put_exchange(caller.name(), &vhost, name, declaration).await;
    put.map_err(missing("vhost_not_found"))
}

/// Deletes one; with `if-unused=true` only without bindings from it.
pub(super) async fn delete(
    State(api): State<Shared>,
    Target { caller, vhost, name }: Target,
    query: Query,
) -> Result<StatusCode, ApiError> {
    let if_unused = query.flag("if-unused");
    let name = exchange(&name);
    api.management.delete_exchange(caller.name(), &vhost, name, if_unused).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Publishes a message: `routing_key`, `properties`, `payload`, `payload_encoding`. Answers whether it reached a queue.
pub(super) async fn publish(
    State(api): State<Shared>,
    Target { caller, vhost, name }: Target,
    mut fields: Fields,
) -> Result<Json<Value>, ApiError> {
    fields.require(&["routing_key", "properties", "payload", "payload_encoding"])?;
    let encoding = fields.required_string("payload_encoding")?;
    let publication = Publication {
        routing_key: fields.required_string("routing_key")?,
        properties: fields.object("properties")?,
        payload: payload(fields.required_string("payload")?, &encoding)?,
    };
    let name = exchange(&name);
    let routed = api.management.publish(caller.name(), &vhost, name, publication).await;
    let routed = routed.map_err(missing("exchange_not_found"))?;
    Ok(Json(json!({ "routed": routed })))
}

fn payload(text: String, encoding: &str) -> Result<Bytes, ApiError> {
    match encoding {
        "string" => Ok(text.into()),
        "base64" => {
            let decoded = STANDARD.decode(text).map_err(|_| ApiError::bad_request("not_base64"))?;
            Ok(decoded.into())
        }
        _ => Err(ApiError::bad_request("unsupported_encoding")),
    }
}
