//! The node's store, as vhosts, queues and connections share it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use leveret_persistence::{
    Batch, CommitError, Committer, Message, MessageId, MessageReader, Ticket,
};
use tokio::sync::{Semaphore, oneshot};

use crate::limits::{NODE_MESSAGE_BYTES, QUEUE_MESSAGE_BYTES_MIN};

/// Handles to the store's writer and readers, and the count of what is kept in memory instead. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Storage {
    pub(crate) committer: Committer,
    pub(crate) reader: MessageReader,
    memory: Arc<AtomicUsize>,
    stopping: Arc<AtomicBool>,
    /// Has no permits, and is closed when everything has been recovered.
    recovering: Arc<Semaphore>,
}

impl Storage {
    pub(crate) fn new(committer: Committer, reader: MessageReader) -> Storage {
        let recovering = Arc::new(Semaphore::new(0));
        Storage { committer, reader, memory: Arc::default(), stopping: Arc::default(), recovering }
    }

    /// Everything that a start found is in its place.
    pub(crate) fn recovered(&self) {
        self.recovering.close();
    }

    /// Waits until it is: a message that is to move on before would find nothing to go to.
    pub(crate) async fn wait_for_recovery(&self) {
        drop(self.recovering.acquire().await);
    }

    /// The queues are about to end, and what is in the store stays there.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Whether a queue that takes nothing any more has stopped with the broker, and is not deleted.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// One message that the store has, read back; none if it is gone or cannot be read.
    pub(crate) async fn read_one(&self, id: MessageId) -> Option<Message> {
        let (done, answer) = oneshot::channel();
        self.reader.read(vec![id], 0, Box::new(move |found| drop(done.send(found))));
        let found = answer.await.ok()?;
        let found =
            found.inspect_err(|error| tracing::error!(%error, "cannot read a message back"));
        found.ok()?.messages.pop().map(|(_, message)| message)
    }

    /// Bytes of message that a queue which keeps `own` bytes may keep: half of what the others leave, so
    /// that no queue can take all and one that is alone gets much.
    pub(crate) fn memory_limit(&self, own: usize) -> usize {
        let others = self.memory.load(Ordering::Relaxed).saturating_sub(own);
        (NODE_MESSAGE_BYTES.saturating_sub(others) / 2).max(QUEUE_MESSAGE_BYTES_MIN)
    }

    /// Waits until the store has written everything up to `ticket`.
    pub(crate) async fn written(&self, ticket: Ticket) -> Result<(), CommitError> {
        if ticket <= self.committer.committed() {
            return Ok(());
        }
        // Tickets are committed in order: an empty batch behind it tells.
        let (batch, written) = awaited(Batch::default());
        self.committer.submit(batch);
        written.await.unwrap_or(Err(CommitError::Closed)).map(drop)
    }

    /// Notes that a queue which kept `before` bytes keeps `after` now.
    pub(crate) fn memory_changed(&self, before: usize, after: usize) {
        if after > before {
            self.memory.fetch_add(after - before, Ordering::Relaxed);
        } else if before > after {
            self.memory.fetch_sub(before - after, Ordering::Relaxed);
        }
    }
}

/// What becomes of a batch. It does not come if the store has gone away without a word.
pub(crate) type Written = oneshot::Receiver<Result<Ticket, CommitError>>;

/// The batch with a completion for one who awaits it.
pub(crate) fn awaited(batch: Batch) -> (Batch, Written) {
    let (done, written) = oneshot::channel();
    (batch.on_done(Box::new(move |result| drop(done.send(result)))), written)
}
