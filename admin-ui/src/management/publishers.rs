//! What a queue knows of publishers that number their messages: `/api/x/queues/:vhost/:name/publishers`.

use async_trait::async_trait;

use super::Error;

/// A publisher that numbers its messages.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PublisherView {
    /// The name it gave itself.
    pub publisher: String,
    /// Messages that came.
    pub received: u64,
    /// Numbers below `last` that never came.
    pub missing: u64,
    /// Ranges of missing numbers, both ends included: the lowest ones, as many as the broker keeps.
    pub gaps: Vec<(u64, u64)>,
    /// Messages that came again.
    pub duplicates: u64,
    /// Messages that came after a higher number.
    pub reordered: u64,
    /// The highest number that came.
    pub last: u64,
}

/// Loss detection.
#[async_trait]
pub trait Publishers: Send + Sync + 'static {
    /// The publishers of a queue that the broker remembers.
    async fn publishers(&self, vhost: &str, queue: &str) -> Result<Vec<PublisherView>, Error>;
}
