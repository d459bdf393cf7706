//! `/api/permissions`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::one;
use crate::Shared;
use crate::caller::Administrator;
use crate::error::ApiError;
use crate::fields::Fields;
use crate::list;
use crate::management::{Error, Permission, Put};
use crate::query::Query;
use crate::target::Path;

/// All of them.
pub(super) async fn list(
    State(api): State<Shared>,
    _: Administrator,
    query: Query,
) -> Result<Response, ApiError> {
    Ok(list::answer(api.management.permissions().await?, query))
}

/// Those of a user in a vhost.
pub(super) async fn get(
    State(api): State<Shared>,
    _: Administrator,
    Path((vhost, user)): Path<(String, String)>,
    query: Query,
) -> Result<Response, ApiError> {
    Ok(one(&api.management.permission(&vhost, &user).await?, &query))
}

/// Gives them: `configure`, `write`, `read`.
pub(super) async fn put(
    State(api): State<Shared>,
    _: Administrator,
    Path((vhost, user)): Path<(String, String)>,
    mut fields: Fields,
) -> Result<Put, ApiError> {
    fields.require(&["configure", "write", "read"])?;
    let permission = Permission {
        user,
        vhost,
        configure: fields.required_string("configure")?,
        write: fields.required_string("write")?,
        read: fields.required_string("read")?,
    };
    api.management.put_permission(permission).await.map_err(no_vhost_or_user)
}

/// RabbitMQ calls this a bad request.
pub(super) fn no_vhost_or_user(error: Error) -> ApiError {
    match error {
        Error::NotFound => ApiError::bad_request("vhost_or_user_not_found"),
        other => other.into(),
    }
}

/// Takes them away.
pub(super) async fn delete(
    State(api): State<Shared>,
    _: Administrator,
    Path((vhost, user)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    api.management.delete_permission(&vhost, &user).await?;
    Ok(StatusCode::NO_CONTENT)
}
