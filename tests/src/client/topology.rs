//! The queues, exchanges and bindings that tests need again and again. What is not expected to fail panics with the reason.

use amq_protocol::protocol::{exchange, queue};
use amq_protocol::types::{AMQPValue, FieldTable};

use super::channel::Channel;
use crate::closed::Closed;

impl Channel {
    /// A queue with a name the broker gives, gone with this connection.
    pub fn exclusive_queue(&self) -> String {
        self.declare(queue::Declare { exclusive: true, ..Default::default() })
    }

    /// The same with arguments.
    pub fn exclusive_queue_with(&self, arguments: FieldTable) -> String {
        self.declare(queue::Declare { exclusive: true, arguments, ..Default::default() })
    }

    /// Declares a quorum queue, which has a name and outlives its connection: who declares it deletes it.
    ///
    /// # Errors
    /// How the broker refused it.
    pub fn quorum_queue(&self, name: &str, mut arguments: FieldTable) -> Result<(), Closed> {
        arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
        let declare =
            queue::Declare { queue: name.into(), durable: true, arguments, ..Default::default() };
        self.call(declare).map(|_| ())
    }

    /// Deletes a queue, whatever is in it.
    pub fn delete_queue(&self, queue: &str) {
        self.call(queue::Delete { queue: queue.into(), ..Default::default() })
            .unwrap_or_else(|closed| panic!("queue.delete: {closed:?}"));
    }

    /// Declares a queue that must not be refused, and gives its name.
    pub fn declare(&self, declare: queue::Declare) -> String {
        let reply = self.call(declare).unwrap_or_else(|closed| panic!("queue.declare: {closed:?}"));
        reply.queue.to_string()
    }

    /// Ready messages and consumers of a queue, by a passive declare.
    ///
    /// # Errors
    /// How the broker refused it, as when the queue does not exist.
    pub fn counts(&self, queue: &str) -> Result<(u32, u32), Closed> {
        self.call(queue::Declare { queue: queue.into(), passive: true, ..Default::default() })
            .map(|reply| (reply.message_count, reply.consumer_count))
    }

    /// Declares an exchange with arguments, which goes with its last binding.
    ///
    /// # Errors
    /// How the broker refused it.
    pub fn exchange_with(
        &self,
        name: &str,
        kind: &str,
        arguments: FieldTable,
    ) -> Result<(), Closed> {
        let declare = exchange::Declare {
            exchange: name.into(),
            kind: kind.into(),
            auto_delete: true,
            arguments,
            ..Default::default()
        };
        self.call(declare).map(|_| ())
    }

    /// Deletes an exchange.
    pub fn delete_exchange(&self, name: &str) {
        self.call(exchange::Delete { exchange: name.into(), ..Default::default() })
            .unwrap_or_else(|closed| panic!("exchange.delete: {closed:?}"));
    }

    /// Declares an exchange that must not be refused.
    pub fn declare_exchange(&self, name: &str, kind: &str) {
        let declare =
            exchange::Declare { exchange: name.into(), kind: kind.into(), ..Default::default() };
        self.call(declare).unwrap_or_else(|closed| panic!("exchange.declare: {closed:?}"));
    }

    /// Binds a queue where that must not be refused.
    pub fn bind(&self, queue: &str, exchange: &str, routing_key: &str) {
        self.call(queue::Bind {
            queue: queue.into(),
            exchange: exchange.into(),
            routing_key: routing_key.into(),
            ..Default::default()
        })
        .unwrap_or_else(|closed| panic!("queue.bind: {closed:?}"));
    }
}
