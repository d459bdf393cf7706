//! Holding publishers back: a queue that is ahead of its consumers asks the connections that publish to it to stop reading
//! their sockets until it has caught up. They go on with everything else, so that a client that both publishes and
//! consumes cannot hold itself up.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// The request of one queue; see the module.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    held: AtomicBool,
    released: Notify,
}

impl Flow {
    /// Whether publishers are asked to wait.
    pub(crate) fn is_held(&self) -> bool {
        self.held.load(Ordering::Acquire)
    }

    /// Asks publishers to wait, or lets them go on.
    pub(super) fn hold(&self, hold: bool) {
        if self.held.swap(hold, Ordering::AcqRel) && !hold {
            self.released.notify_waiters();
        }
    }

    /// Waits until publishers may go on.
    pub(crate) async fn released(&self) {
        let mut released = std::pin::pin!(self.released.notified());
        released.as_mut().enable();
        if self.is_held() {
            released.await;
        }
    }
}
