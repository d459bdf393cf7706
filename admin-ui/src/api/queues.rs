//! `/api/queues`, and what a queue knows of those who publish to it.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use crate::Shared;
use crate::error::{ApiError, missing};
use crate::fields::Fields;
use crate::list::{self, Row};
use crate::management::{Object, Put, QueueDeclaration};
use crate::query::Query;
use crate::target::{Scope, Target};
use crate::views;

/// Those of the vhosts that the caller may open.
pub(super) async fn list(
    State(api): State<Shared>,
    scope: Scope,
    query: Query,
) -> Result<Response, ApiError> {
    let mut queues = api.management.queues(scope.vhost()).await?;
    queues.retain(|queue| scope.contains(&queue.vhost));
    list::paged(queues, query)
}

/// One.
pub(super) async fn get(
    State(api): State<Shared>,
    target: Target,
    query: Query,
) -> Result<Json<Object>, ApiError> {
    let mut json = api.management.queue(&target.vhost, &target.name).await?.json();
    for key in ["consumer_details", "deliveries", "incoming"] {
        json.entry(key).or_insert_with(|| json!([]));
    }
    Ok(Json(query.columns(json)))
}

/// Declares one: `durable`, `auto_delete`, `arguments`.
pub(super) async fn put(
    State(api): State<Shared>,
    Target { caller, vhost, name }: Target,
    mut fields: Fields,
) -> Result<Put, ApiError> {
    let declaration = QueueDeclaration {
        durable: fields.boolean("durable")?,
        auto_delete: fields.boolean("auto_delete")?,
        arguments: fields.object("arguments")?,
    };
    let put = api.management.put_queue(caller.name(), &vhost, &name, declaration).await;
    put.map_err(missing("vhost_not_found"))
}

/// Deletes one; with `if-empty=true` only without messages, with `if-unused=true` only without consumers.
pub(super) async fn delete(
    State(api): State<Shared>,
    Target { caller, vhost, name }: Target,
    query: Query,
) -> Result<StatusCode, ApiError> {
    let (if_empty, if_unused) = (query.flag("if-empty"), query.flag("if-unused"));
    api.management.delete_queue(caller.name(), &vhost, &name, if_empty, if_unused).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Drops the messages that wait in it.
pub(super) async fn purge(
    State(api): State<Shared>,
    Target { caller, vhost, name }: Target,
) -> Result<StatusCode, ApiError> {
    api.management.purge_queue(caller.name(), &vhost, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Publishers that number their messages, with what is missing of each.
pub(super) async fn publishers(
    State(api): State<Shared>,
    target: Target,
) -> Result<Json<Vec<Value>>, ApiError> {
    let mut publishers = api.management.publishers(&target.vhost, &target.name).await?;
    publishers.sort_unstable_by(|a, b| a.publisher.cmp(&b.publisher));
    Ok(Json(publishers.iter().map(views::publisher).collect()))
}
