//! The task that owns one queue: takes commands from the inbox in batches, lets `state.rs` decide, and carries out what it
//! wants (`effects.rs`).

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Weak};

use leveret_persistence::{Batch, Change, Found, MessageId, QueueId, ReadError, Scanned};
use tokio::sync::oneshot;
use tokio::time;

use super::dispatch::Moment;
use super::dormancy::Parts;
use super::dying::Leaving;
use super::flow::Flow;
use super::mailbox::{Mailbox, Receiver};
use super::recovered::Backlog;
use super::rules::Rules;
use super::state::{Residue, State};
use super::{Command, GetReply, Inbox, Queue, Status, WaitingMessage, entries_of};
use crate::clock;
use crate::connection::ChannelId;
use crate::limits::{
    QUEUE_BATCH_COMMANDS, QUEUE_FLOW_PATIENCE, QUEUE_IDLE_BEFORE_DORMANT, QUEUE_INBOX_BYTES,
};
use crate::storage::{Storage, Written};
use crate::vhost::Vhost;

/// What the store answered to a read.
pub(super) type Loaded = Result<Found, ReadError>;

/// Messages on their way to other queues: gives back those that were refused, and how many there were in all.
pub(super) type Carried = Pin<Box<dyn Future<Output = (usize, Vec<Leaving>)> + Send>>;

/// Makes a queue over the backlog that the store kept for it; `handle` is completed with its inbox. One without a backlog has no
/// task until somebody wants something of it.
pub(crate) fn start(
    rules: Rules,
    backlog: Backlog,
    storage: Storage,
    vhost: Weak<Vhost>,
    handle: impl FnOnce(Inbox, Arc<Flow>) -> Queue,
) -> Arc<Queue> {
    let (ordered, ordered_commands) = Mailbox::new(QUEUE_INBOX_BYTES);
    let (feedback, feedback_commands) = Mailbox::new(QUEUE_INBOX_BYTES);
    let queue = Arc::new(handle(Inbox { ordered, feedback }, Arc::default()));
    let parts = Parts {
        queue: Arc::downgrade(&queue),
        vhost,
        ordered: ordered_commands,
        feedback: feedback_commands,
        has_paged_out: false,
        residue: None,
    };
    let state = State::new(rules, backlog, clock::now_ms());
    if state.has_nothing_to_do() {
        // Nobody knows the queue yet: nothing can have come.
        queue.dormancy.sleep(parts).ok();
    } else {
        tokio::spawn(Box::new(Task::new(&queue, parts, storage, state)).run());
    }
    queue
}

/// See the module.
pub(super) struct Task {
    pub(super) id: QueueId,
    pub(super) name: leveret_routing::Name,
    pub(super) stored: bool,
    queue: Weak<Queue>,
    pub(super) state: State,
    pub(super) flow: Arc<Flow>,
    pub(super) storage: Storage,
    pub(super) vhost: Weak<Vhost>,
    ordered: Receiver,
    feedback: Receiver,
    /// The read under way, and the ids it is for.
    pub(super) load: Option<(Vec<MessageId>, oneshot::Receiver<Loaded>)>,
    /// The sizes that were asked for.
    pub(super) measure: Option<oneshot::Receiver<Result<Vec<Scanned>, ReadError>>>,
    /// Messages on their way to other queues. Their queues' inboxes may be full: this queue must not wait for them, or two that
    /// dead-letter into each other would wait for ever.
    pub(super) carried: Option<Carried>,
    /// Told when the store has written what was submitted so far, while memory is short.
    pub(super) paging: Option<Written>,
    /// Whether the store may hold transient messages of it.
    pub(super) has_paged_out: bool,
    /// `basic.get`s that wait for the store.
    pub(super) waiting_gets: VecDeque<(ChannelId, bool, GetReply)>,
    /// What this queue has added to the node's count of memory.
    pub(super) counted_memory: usize,
    end: Option<End>,
}

