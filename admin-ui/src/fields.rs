//! The JSON object that a request carries, and its fields. It takes what RabbitMQ takes: no body for an empty object, `"true"` for
//! `true`, an empty array for an empty object; keys that nobody asks for are passed over. The request's `Content-Type` does not
//! matter.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, FromRequest, Request};
use axum::http::header;
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use crate::Shared;
use crate::error::ApiError;
use crate::limits::{BODIES_KIB, BODY_LEN_MAX, BODY_TIME};
use crate::management::Object;

const _: () = assert!(BODIES_KIB * 1024 >= BODY_LEN_MAX, "the largest body must find room");

/// A request's body. It takes up room among all bodies until it is dropped.
pub(crate) struct Fields {
    object: Object,
    _room: OwnedSemaphorePermit,
}

/// The bound on bodies, for the router.
pub(crate) fn body_limit() -> DefaultBodyLimit {
    DefaultBodyLimit::max(BODY_LEN_MAX)
}

impl FromRequest<Shared> for Fields {
    type Rejection = ApiError;

    async fn from_request(request: Request, api: &Shared) -> Result<Fields, ApiError> {
        let too_large = || ApiError::bad_request("Exceeded HTTP request body size limit");
        let len = request.headers().get(header::CONTENT_LENGTH);
        let len = len.and_then(|len| len.to_str().ok()).and_then(|len| len.parse().ok());
        let len: usize = len.unwrap_or(BODY_LEN_MAX);
        if len > BODY_LEN_MAX {
            return Err(too_large());
        }
        let room = u32::try_from(len / 1024 + 1).map_err(|_| too_large())?;
        let read = async {
            let room = Arc::clone(&api.bodies).acquire_many_owned(room).await;
            let room = room.map_err(|_| ApiError::unavailable("shutting down"))?;
            let bytes = Bytes::from_request(request, api).await.map_err(|_| too_large())?;
            Ok(Fields { object: object(&bytes)?, _room: room })
        };
        let late = || ApiError::bad_request("the body of the request took too long");
        timeout(BODY_TIME, read).await.map_err(|_| late())?
    }
}

fn object(bytes: &[u8]) -> Result<Object, ApiError> {
    match bytes.trim_ascii() {
        b"" | b"null" | b"undefined" => Ok(Object::new()),
        text => serde_json::from_slice(text).map_err(|_| ApiError::bad_request("not_json")),
    }
}

impl Fields {
    /// Refuses a body without all of these keys, naming all that are missing.
    pub(crate) fn require(&self, keys: &[&str]) -> Result<(), ApiError> {
        let missing: Vec<String> = keys
            .iter()
            .filter(|key| !self.object.contains_key(**key))
            .map(|key| format!("{{key_missing,{key}}}"))
            .collect();
        match missing.is_empty() {
            true => Ok(()),
            false => Err(ApiError::bad_request(format!("[{}]", missing.join(",")))),
        }
    }

    /// The value of a key, out of the body; none if it is absent or `null`.
    pub(crate) fn take(&mut self, key: &str) -> Option<Value> {
        self.object.remove(key).filter(|value| !value.is_null())
    }

    /// The whole object, out of the body.
    pub(crate) fn take_all(&mut self) -> Object {
        std::mem::take(&mut self.object)
    }

    pub(crate) fn string(&mut self, key: &str) -> Result<Option<String>, ApiError> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(wrong(key, "a string")),
        }
    }

    /// A string that must be there.
    pub(crate) fn required_string(&mut self, key: &str) -> Result<String, ApiError> {
        self.string(key)?.ok_or_else(|| ApiError::bad_request(format!("[{{key_missing,{key}}}]")))
    }

    /// A truth value or its text; absent, it is false.
    pub(crate) fn boolean(&mut self, key: &str) -> Result<bool, ApiError> {
        Ok(self.optional_boolean(key)?.unwrap_or(false))
    }

    pub(crate) fn optional_boolean(&mut self, key: &str) -> Result<Option<bool>, ApiError> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Bool(truth)) => Ok(Some(truth)),
            Some(Value::String(text)) if text == "true" => Ok(Some(true)),
            Some(Value::String(text)) if text == "false" => Ok(Some(false)),
            Some(_) => Err(wrong(key, "a boolean")),
        }
    }

    /// An object; absent, or an empty array as some languages write it, it is empty.
    pub(crate) fn object(&mut self, key: &str) -> Result<Object, ApiError> {
        match self.take(key) {
            None => Ok(Object::new()),
            Some(Value::Object(object)) => Ok(object),
            Some(Value::Array(items)) if items.is_empty() => Ok(Object::new()),
            Some(_) => Err(wrong(key, "an object")),
        }
    }

    pub(crate) fn strings(&mut self, key: &str) -> Result<Vec<String>, ApiError> {
        match self.take(key) {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) => items
                .into_iter()
                .map(|item| match item {
                    Value::String(text) => Ok(text),
                    _ => Err(wrong(key, "a list of strings")),
                })
                .collect(),
            Some(_) => Err(wrong(key, "a list of strings")),
        }
    }

    /// A list of strings, or one string with commas between.
    pub(crate) fn tags(&mut self, key: &str) -> Result<Vec<String>, ApiError> {
        let tags = match self.object.get(key) {
            Some(Value::String(text)) => text.split(',').map(|tag| tag.trim().to_owned()).collect(),
            _ => self.strings(key)?,
        };
        Ok(tags.into_iter().filter(|tag| !tag.is_empty()).collect())
    }
}

/// Without the value: it may be long, or a password.
fn wrong(key: &str, expected: &str) -> ApiError {
    ApiError::bad_request(format!("{key} should be {expected}"))
}
