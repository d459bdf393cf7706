//! What a queue does with its messages, as its arguments and policies say together. Made by [`super::arguments`], asked by
//! [`super::state`]; a policy may replace the rules of a running queue.

use std::sync::Arc;

use leveret_persistence::Message;
use leveret_routing::Name;

use super::entry::NEVER;
use super::retry::Schedule;
use crate::protocol::properties::Properties;
use crate::stamp;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Rules {
    /// Deleted when its last consumer leaves.
    pub(crate) auto_delete: bool,
    /// `x-single-active-consumer`.
    pub(crate) single_active_consumer: bool,
    pub(crate) keeps: Keeps,
    /// `x-message-ttl` in milliseconds.
    pub(crate) ttl_ms: Option<u64>,
    /// `message-ttl` of a policy.
    pub(crate) policy_ttl: Option<PolicyTtl>,
    /// `x-expires`: how long the queue may be unused, in milliseconds.
    pub(crate) expires_ms: Option<u64>,
    /// `x-max-length`: ready messages.
    pub(crate) max_length: Option<u64>,
    /// `x-max-length-bytes`: bytes of body of ready messages.
    pub(crate) max_length_bytes: Option<u64>,
    /// `x-overflow`.
    pub(crate) overflow: Overflow,
    /// `x-dead-letter-exchange` and `x-dead-letter-routing-key`.
    pub(crate) dead_letter: Option<DeadLetter>,
    /// `x-max-priority`; 31 on a quorum queue.
    pub(crate) max_priority: u8,
    /// The priority of a message that has none: 4 on a quorum queue.
    pub(crate) default_priority: u8,
    /// `x-delivery-limit`: how often a message may come back as failed.
    pub(crate) delivery_limit: Option<u32>,
    /// Whether deliveries say how often a message came back for whatever reason (`x-acquired-count`), as on quorum queues.
    pub(crate) counts_acquired: bool,
    /// `x-consumer-timeout` in milliseconds.
    pub(crate) consumer_timeout_ms: Option<u64>,
    /// `x-retry-delays`.
    pub(crate) retry: Option<Arc<Schedule>>,
    /// `x-message-group-header`: the header that names a message's group.
    pub(crate) group_header: Option<Arc<str>>,
}

/// `x-queue-type`. On one node a quorum queue is a queue like any other, with RabbitMQ's rules for quorum queues: durable,
/// never exclusive, priorities, a delivery limit.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum QueueType {
    #[default]
    Classic,
    Quorum,
}

impl QueueType {
    /// The name on the wire.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            QueueType::Classic => "classic",
            QueueType::Quorum => "quorum",
        }
    }
}

/// Whose messages a queue keeps.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Keeps {
    /// Those that clients consume.
    #[default]
    ForClients,
    /// Those that a delayed exchange has to route later.
    UntilDue,
    /// The last ones of a recent-history exchange.
    AsHistory,
}

/// How long a message may wait, as a policy says. It is for messages that arrived from `since_ms` on: as in RabbitMQ, a policy
/// does not shorten the life of what was there before it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct PolicyTtl {
    pub(crate) ms: u64,
    pub(crate) since_ms: u64,
}

/// What happens at the length limit.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Overflow {
    /// The oldest ready message goes.
    #[default]
    DropHead,
    /// The new one is refused.
    RejectPublish,
    /// The new one is refused and dead-lettered.
    RejectPublishDlx,
}

/// Where dead letters go.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct DeadLetter {
    pub(crate) exchange: Name,
    /// None: the key, and `CC`, that the message has.
    pub(crate) routing_key: Option<Arc<str>>,
}

impl Rules {
    /// When a message that is in this queue expires, in milliseconds since the Unix epoch: the smaller of the queue's TTL and
    /// its own `expiration`.
    #[inline]
    pub(crate) fn expiry(&self, message: &Message) -> u64 {
        let expires = message.flags() & stamp::EXPIRES != 0;
        if self.ttl_ms.is_none() && self.policy_ttl.is_none() && !expires {
            return NEVER;
        }
        let stamp = message.stamp();
        // What exchanges keep lives on in its own time. And the store has not always noted arrivals.
        if self.keeps != Keeps::ForClients || stamp.arrived_ms == 0 {
            return NEVER;
        }
        let policy = self.policy_ttl.filter(|ttl| stamp.arrived_ms >= ttl.since_ms);
        let own = expires.then(|| expiration(message)).flatten();
        match [self.ttl_ms, policy.map(|ttl| ttl.ms), own].into_iter().flatten().min() {
            Some(ms) => stamp.arrived_ms.saturating_add(ms),
            None => NEVER,
        }
    }

