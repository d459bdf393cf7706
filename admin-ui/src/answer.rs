//! What holds for every answer: which `Accept` can be served, `OPTIONS`, and headers.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::management::Put;

/// 201 for what is new, 204 for what was there.
impl IntoResponse for Put {
    fn into_response(self) -> Response {
        match self {
            Put::Created => StatusCode::CREATED.into_response(),
            Put::Updated => StatusCode::NO_CONTENT.into_response(),
        }
    }
}

/// Stands around every route.
pub(crate) async fn common(request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let mut response = match accepts_json(request.headers()) {
        true => next.run(request).await,
        false => StatusCode::NOT_ACCEPTABLE.into_response(),
    };
    // The router refuses a method that a path does not have, and lists those it has: for OPTIONS, that is the answer.
    if method == Method::OPTIONS && response.status() == StatusCode::METHOD_NOT_ALLOWED {
        *response.status_mut() = StatusCode::OK;
    }
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::VARY, HeaderValue::from_static("accept, authorization, origin"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    );
    response
}

/// JSON is all there is. Some clients ask for Erlang's own format and take JSON as well.
fn accepts_json(headers: &HeaderMap) -> bool {
    let mut accepts = headers.get_all(header::ACCEPT).iter().peekable();
    if accepts.peek().is_none() {
        return true;
    }
    accepts.filter_map(|accept| accept.to_str().ok()).flat_map(|accept| accept.split(',')).any(
        |range| {
            let range = range.split(';').next().unwrap_or_default().trim();
            matches!(range, "*/*" | "application/*" | "application/json" | "")
        },
    )
}
