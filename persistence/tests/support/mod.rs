//! What the tests of this crate share: the backends under test, and short ways to write changes.
#![expect(dead_code, reason = "every test binary uses its own part of this")]

pub(crate) mod definitions;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use leveret_persistence::memory::{self, MemoryDisk};
use leveret_persistence::{
    Batch, Change, Gathered, IdSet, Message, MessageId, Progress, Publish, QueueId, QueueRecord,
    Recovered, RememberedKey, Stamp, Store, Upkeep, sqlite,
};
use tempfile::TempDir;

/// A place to open stores in, again and again.
pub(crate) trait Backend {
    /// Opens the store as a start of the broker does.
    fn open(&self) -> (Box<dyn Store>, Recovered);
}

/// A directory of the SQLite backend.
pub(crate) struct Sqlite(pub(crate) TempDir);

impl Sqlite {
    /// An empty directory.
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }
}

impl Backend for Sqlite {
    fn open(&self) -> (Box<dyn Store>, Recovered) {
        let (store, recovered) = sqlite::open(self.0.path()).expect("the store opens");
        (Box::new(store), recovered)
    }
}

/// A disk of the memory backend.
#[derive(Default)]
pub(crate) struct Memory(pub(crate) MemoryDisk);

impl Backend for Memory {
    fn open(&self) -> (Box<dyn Store>, Recovered) {
        let (store, recovered) = memory::open(&self.0);
        (Box::new(store), recovered)
    }
}

/// The body that the tests give to a message.
pub(crate) fn body(id: MessageId) -> Vec<u8> {
    format!("body of {id}").into_bytes()
}

/// The stamp of the message that the tests publish with an id.
pub(crate) fn stamp(id: MessageId) -> Stamp {
    let [.., flags] = id.to_be_bytes();
    Stamp { arrived_ms: 1_795_379_430_000 + id, flags }
}

/// The message that the tests publish with an id.
pub(crate) fn message(id: MessageId) -> Message {
    let key = format!("key.{id}");
    Message::new(b"orders", key.as_bytes(), &id.to_be_bytes(), &body(id)).stamped(stamp(id))
}

/// A durable publish.
pub(crate) fn publish(id: MessageId, queues: &[u32]) -> Publish {
    let queues = queues.iter().map(|queue| QueueId(*queue)).collect();
    Publish { id, message: message(id), queues, durable: true }
}

/// A message that is paged out.
pub(crate) fn page_out(id: MessageId, queues: &[u32]) -> Publish {
    Publish { durable: false, ..publish(id, queues) }
}

/// A settle of some ids.
pub(crate) fn settle(queue: u32, ids: RangeInclusive<MessageId>) -> Change {
    Change::Settle { queue: QueueId(queue), ids: vec![ids] }
}

/// The progress that the tests put for a message.
pub(crate) fn progress(id: MessageId) -> Progress {
    let [.., deliveries] = id.to_be_bytes();
    let retries = u32::from(deliveries) / 2;
    Progress { id, deliveries: deliveries.into(), retries, due_ms: 1_795_379_430_000 + id }
}

/// Puts the progress of messages.
pub(crate) fn put_progress(queue: u32, ids: impl IntoIterator<Item = MessageId>) -> Change {
    let progress = ids.into_iter().map(progress).collect();
    Change::PutProgress { queue: QueueId(queue), progress }
}

/// The recovered progress, after checking that it is what was put, as lists of ids.
pub(crate) fn progressed(recovered: &Recovered) -> BTreeMap<u32, Vec<MessageId>> {
    let check = |found: &Progress| {
        assert_eq!(*found, progress(found.id));
        found.id
    };
    let ids = |list: &Vec<Progress>| list.iter().map(check).collect();
    recovered.progress.iter().map(|(queue, list)| (queue.0, ids(list))).collect()
}

/// Remembers keys, which are texts, until a time.
pub(crate) fn remember(owner: &str, keys: &[(&str, u64)]) -> Change {
    let key = |(key, until_ms): &(&str, u64)| RememberedKey {
        key: key.as_bytes().to_vec(),
        until_ms: *until_ms,
    };
    Change::Remember { owner: owner.to_owned(), keys: keys.iter().map(key).collect() }
}

/// Forgets keys.
pub(crate) fn forget(owner: &str, keys: &[&str]) -> Change {
    let keys = keys.iter().map(|key| key.as_bytes().to_vec()).collect();
    Change::Forget { owner: owner.to_owned(), keys }
}

/// The recovered keys as texts, with their ends.
pub(crate) fn remembered(recovered: &Recovered) -> BTreeMap<&str, Vec<(&str, u64)>> {
    fn texts(keys: &[RememberedKey]) -> Vec<(&str, u64)> {
        let text = |key| str::from_utf8(key).expect("the tests remember texts");
        keys.iter().map(|key| (text(&key.key), key.until_ms)).collect()
    }
    recovered.remembered.iter().map(|(owner, keys)| (owner.as_str(), texts(keys))).collect()
}

/// The record of a queue.
pub(crate) fn queue(id: u32) -> QueueRecord {
    QueueRecord {
        id: QueueId(id),
        vhost: "/".to_owned(),
        name: format!("queue-{id}"),
        durable: true,
        auto_delete: false,
        arguments: r#"{"x-max-length":10}"#.to_owned(),
        delivered_to: 0,
        keeps_for: String::new(),
    }
}

/// Commits one transaction.
pub(crate) fn commit(store: &mut dyn Store, publishes: Vec<Publish>, changes: Vec<Change>) {
    store.commit(&Gathered::new(publishes, changes)).expect("the commit succeeds");
}

/// Brings the tables up to date. Definitions are not written to the journal, and what was
/// committed before them comes into the tables first; this one changes nothing.
pub(crate) fn apply(store: &mut dyn Store) {
    commit(store, Vec::new(), vec![Change::DeliveredTo { queue: QueueId(u32::MAX), id: 0 }]);
}

/// Declares queues.
pub(crate) fn declare(store: &mut dyn Store, queues: &[u32]) {
    commit(store, Vec::new(), queues.iter().map(|id| Change::PutQueue(queue(*id))).collect());
}

/// A batch without a completion.
pub(crate) fn batch(publishes: Vec<Publish>, changes: Vec<Change>) -> Batch {
    Batch { publishes, changes, done: None }
}

/// Does all the clean-up there is.
pub(crate) fn clean_up(store: &mut dyn Store) {
    while store.upkeep().expect("the clean-up succeeds") == Upkeep::More {}
}

/// What was recovered, as lists. Queues without messages are left out.
pub(crate) fn backlog(recovered: &Recovered) -> BTreeMap<u32, Vec<MessageId>> {
    let lists = recovered.backlog.iter().map(|(queue, ids)| (queue.0, ids.iter().collect()));
    lists.filter(|(_, ids): &(u32, Vec<MessageId>)| !ids.is_empty()).collect()
}

/// A set of ids.
pub(crate) fn ids(ids: impl IntoIterator<Item = MessageId>) -> IdSet {
    ids.into_iter().collect()
}

/// The ids that can be read, after checking that each has its own message.
pub(crate) fn readable(store: &dyn Store, ids: &[MessageId]) -> Vec<MessageId> {
    let mut reader = store.reader().expect("the reader opens");
    let found = reader.read(ids, usize::MAX).expect("the read succeeds").messages;
    for (id, found) in &found {
        assert_eq!(found, &message(*id), "message {id}");
        assert_eq!(found.stamp(), stamp(*id), "message {id}");
    }
    found.into_iter().map(|(id, _)| id).collect()
}
