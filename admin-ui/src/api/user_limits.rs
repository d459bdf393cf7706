//! `/api/user-limits`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::Shared;
use crate::caller::{Administrator, Caller};
use crate::error::ApiError;
use crate::fields::Fields;
use crate::list;
use crate::management::Error;
use crate::query::Query;
use crate::target::Path;

/// Those of all users that have any.
pub(super) async fn list(
    State(api): State<Shared>,
    _: Administrator,
    query: Query,
) -> Result<Response, ApiError> {
    Ok(list::answer(api.management.user_limits().await?, query))
}

/// Those of a user: a list of one, or of none. Everybody may read their own.
pub(super) async fn get(
    State(api): State<Shared>,
    caller: Caller,
    Path(user): Path<String>,
    query: Query,
) -> Result<Response, ApiError> {
    if !caller.is_monitor() && caller.name() != user {
        return Err(ApiError::not_authorised("User not authorised to access object"));
    }
    api.management.user(&user).await?;
    let mut limits = api.management.user_limits().await?;
    limits.retain(|limits| limits.user == user);
    Ok(list::answer(limits, query))
}

/// Sets one: `value`.
pub(super) async fn put(
    State(api): State<Shared>,
    _: Administrator,
    Path((user, name)): Path<(String, String)>,
    mut fields: Fields,
) -> Result<StatusCode, ApiError> {
    fields.require(&["value"])?;
    let value = fields.take("value").unwrap_or_default();
    match api.management.put_user_limit(&user, &name, value).await {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(Error::NotFound) => Err(ApiError::bad_request("no_such_user")),
        Err(error) => Err(error.into()),
    }
}

/// Removes one. One that is not set, or that does not exist, is gone already.
pub(super) async fn delete(
    State(api): State<Shared>,
    _: Administrator,
    Path((user, name)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    api.management.delete_user_limit(&user, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}
