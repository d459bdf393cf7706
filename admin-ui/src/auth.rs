//! HTTP Basic authentication. It stands before every route that exists, so that no handler can forget it; what the user may do
//! is decided later, by `caller` and `target`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::Shared;
use crate::caller::Caller;
use crate::error::ApiError;
use crate::management::LoginRefused;

/// RabbitMQ's realm: browsers and some clients keep passwords by it.
const CHALLENGE: HeaderValue = HeaderValue::from_static("Basic realm=\"RabbitMQ Management\"");

/// Lets a request pass as its [`Caller`], or answers it.
pub(crate) async fn authenticate(
    State(api): State<Shared>,
    mut request: Request,
    next: Next,
) -> Response {
    if request.method() == Method::OPTIONS {
        return next.run(request).await;
    }
    let Some((name, password)) = credentials(request.headers()) else {
        return challenge(request.headers());
    };
    let login = api.logins.login(name, password, peer(&request)).await;
    match login.map_err(refused).and_then(Caller::new) {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(error) => error.into_response(),
    }
}

fn refused(refused: LoginRefused) -> ApiError {
    match refused {
        LoginRefused::InvalidCredentials => ApiError::not_authorized("Not_Authorized"),
        LoginRefused::LoopbackOnly => ApiError::not_authorised(refused.to_string()),
        LoginRefused::Busy => ApiError::unavailable(refused.to_string()),
    }
}

/// Asks for a name and password; not from a script in a browser, which would make it open a window of its own over the page.
fn challenge(headers: &HeaderMap) -> Response {
    let mut response = StatusCode::UNAUTHORIZED.into_response();
    if !headers.keys().any(|name| name.as_str().starts_with("sec-fetch-")) {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, CHALLENGE);
    }
    response
}

fn credentials(headers: &HeaderMap) -> Option<(String, Vec<u8>)> {
    let (scheme, encoded) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let mut name = STANDARD.decode(encoded.trim()).ok()?;
    let colon = name.iter().position(|byte| *byte == b':')?;
    let password = name.split_off(colon).split_off(1);
    Some((String::from_utf8(name).ok()?, password))
}

fn peer(request: &Request) -> IpAddr {
    let info = request.extensions().get::<ConnectInfo<SocketAddr>>();
    // An address that is not known must not pass for a local one.
    info.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |info| info.0.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_base64_of_name_colon_password() {
        let read = |value: &str| {
            let value = HeaderValue::from_str(value).unwrap();
            credentials(&HeaderMap::from_iter([(header::AUTHORIZATION, value)]))
        };
        let basic = |text: &[u8]| read(&format!("Basic {}", STANDARD.encode(text)));
        let table: [(&[u8], _); 5] = [
            (b"guest:guest", Some(("guest".to_owned(), b"guest".to_vec()))),
            (b"a:b:c", Some(("a".to_owned(), b"b:c".to_vec()))),
            (b":", Some((String::new(), Vec::new()))),
            (b"a:\xff", Some(("a".to_owned(), b"\xff".to_vec()))),
            (b"guest", None),
        ];
        for (text, expected) in table {
            assert_eq!(basic(text), expected, "{text:?}");
        }
        assert_eq!(basic(b"\xff:a"), None);
        assert_eq!(read("basic YTpi"), Some(("a".to_owned(), b"b".to_vec())));
        for wrong in ["", "Basic", "Basic ?", "Bearer YTpi"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
