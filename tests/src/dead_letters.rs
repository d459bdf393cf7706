//! A queue to die in, and a consumer of what died there: where the tests of dead letters begin. Used by `tests/blackbox`.

use amq_protocol::protocol::{BasicProperties, basic};
use amq_protocol::types::{AMQPValue, FieldTable};

use crate::broker::Broker;
use crate::client::{Channel, Connection, Message};
use crate::{table, text};

/// A source queue and the queue of its dead letters, exclusive on one connection.
#[derive(Debug)]
pub struct DeadLetters {
    /// The connection that owns both queues.
    pub connection: Connection,
    /// A channel in confirm mode, for publishing to the source and taking from it.
    pub channel: Channel,
    /// The queue in which messages die.
    pub source: String,
    /// The queue that gets them, through the default exchange.
    pub target: String,
    consumer: Channel,
}

impl DeadLetters {
    /// Both queues; the source has `arguments` too.
    pub fn with<const N: usize>(broker: &Broker, arguments: [(&str, AMQPValue); N]) -> Self {
        let connection = broker.connect();
        let (channel, consumer) = (connection.channel(), connection.channel());
        channel.confirm_select();
        let target = consumer.exclusive_queue();
        consumer.consume_no_ack(&target, "dead-letters");
        let mut all = to_queue(&target);
        for (name, value) in arguments {
            all.insert(name.into(), value);
        }
        let source = channel.exclusive_queue_with(all);
        Self { connection, channel, source, target, consumer }
    }

    /// Publishes to the source, which accepts it.
    pub fn publish(&self, properties: BasicProperties, body: &str) {
        let acked = self.channel.publish_and_wait("", &self.source, properties, body);
        assert!(acked, "{body} was refused");
    }

    /// Publishes to the source, takes it from there and refuses it.
    pub fn publish_and_reject(&self, properties: BasicProperties, body: &str) {
        self.publish(properties, body);
        self.channel.reject(self.channel.get_unacked(&self.source).delivery_tag, false);
    }

    /// The next dead letter.
    pub fn next(&self) -> Message {
        self.consumer.delivery()
    }

    /// The bodies of the next dead letters.
    pub fn bodies(&self, count: usize) -> Vec<String> {
        self.consumer.bodies(count)
    }

    /// Asserts that nothing died that has not been taken: a message that dies now is the next.
    pub fn expect_no_more(&self) {
        self.publish_and_reject(BasicProperties::default(), "the last to die");
        assert_eq!(self.next().body, "the last to die");
    }

    /// Refuses deliveries up to a tag at once.
    pub fn reject_up_to(&self, delivery_tag: u64) {
        self.channel.send(basic::Nack { delivery_tag, multiple: true, requeue: false });
    }
}

/// The arguments that send dead letters to `queue` through the default exchange.
pub fn to_queue(queue: &str) -> FieldTable {
    table([("x-dead-letter-exchange", text("")), ("x-dead-letter-routing-key", text(queue))])
}
