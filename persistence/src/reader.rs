//! Reading messages back without holding up the writer: a few threads with a reader each. Queues
//! ask through [`MessageReader`] when what they hold in memory runs out.

use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{OpenError, ReadError};
use crate::ids::MessageId;
use crate::store::{Found, Reader, Store};

/// Given what was read. Called once, on a reader's thread (or, when
/// the readers are gone, on the caller's), so it must not block.
pub type ReadDone = Box<dyn FnOnce(Result<Found, ReadError>) + Send>;

/// A handle to the readers. Cheap to clone; the threads end when the last handle is dropped.
///
/// Nothing here bounds the number of waiting requests: a queue has at most one.
#[derive(Clone)]
pub struct MessageReader {
    requests: Sender<Request>,
}

struct Request {
    ids: Vec<MessageId>,
    bytes_max: usize,
    done: ReadDone,
}

impl MessageReader {
    /// Starts `threads` readers of `store`, before the store goes to the committer. More threads
    /// help when the messages are not in the page cache and the disk serves reads in parallel.
    ///
    /// # Errors
    /// When the store can not be opened for reading, or a thread can not be started.
    pub fn start(store: &dyn Store, threads: usize) -> Result<Self, OpenError> {
        let (requests, receiver) = mpsc::channel();
        let receiver = Arc::new(Mutex::new(receiver));
        for number in 0..threads.max(1) {
            let reader = store.reader()?;
            let receiver = Arc::clone(&receiver);
            std::thread::Builder::new()
                .name(format!("reader-{number}"))
                .spawn(move || serve(reader, &receiver))
                .map_err(|error| OpenError::Io(error.to_string()))?;
        }
        Ok(Self { requests })
    }

    /// Reads the messages with the given ids, which are increasing; see [`Reader::read`].
    ///
    /// Only what is committed is found: wait for the ticket of the publish before giving up the
    /// message in memory.
    pub fn read(&self, ids: Vec<MessageId>, bytes_max: usize, done: ReadDone) {
        if let Err(mpsc::SendError(request)) = self.requests.send(Request { ids, bytes_max, done })
        {
            (request.done)(Err(ReadError::Closed));
        }
    }
}

fn serve(mut reader: Box<dyn Reader>, requests: &Mutex<Receiver<Request>>) {
    loop {
        // The lock is held while waiting: whoever has it takes the next request.
        let next = requests.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Request { ids, bytes_max, done }) = next else {
            return;
        };
        done(reader.read(&ids, bytes_max));
    }
}
