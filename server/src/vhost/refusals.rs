//! RabbitMQ's words for what a vhost refuses. One function a text, so that each text stands in one place.

use crate::access::permissions::Right;
use crate::protocol::{Fault, ReplyCode};

/// A queue or exchange as RabbitMQ names it in a text.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Resource<'a> {
    Queue(&'a str),
    Exchange(&'a str),
}

impl Resource<'_> {
    /// `queue 'q' in vhost '/'`
    pub(crate) fn in_vhost(self, vhost: &str) -> String {
        let (kind, name) = match self {
            Resource::Queue(name) => ("queue", name),
            Resource::Exchange(name) => ("exchange", name),
        };
        format!("{kind} '{name}' in vhost '{vhost}'")
    }
}

pub(crate) fn not_found(resource: Resource<'_>, vhost: &str) -> Fault {
    Fault::new(ReplyCode::NotFound, format!("no {}", resource.in_vhost(vhost)))
}

pub(crate) fn no_previously_declared_queue() -> Fault {
    Fault::new(ReplyCode::NotFound, "no previously declared queue")
}

pub(crate) fn locked(queue: &str, vhost: &str) -> Fault {
    let queue = Resource::Queue(queue).in_vhost(vhost);
    Fault::new(
        ReplyCode::ResourceLocked,
        format!(
            "cannot obtain exclusive access to locked {queue}. It could be originally declared on another \
             connection or the exclusive property value does not match that of the original declaration."
        ),
    )
}

/// `basic.get` of a quorum queue with a single active consumer.
pub(crate) fn get_from_single_active(queue: &str, vhost: &str) -> Fault {
    let queue = Resource::Queue(queue).in_vhost(vhost);
    Fault::new(
        ReplyCode::ResourceLocked,
        format!(
            "cannot obtain access to locked {queue}. basic.get operations are not supported by <<\"quorum\">> \
             queues with single active consumer"
        ),
    )
}

pub(crate) fn access_refused(
    right: Right,
    resource: Resource<'_>,
    vhost: &str,
    user: &str,
) -> Fault {
    let resource = match resource {
        Resource::Exchange("") => Resource::Exchange("amq.default"),
        named => named,
    };
    let (right, resource) = (right.name(), resource.in_vhost(vhost));
    Fault::new(
        ReplyCode::AccessRefused,
        format!("{right} access to {resource} refused for user '{user}'"),
    )
}

pub(crate) fn topic_refused(
    right: Right,
    routing_key: &str,
    exchange: &str,
    vhost: &str,
    user: &str,
) -> Fault {
    let (right, exchange) = (right.name(), Resource::Exchange(exchange).in_vhost(vhost));
    Fault::new(
        ReplyCode::AccessRefused,
        format!("{right} access to topic '{routing_key}' in {exchange} refused for user '{user}'"),
    )
}

pub(crate) fn reserved_prefix(resource: Resource<'_>) -> Fault {
    let (kind, name) = match resource {
        Resource::Queue(name) => ("queue", name),
        Resource::Exchange(name) => ("exchange", name),
    };
    Fault::new(
        ReplyCode::AccessRefused,
        format!("{kind} name '{name}' contains reserved prefix 'amq.*'"),
    )
}

pub(crate) fn queue_limit(queue: &str, vhost: &str, limit: usize) -> Fault {
    let text = format!(
        "cannot declare queue '{queue}': queue limit in vhost '{vhost}' ({limit}) is reached"
    );
    Fault::new(ReplyCode::PreconditionFailed, text)
}

pub(crate) fn vhost_deleted(vhost: &str) -> Fault {
    Fault::new(ReplyCode::ConnectionForced, format!("vhost '{vhost}' is deleted"))
}

pub(crate) fn default_exchange() -> Fault {
    Fault::new(ReplyCode::AccessRefused, "operation not permitted on the default exchange")
}

pub(crate) fn system_exchange(name: &str, vhost: &str) -> Fault {
    let exchange = Resource::Exchange(name).in_vhost(vhost);
    Fault::new(ReplyCode::AccessRefused, format!("deletion of system {exchange} not allowed"))
}

pub(crate) fn internal_exchange(name: &str, vhost: &str) -> Fault {
    let exchange = Resource::Exchange(name).in_vhost(vhost);
    Fault::new(ReplyCode::AccessRefused, format!("cannot publish to internal {exchange}"))
}

/// `received` and `current` as RabbitMQ prints them, quotes included.
pub(crate) fn inequivalent(
    argument: &str,
    resource: Resource<'_>,
    vhost: &str,
    received: &str,
    current: &str,
) -> Fault {
    let resource = resource.in_vhost(vhost);
    Fault::new(
        ReplyCode::PreconditionFailed,
        format!(
            "inequivalent arg '{argument}' for {resource}: received {received} but current is {current}"
        ),
    )
}

/// What a quorum queue cannot be.
pub(crate) fn invalid_property(property: &str, resource: Resource<'_>, vhost: &str) -> Fault {
    let text = format!("invalid property '{property}' for {}", resource.in_vhost(vhost));
    Fault::new(ReplyCode::PreconditionFailed, text)
}

pub(crate) fn in_use(resource: Resource<'_>, vhost: &str) -> Fault {
    Fault::new(ReplyCode::PreconditionFailed, format!("{} in use", resource.in_vhost(vhost)))
}

pub(crate) fn not_empty(queue: &str, vhost: &str) -> Fault {
    let queue = Resource::Queue(queue).in_vhost(vhost);
    Fault::new(ReplyCode::PreconditionFailed, format!("{queue} not empty"))
}

pub(crate) fn exclusive_use(queue: &str, vhost: &str) -> Fault {
    let queue = Resource::Queue(queue).in_vhost(vhost);
    Fault::new(ReplyCode::AccessRefused, format!("{queue} in exclusive use"))
}

/// RabbitMQ 4.3 prints -1 whatever the time-out was.
pub(crate) fn acknowledgement_timed_out(channel: u16) -> Fault {
    Fault::new(
        ReplyCode::PreconditionFailed,
        format!(
            "delivery acknowledgement on channel {channel} timed out. Timeout value used: -1 ms. This timeout value \
             can be configured, see consumers doc guide to learn more"
        ),
    )
}

/// The store has failed: nothing that has to outlive a restart can be accepted.
pub(crate) fn store_failed() -> Fault {
    Fault::new(
        ReplyCode::PreconditionFailed,
        "the broker's store has failed and takes no more writes: see the broker's log, then restart it",
    )
}

/// A message is in the store and cannot be read.
pub(crate) fn store_unreadable() -> Fault {
    Fault::new(
        ReplyCode::PreconditionFailed,
        "the broker's store cannot be read: see the broker's log; the message stays where it is",
    )
}
