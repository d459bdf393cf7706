//! What a restart found of a queue's messages: from the store's ids to ready and waiting ones. Made by [`crate::vhost::recovery`].

use std::collections::{BTreeMap, HashMap};

use leveret_persistence::{IdSet, MessageId, Progress, Scanned, Ticket};

use super::delay;
use super::entry::{Kept, Mark};
use super::lane::Lane;
use super::ready::Ready;
use super::rules::{Keeps, Rules};
use super::waiting::Waiting;

/// The messages that the store has kept for a queue.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    /// By priority.
    lanes: BTreeMap<u8, (IdSet, u64)>,
    returned: HashMap<MessageId, Mark>,
    waiting: Waiting,
    /// Messages up to this id may have been seen by a consumer.
    pub(crate) delivered_to: MessageId,
    /// Whether the sizes of the bodies are known.
    measured: bool,
    /// What is known of messages that came back and are still to be scanned.
    progress: HashMap<MessageId, Progress>,
}

impl Backlog {
    /// The backlog of a queue whose rules need nothing of its messages but their ids.
    pub(crate) fn new(ids: IdSet, delivered_to: MessageId, progress: &[Progress]) -> Backlog {
        let lanes = BTreeMap::from([(0, (ids, 0))]);
        let mut backlog = Backlog { lanes, delivered_to, ..Backlog::default() };
        backlog.add_progress(progress);
        backlog
    }

    /// The backlog of a queue whose rules need its messages looked at: call [`Backlog::scanned`] for all of them.
    pub(crate) fn to_scan(delivered_to: MessageId, progress: &[Progress]) -> Backlog {
        let progress = progress.iter().map(|found| (found.id, *found)).collect();
        Backlog { delivered_to, measured: true, progress, ..Backlog::default() }
    }

    /// Whether a queue with these rules needs more than ids.
    pub(crate) fn needs_scan(rules: &Rules) -> bool {
        rules.max_priority > 0 || rules.max_length_bytes.is_some() || rules.keeps == Keeps::UntilDue
    }

    /// Takes in messages as the store describes them.
    pub(crate) fn scanned(&mut self, rules: &Rules, messages: &[Scanned]) {
        for message in messages {
            let Scanned { id, stamp, properties, body_len } = message;
            if rules.keeps == Keeps::UntilDue {
                let due_ms = delay::due_of(*stamp, properties);
                self.waiting.add(due_ms, in_store(*id, Mark::default(), 0));
                continue;
            }
            let priority = rules.priority_of(properties);
            match self.progress.remove(id) {
                Some(found) if found.due_ms > 0 => {
                    // Bodies are below 4 GiB.
                    let body_len = u32::try_from(*body_len).unwrap_or(u32::MAX);
                    let kept = in_store(*id, mark_of(found, priority), body_len);
                    self.waiting.add(found.due_ms, kept);
                }
                found => {
                    let mark = found.map(|found| (*id, mark_of(found, priority)));
                    self.returned.extend(mark);
                    let (ids, bytes) = self.lanes.entry(priority).or_default();
                    ids.insert(*id);
                    *bytes += body_len;
                }
            }
        }
    }

    /// Takes in what is known of messages that came back; those that wait to be tried again are not ready.
    fn add_progress(&mut self, progress: &[Progress]) {
        let Some((ids, _)) = self.lanes.get_mut(&0) else {
            return;
        };
        for found in progress.iter().copied() {
            if !ids.contains(found.id) {
                continue;
            }
            let mark = mark_of(found, 0);
            if found.due_ms > 0 {
                ids.remove(found.id);
                self.waiting.add(found.due_ms, in_store(found.id, mark, 0));
            } else {
                self.returned.insert(found.id, mark);
            }
        }
    }

    pub(super) fn into_parts(self) -> (Ready, Waiting) {
        let Backlog { lanes, mut returned, waiting, delivered_to, measured, .. } = self;
        let lanes = lanes.into_iter().map(|(priority, (ids, bytes))| {
            let mine = returned.extract_if(|id, _| ids.contains(*id)).collect();
            let bytes = measured.then_some(bytes);
            (priority, Lane::recovered(ids, delivered_to, mine, bytes))
        });
        (Ready::recovered(lanes.collect::<Vec<_>>()), waiting)
    }
}

/// What is remembered of a message that came back.
fn mark_of(found: Progress, priority: u8) -> Mark {
    let Progress { deliveries, retries, .. } = found;
    let acquired = deliveries;
    Mark { durable: true, redelivered: true, priority, acquired, deliveries, retries }
}

fn in_store(id: MessageId, mark: Mark, body_len: u32) -> Kept {
    let mark = Mark { durable: true, ..mark };
    Kept { id, message: None, ticket: Some(Ticket::NONE), mark, body_len }
}

#[cfg(test)]
mod tests;
