//! What others have for a connection's client: queues, the store, the operator. Unbounded as a list, bounded by what its
//! senders may have under way: a consumer's window, one event a stored batch, a reply-to window. Nothing is allocated for a
//! connection that gets no events; tokio's channels take room for 32 of them at once, 3 KB of an idle connection.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use leveret_persistence::Message;
use tokio::task::coop;

use super::ChannelId;
use crate::protocol::fault::Fault;
use crate::queue::consumers::{ConsumerId, ConsumerSpec, Delivery};

/// Something for a connection's task to do.
#[derive(Debug)]
pub(crate) enum Event {
    /// Deliveries of one queue to one consumer.
    Deliver { consumer: Arc<ConsumerSpec>, messages: Vec<Delivery> },
    /// The queue of a consumer is gone.
    ConsumerCancelled { channel: ChannelId, consumer: ConsumerId },
    /// A consumer has held a message for too long: it is off the queue.
    ConsumerTimedOut { channel: ChannelId, consumer: ConsumerId },
    /// A direct reply.
    Reply { channel: ChannelId, message: Message },
    /// The store has finished this connection's oldest unfinished batch: `Err` if it could not write it.
    Stored(Result<(), StoreFailed>),
    /// End the connection with this error.
    Close(Fault),
}

/// The store could not write a batch; it will write none any more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct StoreFailed;

/// The sending side; a connection that is gone takes what is sent and drops it.
#[derive(Clone, Debug)]
pub(crate) struct Outbox(Arc<Shared>);

/// The side of the connection's task.
#[derive(Debug)]
pub(crate) struct Events {
    shared: Arc<Shared>,
    /// What was taken out together and not yet asked for.
    taken: VecDeque<Event>,
}

#[derive(Debug, Default)]
struct Shared(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    events: VecDeque<Event>,
    /// Who is told when there are some.
    reader: Option<Waker>,
    /// The connection is gone.
    closed: bool,
}

impl Outbox {
    /// A new outbox and the side that the connection reads.
    pub(crate) fn new() -> (Outbox, Events) {
        let shared = Arc::<Shared>::default();
        (Outbox(Arc::clone(&shared)), Events { shared, taken: VecDeque::new() })
    }

    /// Leaves an event for the connection.
    pub(crate) fn send(&self, event: Event) {
        let mut waiting = self.0.waiting();
        if waiting.closed {
            // It has given its deliveries back already: nothing is lost.
            return;
        }
        waiting.events.push_back(event);
        let reader = waiting.reader.take();
        drop(waiting);
        if let Some(reader) = reader {
            reader.wake();
        }
    }
}

impl Events {
    /// Waits for the next event.
    pub(crate) async fn next(&mut self) -> Event {
        poll_fn(|context| self.poll_next(context)).await
    }

    /// The next event, if there is one.
    pub(crate) fn try_next(&mut self) -> Option<Event> {
        if self.taken.is_empty() {
            std::mem::swap(&mut self.taken, &mut self.shared.waiting().events);
        }
        self.taken.pop_front()
    }

    /// Gives the memory of a burst back, if all of it has been taken.
    pub(crate) fn shrink(&mut self) {
        if self.taken.is_empty() {
            self.taken = VecDeque::new();
        }
        let mut waiting = self.shared.waiting();
        if waiting.events.is_empty() {
            waiting.events = VecDeque::new();
        }
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Event> {
        // As tokio's channels do: events that never end must not keep the thread from other tasks.
        let coop = ready!(coop::poll_proceed(context));
        if self.taken.is_empty() {
            let mut waiting = self.shared.waiting();
            std::mem::swap(&mut self.taken, &mut waiting.events);
            if self.taken.is_empty() {
                match &mut waiting.reader {
                    // Does nothing if it is the same, as it mostly is.
                    Some(reader) => reader.clone_from(context.waker()),
                    none => *none = Some(context.waker().clone()),
                }
            }
        }
        match self.taken.pop_front() {
            Some(event) => {
                coop.made_progress();
                Poll::Ready(event)
            }
            None => Poll::Pending,
        }
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        let mut waiting = self.shared.waiting();
        waiting.closed = true;
        let left = std::mem::take(&mut waiting.events);
        // What the events hold may be senders: they are dropped without the lock.
        drop(waiting);
        drop(left);
    }
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Each change is one step: a panic elsewhere leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(good: bool) -> Event {
        Event::Stored(if good { Ok(()) } else { Err(StoreFailed) })
    }

    fn is_good(event: &Event) -> bool {
        matches!(event, Event::Stored(Ok(())))
    }

    #[tokio::test]
    async fn events_arrive_once_and_in_order() {
        let (outbox, mut events) = Outbox::new();
        outbox.send(stored(true));
        outbox.send(stored(false));
        assert!(is_good(&events.next().await));
        outbox.send(stored(true));
        assert!(!is_good(&events.try_next().unwrap()));
        assert!(is_good(&events.next().await));
        assert!(events.try_next().is_none());
    }

    #[tokio::test]
    async fn who_waits_is_woken_by_an_event() {
        let (outbox, mut events) = Outbox::new();
        let mut next = Box::pin(async move { is_good(&events.next().await) });
        let mut context = Context::from_waker(Waker::noop());
        assert!(next.as_mut().poll(&mut context).is_pending());
        let waiting = tokio::spawn(next);
        // The task is polled, and so waits, before this one goes on.
        tokio::task::yield_now().await;
        outbox.send(stored(true));
        assert!(waiting.await.unwrap());
    }

    #[tokio::test]
    async fn shrinking_loses_nothing() {
        let (outbox, mut events) = Outbox::new();
        for good in [true, false, true] {
            outbox.send(stored(good));
        }
        assert!(is_good(&events.next().await));
        outbox.send(stored(false));
        events.shrink();
        let mut left = Vec::new();
        while let Some(event) = events.try_next() {
            left.push(is_good(&event));
        }
        assert_eq!(left, [false, true, false]);
        events.shrink();
        outbox.send(stored(true));
        assert!(is_good(&events.next().await));
    }

    #[test]
    fn what_a_connection_that_is_gone_was_sent_is_dropped() {
        let (outbox, events) = Outbox::new();
        outbox.send(stored(true));
        drop(events);
        assert!(outbox.0.waiting().events.is_empty());
        outbox.send(stored(true));
        assert!(outbox.0.waiting().events.is_empty());
    }
}
