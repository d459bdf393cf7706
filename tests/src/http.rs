//! The management API of the broker under test: RabbitMQ's paths, as `guest` unless a test says otherwise.
//!
//! Called by the tests of what an operator changes while clients are connected: [`crate::broker::Broker::http`] gives one.

use std::net::SocketAddr;

use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::{Value, json};
use ureq::Agent;
use ureq::http::{Request, header};

use crate::wait::DEADLINE;

/// What the API answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The JSON body; null when there is none.
    pub body: Value,
}

impl Answer {
    /// An answer without a body, to compare with.
    pub fn empty(status: u16) -> Self {
        Self { status, body: Value::Null }
    }

    /// A refusal to compare with.
    pub fn error(status: u16, error: &str, reason: &str) -> Self {
        Self { status, body: json!({ "error": error, "reason": reason }) }
    }

    /// What RabbitMQ says of anything that does not exist.
    pub fn not_found() -> Self {
        Self::error(404, "Object Not Found", "Not Found")
    }

    /// A refusal of what was asked for.
    pub fn bad_request(reason: &str) -> Self {
        Self::error(400, "bad_request", reason)
    }

    /// A refusal of a value, as parameters of all kinds word it.
    pub fn invalid(reason: &str) -> Self {
        Self::bad_request(&format!("Validation failed\n\n{reason}\n"))
    }
}

/// A user of the management API.
#[derive(Clone, Debug)]
pub struct Http {
    agent: Agent,
    address: SocketAddr,
    credentials: String,
}

impl Http {
    /// The API at `address`, as `guest`.
    pub fn new(address: SocketAddr) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(DEADLINE))
            .build();
        Self { agent: config.new_agent(), address, credentials: basic("guest", "guest") }
    }

    /// The same API as another user.
    #[must_use]
    pub fn login(&self, user: &str, password: &str) -> Self {
        Self { credentials: basic(user, password), ..self.clone() }
    }

    /// What is at `path`, whose segments are names as they are: `["vhosts", "/"]` is `/api/vhosts/%2F`.
    pub fn get(&self, path: &[&str]) -> Answer {
        self.send("GET", path, "")
    }

    /// Makes or changes what is at `path`.
    pub fn put(&self, path: &[&str], body: &Value) -> Answer {
        self.send("PUT", path, &body.to_string())
    }

    /// Deletes what is at `path`.
    pub fn delete(&self, path: &[&str]) -> Answer {
        self.send("DELETE", path, "")
    }

    /// Any request, with a body as it stands; panics when there is no answer.
    pub fn send(&self, method: &str, path: &[&str], body: &str) -> Answer {
        self.try_send(method, path, body)
            .unwrap_or_else(|error| panic!("{method} {path:?}: {error}"))
    }

    /// The same, for a broker that may end meanwhile; panics when the answer is not JSON.
    ///
    /// # Errors
    /// Why there is no answer.
    pub fn try_send(&self, method: &str, path: &[&str], body: &str) -> Result<Answer, ureq::Error> {
        let encoded: Vec<String> = path.iter().map(|segment| percent_encoded(segment)).collect();
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{}/api/{}", self.address, encoded.join("/")))
            .header(header::AUTHORIZATION, &self.credentials)
            .header(header::CONTENT_TYPE, "application/json")
            .body(body)
            .expect("a valid request");
        let mut answer = self.agent.run(request)?;
        let text = answer.body_mut().read_to_string()?;
        let body = match text.as_str() {
            "" => Value::Null,
            json => serde_json::from_str(json)
                .unwrap_or_else(|error| panic!("{method} {path:?} answered {json:?}: {error}")),
        };
        Ok(Answer { status: answer.status().as_u16(), body })
    }
}

/// The value of the header `Authorization`.
fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")))
}

/// A segment of a path in which nothing is a separator: all but unreserved characters (RFC 3986, section 2.3) encoded.
fn percent_encoded(segment: &str) -> String {
    segment
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}