    /// The lane of a message: its priority, capped.
    #[inline]
    pub(crate) fn priority(&self, message: &Message) -> u8 {
        if self.max_priority == 0 { 0 } else { self.priority_of(message.properties()) }
    }

    /// The same of its properties.
    pub(crate) fn priority_of(&self, properties: &[u8]) -> u8 {
        let priority = Properties::parse(properties).ok().and_then(|found| found.priority());
        priority.unwrap_or(self.default_priority).min(self.max_priority)
    }

    /// Whether the number of times that a message came back decides anything, and so has to outlive a restart.
    pub(crate) fn counts_deliveries(&self) -> bool {
        self.delivery_limit.is_some() || self.retry.is_some()
    }
}

fn expiration(message: &Message) -> Option<u64> {
    // Checked to be a number when it was published.
    let number: i64 = Properties::parse(message.properties()).ok()?.expiration()?.parse().ok()?;
    number.try_into().ok()
}

#[cfg(test)]
mod tests {
    use amq_protocol::protocol::BasicProperties;
    use leveret_persistence::Stamp;

    use super::super::testing::message;
    use super::*;

    fn expiring(ms: &str) -> BasicProperties {
        BasicProperties::default().with_expiration(ms.into())
    }

    #[test]
    fn a_message_expires_by_the_smallest_ttl_that_is_for_it() {
        let plain = BasicProperties::default();
        let policy = |ms, since_ms| Some(PolicyTtl { ms, since_ms });
        // The queue's TTL, the policy's, the message's, and when it expires that arrived at 1000.
        for (ttl_ms, policy_ttl, properties, expected) in [
            (None, None, &plain, NEVER),
            (Some(50), None, &plain, 1050),
            (None, policy(30, 1000), &plain, 1030),
            (None, policy(30, 1001), &plain, NEVER),
            (Some(50), policy(30, 1001), &plain, 1050),
            (Some(50), policy(30, 0), &expiring("20"), 1020),
            (Some(50), policy(30, 0), &expiring("40"), 1030),
            (Some(0), None, &expiring("40"), 1000),
            (None, None, &expiring("0"), 1000),
            (Some(u64::MAX), None, &plain, NEVER),
        ] {
            let rules = Rules { ttl_ms, policy_ttl, ..Rules::default() };
            let message = message(1000, properties, b"");
            assert_eq!(rules.expiry(&message), expected, "{ttl_ms:?} {policy_ttl:?}");
        }
    }

    #[test]
    fn what_exchanges_keep_and_what_came_at_an_unknown_time_does_not_expire() {
        let message = message(1000, &expiring("20"), b"");
        for keeps in [Keeps::UntilDue, Keeps::AsHistory] {
            let rules = Rules { keeps, ttl_ms: Some(10), ..Rules::default() };
            assert_eq!(rules.expiry(&message), NEVER);
        }
        let rules = Rules { ttl_ms: Some(10), ..Rules::default() };
        let unknown = message.stamped(Stamp { arrived_ms: 0, flags: stamp::EXPIRES });
        assert_eq!(rules.expiry(&unknown), NEVER);
    }

    #[test]
    fn a_priority_is_capped_and_has_a_default() {
        for (max_priority, default_priority, own, expected) in [
            (0, 0, Some(5), 0),
            (5, 0, None, 0),
            (5, 0, Some(3), 3),
            (5, 0, Some(9), 5),
            (31, 4, None, 4),
            (31, 4, Some(255), 31),
            (31, 4, Some(0), 0),
        ] {
            let rules = Rules { max_priority, default_priority, ..Rules::default() };
            let mut properties = BasicProperties::default();
            if let Some(priority) = own {
                properties = properties.with_priority(priority);
            }
            let message = message(0, &properties, b"");
            assert_eq!(rules.priority(&message), expected, "{max_priority} {own:?}");
        }
    }
}
