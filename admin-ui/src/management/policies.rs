//! Policies and operator policies: `/api/policies`, `/api/operator-policies`.

use async_trait::async_trait;
use serde_json::Number;

use super::{Error, Object, Put};

/// Which of the two kinds.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum PolicyKind {
    /// Set by who runs the applications.
    Policy,
    /// Set by who runs the broker; limits what a policy may allow.
    OperatorPolicy,
}

/// A policy of either kind.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Policy {
    /// The vhost's name.
    pub vhost: String,
    /// Its name.
    pub name: String,
    /// A regular expression over names.
    pub pattern: String,
    /// `all`, `exchanges`, `queues`, `classic_queues`, `quorum_queues` or `streams`.
    pub apply_to: String,
    /// What it sets.
    pub definition: Object,
    /// Of the policies that match, the highest applies. RabbitMQ takes fractions too.
    pub priority: Number,
}

/// Policies.
#[async_trait]
pub trait Policies: Send + Sync + 'static {
    /// All of a kind, in one vhost or in all.
    async fn policies(&self, kind: PolicyKind, vhost: Option<&str>) -> Result<Vec<Policy>, Error>;

    /// One.
    async fn policy(&self, kind: PolicyKind, vhost: &str, name: &str) -> Result<Policy, Error>;

    /// Creates or replaces one: `pattern`, `definition`, `priority`, `apply-to`; other keys are ignored. What it may not say is
    /// [`Error::BadRequest`], `Validation failed\n\n` and the reasons. Its effects are there when this returns.
    async fn put_policy(
        &self,
        kind: PolicyKind,
        vhost: &str,
        name: &str,
        policy: Object,
    ) -> Result<Put, Error>;

    /// Deletes one.
    async fn delete_policy(&self, kind: PolicyKind, vhost: &str, name: &str) -> Result<(), Error>;
}