/// Why a queue's task ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum End {
    /// Its messages are gone with it.
    Deleted,
    /// The broker stops; its messages stay in the store.
    Stopped,
}

impl Task {
    fn new(queue: &Arc<Queue>, parts: Parts, storage: Storage, state: State) -> Task {
        Task {
            id: queue.id,
            name: Arc::clone(&queue.name),
            stored: queue.stored,
            queue: parts.queue,
            state,
            flow: Arc::clone(&queue.flow),
            storage,
            vhost: parts.vhost,
            ordered: parts.ordered,
            feedback: parts.feedback,
            load: None,
            measure: None,
            carried: None,
            paging: None,
            has_paged_out: parts.has_paged_out,
            waiting_gets: VecDeque::new(),
            counted_memory: 0,
            end: None,
        }
    }

    /// The task of a queue that had nothing to do; none if nobody has the queue or its vhost any more.
    pub(super) fn from_parts(mut parts: Parts) -> Option<Box<Task>> {
        let queue = parts.queue.upgrade()?;
        let storage = parts.vhost.upgrade()?.storage.clone();
        let residue = parts.residue.take().map(|residue| *residue).unwrap_or_default();
        let rules = queue.rules.load().as_ref().clone();
        let state = State::resumed(rules, residue, clock::now_ms());
        Some(Box::new(Task::new(&queue, parts, storage, state)))
    }

    /// Boxed by the caller: as an argument of its own future it would take its size twice.
    pub(super) async fn run(mut self: Box<Self>) {
        let mut feedback = Vec::new();
        let mut ordered = Vec::new();
        self.storage.wait_for_recovery().await;
        // What a restart found may have expired, or be due.
        self.deliver();
        while self.end.is_none() {
            // An inbox that is never empty must not keep the thread from others.
            tokio::task::consume_budget().await;
            let takes_publishes = self.paging.is_none();
            let deadline = self.state.next_deadline();
            let is_idle = self.is_idle();
            tokio::select! {
                biased;
                () = self.feedback.receive(&mut feedback, QUEUE_BATCH_COMMANDS) => {}
                (asked, loaded) = read_back(&mut self.load) => {
                    self.load = None;
                    self.take_loaded(&asked, loaded);
                }
                sizes = answered(&mut self.measure), if self.measure.is_some() => {
                    self.measure = None;
                    self.take_measured(sizes);
                }
                (count, refused) = arrived(&mut self.carried), if self.carried.is_some() => {
                    self.carried = None;
                    self.state.moved(count, refused, clock::now_ms());
                }
                () = written(&mut self.paging), if self.paging.is_some() => self.paging = None,
                () = self.ordered.receive(&mut ordered, QUEUE_BATCH_COMMANDS), if takes_publishes => {}
                () = until(deadline), if deadline.is_some() => {}
                () = time::sleep(QUEUE_FLOW_PATIENCE), if self.flow.is_held() => {
                    self.state.stall_consumers();
                }
                () = time::sleep(QUEUE_IDLE_BEFORE_DORMANT), if is_idle => {
                    match self.fall_asleep() {
                        Ok(()) => return,
                        Err(awake) => self = awake,
                    }
                }
            }
            for command in feedback.drain(..).chain(ordered.drain(..)) {
                self.handle(command);
            }
            self.deliver();
            let is_over = self.state.is_abandoned() || self.state.is_unused(clock::now_ms());
            if is_over && self.end.is_none() {
                if let Some(vhost) = self.vhost.upgrade() {
                    vhost.queue_abandoned(self.id, &self.name);
                }
                self.delete();
            }
        }
        self.drain().await;
    }

    fn is_idle(&self) -> bool {
        self.state.has_nothing_to_do()
            && self.carried.is_none()
            && self.paging.is_none()
            && self.waiting_gets.is_empty()
    }

