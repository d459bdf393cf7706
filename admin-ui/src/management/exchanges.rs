//! Exchanges: `/api/exchanges`.

use async_trait::async_trait;
use bytes::Bytes;

use super::{Error, Object, Put};

/// An exchange.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ExchangeView {
    /// The vhost's name.
    pub vhost: String,
    /// Its name; empty: the default exchange.
    pub name: String,
    /// Its type, such as `topic`.
    pub exchange_type: String,
    /// Outlives a restart.
    pub durable: bool,
    /// Goes with its last binding.
    pub auto_delete: bool,
    /// Only other exchanges may feed it.
    pub internal: bool,
    /// What it was declared with.
    pub arguments: Object,
    /// The policy that applies to it.
    pub policy: Option<String>,
    /// Further keys, such as `message_stats` and `user_who_performed_action`, as they are to be sent.
    pub extra: Object,
}

/// An exchange as it is to be.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ExchangeDeclaration {
    /// Its type; an unknown one is [`Error::BadRequest`].
    pub exchange_type: String,
    /// Outlives a restart.
    pub durable: bool,
    /// Goes with its last binding.
    pub auto_delete: bool,
    /// Only other exchanges may feed it.
    pub internal: bool,
    /// Arguments.
    pub arguments: Object,
}

/// A message to publish.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Publication {
    /// The routing key.
    pub routing_key: String,
    /// AMQP's properties by RabbitMQ's keys (`content_type`, `headers`, `delivery_mode` and so on), as the client sent them: one of
    /// a wrong type is [`Error::BadRequest`].
    pub properties: Object,
    /// The body.
    pub payload: Bytes,
}

/// Exchanges.
#[async_trait]
pub trait Exchanges: Send + Sync + 'static {
    /// All of a vhost, or of all vhosts.
    async fn exchanges(&self, vhost: Option<&str>) -> Result<Vec<ExchangeView>, Error>;

    /// One.
    async fn exchange(&self, vhost: &str, name: &str) -> Result<ExchangeView, Error>;

    /// Declares one. One that exists with other properties is [`Error::BadRequest`], `inequivalent arg ...`.
    async fn put_exchange(
        &self,
        by: &str,
        vhost: &str,
        name: &str,
        declaration: ExchangeDeclaration,
    ) -> Result<Put, Error>;

    /// Deletes one. With `if_unused`, one with bindings from it is [`Error::BadRequest`].
    async fn delete_exchange(
        &self,
        by: &str,
        vhost: &str,
        name: &str,
        if_unused: bool,
    ) -> Result<(), Error>;

    /// Publishes a message and says whether it reached a queue.
    async fn publish(
        &self,
        by: &str,
        vhost: &str,
        exchange: &str,
        publication: Publication,
    ) -> Result<bool, Error>;
}
