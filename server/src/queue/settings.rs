//! From a queue's arguments and its policies to its [`Rules`]: each setting once, by the merge rule of its row in
//! [`super::arguments`]. Called when a queue is declared or recovered, and when a policy changes.

use std::sync::Arc;

use amq_protocol::types::{AMQPValue, FieldTable};
use serde_json::Value;

use super::arguments::{Argument, Merge, integer_of, text};
use super::retry::Schedule;
use super::rules::{DeadLetter, Keeps, Overflow, PolicyTtl, QueueType, Rules};
use crate::vhost::policy::Effective;

/// RabbitMQ's limit on quorum queues that name none.
const QUORUM_DELIVERY_LIMIT: i64 = 20;
/// Quorum queues have these priorities without asking.
const QUORUM_PRIORITIES: (u8, u8) = (31, 4);
/// The header that names a message's group, unless another is named.
const GROUP_HEADER: &str = "x-group-id";

/// The rules of a queue of clients.
pub(crate) fn rules(
    arguments: &FieldTable,
    kind: QueueType,
    auto_delete: bool,
    policy: &Effective,
) -> Rules {
    let settings = Settings { arguments, kind, policy };
    let (max_priority, default_priority) = match kind {
        QueueType::Quorum => QUORUM_PRIORITIES,
        QueueType::Classic => (settings.priorities(), 0),
    };
    let ms = |value: &Value| value.as_u64();
    Rules {
        auto_delete,
        single_active_consumer: settings.flag("x-single-active-consumer"),
        keeps: Keeps::ForClients,
        ttl_ms: arguments.inner().get("x-message-ttl").and_then(integer_of).and_then(unsigned),
        policy_ttl: policy
            .definition
            .get("message-ttl")
            .and_then(ms)
            .map(|ms| PolicyTtl { ms, since_ms: policy.since_ms }),
        expires_ms: settings.number("x-expires"),
        max_length: settings.number("x-max-length"),
        max_length_bytes: settings.number("x-max-length-bytes"),
        overflow: settings.overflow(),
        dead_letter: settings.text("x-dead-letter-exchange").map(|exchange| DeadLetter {
            exchange: exchange.as_str().into(),
            routing_key: settings.text("x-dead-letter-routing-key").map(Into::into),
        }),
        max_priority,
        default_priority,
        delivery_limit: settings.delivery_limit(),
        counts_acquired: kind == QueueType::Quorum,
        consumer_timeout_ms: settings.number("x-consumer-timeout"),
        retry: settings.retry(),
        group_header: settings.group_header(),
    }
}

/// What the arguments and policies of a queue say.
struct Settings<'a> {
    arguments: &'a FieldTable,
    kind: QueueType,
    policy: &'a Effective,
}

impl Settings<'_> {
    fn argument(&self, name: &str) -> Option<&AMQPValue> {
        self.arguments.inner().get(name)
    }

    fn policy(&self, name: &str) -> Option<(&Value, Merge)> {
        let (key, merge) = Argument::named(name)?.policy?;
        self.policy.definition.get(key).map(|value| (value, merge))
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.integer(name).and_then(unsigned)
    }

    fn integer(&self, name: &str) -> Option<i64> {
        let argument = self.argument(name).and_then(integer_of);
        let policy = self.policy(name).and_then(|(value, merge)| Some((value.as_i64()?, merge)));
        let Some(((policy, merge), argument)) = policy.zip(argument) else {
            return argument.or(policy.map(|(value, _)| value));
        };
        Some(match merge {
            Merge::MinOrUnlimited if policy < 0 || argument < 0 => argument.max(policy),
            Merge::Min | Merge::MinOrUnlimited => argument.min(policy),
            Merge::Argument | Merge::ByType => argument,
        })
    }

    fn text(&self, name: &str) -> Option<String> {
        let argument = self.argument(name).and_then(|value| text(value).ok());
        let policy = self.policy(name);
        let prefers_policy =
            matches!(policy, Some((_, Merge::ByType))) && self.kind == QueueType::Quorum;
        let policy = policy.and_then(|(value, _)| value.as_str()).map(str::to_owned);
        if prefers_policy { policy.or(argument) } else { argument.or(policy) }
    }

    fn flag(&self, name: &str) -> bool {
        matches!(self.argument(name), Some(AMQPValue::Boolean(true)))
    }

    fn priorities(&self) -> u8 {
        let max = self.argument("x-max-priority").and_then(integer_of);
        max.and_then(|max| max.try_into().ok()).unwrap_or(0)
    }

    /// A quorum queue of RabbitMQ takes `reject-publish-dlx` and drops from the head.
    fn overflow(&self) -> Overflow {
        match (self.text("x-overflow").as_deref(), self.kind) {
            (Some("reject-publish"), _) => Overflow::RejectPublish,
            (Some("reject-publish-dlx"), QueueType::Classic) => Overflow::RejectPublishDlx,
            _ => Overflow::DropHead,
        }
    }

    fn delivery_limit(&self) -> Option<u32> {
        if self.kind == QueueType::Classic {
            return None;
        }
        let limit = self.integer("x-delivery-limit").unwrap_or(QUORUM_DELIVERY_LIMIT);
        // Negative: none.
        u32::try_from(limit).ok()
    }

    fn retry(&self) -> Option<Arc<Schedule>> {
        let argument = self.argument("x-retry-delays").map(Schedule::parse);
        let policy = || self.policy("x-retry-delays").map(|(value, _)| Schedule::parse_json(value));
        // Both were checked when they were set.
        argument.or_else(policy)?.ok().map(Arc::new)
    }

    fn group_header(&self) -> Option<Arc<str>> {
        match self.argument("x-message-group-header")? {
            AMQPValue::Boolean(false) => None,
            AMQPValue::LongString(name) if !name.as_bytes().is_empty() => {
                Some(String::from_utf8_lossy(name.as_bytes()).into())
            }
            _ => Some(GROUP_HEADER.into()),
        }
    }
}

fn unsigned(number: i64) -> Option<u64> {
    u64::try_from(number).ok()
}

#[cfg(test)]
mod tests;
