//! The hash exchanges written from their description: FNV-1a, the finalizer of SplitMix64, and
//! weighted rendezvous hashing over a flat list.

use std::collections::BTreeMap;

use amq_protocol::types::AMQPValue;
use leveret_routing::{Arguments, Binding, Destination};

use crate::support::Content;

fn fnv_1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn hash(bytes: &[u8]) -> u64 {
    mix(fnv_1a(bytes))
}

/// The destination that a consistent hash exchange chooses.
pub(crate) fn consistent(
    arguments: &Arguments,
    bindings: &[&Binding],
    keys: &[&str],
    content: &Content,
) -> Option<Destination> {
    let hashed = hash(&hashed_bytes(arguments, keys, content));
    let mut weights = BTreeMap::new();
    for binding in bindings {
        let weight: u16 = binding.routing_key.parse().unwrap();
        let lowest = weights.entry(&binding.destination).or_insert(weight);
        *lowest = weight.min(*lowest);
    }
    let score = |destination: &Destination, weight: u16| {
        let name = match destination {
            Destination::Queue(name) => [b"queue\xFF", name.as_bytes()].concat(),
            Destination::Exchange(name) => [b"exchange\xFF", name.as_bytes()].concat(),
        };
        let drawn = mix(hash(&name) ^ hashed) >> 11;
        ((drawn as f64 + 0.5) / 2_f64.powi(53)).ln() / f64::from(weight)
    };
    let best = weights.into_iter().max_by(|a, b| score(a.0, a.1).total_cmp(&score(b.0, b.1)))?;
    Some(best.0.clone())
}

fn hashed_bytes(arguments: &Arguments, keys: &[&str], content: &Content) -> Vec<u8> {
    let text = |name| match arguments.get(name) {
        Some(AMQPValue::LongString(text)) => str::from_utf8(text.as_bytes()).ok(),
        _ => None,
    };
    match (text("hash-header"), text("hash-property")) {
        (Some(header), _) => match content.headers.inner().get(header) {
            None | Some(AMQPValue::Void) => Vec::new(),
            Some(AMQPValue::LongString(text)) => text.as_bytes().to_vec(),
            Some(AMQPValue::Boolean(value)) => value.to_string().into(),
            Some(AMQPValue::ShortShortUInt(value)) => value.to_string().into(),
            Some(AMQPValue::LongInt(value)) => value.to_string().into(),
            Some(AMQPValue::LongLongInt(value)) => value.to_string().into(),
            Some(AMQPValue::Timestamp(value)) => value.to_string().into(),
            Some(other) => panic!("no test sends {other:?}"),
        },
        (_, Some("correlation_id")) => content.correlation_id.clone().unwrap_or_default(),
        (_, Some("message_id")) => content.message_id.clone().unwrap_or_default(),
        (_, Some("timestamp")) => {
            content.timestamp.map(|timestamp| timestamp.to_string().into()).unwrap_or_default()
        }
        (_, Some(other)) => panic!("no test hashes {other}"),
        (None, None) => keys[0].as_bytes().to_vec(),
    }
}

/// The destination that a modulus hash exchange chooses.
pub(crate) fn modulus(bindings: &[&Binding], keys: &[&str]) -> Option<Destination> {
    let parts: Vec<u8> = keys.iter().flat_map(|key| [key.as_bytes(), b"\xFF"].concat()).collect();
    let mut destinations: Vec<&Destination> =
        bindings.iter().map(|binding| &binding.destination).collect();
    destinations.sort();
    let position = hash(&parts).checked_rem(destinations.len() as u64)?;
    destinations.get(usize::try_from(position).unwrap()).map(|destination| (*destination).clone())
}
