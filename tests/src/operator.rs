//! What an operator sets up for a test: a vhost and users of its own, since the tests may share one RabbitMQ. Both are
//! taken away again when they go out of scope.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::broker::Broker;
use crate::client::{Channel, Connection};
use crate::closed::{Closed, channel_closed};
use crate::http::Http;
use crate::login::Login;

/// The password of every [`User`].
pub const PASSWORD: &str = "secret";

/// A vhost in which `guest` may do everything.
#[derive(Debug)]
pub struct Vhost {
    http: Http,
    address: SocketAddr,
    name: String,
}

impl Vhost {
    /// A new vhost.
    pub fn new(broker: &Broker) -> Self {
        Self::with_metadata(broker, &json!({}))
    }

    /// A new vhost, and a channel of `guest` in confirm mode.
    pub fn with_channel(broker: &Broker) -> (Self, Channel) {
        let vhost = Self::new(broker);
        let channel = vhost.channel();
        channel.confirm_select();
        (vhost, channel)
    }

    /// A new vhost with a description, tags or a default queue type.
    pub fn with_metadata(broker: &Broker, metadata: &Value) -> Self {
        let (http, address, name) = (broker.http(), broker.address(), broker.name("vhost"));
        assert_eq!(http.put(&["vhosts", &name], metadata).status, 201, "cannot make a vhost");
        let vhost = Self { http, address, name };
        vhost.permit("guest", [".*", ".*", ".*"]);
        vhost
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A connection of `guest`.
    pub fn connect(&self) -> Connection {
        self.login("guest", "guest").unwrap_or_else(|closed| panic!("refused guest: {closed:?}"))
    }

    /// A channel of `guest` on a connection of its own.
    pub fn channel(&self) -> Channel {
        self.connect().channel()
    }

    /// A connection of any user.
    ///
    /// # Errors
    /// How the broker refused it.
    pub fn login(&self, user: &str, password: &str) -> Result<Connection, Closed> {
        Login { vhost: self.name.clone(), ..Login::plain(user, password) }.open(self.address)
    }

    /// A channel of `user` on a connection of its own.
    pub fn channel_of(&self, user: &User) -> Channel {
        self.login(user.name(), PASSWORD)
            .unwrap_or_else(|closed| panic!("refused {}: {closed:?}", user.name()))
            .channel()
    }

    /// Sets what `user` may configure, write and read here.
    pub fn permit(&self, user: &str, [configure, write, read]: [&str; 3]) {
        let rights = json!({ "configure": configure, "write": write, "read": read });
        let answer = self.http.put(&["permissions", &self.name, user], &rights);
        assert!(matches!(answer.status, 201 | 204), "cannot permit: {answer:?}");
    }

    /// What `user` is told who lacks a right to `resource`, such as `queue 'q'`.
    pub fn access_refused(&self, right: &str, resource: &str, user: &str) -> Closed {
        let vhost = &self.name;
        let text = format!(
            "ACCESS_REFUSED - {right} access to {resource} in vhost '{vhost}' refused for user '{user}'"
        );
        channel_closed(403, text)
    }

    /// Takes all rights here from `user`.
    pub fn forbid(&self, user: &str) {
        let answer = self.http.delete(&["permissions", &self.name, user]);
        assert_eq!(answer.status, 204, "cannot forbid: {answer:?}");
    }

    /// Sets a policy; `policy` is its body.
    pub fn policy(&self, name: &str, policy: &Value) {
        self.put("policies", name, policy);
    }

    /// Deletes a policy.
    pub fn delete_policy(&self, name: &str) {
        self.delete("policies", name);
    }

    /// Sets an operator policy; `policy` is its body.
    pub fn operator_policy(&self, name: &str, policy: &Value) {
        self.put("operator-policies", name, policy);
    }

    /// Deletes an operator policy.
    pub fn delete_operator_policy(&self, name: &str) {
        self.delete("operator-policies", name);
    }

    /// Sets one of the limits of this vhost.
    pub fn limit(&self, name: &str, value: i64) {
        self.put("vhost-limits", name, &json!({ "value": value }));
    }

    /// Puts `body` at `/api/<collection>/<this vhost>/<name>`.
    fn put(&self, collection: &str, name: &str, body: &Value) {
        let answer = self.http.put(&[collection, &self.name, name], body);
        assert!(matches!(answer.status, 201 | 204), "cannot set {name}: {answer:?}");
    }

    fn delete(&self, collection: &str, name: &str) {
        let answer = self.http.delete(&[collection, &self.name, name]);
        assert_eq!(answer.status, 204, "cannot delete {name}: {answer:?}");
    }
}

impl Drop for Vhost {
    fn drop(&mut self) {
        let _may_be_gone = self.http.delete(&["vhosts", &self.name]);
    }
}

/// A user with [`PASSWORD`], who may do nothing anywhere.
#[derive(Debug)]
pub struct User {
    http: Http,
    name: String,
}

impl User {
    /// A new user without tags.
    pub fn new(broker: &Broker) -> Self {
        Self::with_tags(broker, "")
    }

    /// A new user with these tags, separated by commas.
    pub fn with_tags(broker: &Broker, tags: &str) -> Self {
        let user = Self { http: broker.http(), name: broker.name("user") };
        assert_eq!(user.put(&json!({ "password": PASSWORD, "tags": tags })), 201);
        user
    }

    /// The login name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Changes password or tags; the status of the answer.
    pub fn put(&self, body: &Value) -> u16 {
        self.http.put(&["users", &self.name], body).status
    }

    /// Sets one of the limits of this user.
    pub fn limit(&self, name: &str, value: i64) {
        let value = json!({ "value": value });
        let answer = self.http.put(&["user-limits", &self.name, name], &value);
        assert_eq!(answer.status, 204, "cannot set {name}: {answer:?}");
    }

    /// The management API as this user.
    pub fn http(&self) -> Http {
        self.http.login(&self.name, PASSWORD)
    }
}

impl Drop for User {
    fn drop(&mut self) {
        let _may_be_gone = self.http.delete(&["users", &self.name]);
    }
}
