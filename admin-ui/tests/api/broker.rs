//! The router over the fake broker, and how tests talk to it.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Request, StatusCode, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use leveret_admin_ui::router;
use serde_json::Value;
use tower::ServiceExt;

use crate::fake::Fake;

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    /// The JSON; null if there is none.
    pub(crate) fn json(&self) -> Value {
        match self.text.is_empty() {
            true => Value::Null,
            false => serde_json::from_str(&self.text).unwrap(),
        }
    }
}

/// A broker with the users and vhosts of [`Fake::new`].
pub(crate) struct Broker {
    pub(crate) fake: Arc<Fake>,
    router: Router,
}

impl Broker {
    pub(crate) fn new() -> Broker {
        let fake = Arc::new(Fake::new());
        Broker { router: router(fake.clone()), fake }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        let text = String::from_utf8(body.to_vec()).unwrap();
        Answer { status: parts.status, headers: parts.headers, text }
    }

    /// A request line such as `admin PUT /vhosts/a`: user (whose password is its name), method, path below `/api`.
    pub(crate) async fn ask(&self, line: &str, body: &str) -> Answer {
        self.send(request(line, body)).await
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let answer = self.ask(&format!("admin GET {path}"), "").await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text);
        answer.json()
    }

    /// Sends a table of requests, in order: line, body, status, answer. Expected null stands for no body.
    pub(crate) async fn check(&self, table: &[(&str, &str, u16, Value)]) {
        for (line, body, status, expected) in table {
            let answer = self.ask(line, body).await;
            assert_eq!(answer.status.as_u16(), *status, "{line} {body}: {}", answer.text);
            assert_eq!(answer.json(), *expected, "{line} {body}");
        }
    }

    /// Sends a table of requests of which only the status matters.
    pub(crate) async fn check_statuses(&self, table: &[(&str, &str, u16)]) {
        for (line, body, status) in table {
            let answer = self.ask(line, body).await;
            assert_eq!(answer.status.as_u16(), *status, "{line} {body}: {}", answer.text);
        }
    }
}

/// The request of a line, from a client on this machine.
pub(crate) fn request(line: &str, body: &str) -> Request<Body> {
    request_from("127.0.0.1".parse().unwrap(), line, body)
}

/// The request of a line.
pub(crate) fn request_from(peer: IpAddr, line: &str, body: &str) -> Request<Body> {
    let mut words = line.splitn(3, ' ');
    let (user, method, path) =
        (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
    Request::builder()
        .method(method)
        .uri(format!("/api{path}"))
        .header(header::AUTHORIZATION, basic(user, user))
        .extension(ConnectInfo(SocketAddr::new(peer, 40000)))
        .body(Body::from(body.to_owned()))
        .unwrap()
}

/// The header of HTTP Basic authentication.
pub(crate) fn basic(name: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{name}:{password}")))
}

/// The keys of an object.
pub(crate) fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

/// An object has all of these keys.
pub(crate) fn assert_has_keys(value: &Value, expected: &[&str]) {
    let keys = keys(value);
    let missing: Vec<_> = expected.iter().filter(|key| !keys.contains(**key)).collect();
    assert!(missing.is_empty(), "{missing:?} missing in {keys:?}");
}
