//! A broker just good enough for a load tool, in this process: one vhost, queues in memory, a thread a
//! connection, and faults to order. Its frames are `amq_protocol`'s, so that the tool's own encoder and
//! parser are held to another one's.

mod connection;
mod state;

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread;

use state::State;

/// What the broker does wrong. Every Nth counts the messages published to the broker, from 1.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    /// Confirms every Nth message and forgets it.
    pub(crate) lose_every: Option<u64>,
    /// Enqueues every Nth message twice.
    pub(crate) double_every: Option<u64>,
    /// Enqueues every Nth message before the one it should follow.
    pub(crate) swap_every: Option<u64>,
    /// Refuses every Nth message with `basic.nack`.
    pub(crate) refuse_every: Option<u64>,
    /// Returns every Nth message as unroutable.
    pub(crate) return_every: Option<u64>,
    /// Closes the connection that publishes the Nth message.
    pub(crate) close_at: Option<u64>,
    /// Cancels the consumer that the Nth message is for.
    pub(crate) cancel_at: Option<u64>,
    /// Confirms nothing.
    pub(crate) never_confirm: bool,
    /// Sends `connection.blocked` after `confirm.select`, and `connection.unblocked` once a heartbeat
    /// is answered.
    pub(crate) block: bool,
    /// Offers no more than this.
    pub(crate) frame_max: Option<u32>,
}

/// A broker that runs until the test's process ends.
pub(crate) struct Broker {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Broker {
    /// Listens on a free port.
    pub(crate) fn start(faults: Faults) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State::new(faults)));
        let shared = state.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let shared = shared.clone();
                thread::spawn(move || connection::serve(stream.unwrap(), &shared));
            }
        });
        Self { address, state }
    }

    /// Where it is.
    pub(crate) fn uri(&self) -> leveret_perf::Uri {
        format!("amqp://{}", self.address).parse().unwrap()
    }

    /// Declares a queue, as another client might have before.
    pub(crate) fn declare(&self, queue: &str) {
        self.state.lock().unwrap().declare(queue);
    }

    /// The queues there are, with the number of messages in each.
    pub(crate) fn queues(&self) -> Vec<(String, usize)> {
        self.state.lock().unwrap().queues()
    }

    /// Deliveries to consumers with acknowledgements, and how many of them were acknowledged.
    pub(crate) fn acknowledged(&self) -> (u64, u64) {
        self.state.lock().unwrap().acknowledged()
    }
}
