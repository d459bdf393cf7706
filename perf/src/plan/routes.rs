//! Who publishes with which key, which queue is bound with which, and so which queue gets whose
//! messages: what `ledger` holds the broker to.

use std::ops::Range;

use super::Plan;
use crate::args::ExchangeKind;

const TOPIC_KEY: &str = "leveret.perf.key";

impl Plan {
    /// The routing key publisher `publisher` uses.
    pub(crate) fn publish_key(&self, publisher: u16) -> &str {
        self.shared_key().unwrap_or_else(|| self.queue_of(publisher))
    }

    /// The key queue `queue` is bound with.
    pub(crate) fn binding_key<'a>(&'a self, queue: &'a str) -> &'a str {
        self.shared_key().unwrap_or(queue)
    }

    /// The name of the queue that worker `index` takes.
    pub(crate) fn queue_of(&self, index: u16) -> &str {
        self.queues.get(self.queue_index(index)).map_or("", String::as_str)
    }

    /// The position of the queue that worker `index` takes.
    pub(crate) fn queue_index(&self, index: u16) -> usize {
        usize::from(index) % self.queues.len().max(1)
    }

    /// Whether what `publisher` publishes is routed to the queue at position `queue`.
    pub(crate) fn feeds(&self, publisher: u16, queue: usize) -> bool {
        self.shared_key().is_some() || self.queue_index(publisher) == queue
    }

    /// The one key everybody uses, if every queue gets every message.
    fn shared_key(&self) -> Option<&str> {
        if self.exchange.is_empty() {
            return None;
        }
        let default = match self.kind {
            ExchangeKind::Direct => None,
            ExchangeKind::Topic => Some(TOPIC_KEY),
            ExchangeKind::Fanout | ExchangeKind::Headers => Some(""),
        };
        self.routing_key.as_deref().or(default)
    }

    /// The queues that have a consumer, by position.
    pub(crate) fn consumed_queues(&self) -> Range<usize> {
        0..self.queues.len().min(usize::from(self.consumers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Args;

    fn plan(args: Args) -> Plan {
        Plan::new(args).unwrap()
    }

    #[test]
    fn workers_take_queues_round_robin() {
        let plan = plan(Args { queues: Some(3), queue: Some("q".into()), ..Args::default() });
        let taken: Vec<_> = (0..4).map(|index| plan.queue_of(index)).collect();
        assert_eq!(taken, ["q-1", "q-2", "q-3", "q-1"]);
        assert!(plan.feeds(3, 0) && !plan.feeds(3, 1));
    }

    #[test]
    fn fan_out_feeds_every_queue_from_every_publisher() {
        let args = Args { queues: Some(2), kind: Some(ExchangeKind::Fanout), ..Args::default() };
        let plan = plan(args);
        assert!(plan.feeds(0, 0) && plan.feeds(0, 1));
        assert_eq!(plan.publish_key(0), "");
        assert!(plan.exchange.starts_with("leveret-perf-"));
    }
}
