//! Carrying out what the state machine of a queue wants: deliveries to consumers, batches to the store, reads, moves to other
//! queues; and bringing it what the store has answered. Part of the queue's [`Task`].

use std::sync::Arc;

use leveret_persistence::{Batch, Change, Found, MessageId, Publish, Queues, ReadError, Scanned};
use tokio::sync::oneshot;

use super::consumers::{ConsumerSpec, Delivery};
use super::state::Got;
use super::task::{Loaded, Task};
use super::{Unreadable, extend_ranges, ranges};
use crate::connection::Event;
use crate::limits::QUEUE_LOAD_BYTES;
use crate::storage::awaited;
use crate::vhost::relay::{self, Source};

impl Task {
    pub(super) fn answer_gets(&mut self) {
        let moment = self.moment();
        while let Some((channel, no_ack, reply)) = self.waiting_gets.pop_front() {
            match self.state.get(channel, no_ack, moment) {
                Got::Loading => {
                    self.waiting_gets.push_front((channel, no_ack, reply));
                    return;
                }
                got => drop(reply.send(Ok(got))),
            }
        }
    }

    pub(super) fn take_loaded(&mut self, asked: &[MessageId], loaded: Loaded) {
        let committed = self.storage.committer.committed();
        match loaded {
            Ok(Found { messages, stopped_at }) => {
                let looked_at =
                    stopped_at.map_or(asked.len(), |last| asked.partition_point(|id| *id <= last));
                let asked = asked.get(..looked_at).unwrap_or(asked);
                let missing = self.state.loaded(asked, messages, committed);
                if !missing.is_empty() {
                    tracing::error!(queue = %self.name, ?missing, "the store has lost messages");
                }
            }
            Err(error) => {
                // The messages stay where they are; whoever asks next makes the queue try again.
                tracing::error!(queue = %self.name, %error, "cannot read messages back");
                self.state.load_failed();
                for (_, _, reply) in self.waiting_gets.drain(..) {
                    reply.send(Err(Unreadable)).ok();
                }
            }
        }
        self.answer_gets();
    }

    pub(super) fn deliver(&mut self) {
        let moment = self.moment();
        self.state.dispatch(moment);
        self.state.flush(send_deliveries);
        self.carry_out();
        self.carry_on(moment.now_ms);
        let memory = self.state.memory();
        self.flow.hold(self.state.is_ahead_of_consumers());
        let store_runs = !self.storage.committer.failed();
        if self.state.waits_for_store() && self.paging.is_none() && store_runs {
            let (batch, written) = awaited(Batch::default());
            self.storage.committer.submit(batch);
            self.paging = Some(written);
        }
        self.storage.memory_changed(self.counted_memory, memory);
        self.counted_memory = memory;
    }

    pub(super) fn carry_out(&mut self) {
        let effects = std::mem::take(&mut self.state.effects);
        let mut ids = ranges(effects.settled);
        ids.extend(effects.settled_set.iter().fold(Vec::new(), extend_ranges));
        let mut changes = Vec::new();
        if !ids.is_empty() {
            changes.push(Change::Settle { queue: self.id, ids });
        }
        if !effects.progress.is_empty() {
            changes.push(Change::PutProgress { queue: self.id, progress: effects.progress });
        }
        self.has_paged_out |= !effects.page_out.is_empty();
        let paged: Vec<MessageId> = effects.page_out.iter().map(|(id, _)| *id).collect();
        let publishes: Vec<Publish> = effects
            .page_out
            .into_iter()
            .map(|(id, message)| Publish {
                id,
                message,
                queues: Queues::One(self.id),
                durable: false,
            })
            .collect();
        if !changes.is_empty() || !publishes.is_empty() {
            let ticket =
                self.storage.committer.submit(Batch { publishes, changes, ..Batch::default() });
            if !paged.is_empty() {
                self.state.page_out_submitted(&paged, ticket);
            }
        }
        if !effects.load.is_empty() {
            let (done, answer) = oneshot::channel();
            let ids = effects.load.clone();
            let tell = Box::new(move |loaded| drop(done.send(loaded)));
            self.storage.reader.read(ids, QUEUE_LOAD_BYTES, tell);
            self.load = Some((effects.load, answer));
        }
        if !effects.measure.is_empty() {
            let (done, answer) = oneshot::channel();
            self.storage
                .reader
                .scan(effects.measure, Box::new(move |sizes| drop(done.send(sizes))));
            self.measure = Some(answer);
        }
        for spec in effects.cancelled {
            let cancelled = Event::ConsumerCancelled { channel: spec.channel, consumer: spec.id };
            spec.outbox.send(cancelled);
        }
        for spec in effects.timed_out {
            tracing::warn!(queue = %self.name, consumer = %spec.tag, "held a message for too long");
            let timed_out = Event::ConsumerTimedOut { channel: spec.channel, consumer: spec.id };
            spec.outbox.send(timed_out);
        }
    }

    /// Sends what is to leave for other queues on its way, one lot at a time.
    pub(super) fn carry_on(&mut self, now_ms: u64) {
        if self.carried.is_some() {
            return;
        }
        let leaving = self.state.take_leaving(now_ms);
        let Some(vhost) = self.vhost.upgrade().filter(|_| !leaving.is_empty()) else {
            return;
        };
        let (id, name) = (self.id, Arc::clone(&self.name));
        let source = Source { id, name, dead_letter: self.state.rules().dead_letter.clone() };
        self.carried = Some(Box::pin(async move {
            let count = leaving.len();
            (count, relay::carry(vhost, source, leaving, now_ms).await)
        }));
    }

    pub(super) fn take_measured(&mut self, sizes: Result<Vec<Scanned>, ReadError>) {
        match sizes {
            Ok(sizes) => {
                self.state.measured(sizes.into_iter().map(|found| (found.id, found.body_len)));
            }
            Err(error) => {
                tracing::error!(queue = %self.name, %error, "cannot measure the backlog");
                self.state.measured(std::iter::empty());
            }
        }
    }
}

fn send_deliveries(spec: &Arc<ConsumerSpec>, messages: Vec<Delivery>) {
    spec.outbox.send(Event::Deliver { consumer: Arc::clone(spec), messages });
}
