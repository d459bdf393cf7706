//! What a client is told when its request was not served: RabbitMQ's status and its two keys, `error` and `reason`.
//! `reason` is always a string, also where RabbitMQ sends an array, since typed clients cannot read that.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::management::Error;

/// An answer other than success.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    error: &'static str,
    reason: String,
}

impl ApiError {
    fn new(status: StatusCode, error: &'static str, reason: impl Into<String>) -> ApiError {
        ApiError { status, error, reason: reason.into() }
    }

    /// The request itself is wrong.
    pub(crate) fn bad_request(reason: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::BAD_REQUEST, "bad_request", reason)
    }

    /// Like [`ApiError::bad_request`], with a code of its own.
    pub(crate) fn bad_request_as(error: &'static str, reason: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::BAD_REQUEST, error, reason)
    }

    /// No such object, or no such path.
    pub(crate) fn not_found() -> ApiError {
        ApiError::new(StatusCode::NOT_FOUND, "Object Not Found", "Not Found")
    }

    /// Something on the way to the object is missing: `reason` says what, such as `vhost_not_found`.
    pub(crate) fn not_found_as(reason: &'static str) -> ApiError {
        ApiError::new(StatusCode::NOT_FOUND, "not_found", reason)
    }

    /// The client is not who it says. RabbitMQ spells this with a z, and the other with an s.
    pub(crate) fn not_authorized(reason: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::UNAUTHORIZED, "not_authorized", reason)
    }

    /// The user may not do that: 401, not 403, since clients know only that.
    pub(crate) fn not_authorised(reason: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::UNAUTHORIZED, "not_authorised", reason)
    }

    /// Not now.
    pub(crate) fn unavailable(reason: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "service_unavailable", reason)
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> ApiError {
        match error {
            Error::NotFound => ApiError::not_found(),
            Error::BadRequest(reason) => ApiError::bad_request(reason),
            Error::Refused(reason) => ApiError::not_authorised(reason),
            Error::Conflict(reason) => ApiError::new(StatusCode::CONFLICT, "conflict", reason),
            Error::PreconditionFailed(reason) => {
                ApiError::new(StatusCode::PRECONDITION_FAILED, "precondition_failed", reason)
            }
            Error::Unavailable(reason) => ApiError::unavailable(reason),
        }
    }
}

/// For orders whose own object need not exist: [`Error::NotFound`] then speaks of something on the way to it.
pub(crate) fn missing(reason: &'static str) -> impl Fn(Error) -> ApiError {
    move |error| match error {
        Error::NotFound => ApiError::not_found_as(reason),
        Error::BadRequest(_)
        | Error::Refused(_)
        | Error::Conflict(_)
        | Error::PreconditionFailed(_)
        | Error::Unavailable(_) => error.into(),
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.status, Json(json!({ "error": self.error, "reason": self.reason }))).into_response()
    }
}
