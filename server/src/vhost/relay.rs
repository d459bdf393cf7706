//! Carrying messages on from one queue to the next: dead letters, and what a delayed exchange routes when it is due.
//!
//! A message leaves its queue in the transaction that puts it into the next ones, so a crash finds it here or there, never
//! nowhere and never twice. A queue whose next queue refuses (`reject-publish`) keeps the message and tries again.

use std::borrow::Cow;
use std::sync::Arc;

use leveret_persistence::{Batch, Change, Message, MessageId, QueueId, Stamp};
use leveret_routing::{Name, Route as Walk};

use super::admission::{Admission, admit};
use super::dispatch::{Outgoing, Verdict, dispatch};
use super::publish::{Route, copy_keys};
use super::{Topology, Vhost};
use crate::protocol::death::{Death, DeathRecord, Reason, deaths, is_cycle, with_death};
use crate::protocol::properties::Properties;
use crate::queue::delay;
use crate::queue::dying::{Fate, Leaving};
use crate::queue::rules::{DeadLetter, Overflow};
use crate::queue::{Queue, ranges};
use crate::stamp;

/// The queue that messages leave.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) id: QueueId,
    pub(crate) name: Name,
    pub(crate) dead_letter: Option<DeadLetter>,
}

/// Carries messages on; returns those that every next queue has refused.
pub(crate) async fn carry(
    vhost: Arc<Vhost>,
    source: Source,
    leaving: Vec<Leaving>,
    now_ms: u64,
) -> Vec<Leaving> {
    let storage = &vhost.storage;
    storage.committer.room().await;
    let mut outgoing: Vec<Outgoing> = {
        let topology = vhost.topology();
        leaving.iter().map(|message| next(&vhost, &topology, &source, message, now_ms)).collect()
    };
    let had_targets: Vec<bool> =
        outgoing.iter().map(|outgoing| !outgoing.route.targets.is_empty()).collect();
    let mut admission = admit(&vhost, outgoing.iter_mut(), now_ms).await;
    let mut refused = Vec::new();
    let mut settled: Vec<MessageId> = Vec::new();
    let mut carried = std::mem::take(&mut admission.dead);
    for ((message, outgoing), had_targets) in leaving.into_iter().zip(outgoing).zip(had_targets) {
        let nobody = had_targets && outgoing.route.targets.is_empty();
        if nobody && outgoing.verdict == Verdict::Refused {
            refused.push(message);
            continue;
        }
        if message.entry.ticket.is_some() {
            settled.push(message.entry.id);
        }
        carried.push(outgoing);
    }
    let mut batch = batch_of(&mut admission);
    if !settled.is_empty() {
        batch.changes.push(Change::Settle { queue: source.id, ids: ranges(settled) });
    }
    dispatch(storage, carried.len(), carried.into_iter(), batch).await;
    refused
}

/// What was decided on the way becomes part of the same batch.
pub(crate) fn batch_of(admission: &mut Admission) -> Batch {
    Batch { changes: std::mem::take(&mut admission.changes), ..Batch::default() }
}

/// The dead letter of a message that `queue` has refused because it is full, if it makes one of it.
pub(super) fn refused(
    vhost: &Vhost,
    queue: &Queue,
    outgoing: &Outgoing,
    now_ms: u64,
) -> Option<Outgoing> {
    let rules = queue.rules.load();
    if rules.overflow != Overflow::RejectPublishDlx {
        return None;
    }
    let dead_letter = rules.dead_letter.as_ref()?;
    let message = &outgoing.message;
    Some(die(&vhost.topology(), &queue.name, dead_letter, message, Reason::MaxLen, now_ms))
}

fn next(
    vhost: &Vhost,
    topology: &Topology,
    source: &Source,
    leaving: &Leaving,
    now_ms: u64,
) -> Outgoing {
    let message = &leaving.entry.message;
    match (leaving.fate, &source.dead_letter) {
        (Fate::Dead(reason), Some(dead_letter)) => {
            die(topology, &source.name, dead_letter, message, reason, now_ms)
        }
        (Fate::Due, _) => come_due(vhost, topology, message, now_ms),
        // The policy that named the exchange has gone meanwhile.
        (Fate::Dead(_), None) => Outgoing::new(message.clone(), Arc::default(), false),
    }
}

