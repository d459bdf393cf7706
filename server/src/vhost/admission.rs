//! Which queues take a message that is about to be published: asked only where a gate on its way is closed, that is, before
//! queues that refuse what is over their limit, and where duplicates are known. Called with the publishes of one read, of one
//! transaction, or with what a queue passes on, just before they are dispatched.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use leveret_persistence::{Change, QueueId, RememberedKey};
use sha2::{Digest, Sha256};

use super::dispatch::{Outgoing, Verdict};
use super::gate::{Gate, Turn};
use super::publish::Route;
use super::{Vhost, relay};
use crate::dedup::Seen;
use crate::limits::DEDUPLICATION_KEY_BYTES;
use crate::protocol::properties::Properties;
use crate::queue::state::Room;
use crate::queue::{Command, Queue};

/// The gates that were passed. They are held until this is dropped, which must not be before the messages were submitted.
#[derive(Default)]
pub(crate) struct Admission {
    passed: HashMap<u64, (Arc<Gate>, Turn)>,
    rooms: HashMap<QueueId, Room>,
    /// To be submitted in one batch with the messages.
    pub(crate) changes: Vec<Change>,
    /// What queues have refused and dead-letter (`reject-publish-dlx`): to be dispatched with the others.
    pub(crate) dead: Vec<Outgoing>,
    now_ms: u64,
}

/// Decides on each of `messages` in turn: takes queues off its route and sets its verdict.
pub(crate) async fn admit<'a>(
    vhost: &Vhost,
    messages: impl Iterator<Item = &'a mut Outgoing>,
    now_ms: u64,
) -> Admission {
    let mut gated: Vec<&mut Outgoing> = messages.filter(|outgoing| outgoing.route.gated).collect();
    let mut admission = Admission { now_ms, ..Admission::default() };
    if gated.is_empty() {
        return admission;
    }
    // Boxed: few messages are asked for, and its future would be part of every connection's.
    Box::pin(admission.pass_gates(&gated)).await;
    for outgoing in &mut gated {
        admission.decide(vhost, outgoing);
    }
    admission
}

impl Admission {
    async fn pass_gates(&mut self, gated: &[&mut Outgoing]) {
        let mut gates: Vec<(Arc<Gate>, Option<Arc<Queue>>)> = Vec::new();
        for outgoing in gated {
            let exchange = outgoing.route.exchange_gate.iter().map(|gate| (Arc::clone(gate), None));
            let queues = outgoing.route.targets.iter().filter(|queue| queue.gate.is_closed());
            let queues = queues.map(|queue| (Arc::clone(&queue.gate), Some(Arc::clone(queue))));
            gates.extend(exchange.chain(queues));
        }
        gates.sort_unstable_by_key(|(gate, _)| gate.id);
        gates.dedup_by_key(|(gate, _)| gate.id);
        for (gate, queue) in gates {
            let turn = gate.pass().await;
            if let Some(queue) = queue.filter(|_| gate.refuses()) {
                // One that is gone takes everything: nobody will miss it.
                if let Ok(room) = queue.ask(|reply| Command::Room { reply }).await {
                    self.rooms.insert(queue.id, room);
                }
            }
            self.passed.insert(gate.id, (gate, turn));
        }
    }

    fn decide(&mut self, vhost: &Vhost, outgoing: &mut Outgoing) {
        let properties = outgoing.message.clone();
        let Ok(properties) = Properties::parse(properties.properties()) else {
            return;
        };
        let exchange_gate = outgoing.route.exchange_gate.clone();
        if let Some(gate) = &exchange_gate
            && self.is_duplicate(gate, &properties)
        {
            outgoing.verdict = Verdict::Duplicate;
            outgoing.route = Arc::default();
            return;
        }
        let mut taken = Vec::with_capacity(outgoing.route.targets.len());
        for queue in &outgoing.route.targets {
            if self.is_duplicate(&queue.gate, &properties) {
                outgoing.verdict = outgoing.verdict.max(Verdict::Duplicate);
            } else if !self.has_room(queue, outgoing.message.body().len()) {
                outgoing.verdict = Verdict::Refused;
                self.dead.extend(relay::refused(vhost, queue, outgoing, self.now_ms));
            } else {
                taken.push(Arc::clone(queue));
            }
        }
        for queue in &taken {
            self.remember(&queue.gate, &properties);
        }
        // A publisher whose message was refused by some queue sends it again.
        if let Some(gate) = exchange_gate.filter(|_| outgoing.verdict != Verdict::Refused)
            && !taken.is_empty()
        {
            self.remember(&gate, &properties);
        }
        if taken.len() < outgoing.route.targets.len() {
            outgoing.route = Arc::new(Route::of(taken));
        }
    }

    fn has_room(&mut self, queue: &Queue, body_len: usize) -> bool {
        let Some(room) = self.rooms.get_mut(&queue.id) else {
            return true;
        };
        if room.direct > 0 {
            room.direct -= 1;
            return true;
        }
        let body_len = body_len as u64;
        if room.messages == 0 || room.bytes < body_len {
            return false;
        }
        room.messages -= 1;
        room.bytes -= body_len;
        true
    }

    fn is_duplicate(&mut self, gate: &Arc<Gate>, properties: &Properties<'_>) -> bool {
        let Some((key, (_, turn))) = key_for(gate, properties).zip(self.passed.get_mut(&gate.id))
        else {
            return false;
        };
        let known = turn.as_mut().is_some_and(|keys| keys.is_known(&key, self.now_ms));
        if known {
            gate.count_duplicate();
        }
        known
    }

    fn remember(&mut self, gate: &Arc<Gate>, properties: &Properties<'_>) {
        let Some((key, (_, turn))) = key_for(gate, properties).zip(self.passed.get_mut(&gate.id))
        else {
            return;
        };
        let Some(keys) = turn.as_mut() else {
            return;
        };
        let seen = keys.check_and_remember(&key, cache_ttl(properties), self.now_ms);
        let owner = gate.deduplication().and_then(|found| found.owner.clone());
        let (Seen::New { until_ms, evicted }, Some(owner)) = (seen, owner) else {
            return;
        };
        if !evicted.is_empty() {
            let keys = evicted.into_iter().map(Vec::from).collect();
            self.changes.push(Change::Forget { owner: owner.clone(), keys });
        }
        let key = RememberedKey { key: key.into_owned(), until_ms: until_ms.unwrap_or(0) };
        self.changes.push(Change::Remember { owner, keys: vec![key] });
    }
}

/// The key by which a gate knows a message: the value of its header, type and all, or the digest of a long one.
fn key_for<'a>(gate: &Gate, properties: &Properties<'a>) -> Option<Cow<'a, [u8]>> {
    let header = &gate.deduplication()?.header;
    let value = properties.header_field(header.as_bytes())?.value;
    match value.len() {
        0..=DEDUPLICATION_KEY_BYTES => Some(value.into()),
        _ => Some(Sha256::digest(value).to_vec().into()),
    }
}

/// A message's own time in the cache, as RabbitMQ's deduplication plugin has it.
fn cache_ttl(properties: &Properties<'_>) -> Option<u64> {
    properties.header_field(b"x-cache-ttl")?.view().unsigned()
}
