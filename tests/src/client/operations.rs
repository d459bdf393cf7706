//! The messages that tests send and take again and again. What is not expected to fail panics with the reason.

use std::collections::BTreeSet;

use amq_protocol::protocol::{AMQPClass, BasicProperties, basic, confirm};

use super::channel::Channel;
use super::inbox::Message;
use crate::closed::Closed;
use crate::wait;

/// Publishing and confirms.
impl Channel {
    /// Publishes a transient message without properties.
    pub fn publish(&self, exchange: &str, routing_key: &str, body: &str) {
        self.publish_with(exchange, routing_key, BasicProperties::default(), body);
    }

    /// Publishes a message with properties.
    pub fn publish_with(
        &self,
        exchange: &str,
        routing_key: &str,
        properties: BasicProperties,
        body: &str,
    ) {
        let method = basic::Publish {
            exchange: exchange.into(),
            routing_key: routing_key.into(),
            ..Default::default()
        };
        self.publish_method(method, properties, body.as_bytes());
    }

    /// Publishes on a channel that has nothing unconfirmed and waits for the answer: whether it was an ack. What the message
    /// did to its queues has happened then.
    pub fn publish_and_wait(
        &self,
        exchange: &str,
        routing_key: &str,
        properties: BasicProperties,
        body: &str,
    ) -> bool {
        self.publish_with(exchange, routing_key, properties, body);
        self.confirm().2
    }

    /// Publishes each body to a queue, waiting for each answer. The channel is in confirm mode.
    pub fn fill(&self, queue: &str, bodies: &[&str]) {
        for body in bodies {
            let acked = self.publish_and_wait("", queue, BasicProperties::default(), body);
            assert!(acked, "{body} was refused");
        }
    }

    /// Publishes with a mandatory flag.
    pub fn publish_mandatory(&self, exchange: &str, routing_key: &str, body: &str) {
        let method = basic::Publish {
            exchange: exchange.into(),
            routing_key: routing_key.into(),
            mandatory: true,
            ..Default::default()
        };
        self.publish_method(method, BasicProperties::default(), body.as_bytes());
    }
}

/// Getting, consuming, acknowledging.
impl Channel {
    /// Takes one message with `basic.get`, or nothing if the queue is empty.
    ///
    /// # Errors
    /// How the broker refused it.
    pub fn try_get(&self, queue: &str, no_ack: bool) -> Result<Option<Message>, Closed> {
        self.send(basic::Get { queue: queue.into(), no_ack });
        self.wait_for(|event| match &event.method {
            AMQPClass::Basic(basic::AMQPMethod::GetOk(_)) => Some(event.message()),
            AMQPClass::Basic(basic::AMQPMethod::GetEmpty(_)) => Some(None),
            _ => None,
        })
    }

    /// Takes one message that needs no acknowledgement, or nothing if the queue is empty.
    pub fn get(&self, queue: &str) -> Option<Message> {
        self.try_get(queue, true).unwrap_or_else(|closed| panic!("basic.get: {closed:?}"))
    }

    /// Takes one message that stays unacknowledged; panics if there is none.
    pub fn get_unacked(&self, queue: &str) -> Message {
        self.try_get(queue, false)
            .unwrap_or_else(|closed| panic!("basic.get: {closed:?}"))
            .unwrap_or_else(|| panic!("queue {queue} is empty"))
    }

    /// Takes the bodies of all messages that are ready.
    pub fn drain(&self, queue: &str) -> Vec<String> {
        std::iter::from_fn(|| self.get(queue)).map(|message| message.body).collect()
    }

    /// Waits until exactly `count` messages are ready.
    pub fn wait_ready(&self, queue: &str, count: u32) {
        wait::until("the ready messages of a queue are as many as expected", || {
            let (ready, _) =
                self.counts(queue).unwrap_or_else(|closed| panic!("passive declare: {closed:?}"));
            (ready == count).then_some(())
        });
    }

    /// Starts a consumer that acknowledges; panics if it is refused.
    pub fn consume(&self, queue: &str, consumer_tag: &str) {
        self.try_consume(basic::Consume {
            queue: queue.into(),
            consumer_tag: consumer_tag.into(),
            ..Default::default()
        })
        .unwrap_or_else(|closed| panic!("basic.consume: {closed:?}"));
    }

    /// Starts a consumer that does not acknowledge; panics if it is refused.
    pub fn consume_no_ack(&self, queue: &str, consumer_tag: &str) {
        self.try_consume(basic::Consume {
            queue: queue.into(),
            consumer_tag: consumer_tag.into(),
            no_ack: true,
            ..Default::default()
        })
        .unwrap_or_else(|closed| panic!("basic.consume: {closed:?}"));
    }

