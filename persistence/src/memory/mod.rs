//! A store in memory: for tests, which can stop and reopen it or let it fail, and for a broker
//! that need not survive a restart. The plainest reading of what [`Store`] promises.

mod definitions;
mod remembered;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::change::{Change, Publish};
use crate::error::{CommitError, OpenError, ReadError};
use crate::gather::Gathered;
use crate::ids::{IdSet, MessageId, NextIds, QueueId};
use crate::message::Message;
use crate::progress::Progress;
use crate::records::QueueRecord;
use crate::store::{Found, Reader, Recovered, Scanned, Store, Upkeep};
use definitions::Tables;
use remembered::Remembered;

/// What survives a [`MemoryStore`]: keep a clone to open it again, as after a restart.
#[derive(Clone, Default)]
pub struct MemoryDisk {
    content: Arc<Mutex<Content>>,
}

/// A store over a [`MemoryDisk`].
pub struct MemoryStore {
    disk: MemoryDisk,
}

#[derive(Default)]
struct Content {
    messages: BTreeMap<MessageId, Stored>,
    remembered: Remembered,
    definitions: Tables,
    next: NextIds,
    clean: bool,
}

struct Stored {
    message: Message,
    /// Who holds it, and what has happened to it there.
    queues: BTreeMap<QueueId, Option<Progress>>,
    durable: bool,
}

/// Opens a disk: an empty one is a store that was never used.
///
/// Messages that were paged out are forgotten, and entries of queues without a record with them.
#[must_use]
pub fn open(disk: &MemoryDisk) -> (MemoryStore, Recovered) {
    let mut content = disk.lock();
    let Content { messages, definitions, .. } = &mut *content;
    messages.retain(|_, stored| {
        stored.queues.retain(|queue, _| definitions.queues.contains_key(queue));
        stored.durable && !stored.queues.is_empty()
    });
    let mut backlog: HashMap<QueueId, IdSet> = HashMap::new();
    let mut progress: HashMap<QueueId, Vec<Progress>> = HashMap::new();
    for (id, stored) in messages {
        for (queue, of_message) in &stored.queues {
            backlog.entry(*queue).or_default().insert(*id);
            if let Some(of_message) = of_message {
                progress.entry(*queue).or_default().push(*of_message);
            }
        }
    }
    let recovered = Recovered {
        definitions: content.definitions.list(),
        backlog,
        progress,
        remembered: content.remembered.list(),
        next: content.next,
        clean: std::mem::take(&mut content.clean),
    };
    drop(content);
    (MemoryStore { disk: disk.clone() }, recovered)
}

impl MemoryDisk {
    /// Every commit replaces whole entries, so the content is fine even after a panic.
    fn lock(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    fn commit(&mut self, gathered: &Gathered) -> Result<(), CommitError> {
        let mut content = self.disk.lock();
        for publish in gathered.publishes().iter().chain(gathered.paged()) {
            content.publish(publish);
        }
        for change in gathered.changes() {
            content.apply(change);
        }
        Ok(())
    }

    fn reader(&self) -> Result<Box<dyn Reader>, OpenError> {
        Ok(Box::new(MemoryReader { disk: self.disk.clone() }))
    }

    fn upkeep(&mut self) -> Result<Upkeep, CommitError> {
        Ok(Upkeep::Done)
    }

    fn close(self: Box<Self>, next: NextIds) -> Result<(), CommitError> {
        let mut content = self.disk.lock();
        content.next = next;
        content.clean = true;
        Ok(())
    }
}

struct MemoryReader {
    disk: MemoryDisk,
}

impl Reader for MemoryReader {
    fn read(&mut self, ids: &[MessageId], bytes_max: usize) -> Result<Found, ReadError> {
        let content = self.disk.lock();
        let mut found = Found::default();
        let mut bytes = 0;
        for id in ids {
            let Some(stored) = content.messages.get(id) else { continue };
            found.messages.push((*id, stored.message.clone()));
            bytes += stored.message.size();
            if bytes >= bytes_max {
                found.stopped_at = Some(*id);
                break;
            }
        }
        Ok(found)
    }

    fn scan(&mut self, ids: &[MessageId]) -> Result<Vec<Scanned>, ReadError> {
        let content = self.disk.lock();
        let scanned = |id: &MessageId| {
            let message = &content.messages.get(id)?.message;
            let (stamp, properties) = (message.stamp(), message.properties().to_vec());
            Some(Scanned { id: *id, stamp, properties, body_len: message.body().len() as u64 })
        };
        Ok(ids.iter().filter_map(scanned).collect())
    }
}

impl Content {
    fn publish(&mut self, publish: &Publish) {
        self.next.message = self.next.message.max(publish.id + 1);
        let stored = self.messages.entry(publish.id).or_insert_with(|| Stored {
            message: publish.message.clone(),
            queues: BTreeMap::new(),
            durable: publish.durable,
        });
        for queue in publish.queues.as_slice() {
            stored.queues.entry(*queue).or_default();
        }
    }

    fn apply(&mut self, change: &Change) {
        match change.clone() {
            Change::Settle { queue, ids } => {
                for range in ids {
                    self.settle(queue, *range.start(), *range.end());
                }
            }
            Change::PutProgress { queue, progress } => self.put_progress(queue, &progress),
            Change::Remember { owner, keys } => self.remembered.put(&owner, keys),
            Change::Forget { owner, keys } => self.remembered.forget(&owner, keys),
            Change::ForgetOwner { owner } => self.remembered.forget_owner(&owner),
            change => {
                match &change {
                    Change::PutQueue(QueueRecord { id: QueueId(id), .. }) => {
                        self.next.queue = self.next.queue.max(QueueId(id.saturating_add(1)));
                    }
                    Change::DeleteQueue(queue) => self.settle(*queue, 0, MessageId::MAX),
                    _ => {}
                }
                self.definitions.apply(change);
            }
        }
    }

    fn put_progress(&mut self, queue: QueueId, progress: &[Progress]) {
        for progress in progress {
            let stored = self.messages.get_mut(&progress.id).filter(|stored| stored.durable);
            if let Some(entry) = stored.and_then(|stored| stored.queues.get_mut(&queue)) {
                *entry = Some(*progress);
            }
        }
    }

    fn settle(&mut self, queue: QueueId, first: MessageId, last: MessageId) {
        if first > last {
            return;
        }
        let mut empty = Vec::new();
        for (id, stored) in self.messages.range_mut(first..=last) {
            stored.queues.remove(&queue);
            if stored.queues.is_empty() {
                empty.push(*id);
            }
        }
        for id in empty {
            self.messages.remove(&id);
        }
    }
}
