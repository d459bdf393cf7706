//! The way to a queue's task: a list of commands, bounded by what they cost in memory. Tokio's channels allocate room for 32 commands at once, which made up a
//! third of the memory of an idle queue (12 KB of it, with 20,000 queues); this one allocates nothing until it is used.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, Semaphore};

use super::Command;

/// See the module. Many send, one task receives.
#[derive(Debug)]
pub(crate) struct Mailbox {
    commands: Mutex<Vec<Command>>,
    /// How many more bytes may be sent. Closed when the queue ends.
    room: Semaphore,
    arrived: Notify,
    /// Closed when nobody receives any more.
    ended: Semaphore,
    capacity: usize,
}

/// The receiving side. Without it nothing is let in, and what was is dropped.
#[derive(Debug)]
pub(crate) struct Receiver(Arc<Mailbox>);

impl Mailbox {
    /// An empty one for commands of up to `capacity` bytes together ([`Command::cost`]). One that is larger goes alone.
    pub(crate) fn new(capacity: usize) -> (Arc<Mailbox>, Receiver) {
        let mailbox = Arc::new(Mailbox {
            commands: Mutex::default(),
            room: Semaphore::new(capacity),
            arrived: Notify::new(),
            ended: Semaphore::new(0),
            capacity,
        });
        (Arc::clone(&mailbox), Receiver(mailbox))
    }

    /// Waits until nobody receives any more.
    pub(crate) async fn ended(&self) {
        // It has no permits: this returns when it is closed.
        drop(self.ended.acquire().await);
    }

    fn commands(&self) -> MutexGuard<'_, Vec<Command>> {
        // Each change is one step: a panic elsewhere leaves nothing half done.
        self.commands.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cost(&self, command: &Command) -> u32 {
        u32::try_from(command.cost().min(self.capacity)).unwrap_or(u32::MAX)
    }

    /// Leaves a command; waits while there is no room. Gives it back if the queue has ended.
    pub(crate) async fn send(&self, command: Command) -> Result<(), Command> {
        let Ok(permit) = self.room.acquire_many(self.cost(&command)).await else {
            return Err(command);
        };
        let mut commands = self.commands();
        // Closing takes the lock: what is let in here is still received.
        if self.room.is_closed() {
            return Err(command);
        }
        permit.forget();
        let is_first = commands.is_empty();
        commands.push(command);
        drop(commands);
        if is_first {
            self.arrived.notify_one();
        }
        Ok(())
    }
}

impl Receiver {
    /// Waits for commands and takes up to `limit` of them, in order. `into` is empty before: it becomes the list that the next
    /// commands are left in.
    pub(crate) async fn receive(&self, into: &mut Vec<Command>, limit: usize) {
        while !self.take(into, limit) {
            self.0.arrived.notified().await;
        }
    }

    /// Takes what there is, up to `limit`. Says whether that was anything.
    pub(crate) fn take(&self, into: &mut Vec<Command>, limit: usize) -> bool {
        let mut commands = self.0.commands();
        let count = commands.len().min(limit);
        if count == 0 {
            return false;
        }
        let taken = commands.iter().take(count);
        let room = taken.map(|command| self.0.cost(command) as usize).sum();
        if count == commands.len() {
            std::mem::swap(into, &mut *commands);
        } else {
            into.extend(commands.drain(..count));
            // Whoever receives next need not wait to be told.
            self.0.arrived.notify_one();
        }
        drop(commands);
        self.0.room.add_permits(room);
        true
    }

    /// Whether nothing waits to be taken.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.commands().is_empty()
    }

    /// Lets nothing more in. What is there can still be taken.
    pub(crate) fn close(&self) {
        let _commands = self.0.commands();
        self.0.room.close();
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.close();
        // Who waits for an answer learns that there will be none.
        drop(std::mem::take(&mut *self.0.commands()));
        self.0.ended.close();
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;
    use crate::limits::COMMAND_OVERHEAD_BYTES;

    fn publish(bytes: usize) -> Command {
        Command::Publish { entries: Vec::new(), bytes: bytes - COMMAND_OVERHEAD_BYTES }
    }

    /// Whether there is room for it now.
    fn has_room(mailbox: &Mailbox, command: Command) -> bool {
        let sent = pin!(mailbox.send(command)).poll(&mut Context::from_waker(Waker::noop()));
        matches!(sent, Poll::Ready(Ok(())))
    }

    #[test]
    fn commands_wait_when_those_before_them_take_the_room() {
        let (mailbox, receiver) = Mailbox::new(1000);
        let mut taken = Vec::new();
        for (bytes, fits) in [(400, true), (600, true), (300, false)] {
            assert_eq!(has_room(&mailbox, publish(bytes)), fits, "{bytes}");
        }
        assert!(receiver.take(&mut taken, 1));
        assert!(!has_room(&mailbox, publish(401)));
        assert!(has_room(&mailbox, publish(400)));
        taken.clear();
        assert!(receiver.take(&mut taken, usize::MAX));
        assert_eq!(taken.len(), 2);
        assert!(has_room(&mailbox, publish(1000)));
    }

    #[test]
    fn one_that_is_larger_than_all_room_goes_alone() {
        let (mailbox, receiver) = Mailbox::new(1000);
        let mut taken = Vec::new();
        assert!(has_room(&mailbox, publish(5000)));
        assert!(!has_room(&mailbox, publish(COMMAND_OVERHEAD_BYTES)));
        assert!(receiver.take(&mut taken, 1));
        taken.clear();
        assert!(has_room(&mailbox, publish(600)));
        assert!(!has_room(&mailbox, publish(5000)));
    }
}
