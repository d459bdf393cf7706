//! The consistent hash exchange, `x-consistent-hash`: one destination, chosen by a hash of the
//! routing key, of a header or of a property. The binding key is the destination's weight: with
//! twice the weight it gets twice as many of the hashes.
//!
//! The choice is weighted rendezvous hashing. Every destination draws a number from its own name
//! and the message's hash, the weights scale what is drawn, and the highest wins. So the choice
//! depends on nothing but which destinations there are: not on the order in which they were bound,
//! which a restart forgets, and a destination that comes or goes takes or leaves only its own keys.
//! Why not as RabbitMQ does it: docs/decisions/0008.

use std::cmp::Ordering;

use imbl::{OrdMap, Vector};

use crate::hash::{Hash, mix};
use crate::message::Message;
use crate::route::Route;
use crate::{BindError, Binding, Destination, Headers, term};

use super::options::{HashOn, HashProperty};

/// The number in a binding key, 1 to 10,000.
type Weight = u16;

const WEIGHT_MAX: Weight = 10_000;

/// The destinations, by weight.
#[derive(Clone, Debug)]
pub(crate) struct ConsistentHashRule {
    hash_on: HashOn,
    /// How many bindings give a destination a weight. Only the lowest weight counts: RabbitMQ
    /// takes one binding for a queue and ignores what is added to it.
    bindings: OrdMap<(Destination, Weight), usize>,
    contenders: OrdMap<Weight, Vector<Contender>>,
}

/// A destination with what it draws its numbers from.
#[derive(Clone, Debug)]
struct Contender {
    destination: Destination,
    hash: u64,
}

impl ConsistentHashRule {
    pub(crate) fn new(hash_on: &HashOn) -> Self {
        Self { hash_on: hash_on.clone(), bindings: OrdMap::new(), contenders: OrdMap::new() }
    }

    /// Refuses a binding key that is no weight.
    pub(crate) fn check(binding: &Binding) -> Result<(), BindError> {
        weight(&binding.routing_key).map(|_| ())
    }

    pub(crate) fn insert(&mut self, binding: &Binding) {
        let Ok(weight) = weight(&binding.routing_key) else { return };
        self.change(&binding.destination, |bindings| {
            *bindings.entry((binding.destination.clone(), weight)).or_insert(0) += 1;
        });
    }

    pub(crate) fn remove(&mut self, binding: &Binding) {
        let Ok(weight) = weight(&binding.routing_key) else { return };
        self.change(&binding.destination, |bindings| {
            let place = (binding.destination.clone(), weight);
            match bindings.get_mut(&place) {
                Some(count) if *count > 1 => *count -= 1,
                _ => {
                    bindings.remove(&place);
                }
            }
        });
    }

    pub(crate) fn route(&self, message: &Message<'_>, out: &mut Route) {
        let hash = match &self.hash_on {
            HashOn::RoutingKey => {
                Hash::of(message.routing_keys().first().map_or(&[], |key| key.as_bytes()))
            }
            HashOn::Header(name) => {
                out.decided_by_content();
                let mut hash = Hash::new();
                let value = message.table().and_then(|table| table.inner().get(&**name));
                value.into_iter().for_each(|value| hash.write_value(value));
                hash.finish()
            }
            HashOn::Property(property) => {
                out.decided_by_content();
                property_hash(*property, message.properties())
            }
        };
        if let Some(destination) = self.winner(hash) {
            out.add_destination(destination);
        }
    }

    /// Changes the bindings of `destination`, and makes its contender have the weight that counts
    /// afterwards.
    fn change(
        &mut self,
        destination: &Destination,
        change: impl FnOnce(&mut OrdMap<(Destination, Weight), usize>),
    ) {
        let before = self.weight_of(destination);
        change(&mut self.bindings);
        let after = self.weight_of(destination);
        if before == after {
            return;
        }
        if let Some(weight) = before {
            let contenders = self.contenders.entry(weight).or_default();
            if let Ok(position) = Contender::position(contenders, destination) {
                contenders.remove(position);
            }
            if contenders.is_empty() {
                self.contenders.remove(&weight);
            }
        }
        if let Some(weight) = after {
            let contenders = self.contenders.entry(weight).or_default();
            if let Err(position) = Contender::position(contenders, destination) {
                contenders.insert(position, Contender::new(destination));
            }
        }
    }

