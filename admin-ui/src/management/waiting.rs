//! Messages that wait for their time: of a delayed exchange, and of a queue that tries them again later. `/api/x/.../delayed` and
//! `/api/x/.../retrying` ask it.

use async_trait::async_trait;

use super::{Error, Object};

/// Which part of a long list.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Window {
    /// How many to pass over.
    pub offset: usize,
    /// How many to give at the most.
    pub limit: usize,
}

/// A part of what waits, the first due first.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct WaitingPage {
    /// How many wait in all.
    pub total: u64,
    /// Those of the window.
    pub messages: Vec<WaitingMessage>,
}

/// A message that waits.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct WaitingMessage {
    /// The broker's number of the message.
    pub id: u64,
    /// When it is due, in milliseconds since 1970.
    pub due_ms: u64,
    /// How often it was delivered in vain; 0 for one of a delayed exchange.
    pub retries: u32,
    /// The exchange it was published to.
    pub exchange: String,
    /// Its routing key.
    pub routing_key: String,
    /// Its properties by RabbitMQ's keys.
    pub properties: Object,
    /// The size of its body.
    pub body_len_bytes: u64,
}

/// Messages that wait.
#[async_trait]
pub trait Waiting: Send + Sync + 'static {
    /// Those of a delayed exchange. [`Error::BadRequest`] for an exchange of another type.
    async fn delayed(
        &self,
        vhost: &str,
        exchange: &str,
        window: Window,
    ) -> Result<WaitingPage, Error>;

    /// Those of a queue that are to be tried again.
    async fn retrying(
        &self,
        vhost: &str,
        queue: &str,
        window: Window,
    ) -> Result<WaitingPage, Error>;
}
