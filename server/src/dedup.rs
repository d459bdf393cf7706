//! Which messages came before: the keys that an exchange or a queue with `x-message-deduplication`
//! remembers, for how long (`x-cache-ttl`) and how many (`x-cache-size`). Called on publish with the
//! value of the header `x-deduplication-header`, before anything is routed or queued; the caller
//! stores what is remembered in the transaction of the message.
//!
//! Arguments and headers are those of RabbitMQ's community plugin and of LavinMQ. Unlike the
//! plugin's, whose entry for a queue goes with the message, a key stays for as long as it is asked
//! to: a publisher may try again after the consumer was quick.

use hashlink::LinkedHashMap;

/// Keys remembered when neither a size nor a time is asked for, as in LavinMQ.
pub(crate) const SIZE_DEFAULT: usize = 128;

/// Keys remembered at most, whatever is asked for; the oldest go first.
pub(crate) const KEYS_MAX: usize = 1_000_000;

/// Bytes of keys remembered at most; the oldest go first. A million UUIDs as text take 36 MB.
pub(crate) const KEYS_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Keys whose time is over that one call forgets beyond those it has to, so that the first message
/// after a quiet night does not pay for all of yesterday's.
const EXPIRED_PER_CALL: usize = 16;

/// What is known of a message's key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Seen {
    /// It is new, and remembered from now on.
    New {
        /// When it will be forgotten, in milliseconds of the caller's clock; `None` for as long as
        /// there is room.
        until_ms: Option<u64>,
        /// Keys that are forgotten instead. May be less than all whose time is over.
        evicted: Vec<Box<[u8]>>,
    },
    /// It came before. It is not remembered for any longer because of that.
    Duplicate,
}

/// The keys of one exchange or queue.
#[derive(Debug)]
pub(crate) struct Dedup {
    /// When each is forgotten; oldest first.
    keys: LinkedHashMap<Box<[u8]>, Option<u64>>,
    bytes: usize,
    size: usize,
    ttl_ms: Option<u64>,
}

impl Dedup {
    /// Remembers up to `size` keys, at least one, for `ttl_ms` milliseconds each. Without a size a time is kept as
    /// long as [`KEYS_MAX`] allows: LavinMQ would forget the 129th message of a minute although it
    /// was asked for the minute. Without either it is [`SIZE_DEFAULT`] keys.
    pub(crate) fn new(size: Option<usize>, ttl_ms: Option<u64>) -> Self {
        let default = if ttl_ms.is_some() { KEYS_MAX } else { SIZE_DEFAULT };
        let size = size.unwrap_or(default).clamp(1, KEYS_MAX);
        Self { keys: LinkedHashMap::new(), bytes: 0, size, ttl_ms }
    }

    /// Remembers what was remembered before a restart. Oldest first; beyond the bounds the oldest
    /// are left out, and returned for the store to forget.
    pub(crate) fn restore(
        &mut self,
        keys: impl IntoIterator<Item = (Box<[u8]>, Option<u64>)>,
    ) -> Vec<Box<[u8]>> {
        let mut evicted = Vec::new();
        for (key, until_ms) in keys {
            self.remember(key, until_ms);
            self.evict_to_bounds(&mut evicted);
        }
        evicted
    }

    /// Whether a message with this key came before.
    pub(crate) fn is_known(&self, key: &[u8], now_ms: u64) -> bool {
        self.keys.get(key).is_some_and(|until_ms| !is_over(*until_ms, now_ms))
    }

    /// The same, and remembers it from now on if not. `ttl_ms` is what the message itself asks for in
    /// its header `x-cache-ttl`, and goes before that of the queue or exchange.
    pub(crate) fn check_and_remember(
        &mut self,
        key: &[u8],
        ttl_ms: Option<u64>,
        now_ms: u64,
    ) -> Seen {
        match self.keys.get(key) {
            Some(until_ms) if !is_over(*until_ms, now_ms) => return Seen::Duplicate,
            // It counts as new, and takes its place among the new.
            Some(_) => drop(self.forget(key)),
            None => {}
        }
        let until_ms = ttl_ms.or(self.ttl_ms).map(|ttl_ms| now_ms.saturating_add(ttl_ms));
        self.remember(key.into(), until_ms);
        let mut evicted = self.expired(key, now_ms);
        self.evict_to_bounds(&mut evicted);
        Seen::New { until_ms, evicted }
    }