    fn weight_of(&self, destination: &Destination) -> Option<Weight> {
        let (lowest, highest) = ((destination.clone(), 0), (destination.clone(), Weight::MAX));
        self.bindings.range(lowest..=highest).next().map(|((_, weight), _)| *weight)
    }

    /// Among equal weights the highest number wins. Between weights the numbers are compared as
    /// rendezvous hashing has it: ln(u) / weight, where u is the number as a part of one.
    fn winner(&self, hash: u64) -> Option<&Destination> {
        let drawn = self.contenders.iter().filter_map(|(weight, contenders)| {
            let drawn = contenders.iter().map(|contender| (contender.draw(hash), contender));
            let (number, best) =
                drawn.reduce(|best, next| if next.0 > best.0 { next } else { best })?;
            Some((*weight, number, best))
        });
        let best = drawn.max_by(|a, b| compare(a.0, a.1, b.0, b.1))?;
        Some(&best.2.destination)
    }
}

fn compare(a: Weight, a_number: u64, b: Weight, b_number: u64) -> Ordering {
    let score = |weight: Weight, number: u64| unit(number).ln() / f64::from(weight);
    score(a, a_number).total_cmp(&score(b, b_number))
}

/// The upper 53 bits of `number` as a part of one; never zero or one.
fn unit(number: u64) -> f64 {
    const PARTS: f64 = (1_u64 << 53) as f64;
    ((number >> 11) as f64 + 0.5) / PARTS
}

impl Contender {
    fn new(destination: &Destination) -> Self {
        let kind: &[u8] = match destination {
            Destination::Queue(_) => b"queue",
            Destination::Exchange(_) => b"exchange",
        };
        let mut hash = Hash::new();
        hash.write_part(kind);
        hash.write(destination.name().as_bytes());
        Self { destination: destination.clone(), hash: hash.finish() }
    }

    fn position(contenders: &Vector<Self>, destination: &Destination) -> Result<usize, usize> {
        contenders.binary_search_by(|contender| contender.destination.cmp(destination))
    }

    fn draw(&self, hash: u64) -> u64 {
        mix(self.hash ^ hash)
    }
}

/// A property that is absent is hashed like an empty one: all messages without it go to one queue.
fn property_hash(property: HashProperty, properties: &dyn Headers) -> u64 {
    let mut hash = Hash::new();
    match property {
        HashProperty::CorrelationId => hash.write(properties.correlation_id().unwrap_or_default()),
        HashProperty::MessageId => hash.write(properties.message_id().unwrap_or_default()),
        HashProperty::Timestamp => {
            properties.timestamp().iter().for_each(|timestamp| hash.write_text(timestamp));
        }
    }
    hash.finish()
}

/// Reads a binding key as Erlang reads an integer: decimal digits, perhaps with a sign in front.
fn weight(key: &str) -> Result<Weight, BindError> {
    let (negative, digits) = match key.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, key.strip_prefix('+').unwrap_or(key)),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(BindError::WeightNotANumber(term::binary(key.as_bytes())));
    }
    // More digits than a number can have, leading zeros aside, are above the maximum anyway.
    let number = digits.trim_start_matches('0');
    let number = if number.is_empty() { 0 } else { number.parse().unwrap_or(Weight::MAX) };
    match number {
        0 => Err(BindError::WeightTooLow),
        _ if negative => Err(BindError::WeightTooLow),
        1..=WEIGHT_MAX => Ok(number),
        _ => Err(BindError::WeightTooHigh),
    }
}
