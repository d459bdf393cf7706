//! `/api/vhost-limits`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::Shared;
use crate::caller::{Administrator, Caller};
use crate::error::{ApiError, missing};
use crate::fields::Fields;
use crate::list;
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
    let value = fields.take("value").unwrap_or_default();
    let put = api.management.put_vhost_limit(&vhost, &name, value).await;
    put.map_err(missing("vhost_not_found"))?;
    Ok(StatusCode::NO_CONTENT)
}

/// Removes one. One that is not set, or that does not exist, is gone already.
pub(super) async fn delete(
    State(api): State<Shared>,
    _: Administrator,
    Path((vhost, name)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let deleted = api.management.delete_vhost_limit(&vhost, &name).await;
    deleted.map_err(missing("vhost_not_found"))?;
    Ok(StatusCode::NO_CONTENT)
}