    /// Forgets a key: the message that had it was refused after all.
    pub(crate) fn forget(&mut self, key: &[u8]) -> Option<Box<[u8]>> {
        let (key, _) = self.keys.remove_entry(key)?;
        self.bytes -= key.len();
        Some(key)
    }

    fn remember(&mut self, key: Box<[u8]>, until_ms: Option<u64>) {
        let key_len = key.len();
        if self.keys.insert(key, until_ms).is_none() {
            self.bytes += key_len;
        }
    }

    /// Forgets the oldest keys whose time is over, as far as no younger one stands before them.
    fn expired(&mut self, newest: &[u8], now_ms: u64) -> Vec<Box<[u8]>> {
        let mut expired = Vec::new();
        while expired.len() < EXPIRED_PER_CALL {
            match self.keys.front() {
                Some((key, until_ms)) if **key != *newest && is_over(*until_ms, now_ms) => {}
                _ => break,
            }
            expired.extend(self.forget_oldest());
        }
        expired
    }

    fn evict_to_bounds(&mut self, evicted: &mut Vec<Box<[u8]>>) {
        while self.keys.len() > self.size || self.bytes > KEYS_BYTES_MAX {
            evicted.extend(self.forget_oldest());
        }
    }

    fn forget_oldest(&mut self) -> Option<Box<[u8]>> {
        let (key, _) = self.keys.pop_front()?;
        self.bytes -= key.len();
        Some(key)
    }
}