    /// Ends for want of work: the next command starts the queue's task again. Gives the task back if there is one already.
    fn fall_asleep(self: Box<Self>) -> Result<(), Box<Task>> {
        let Some(queue) = self.queue.upgrade() else {
            // Nobody can send it anything any more.
            return Ok(());
        };
        let Task { queue: weak, state, storage, vhost, ordered, feedback, has_paged_out, .. } =
            *self;
        storage.memory_changed(self.counted_memory, 0);
        let residue = Some(state.into_residue()).filter(Residue::is_anything).map(Box::new);
        let parts = Parts { queue: weak, vhost, ordered, feedback, has_paged_out, residue };
        match queue.dormancy.sleep(parts) {
            Ok(()) => Ok(()),
            Err(parts) => match Task::from_parts(parts) {
                Some(task) => Err(task),
                None => Ok(()),
            },
        }
    }

    fn handle(&mut self, command: Command) {
        if self.end.is_some() {
            return self.refuse(command);
        }
        match command {
            Command::Publish { entries, .. } => self.state.publish(entries),
            Command::Settle { channel, ranges, outcome, stored } => {
                self.state.settle(channel, &ranges, outcome, stored, clock::now_ms());
            }
            Command::Consume { spec, reply } => {
                self.deliver_new();
                reply.send(self.state.consume(*spec)).ok();
            }
            Command::Cancel { id, reply } => {
                self.state.cancel(id, clock::now_ms());
                reply.send(()).ok();
            }
            Command::CloseChannel { channel } => {
                self.state.close_channel(channel, clock::now_ms());
            }
            Command::Get { channel, no_ack, reply } => {
                self.deliver_new();
                self.waiting_gets.push_back((channel, no_ack, reply));
                self.answer_gets();
            }
            Command::WindowFreed { id, messages, bytes } => {
                self.state.window_freed(id, messages, bytes);
            }
            Command::ChannelFreed { channel } => self.state.channel_freed(channel),
            Command::Purge { reply } => {
                self.deliver();
                reply.send(self.state.purge()).ok();
            }
            Command::Delete { if_unused, if_empty, reply } => {
                let verdict = self.state.may_delete(if_unused, if_empty);
                let verdict = verdict.map(|()| self.delete());
                reply.send(verdict).ok();
            }
            Command::Status { used, reply } => {
                if used {
                    self.state.used(clock::now_ms());
                }
                reply.send(self.status()).ok();
            }
            Command::Room { reply } => {
                // What a consumer could have had takes no room.
                self.deliver();
                reply.send(self.state.room()).ok();
            }
            Command::FollowRules => self.follow_rules(),
            Command::Peek { reply } => {
                self.deliver_new();
                reply.send(self.state.peek()).ok();
            }
            Command::ListWaiting { offset, limit, reply } => {
                let listed = self.state.waiting().list(offset, limit);
                let listed =
                    listed.map(|(due_ms, id, retries)| WaitingMessage { id, due_ms, retries });
                reply.send(listed.collect()).ok();
            }
            Command::ListPublishers { reply } => drop(reply.send(self.state.publishers())),
            Command::Stop => self.stop(),
        }
    }

    /// What was published before a command that came with it meets the limits and consumers of then: its publisher may have
    /// its confirm already, and what the limits did not let stay is not there to be had.
    fn deliver_new(&mut self) {
        if self.state.has_new_messages() {
            self.deliver();
        }
    }

    fn follow_rules(&mut self) {
        self.deliver_new();
        // Without a handle the queue has gone.
        if let Some(queue) = self.queue.upgrade() {
            self.state.set_rules(queue.rules.load().as_ref().clone(), clock::now_ms());
        }
    }

    fn status(&mut self) -> Status {
        // Counts as RabbitMQ's: what a consumer could have had is delivered first.
        self.deliver();
        Status {
            ready: self.state.ready_count(),
            unacked: self.state.unacked_count(),
            waiting: self.state.waiting().len(),
            consumers: self.state.consumer_count(),
            ready_bytes: self.state.ready_body_bytes(),
            unacked_bytes: self.state.unacked_body_bytes(),
            memory_bytes: self.state.memory(),
            counts: self.state.counts(),
            publishers: self.state.publisher_counts(),
        }
    }

