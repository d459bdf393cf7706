//! The gate before a queue or exchange that does not take every message: one with a limit that refuses, or one that knows
//! duplicates. Whoever publishes through it holds it from its decision until the store has been given the messages, so that two
//! publishers never decide on the same room or the same key (docs/decisions/0009). Passed by [`super::admission`].

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use amq_protocol::types::{AMQPValue, FieldTable};
use leveret_persistence::RememberedKey;
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::dedup::Dedup;
use crate::queue::arguments::{integer_of, text};

/// The header with the key, unless another is named.
const HEADER: &str = "x-deduplication-header";

/// See the module.
#[derive(Debug)]
pub(crate) struct Gate {
    /// Gates are passed in this order, so that nobody waits in a circle.
    pub(crate) id: u64,
    /// Whether it refuses what is over the length limit.
    refuses: AtomicBool,
    /// Boxed: most have none.
    deduplication: Option<Box<Deduplication>>,
    /// For those that deduplicate nothing: whose turn it is.
    turn: OnceLock<Arc<Mutex<Option<Dedup>>>>,
    duplicates: AtomicU64,
}

/// How duplicates are known.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Deduplication {
    /// The header with the key.
    pub(crate) header: Arc<str>,
    /// How many keys are remembered.
    pub(crate) size: Option<u64>,
    /// For how long, in milliseconds.
    pub(crate) ttl_ms: Option<u64>,
    /// The name of these keys in the store; none if they do not outlive a restart.
    pub(crate) owner: Option<String>,
}

impl Deduplication {
    /// What the arguments of a queue ask for. `owner`: the name of its keys in the store.
    pub(crate) fn of(arguments: &FieldTable, owner: Option<String>) -> Option<Deduplication> {
        let arguments = arguments.inner();
        if arguments.get("x-message-deduplication") != Some(&AMQPValue::Boolean(true)) {
            return None;
        }
        let number = |name: &str| {
            arguments.get(name).and_then(integer_of).and_then(|number| u64::try_from(number).ok())
        };
        let header = arguments.get("x-deduplication-header").and_then(|name| text(name).ok());
        Some(Deduplication {
            header: header.as_deref().unwrap_or(HEADER).into(),
            size: number("x-cache-size"),
            ttl_ms: number("x-cache-ttl"),
            owner,
        })
    }
}

/// A gate that is held.
pub(crate) type Turn = OwnedMutexGuard<Option<Dedup>>;

impl Gate {
    /// An open gate: everything passes.
    #[cfg(test)]
    pub(crate) fn open(id: u64) -> Gate {
        Gate::new(id, None, Vec::new())
    }

    /// One that may know duplicates; `keys` are those it has seen, oldest first.
    pub(crate) fn new(
        id: u64,
        deduplication: Option<Deduplication>,
        keys: Vec<RememberedKey>,
    ) -> Gate {
        let known = deduplication.as_ref().map(|found| {
            let size = found.size.and_then(|size| usize::try_from(size).ok());
            let mut known = Dedup::new(size, found.ttl_ms);
            let until = |until_ms| (until_ms > 0).then_some(until_ms);
            // What does not fit any more is forgotten in the store when it is full again.
            known.restore(keys.into_iter().map(|found| (found.key.into(), until(found.until_ms))));
            known
        });
        let turn = OnceLock::new();
        if known.is_some() {
            turn.get_or_init(|| Arc::new(Mutex::new(known)));
        }
        Gate {
            id,
            refuses: AtomicBool::new(false),
            deduplication: deduplication.map(Box::new),
            turn,
            duplicates: AtomicU64::new(0),
        }
    }

    /// Lets it refuse what is over the limit, or not.
    pub(crate) fn set_refuses(&self, refuses: bool) {
        self.refuses.store(refuses, Ordering::Relaxed);
    }

    pub(crate) fn refuses(&self) -> bool {
        self.refuses.load(Ordering::Relaxed)
    }

    pub(crate) fn deduplication(&self) -> Option<&Deduplication> {
        self.deduplication.as_deref()
    }

    /// Whether there is anything to decide.
    pub(crate) fn is_closed(&self) -> bool {
        self.refuses() || self.deduplication.is_some()
    }