    /// Starts a consumer and gives the tag it got.
    ///
    /// # Errors
    /// How the broker refused it.
    pub fn try_consume(&self, consume: basic::Consume) -> Result<String, Closed> {
        self.call(consume).map(|reply| reply.consumer_tag.to_string())
    }

    /// The next `basic.deliver`.
    pub fn delivery(&self) -> Message {
        self.wait_for(|event| match &event.method {
            AMQPClass::Basic(basic::AMQPMethod::Deliver(_)) => event.message(),
            _ => None,
        })
        .unwrap_or_else(|closed| panic!("waited for a delivery, got {closed:?}"))
    }

    /// The bodies of the next `count` deliveries.
    pub fn bodies(&self, count: usize) -> Vec<String> {
        (0..count).map(|_| self.delivery().body).collect()
    }

    /// The next `basic.return`.
    pub fn returned(&self) -> Message {
        self.wait_for(|event| match &event.method {
            AMQPClass::Basic(basic::AMQPMethod::Return(_)) => event.message(),
            _ => None,
        })
        .unwrap_or_else(|closed| panic!("waited for a return, got {closed:?}"))
    }

    /// The consumer tag of the next `basic.cancel` the broker sends.
    pub fn cancelled_by_broker(&self) -> String {
        self.wait_for(|event| match &event.method {
            AMQPClass::Basic(basic::AMQPMethod::Cancel(cancel)) => {
                Some(cancel.consumer_tag.to_string())
            }
            _ => None,
        })
        .unwrap_or_else(|closed| panic!("waited for basic.cancel, got {closed:?}"))
    }

    /// Acknowledges one delivery.
    pub fn ack(&self, delivery_tag: u64) {
        self.send(basic::Ack { delivery_tag, multiple: false });
    }

    /// Refuses one delivery with `basic.reject`.
    pub fn reject(&self, delivery_tag: u64, requeue: bool) {
        self.send(basic::Reject { delivery_tag, requeue });
    }

    /// Puts one delivery back.
    pub fn requeue(&self, delivery_tag: u64) {
        self.send(basic::Nack { delivery_tag, multiple: false, requeue: true });
    }

    /// Sets the prefetch of consumers that start later, 0 for none.
    pub fn prefetch(&self, prefetch_count: u16) {
        self.call(basic::Qos { prefetch_count, ..Default::default() })
            .unwrap_or_else(|closed| panic!("basic.qos: {closed:?}"));
    }

    /// Puts the channel into confirm mode.
    pub fn confirm_select(&self) {
        self.call(confirm::Select::default())
            .unwrap_or_else(|closed| panic!("confirm.select: {closed:?}"));
    }

    /// Waits until the publishes `first` to `last` of this channel are all confirmed, each exactly once, and says which
    /// of them were refused. Publishes count from 1.
    pub fn confirms(&self, first: u64, last: u64) -> Vec<u64> {
        let mut open: BTreeSet<u64> = (first..=last).collect();
        let mut refused = Vec::new();
        while !open.is_empty() {
            let (tag, multiple, acked) = self.confirm();
            let settled: Vec<u64> = if multiple {
                open.iter().copied().take_while(|number| *number <= tag).collect()
            } else {
                vec![tag]
            };
            for number in settled {
                assert!(open.remove(&number), "publish {number} was confirmed twice or never sent");
                if !acked {
                    refused.push(number);
                }
            }
        }
        refused
    }

    /// The next confirm: its delivery tag, `multiple`, and whether it is an ack.
    pub fn confirm(&self) -> (u64, bool, bool) {
        self.wait_for(|event| match &event.method {
            AMQPClass::Basic(basic::AMQPMethod::Ack(ack)) => {
                Some((ack.delivery_tag, ack.multiple, true))
            }
            AMQPClass::Basic(basic::AMQPMethod::Nack(nack)) => {
                Some((nack.delivery_tag, nack.multiple, false))
            }
            _ => None,
        })
        .unwrap_or_else(|closed| panic!("waited for a confirm, got {closed:?}"))
    }

    /// Asserts that nothing more is on its way to this channel from `queue`. The first round trip goes through the queue,
    /// behind anything it has sent; the second through the channel, behind anything that reached it meanwhile.
    pub fn expect_silence(&self, queue: &str) {
        for _ in 0..2 {
            self.counts(queue).unwrap_or_else(|closed| panic!("passive declare: {closed:?}"));
        }
        let unclaimed = self.unclaimed();
        assert!(unclaimed.is_empty(), "expected nothing, got {unclaimed:?}");
    }
}
