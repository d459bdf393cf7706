//! Endings: of a channel, by its client or by a fault, and of the whole connection.

use amq_protocol::protocol::AMQPClass;
use amq_protocol::protocol::channel::{AMQPMethod as ChannelMethod, Close as ChannelClose};
use amq_protocol::protocol::connection::{AMQPMethod as ConnectionMethod, Close};

use super::{Connection, Slot};
use crate::protocol::{Fault, Reach};
use crate::queue::Command;

impl Connection {
    /// Closes a channel with its fault; a fault that reaches further is given back.
    pub(super) async fn channel_fault(&mut self, number: u16, fault: Fault) -> Result<(), Fault> {
        if fault.reach == Reach::Connection {
            return Err(fault);
        }
        tracing::info!(connection = self.id.0, channel = number, %fault, "channel closed");
        self.close_channel(number).await;
        self.channels.insert(number, Slot::Closing);
        let close = ChannelClose {
            reply_code: fault.code.number(),
            reply_text: fault.reply_text(),
            class_id: fault.class_id,
            method_id: fault.method_id,
        };
        self.send(number, AMQPClass::Channel(ChannelMethod::Close(close)));
        Ok(())
    }

    /// Ends a channel: its consumers leave, what it has not settled goes back to the queues, its transaction is dropped.
    pub(crate) async fn close_channel(&mut self, number: u16) {
        // What the client settled before takes effect before the rest goes back.
        self.settlements.send(false).await;
        let Some(Slot::Open(mut channel)) = self.channels.remove(&number) else {
            return;
        };
        if let Some(reply) = &channel.reply_consumer {
            self.vhost.reply_to.leave(&reply.address);
        }
        let id = channel.id;
        for queue in channel.queues() {
            queue.send(Command::CloseChannel { channel: id }).await.ok();
        }
    }

    /// Ends all channels and deletes the exclusive queues: before any `connection.close-ok`, which users rely on.
    pub(super) async fn close_everything(&mut self) {
        let numbers: Vec<u16> = self.channels.keys().copied().collect();
        for number in numbers {
            self.close_channel(number).await;
        }
        for queue in std::mem::take(&mut self.exclusive) {
            // Without conditions it can fail only if the store has: the queue is gone all the same.
            drop(self.vhost.delete_queue(&queue, false, false).await);
        }
    }
}

/// `connection.close` for a fault.
pub(super) fn connection_close(fault: &Fault) -> AMQPClass {
    AMQPClass::Connection(ConnectionMethod::Close(Close {
        reply_code: fault.code.number(),
        reply_text: fault.reply_text(),
        class_id: fault.class_id,
        method_id: fault.method_id,
    }))
}
