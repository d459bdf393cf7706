//! What a request is about: names out of its path, and whether the caller may open the vhost among them.
//!
//! A vhost that the caller may not open looks like one that does not exist. Segments are decoded once, after the path was split:
//! `%2F` is data.

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use crate::Shared;
use crate::caller::{Caller, Visible};
use crate::error::ApiError;

/// Names in the path, in its order, without a look at who is asking: for handlers that need an administrator.
pub(crate) struct Path<T>(pub(crate) T);

impl<T: DeserializeOwned + Send> FromRequestParts<Shared> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Shared) -> Result<Path<T>, ApiError> {
        // What is not UTF-8 is the name of nothing.
        let path = axum::extract::Path::from_request_parts(parts, api).await;
        path.map(|path| Path(path.0)).map_err(|_| ApiError::not_found())
    }
}

/// What a list is of: the vhost in the path, or in the header `x-vhost`, by which a UI switches vhosts; else all vhosts that the
/// caller may see.
pub(crate) struct Scope {
    vhost: Option<String>,
    visible: Visible,
}

impl Scope {
    /// The one vhost that is asked for.
    pub(crate) fn vhost(&self) -> Option<&str> {
        self.vhost.as_deref()
    }

    /// Belongs into the list.
    pub(crate) fn contains(&self, vhost: &str) -> bool {
        self.visible.contains(vhost) && self.vhost.as_ref().is_none_or(|only| only == vhost)
    }
}

impl FromRequestParts<Shared> for Scope {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Shared) -> Result<Scope, ApiError> {
        let caller = Caller::from_request_parts(parts, api).await?;
        let vhost = match param(parts, "vhost").await? {
            None => {
                parts.headers.get("x-vhost").and_then(|name| name.to_str().ok()).map(Into::into)
            }
            named => named,
        };
        let visible = caller.vhosts(api).await;
        if vhost.as_ref().is_some_and(|vhost| !visible.contains(vhost)) {
            return Err(ApiError::not_found_as("Not Found"));
        }
        Ok(Scope { vhost, visible })
    }
}

/// One object in a vhost that the caller may open: `{vhost}` and `{name}` of the path.
pub(crate) struct Target {
    pub(crate) caller: Caller,
    pub(crate) vhost: String,
    pub(crate) name: String,
}

impl FromRequestParts<Shared> for Target {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Shared) -> Result<Target, ApiError> {
        let caller = Caller::from_request_parts(parts, api).await?;
        let vhost = param(parts, "vhost").await?.ok_or_else(ApiError::not_found)?;
        let name = param(parts, "name").await?.ok_or_else(ApiError::not_found)?;
        match caller.vhosts(api).await.contains(&vhost) {
            true => Ok(Target { caller, vhost, name }),
            false => Err(ApiError::not_found_as("Not Found")),
        }
    }
}

async fn param(parts: &mut Parts, name: &str) -> Result<Option<String>, ApiError> {
    let params = RawPathParams::from_request_parts(parts, &()).await;
    let params = params.map_err(|_| ApiError::not_found())?;
    Ok(params.iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_owned()))
}