fn is_over(until_ms: Option<u64>, now_ms: u64) -> bool {
    until_ms.is_some_and(|until_ms| until_ms <= now_ms)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;

    use super::*;

    fn is_new(dedup: &mut Dedup, key: &[u8], now_ms: u64) -> bool {
        dedup.check_and_remember(key, None, now_ms) != Seen::Duplicate
    }

    fn numbered(number: usize) -> Vec<u8> {
        number.to_string().into_bytes()
    }

    #[test]
    fn the_second_message_with_a_key_is_a_duplicate() {
        let mut dedup = Dedup::new(None, None);
        assert!(is_new(&mut dedup, b"a", 0) && is_new(&mut dedup, b"b", 0));
        assert!(!is_new(&mut dedup, b"a", u64::MAX) && !is_new(&mut dedup, b"a", 0));
        assert_eq!(dedup.keys.len(), 2);
    }

    #[test]
    fn a_key_is_remembered_for_its_time_and_a_duplicate_does_not_prolong_it() {
        // Of the queue, of the message, and when it is over.
        for (of_queue, of_message, end) in [
            (Some(100), None, 100),
            (Some(100), Some(7), 7),
            (None, Some(7), 7),
            (Some(0), None, 0),
        ] {
            let mut dedup = Dedup::new(None, of_queue);
            let seen = dedup.check_and_remember(b"a", of_message, 1000);
            assert_eq!(seen, Seen::New { until_ms: Some(1000 + end), evicted: vec![] });
            if end > 0 {
                assert!(!is_new(&mut dedup, b"a", 999 + end));
            }
            assert!(is_new(&mut dedup, b"a", 1000 + end));
        }
    }

    #[test]
    fn a_time_beyond_all_clocks_is_for_ever() {
        let mut dedup = Dedup::new(None, None);
        dedup.check_and_remember(b"a", Some(u64::MAX), 1000);
        assert!(!is_new(&mut dedup, b"a", u64::MAX - 1));
    }

    #[test]
    fn it_remembers_as_many_keys_as_asked_for() {
        let table = [
            (Some(3), None, 3),
            (Some(3), Some(9), 3),
            (Some(0), None, 1),
            (None, None, SIZE_DEFAULT),
            (None, Some(9), 5000),
        ];
        for (size, ttl_ms, kept) in table {
            let mut dedup = Dedup::new(size, ttl_ms);
            for number in 0..5000 {
                assert!(is_new(&mut dedup, &numbered(number), 0));
            }
            assert_eq!(dedup.keys.len(), kept, "{size:?} {ttl_ms:?}");
            assert!(!is_new(&mut dedup, &numbered(5000 - kept), 0));
        }
        assert_eq!(Dedup::new(Some(usize::MAX), None).size, KEYS_MAX);
    }

    #[test]
    fn keys_of_any_length_stay_within_their_bytes() {
        let mut dedup = Dedup::new(Some(KEYS_MAX), None);
        let mut evicted_len = 0;
        for number in 0..100 {
            let mut key = numbered(number);
            key.resize(1024 * 1024, 0);
            let Seen::New { evicted, .. } = dedup.check_and_remember(&key, None, 0) else {
                panic!("{number} is new");
            };
            evicted_len += evicted.len();
        }
        assert_eq!((dedup.keys.len(), evicted_len), (64, 36));
        assert_eq!(dedup.bytes, KEYS_BYTES_MAX);
    }

    #[test]
    fn what_is_over_is_forgotten_a_few_at_a_time() {
        let mut dedup = Dedup::new(None, Some(10));
        for number in 0..100 {
            is_new(&mut dedup, &numbered(number), 0);
        }
        let Seen::New { evicted, .. } = dedup.check_and_remember(b"next", None, 10) else {
            panic!("it is new");
        };
        assert_eq!(evicted.len(), EXPIRED_PER_CALL);
        assert_eq!(dedup.keys.len(), 101 - EXPIRED_PER_CALL);
    }

    #[test]
    fn a_key_that_is_taken_back_is_new_again() {
        let mut dedup = Dedup::new(None, None);
        is_new(&mut dedup, b"a", 0);
        assert_eq!(dedup.forget(b"a").as_deref(), Some(&b"a"[..]));
        assert_eq!(dedup.forget(b"a"), None);
        assert!(is_new(&mut dedup, b"a", 0));
    }

    #[test]
    fn more_than_there_is_room_for_is_not_restored() {
        let mut dedup = Dedup::new(Some(2), None);
        let keys: [&[u8]; 3] = [b"a", b"b", b"c"];
        let left_out = dedup.restore(keys.map(|key| (key.into(), None)));
        assert_eq!(left_out, [b"a".as_slice().into()]);
        assert!(!is_new(&mut dedup, b"b", 0) && !is_new(&mut dedup, b"c", 0));
    }

    /// The keys that were new, each where it was new last, and when it is over.
    #[derive(Default)]
    struct Log(Vec<(u8, Option<u64>)>);

    impl Log {
        fn is_duplicate(&self, key: u8, size: usize, now_ms: u64) -> bool {
            let Some(index) = self.0.iter().position(|(known, _)| *known == key) else {
                return false;
            };
            let newer = self.0.len() - index - 1;
            !is_over(self.0[index].1, now_ms) && newer < size
        }

        fn remember(&mut self, key: u8, until_ms: Option<u64>) {
            self.0.retain(|(known, _)| *known != key);
            self.0.push((key, until_ms));
        }
    }

    proptest! {
        /// A duplicate is what was new less than its time and less than `size` new keys ago; and what
        /// the caller was told to store and to forget makes the same `Dedup` after a restart.
        #[test]
        fn it_agrees_with_a_log_and_survives_restarts(
            size in 1..8_usize,
            ttl_ms in option::of(0..20_u64),
            steps in vec((0..12_u8, option::of(0..20_u64), 0..4_u64, prop::bool::weighted(0.1)), 0..150),
        ) {
            let mut dedup = Dedup::new(Some(size), ttl_ms);
            let mut log = Log::default();
            let mut stored: Vec<(Box<[u8]>, Option<u64>)> = Vec::new();
            let mut now_ms = 0;
            for (key, message_ttl_ms, passed, restart) in steps {
                now_ms += passed;
                if restart {
                    dedup = Dedup::new(Some(size), ttl_ms);
                    prop_assert_eq!(dedup.restore(stored.clone()), Vec::<Box<[u8]>>::new());
                }
                let expected = log.is_duplicate(key, size, now_ms);
                match dedup.check_and_remember(&[key], message_ttl_ms, now_ms) {
                    Seen::Duplicate => prop_assert!(expected),
                    Seen::New { until_ms, evicted } => {
                        prop_assert!(!expected);
                        log.remember(key, until_ms);
                        stored.retain(|(known, _)| **known != [key]);
                        stored.push((Box::new([key]), until_ms));
                        for evicted in evicted {
                            prop_assert!(stored.iter().any(|(known, _)| *known == evicted));
                            stored.retain(|(known, _)| *known != evicted);
                        }
                    }
                }
                prop_assert_eq!(dedup.keys.len(), stored.len());
                prop_assert_eq!(dedup.bytes, stored.len());
            }
        }
    }
}
