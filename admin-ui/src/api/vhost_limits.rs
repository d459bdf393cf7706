//! `/api/vhost-limits`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::Shared;
use crate::caller::{Administrator, Caller};
use crate::error::{ApiError, missing};
use crate::fields::{Fields, invalid};
use crate::list;
use crate::management::VhostLimit;
use crate::query::Query;
use crate::target::Path;

/// Those of all vhosts that the caller may know of.
pub(super) async fn list(
    State(api): State<Shared>,
    caller: Caller,
    query: Query,
) -> Result<Response, ApiError> {
    let mut limits = api.management.vhost_limits().await?;
    let visible = caller.known_vhosts(&api).await;
    limits.retain(|limits| visible.contains(&limits.vhost));
    Ok(list::answer(limits, query))
}

/// Those of a vhost: a list of one, or of none.
pub(super) async fn get(
    State(api): State<Shared>,
    caller: Caller,
    Path(vhost): Path<String>,
    query: Query,
) -> Result<Response, ApiError> {
    if !caller.known_vhosts(&api).await.contains(&vhost) {
        return Err(ApiError::not_found_as("Not Found"));
    }
    api.management.vhost(&vhost).await?;
    let mut limits = api.management.vhost_limits().await?;
    limits.retain(|limits| limits.vhost == vhost);
    Ok(list::answer(limits, query))
}

/// Sets one: `value`.
pub(super) async fn put(
    State(api): State<Shared>,
    _: Administrator,
    Path((vhost, name)): Path<(String, String)>,
    mut fields: Fields,
) -> Result<StatusCode, ApiError> {
    fields.require(&["value"])?;
    let limit = limit(&name).ok_or_else(|| invalid("Unrecognised terms in limits"))?;
    let value = fields.integer("value")?.ok_or_else(|| invalid("value should be a number"))?;
    let put = api.management.put_vhost_limit(&vhost, limit, Some(value)).await;
    put.map_err(missing("vhost_not_found"))?;
    Ok(StatusCode::NO_CONTENT)
}

/// Removes one. One that is not set, or that does not exist, is gone already.
pub(super) async fn delete(
    State(api): State<Shared>,
    _: Administrator,
    Path((vhost, name)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    if let Some(limit) = limit(&name) {
        let deleted = api.management.put_vhost_limit(&vhost, limit, None).await;
        deleted.map_err(missing("vhost_not_found"))?;
    }
    Ok(StatusCode::NO_CONTENT)
}

fn limit(name: &str) -> Option<VhostLimit> {
    match name {
        "max-connections" => Some(VhostLimit::MaxConnections),
        "max-queues" => Some(VhostLimit::MaxQueues),
        _ => None,
    }
}
