//! `/api/vhosts`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::one;
use crate::Shared;
use crate::caller::{Administrator, Caller};
use crate::error::ApiError;
use crate::fields::Fields;
use crate::list;
use crate::management::{Put, VhostSettings};
use crate::query::Query;
use crate::target::Path;

const QUEUE_TYPES: [&str; 3] = ["classic", "quorum", "stream"];

/// Those that the caller may know of.
pub(super) async fn list(
    State(api): State<Shared>,
    caller: Caller,
    query: Query,
) -> Result<Response, ApiError> {
    let mut vhosts = api.management.vhosts().await?;
    let visible = caller.known_vhosts(&api).await;
    vhosts.retain(|vhost| visible.contains(&vhost.name));
    list::paged(vhosts, query)
}

/// One.
pub(super) async fn get(
    State(api): State<Shared>,
    _: Administrator,
    Path(vhost): Path<String>,
    query: Query,
) -> Result<Response, ApiError> {
    Ok(one(&api.management.vhost(&vhost).await?, &query))
}

/// Creates or changes one: `description`, `tags`, `default_queue_type`, `tracing`.
pub(super) async fn put(
    State(api): State<Shared>,
    Administrator(caller): Administrator,
    Path(vhost): Path<String>,
    mut fields: Fields,
) -> Result<Put, ApiError> {
    let settings = VhostSettings {
        description: fields.string("description")?.unwrap_or_default(),
        tags: fields.tags("tags")?,
        default_queue_type: queue_type(fields.string("default_queue_type")?)?,
        tracing: fields.optional_boolean("tracing")?,
    };
    Ok(api.management.put_vhost(caller.name(), &vhost, settings).await?)
}

fn queue_type(name: Option<String>) -> Result<Option<String>, ApiError> {
    match name.as_deref() {
        // The second is how RabbitMQ shows that there is none; tools send back what they were shown.
        None | Some("undefined") => Ok(None),
        Some(name) if QUEUE_TYPES.contains(&name) => Ok(Some(name.to_owned())),
        Some(name) => Err(ApiError::bad_request(format!("{name} is not a valid queue type"))),
    }
}

/// Deletes one with all that is in it.
pub(super) async fn delete(
    State(api): State<Shared>,
    _: Administrator,
    Path(vhost): Path<String>,
) -> Result<StatusCode, ApiError> {
    api.management.delete_vhost(&vhost).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Protects one from being deleted.
pub(super) async fn protect(
    State(api): State<Shared>,
    _: Administrator,
    Path(vhost): Path<String>,
) -> Result<StatusCode, ApiError> {
    api.management.protect_vhost(&vhost, true).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lets one be deleted again.
pub(super) async fn unprotect(
    State(api): State<Shared>,
    _: Administrator,
    Path(vhost): Path<String>,
) -> Result<StatusCode, ApiError> {
    api.management.protect_vhost(&vhost, false).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What users may do in it.
pub(super) async fn permissions(
    State(api): State<Shared>,
    _: Administrator,
    Path(vhost): Path<String>,
    query: Query,
) -> Result<Response, ApiError> {
    api.management.vhost(&vhost).await?;
    let mut permissions = api.management.permissions().await?;
    permissions.retain(|permission| permission.vhost == vhost);
    Ok(list::answer(permissions, query))
}

/// What users may do with routing keys in it.
pub(super) async fn topic_permissions(
    State(api): State<Shared>,
    _: Administrator,
    Path(vhost): Path<String>,
    query: Query,
) -> Result<Response, ApiError> {
    api.management.vhost(&vhost).await?;
    let mut permissions = api.management.topic_permissions().await?;
    permissions.retain(|permission| permission.vhost == vhost);
    Ok(list::answer(permissions, query))
}
