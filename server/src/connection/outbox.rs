//! What others have for a connection's client: queues, the store, the operator. Unbounded as a channel, bounded by what its
//! senders may have under way: a consumer's window, one event a stored batch, a reply-to window.

use std::sync::Arc;

use leveret_persistence::Message;
use tokio::sync::mpsc;

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
pub(crate) struct Outbox(mpsc::UnboundedSender<Event>);

impl Outbox {
    /// A new outbox and the side that the connection reads.
    pub(crate) fn new() -> (Outbox, mpsc::UnboundedReceiver<Event>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Outbox(sender), receiver)
    }

    /// Leaves an event for the connection.
    pub(crate) fn send(&self, event: Event) {
        // A closed connection has given its deliveries back already: nothing is lost.
        drop(self.0.send(event));
    }
}
