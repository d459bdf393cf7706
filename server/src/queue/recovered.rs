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
}

impl Backlog {
    /// The backlog of a queue whose rules need nothing of its messages but their ids.
    pub(crate) fn new(ids: IdSet, delivered_to: MessageId, progress: &[Progress]) -> Backlog {
        let lanes = BTreeMap::from([(0, (ids, 0))]);
        let mut backlog = Backlog { lanes, delivered_to, ..Backlog::default() };
        backlog.add_progress(progress);
        backlog
    }

    /// The backlog of a queue whose rules need its messages looked at: call [`Backlog::scanned`] for them and then
    /// [`Backlog::add_progress`].
    pub(crate) fn to_scan(delivered_to: MessageId) -> Backlog {
        Backlog { delivered_to, measured: true, ..Backlog::default() }
    }

    /// Whether a queue with these rules needs more than ids.
    pub(crate) fn needs_scan(rules: &Rules) -> bool {
        rules.max_priority > 0 || rules.max_length_bytes.is_some() || rules.keeps == Keeps::UntilDue
    }

    /// Takes in messages as the store describes them.
    pub(crate) fn scanned(&mut self, rules: &Rules, messages: &[Scanned]) {
        for message in messages {
            if rules.keeps == Keeps::UntilDue {
                let due_ms = delay::due_of(message.stamp, &message.properties);
                self.waiting.add(due_ms, in_store(message.id, Mark::default()));
                continue;
            }
            let priority = rules.priority_of(&message.properties);
            let (ids, bytes) = self.lanes.entry(priority).or_default();
            ids.insert(message.id);
            *bytes += message.body_len;
        }
    }

    /// Takes in what is known of messages that came back; those that wait to be tried again are not ready.
    pub(crate) fn add_progress(&mut self, progress: &[Progress]) {
        for found in progress {
            let Progress { id, deliveries, retries, due_ms } = *found;
            let lane = self.lanes.iter_mut().find(|(_, (ids, _))| ids.contains(id));
            let Some((priority, (ids, _))) = lane else {
                continue;
            };
            let mark = Mark {
                durable: true,
                redelivered: true,
                priority: *priority,
                acquired: deliveries,
                deliveries,
                retries,
            };
            if due_ms > 0 {
                ids.remove(id);
                // Its body was counted as ready, and counts as such again soon.
                self.waiting.add(due_ms, in_store(id, mark));
            } else {
                self.returned.insert(id, mark);
            }
        }
    }

    pub(super) fn into_parts(self) -> (Ready, Waiting) {
        let Backlog { lanes, mut returned, waiting, delivered_to, measured } = self;
        let lanes = lanes.into_iter().map(|(priority, (ids, bytes))| {
            let mine = returned.extract_if(|id, _| ids.contains(*id)).collect();
            let bytes = measured.then_some(bytes);
            (priority, Lane::recovered(ids, delivered_to, mine, bytes))
        });
        (Ready::recovered(lanes.collect::<Vec<_>>()), waiting)
    }
}

fn in_store(id: MessageId, mark: Mark) -> Kept {
    let mark = Mark { durable: true, ..mark };
    Kept { id, message: None, ticket: Some(Ticket::NONE), mark, body_len: 0 }
}