    pub(super) fn moment(&self) -> Moment {
        Moment {
            now_ms: clock::now_ms(),
            committed: self.storage.committer.committed(),
            memory_limit: self.storage.memory_limit(self.counted_memory),
        }
    }

    /// The queue is gone: what was still on its way to it is as deleted as the rest.
    fn refuse(&mut self, command: Command) {
        if self.end != Some(End::Deleted) {
            return;
        }
        let entries = entries_of(command);
        let stored = entries.iter().filter(|entry| entry.ticket.is_some()).map(|entry| entry.id);
        self.state.effects.settled.extend(stored);
    }

    fn delete(&mut self) -> usize {
        self.end = Some(End::Deleted);
        self.ordered.close();
        self.feedback.close();
        self.state.delete()
    }

    fn stop(&mut self) {
        self.end = Some(End::Stopped);
        self.ordered.close();
        self.feedback.close();
        if self.stored && self.state.delivered_to() > 0 {
            let id = self.state.delivered_to();
            let delivered_to = Change::DeliveredTo { queue: self.id, id };
            self.storage.committer.submit(Batch::change(delivered_to));
        }
    }

    /// Empties the inbox of a queue that ends, so that the store forgets what was in it.
    async fn drain(&mut self) {
        let mut left = Vec::new();
        while self.ordered.take(&mut left, usize::MAX) {
            left.drain(..).for_each(|command| self.refuse(command));
        }
        // What is on its way must arrive before the store is told that the queue is gone, or closed.
        if let Some(carried) = self.carried.take() {
            carried.await;
        }
        self.carry_out();
        if self.has_paged_out && !self.stored && self.end == Some(End::Deleted) {
            // A stored queue's entries go with its record; this one has only these.
            let delete = Change::DeleteQueue(self.id);
            self.storage.committer.submit(Batch::change(delete));
        }
        self.flow.hold(false);
        self.storage.memory_changed(self.counted_memory, 0);
    }
}

/// Waits for the read under way; for ever if there is none. A reader that has stopped answers nothing more.
async fn read_back(
    load: &mut Option<(Vec<MessageId>, oneshot::Receiver<Loaded>)>,
) -> (Vec<MessageId>, Loaded) {
    match load {
        Some((asked, answer)) => match answer.await {
            Ok(loaded) => (std::mem::take(asked), loaded),
            Err(_) => std::future::pending().await,
        },
        None => std::future::pending().await,
    }
}

/// Waits for the sizes that were asked for; for ever if none were, or the reader has stopped.
async fn answered(
    measure: &mut Option<oneshot::Receiver<Result<Vec<Scanned>, ReadError>>>,
) -> Result<Vec<Scanned>, ReadError> {
    match measure {
        Some(answer) => match answer.await {
            Ok(sizes) => sizes,
            Err(_) => std::future::pending().await,
        },
        None => std::future::pending().await,
    }
}

/// Waits until what is on its way has arrived; for ever if nothing is.
async fn arrived(carried: &mut Option<Carried>) -> (usize, Vec<Leaving>) {
    match carried {
        Some(carried) => carried.await,
        None => std::future::pending().await,
    }
}

/// Waits until this time of day; for ever without one.
async fn until(deadline_ms: Option<u64>) {
    match deadline_ms {
        Some(deadline_ms) => time::sleep_until(clock::instant_of(deadline_ms)).await,
        None => std::future::pending().await,
    }
}

/// Waits until the store has written what is being paged out.
async fn written(paging: &mut Option<Written>) {
    if let Some(written) = paging {
        // A committer that has stopped writes nothing more, and says so the same way.
        written.await.ok();
    }
}
