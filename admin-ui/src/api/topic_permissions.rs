//! `/api/topic-permissions`. A user has one for each exchange, so all but deletion speak of lists.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::permissions::no_vhost_or_user;
use crate::Shared;
use crate::caller::Administrator;
use crate::error::ApiError;
use crate::fields::Fields;
use crate::list;
use crate::management::{Put, TopicPermission};
use crate::query::Query;
use crate::target::Path;

/// All of them.
pub(super) async fn list(
    State(api): State<Shared>,
    _: Administrator,
    query: Query,
) -> Result<Response, ApiError> {
    Ok(list::answer(api.management.topic_permissions().await?, query))
}

/// Those of a user in a vhost.
pub(super) async fn get(
    State(api): State<Shared>,
    _: Administrator,
    Path((vhost, user)): Path<(String, String)>,
    query: Query,
) -> Result<Response, ApiError> {
    let mut permissions = api.management.topic_permissions().await?;
    permissions.retain(|permission| permission.vhost == vhost && permission.user == user);
    match permissions.is_empty() {
        true => Err(ApiError::not_found()),
        false => Ok(list::answer(permissions, query)),
    }
}

/// Gives one: `exchange`, `write`, `read`.
pub(super) async fn put(
    State(api): State<Shared>,
    _: Administrator,
    Path((vhost, user)): Path<(String, String)>,
    mut fields: Fields,
) -> Result<Put, ApiError> {
    fields.require(&["exchange", "write", "read"])?;
    let permission = TopicPermission {
        user,
        vhost,
        exchange: fields.required_string("exchange")?,
        write: fields.required_string("write")?,
        read: fields.required_string("read")?,
    };
    api.management.put_topic_permission(permission).await.map_err(no_vhost_or_user)
}

/// Takes all of a user in a vhost away.
pub(super) async fn delete(
    State(api): State<Shared>,
    _: Administrator,
    Path((vhost, user)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    api.management.delete_topic_permissions(&vhost, &user, None).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes the one for an exchange away.
pub(super) async fn delete_of_exchange(
    State(api): State<Shared>,
    _: Administrator,
    Path((vhost, user, exchange)): Path<(String, String, String)>,
) -> Result<StatusCode, ApiError> {
    api.management.delete_topic_permissions(&vhost, &user, Some(&exchange)).await?;
    Ok(StatusCode::NO_CONTENT)
}