    /// Waits for one's turn.
    pub(crate) async fn pass(&self) -> Turn {
        // Most gates are never closed, and need no place to wait.
        Arc::clone(self.turn.get_or_init(Arc::default)).lock_owned().await
    }

    pub(crate) fn count_duplicate(&self) {
        self.duplicates.fetch_add(1, Ordering::Relaxed);
    }

    /// Duplicates since the broker started.
    pub(crate) fn duplicates(&self) -> u64 {
        self.duplicates.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};

    use super::*;
    use crate::dedup::Seen;

    fn arguments(pairs: &[(&str, AMQPValue)]) -> FieldTable {
        let mut table = FieldTable::default();
        for (name, value) in pairs {
            table.insert((*name).into(), value.clone());
        }
        table
    }

    #[test]
    fn a_queue_that_asks_for_it_knows_duplicates_by_a_header() {
        let on = ("x-message-deduplication", AMQPValue::Boolean(true));
        for off in [
            arguments(&[]),
            arguments(&[("x-message-deduplication", AMQPValue::Boolean(false))]),
            arguments(&[("x-cache-size", AMQPValue::LongInt(5))]),
        ] {
            assert_eq!(Deduplication::of(&off, None), None);
        }
        let plain = Deduplication::of(&arguments(std::slice::from_ref(&on)), None).unwrap();
        assert_eq!((&*plain.header, plain.size, plain.ttl_ms), (HEADER, None, None));
        let all = arguments(&[
            on,
            ("x-deduplication-header", AMQPValue::LongString("key".into())),
            ("x-cache-size", AMQPValue::ShortInt(5)),
            ("x-cache-ttl", AMQPValue::LongLongInt(700)),
        ]);
        let expected = Deduplication {
            header: "key".into(),
            size: Some(5),
            ttl_ms: Some(700),
            owner: Some("queue 1".to_owned()),
        };
        assert_eq!(Deduplication::of(&all, Some("queue 1".to_owned())), Some(expected));
    }

    #[test]
    fn a_gate_is_closed_while_there_is_anything_to_decide() {
        let gate = Gate::open(1);
        assert!(!gate.is_closed());
        gate.set_refuses(true);
        assert!(gate.is_closed() && gate.refuses());
        gate.set_refuses(false);
        assert!(!gate.is_closed());
        let knows = Deduplication { header: HEADER.into(), size: None, ttl_ms: None, owner: None };
        assert!(Gate::new(2, Some(knows), Vec::new()).is_closed());
    }

    #[tokio::test]
    async fn who_passes_holds_the_gate_and_finds_the_keys_of_before_a_restart() {
        let knows = Deduplication { header: HEADER.into(), size: None, ttl_ms: None, owner: None };
        let key = |key: &[u8], until_ms| RememberedKey { key: key.to_vec(), until_ms };
        let gate = Gate::new(1, Some(knows), vec![key(b"for ever", 0), key(b"until 50", 50)]);
        let mut turn = gate.pass().await;
        let mut next = std::pin::pin!(gate.pass());
        let mut context = Context::from_waker(Waker::noop());
        assert!(next.as_mut().poll(&mut context).is_pending(), "one at a time");
        let keys = turn.as_mut().unwrap();
        for (key, now_ms, known) in [
            (&b"for ever"[..], 1000, true),
            (b"until 50", 49, true),
            (b"until 50", 50, false),
            (b"new", 50, false),
        ] {
            assert_eq!(keys.is_known(key, now_ms), known, "{key:?} at {now_ms}");
        }
        assert!(matches!(keys.check_and_remember(b"new", None, 50), Seen::New { .. }));
        drop(turn);
        let mut turn = next.await;
        assert!(turn.as_mut().unwrap().is_known(b"new", 60));
    }

    #[tokio::test]
    async fn a_gate_that_deduplicates_nothing_knows_nothing() {
        let gate = Gate::open(1);
        assert!(gate.pass().await.is_none());
        gate.count_duplicate();
        gate.count_duplicate();
        assert_eq!(gate.duplicates(), 2);
    }
}