/// A message on its way to the dead-letter exchange.
fn die(
    topology: &Topology,
    queue: &str,
    dead_letter: &DeadLetter,
    message: &Message,
    reason: Reason,
    now_ms: u64,
) -> Outgoing {
    let flags = message.flags();
    let trusted = flags & stamp::DEAD_LETTER != 0;
    let mut keys = vec![text(message.routing_key()).into_owned()];
    if flags & stamp::CC_SPENT == 0 {
        keys.extend(copy_keys(message.properties(), "CC"));
    }
    let exchange = text(message.exchange());
    let death = Death {
        queue,
        reason,
        exchange: &exchange,
        routing_keys: keys.clone(),
        time_secs: now_ms / 1000,
    };
    let properties = with_death(message.properties(), trusted, &death);
    if flags & stamp::BLIND_COPIES != 0 {
        keys.extend(copy_keys(message.properties(), "BCC"));
    }
    let mut kept_flags = stamp::DEAD_LETTER | flags & stamp::CC_SPENT;
    if let Some(key) = &dead_letter.routing_key {
        keys = vec![key.to_string()];
        kept_flags |= stamp::CC_SPENT;
    }
    let routing_key = keys.first().map_or("", String::as_str);
    let dead = Message::new(
        dead_letter.exchange.as_bytes(),
        routing_key.as_bytes(),
        &properties,
        message.body(),
    );
    let dead = dead.stamped(Stamp { arrived_ms: now_ms, flags: kept_flags });
    outgoing(topology, dead, &dead_letter.exchange, &keys, &deaths(&properties, true))
}

/// A message of a delayed exchange whose time has come.
fn come_due(vhost: &Vhost, topology: &Topology, message: &Message, now_ms: u64) -> Outgoing {
    let properties = delay::negated(message.properties());
    let exchange = text(message.exchange());
    let mut keys = vec![text(message.routing_key()).into_owned()];
    keys.extend(copy_keys(&properties, "CC"));
    keys.extend(copy_keys(&properties, "BCC"));
    let due = Message::new(message.exchange(), message.routing_key(), &properties, message.body());
    let due = due.stamped(Stamp { arrived_ms: now_ms, ..message.stamp() });
    let outgoing = outgoing(topology, due, &exchange, &keys, &[]);
    if outgoing.route.targets.is_empty() {
        tracing::debug!(vhost = &*vhost.name, %exchange, "a delayed message is due and has nowhere to go");
    }
    outgoing
}

/// A message that nobody publishes, with its route.
fn outgoing(
    topology: &Topology,
    message: Message,
    exchange: &str,
    keys: &[String],
    deaths: &[DeathRecord],
) -> Outgoing {
    let (route, persistent) = match Properties::parse(message.properties()) {
        Ok(properties) => {
            let route = route(topology, exchange, keys, &properties, deaths);
            (route, properties.is_persistent())
        }
        Err(_) => (Route::default(), false),
    };
    Outgoing::new(message, Arc::new(route), persistent)
}

/// Its queues. One without an exchange is dropped, as in RabbitMQ; so is one that goes round in a circle without ever being
/// rejected.
fn route(
    topology: &Topology,
    exchange: &str,
    keys: &[String],
    properties: &Properties<'_>,
    deaths: &[DeathRecord],
) -> Route {
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let mut walk = Walk::with_seed(rand::random());
    let Ok(mut route) = topology.route(exchange, &keys, properties, &mut walk) else {
        return Route::default();
    };
    if route.targets.iter().any(|queue| is_cycle(deaths, &queue.name)) {
        let targets = route.targets.drain(..).filter(|queue| {
            let circle = is_cycle(deaths, &queue.name);
            if circle {
                tracing::warn!(
                    queue = &*queue.name,
                    "a dead letter that went round in a circle was dropped"
                );
            }
            !circle
        });
        route = Route::of(targets.collect());
    }
    route
}

fn text(name: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(name)
}
