//! Runtime parameters: `/api/parameters`, `/api/global-parameters`.

use async_trait::async_trait;
use serde_json::Value;

use super::{Error, Put};

/// A parameter of a component in a vhost, such as of `federation-upstream`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Parameter {
    /// What it is for.
    pub component: String,
    /// The vhost's name.
    pub vhost: String,
    /// Its name.
    pub name: String,
    /// Its value; the component says what it may be.
    pub value: Value,
}

/// A parameter of the whole cluster.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct GlobalParameter {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: Value,
}

/// Parameters.
#[async_trait]
pub trait Parameters: Send + Sync + 'static {
    /// All, or those of a component, or of a component in a vhost. Policies and limits of vhosts, which RabbitMQ lists here too,
    /// need not be among them: the API adds them.
    async fn parameters(
        &self,
        component: Option<&str>,
        vhost: Option<&str>,
    ) -> Result<Vec<Parameter>, Error>;

    /// One.
    async fn parameter(&self, component: &str, vhost: &str, name: &str)
    -> Result<Parameter, Error>;

    /// Creates or replaces one. An unknown component or a value that it refuses is [`Error::BadRequest`].
    async fn put_parameter(&self, parameter: Parameter) -> Result<Put, Error>;

    /// Deletes one. That of a component whose parameters are not deleted so, such as a policy, is [`Error::BadRequest`].
    async fn delete_parameter(&self, component: &str, vhost: &str, name: &str)
    -> Result<(), Error>;

    /// All global ones.
    async fn global_parameters(&self) -> Result<Vec<GlobalParameter>, Error>;

    /// One.
    async fn global_parameter(&self, name: &str) -> Result<GlobalParameter, Error>;

    /// Creates or replaces one.
    async fn put_global_parameter(&self, parameter: GlobalParameter) -> Result<Put, Error>;

    /// Deletes one.
    async fn delete_global_parameter(&self, name: &str) -> Result<(), Error>;
}
