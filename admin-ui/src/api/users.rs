//! `/api/users`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::one;
use crate::Shared;
use crate::caller::Administrator;
use crate::error::ApiError;
use crate::fields::Fields;
use crate::list;
use crate::management::{Credentials, Error, Put, UserSettings};
use crate::query::Query;
use crate::target::Path;

/// All of them.
pub(super) async fn list(
    State(api): State<Shared>,
    _: Administrator,
    query: Query,
) -> Result<Response, ApiError> {
    list::paged(api.management.users().await?, query)
}

/// One.
pub(super) async fn get(
    State(api): State<Shared>,
    _: Administrator,
    Path(user): Path<String>,
    query: Query,
) -> Result<Response, ApiError> {
    Ok(one(&api.management.user(&user).await?, &query))
}

/// Creates one or replaces its settings: `tags`, and `password` or `password_hash` with `hashing_algorithm`. With neither, the user
/// can no longer log in with a password.
pub(super) async fn put(
    State(api): State<Shared>,
    _: Administrator,
    Path(user): Path<String>,
    mut fields: Fields,
) -> Result<Put, ApiError> {
    fields.require(&["tags"]).map_err(|_| ApiError::bad_request("tags_not_present"))?;
    let settings =
        UserSettings { credentials: credentials(&mut fields)?, tags: fields.tags("tags")? };
    Ok(api.management.put_user(&user, settings).await?)
}

fn credentials(fields: &mut Fields) -> Result<Credentials, ApiError> {
    let password = fields.string("password")?;
    let hash = fields.string("password_hash")?;
    let algorithm = fields.string("hashing_algorithm")?;
    match (password, hash) {
        (Some(_), Some(_)) => {
            Err(ApiError::bad_request("both_password_and_password_hash_are_provided"))
        }
        (Some(password), None) if !password.is_empty() => Ok(Credentials::Password(password)),
        (None, Some(hash)) if !hash.is_empty() => Ok(Credentials::Hash { hash, algorithm }),
        // What is empty is no password, rather than one that anybody knows.
        _ => Ok(Credentials::None),
    }
}

/// Deletes one.
pub(super) async fn delete(
    State(api): State<Shared>,
    _: Administrator,
    Path(user): Path<String>,
) -> Result<StatusCode, ApiError> {
    api.management.delete_user(&user).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Deletes those in `users`; names that do not exist are passed over.
pub(super) async fn bulk_delete(
    State(api): State<Shared>,
    _: Administrator,
    mut fields: Fields,
) -> Result<StatusCode, ApiError> {
    fields.require(&["users"])?;
    for user in fields.strings("users")? {
        match api.management.delete_user(&user).await {
            Ok(()) | Err(Error::NotFound) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(StatusCode::NO_CONTENT)
}

/// What one may do, by vhost.
pub(super) async fn permissions(
    State(api): State<Shared>,
    _: Administrator,
    Path(user): Path<String>,
    query: Query,
) -> Result<Response, ApiError> {
    api.management.user(&user).await?;
    let mut permissions = api.management.permissions().await?;
    permissions.retain(|permission| permission.user == user);
    Ok(list::answer(permissions, query))
}

/// What one may do with routing keys, by vhost and exchange.
pub(super) async fn topic_permissions(
    State(api): State<Shared>,
    _: Administrator,
    Path(user): Path<String>,
    query: Query,
) -> Result<Response, ApiError> {
    api.management.user(&user).await?;
    let mut permissions = api.management.topic_permissions().await?;
    permissions.retain(|permission| permission.user == user);
    Ok(list::answer(permissions, query))
}
