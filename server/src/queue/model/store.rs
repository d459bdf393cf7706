//! A store that holds exactly what was given to it, from the commit on, and complains about everything that is not due.

use std::collections::{BTreeMap, VecDeque};

use leveret_persistence::{IdSet, Message, MessageId, Progress, Scanned, Ticket};

#[derive(Debug, Default)]
pub(super) struct FakeStore {
    committed: BTreeMap<MessageId, Kept>,
    /// Submissions that are not committed yet, oldest first.
    waiting: VecDeque<Submission>,
    /// What was given to it and not settled, committed or not: what it will hold in the end.
    owed: IdSet,
    finished: u64,
}

#[derive(Debug)]
struct Kept {
    message: Message,
    durable: bool,
    progress: Option<Progress>,
}

#[derive(Debug, Default)]
struct Submission {
    published: Vec<(MessageId, Kept)>,
    settled: Vec<MessageId>,
    progress: Vec<Progress>,
}

impl FakeStore {
    pub(super) fn publish(&mut self, messages: Vec<(MessageId, Message)>, durable: bool) -> Ticket {
        for (id, _) in &messages {
            assert!(self.owed.insert(*id), "{id} is written twice");
        }
        let kept = |message| Kept { message, durable, progress: None };
        let published = messages.into_iter().map(|(id, message)| (id, kept(message)));
        self.submit(Submission { published: published.collect(), ..Submission::default() })
    }

    /// Forgets messages, and notes progress of others: what is settled has none any more.
    pub(super) fn settle(&mut self, settled: Vec<MessageId>, progress: Vec<Progress>) -> Ticket {
        for found in &progress {
            assert!(self.owed.contains(found.id), "progress of {found:?}, which it does not have");
        }
        for id in &settled {
            assert!(self.owed.remove(*id), "{id} is settled and the store does not have it");
        }
        self.submit(Submission { settled, progress, ..Submission::default() })
    }

    /// Whether it holds the message, or will as soon as it is committed.
    pub(super) fn owes(&self, id: MessageId) -> bool {
        self.owed.contains(id)
    }

    pub(super) fn has(&self, id: MessageId) -> bool {
        self.committed.contains_key(&id)
    }

    /// The last ticket that is committed.
    pub(super) fn committed(&self) -> Ticket {
        Ticket::nth(self.finished)
    }

    /// Commits the oldest submissions, as many as are there.
    pub(super) fn commit(&mut self, submissions: usize) {
        let count = submissions.min(self.waiting.len());
        for Submission { published, settled, progress } in self.waiting.drain(..count) {
            self.finished += 1;
            self.committed.extend(published);
            for found in progress {
                if let Some(kept) = self.committed.get_mut(&found.id) {
                    kept.progress = Some(found);
                }
            }
            for id in settled {
                self.committed.remove(&id);
            }
        }
    }

    pub(super) fn commit_all(&mut self) {
        self.commit(self.waiting.len());
    }

    /// The messages among `asked` that it has.
    pub(super) fn read(&self, asked: &[MessageId]) -> Vec<(MessageId, Message)> {
        let found = asked.iter().filter_map(|id| self.committed.get_key_value(id));
        found.map(|(id, kept)| (*id, kept.message.clone())).collect()
    }

    /// Starts again: gives the backlog of durable messages and forgets the others.
    pub(super) fn restart(&mut self) -> IdSet {
        self.commit_all();
        self.committed.retain(|_, kept| kept.durable);
        self.owed = self.committed.keys().copied().collect();
        self.owed.clone()
    }

    /// All that it has, without bodies.
    pub(super) fn scan(&self) -> Vec<Scanned> {
        let scanned = self.committed.iter().map(|(id, Kept { message, .. })| Scanned {
            id: *id,
            stamp: message.stamp(),
            properties: message.properties().to_vec(),
            body_len: message.body().len() as u64,
        });
        scanned.collect()
    }

    /// What it knows of messages that came back.
    pub(super) fn progress(&self) -> Vec<Progress> {
        self.committed.values().filter_map(|kept| kept.progress).collect()
    }

    fn submit(&mut self, submission: Submission) -> Ticket {
        self.waiting.push_back(submission);
        Ticket::nth(self.finished + self.waiting.len() as u64)
    }
}
