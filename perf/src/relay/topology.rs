//! Which consumers get what is published: to the default exchange, one of the queue that the routing key names; to any
//! other, one of each queue that is bound to it, with whatever key. Nothing is declared: names are taken as they come.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::batch::Batch;

/// What the connections of a relay share.
#[derive(Debug, Default)]
pub(super) struct Topology {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The queues of each exchange.
    bindings: BTreeMap<String, BTreeSet<String>>,
    /// The consumers of each queue, and how often they took turns.
    consumers: BTreeMap<String, (Vec<Arc<Outgoing>>, usize)>,
}

/// The sending half of a connection.
#[derive(Debug)]
pub(super) struct Outgoing {
    stream: TcpStream,
    /// The last delivery tag. Held while something is written, so that no two writes mix.
    last_tag: Mutex<u64>,
}

impl Topology {
    /// Binds a queue to an exchange.
    pub(super) fn bind(&self, exchange: &str, queue: &str) {
        let mut state = lock(&self.state);
        state.bindings.entry(exchange.to_owned()).or_default().insert(queue.to_owned());
    }

    /// Adds a consumer.
    pub(super) fn consume(&self, queue: &str, consumer: Arc<Outgoing>) {
        let mut state = lock(&self.state);
        state.consumers.entry(queue.to_owned()).or_default().0.push(consumer);
    }

    /// Forgets the consumer of a connection that has ended.
    pub(super) fn leave(&self, consumer: &Arc<Outgoing>) {
        lock(&self.state).consumers.retain(|_, (consumers, _)| {
            consumers.retain(|known| !Arc::ptr_eq(known, consumer));
            !consumers.is_empty()
        });
    }

    /// Forgets a queue.
    pub(super) fn delete_queue(&self, queue: &str) {
        let mut state = lock(&self.state);
        state.consumers.remove(queue);
        state.bindings.retain(|_, queues| {
            queues.remove(queue);
            !queues.is_empty()
        });
    }

    /// Forgets an exchange.
    pub(super) fn delete_exchange(&self, exchange: &str) {
        lock(&self.state).bindings.remove(exchange);
    }

    /// Who gets the next batch that is published to `exchange` with `key`.
    pub(super) fn takers(&self, exchange: &str, key: &str) -> Vec<Arc<Outgoing>> {
        let state = &mut *lock(&self.state);
        let consumers = &mut state.consumers;
        let mut taker = |queue: &str| {
            let (consumers, turns) = consumers.get_mut(queue)?;
            *turns = turns.wrapping_add(1);
            consumers.get(*turns % consumers.len().max(1)).cloned()
        };
        match exchange {
            "" => taker(key).into_iter().collect(),
            bound => {
                let queues = state.bindings.get(bound).into_iter().flatten();
                queues.filter_map(|queue| taker(queue)).collect()
            }
        }
    }
}

impl Outgoing {
    /// Over `stream`.
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { stream, last_tag: Mutex::default() }
    }

    /// Sends encoded frames. Waits for as long as the peer does not read.
    pub(super) fn send(&self, frames: &[u8]) -> io::Result<()> {
        let _alone = lock(&self.last_tag);
        (&self.stream).write_all(frames)
    }

    /// Sends the whole messages of a batch. Waits for as long as the peer does not read.
    pub(super) fn deliver(&self, batch: &mut Batch) -> io::Result<()> {
        let mut last_tag = lock(&self.last_tag);
        let first = *last_tag + 1;
        *last_tag += batch.len() as u64;
        (&self.stream).write_all(batch.numbered(first))
    }
}

/// What is behind the lock; each change of it is a single step, so a panic elsewhere leaves nothing half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// A consumer; nothing is sent to it.
    fn consumer() -> Arc<Outgoing> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Arc::new(Outgoing::new(TcpStream::connect(listener.local_addr().unwrap()).unwrap()))
    }

    fn same(takers: &[Arc<Outgoing>], expected: &[&Arc<Outgoing>]) -> bool {
        takers.len() == expected.len()
            && takers.iter().zip(expected).all(|(taker, expected)| Arc::ptr_eq(taker, expected))
    }

    #[test]
    fn the_default_exchange_goes_to_the_queue_and_others_to_what_is_bound() {
        let topology = Topology::default();
        let (one, two) = (consumer(), consumer());
        topology.consume("one", one.clone());
        topology.consume("two", two.clone());
        for queue in ["one", "two", "nobody's"] {
            topology.bind("logs", queue);
        }
        assert!(same(&topology.takers("", "one"), &[&one]));
        assert!(same(&topology.takers("", "three"), &[]));
        assert!(same(&topology.takers("logs", "any"), &[&one, &two]));
        topology.delete_queue("one");
        assert!(same(&topology.takers("logs", "any"), &[&two]));
        topology.delete_exchange("logs");
        assert!(same(&topology.takers("logs", "any"), &[]));
    }

    #[test]
    fn consumers_of_a_queue_take_turns_until_they_leave() {
        let topology = Topology::default();
        let (one, two) = (consumer(), consumer());
        topology.consume("queue", one.clone());
        topology.consume("queue", two.clone());
        let [first, second] = [(); 2].map(|()| topology.takers("", "queue"));
        assert!(!Arc::ptr_eq(&first[0], &second[0]));
        topology.leave(&one);
        for _ in 0..2 {
            assert!(same(&topology.takers("", "queue"), &[&two]));
        }
    }
}
