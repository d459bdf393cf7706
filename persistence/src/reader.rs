//! Reading messages back without holding up the writer: a few threads with a reader each. Queues
//! ask through [`MessageReader`] when what they hold in memory runs out.

use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{OpenError, ReadError};
use crate::ids::MessageId;
use crate::store::{Found, Reader, Scanned, Store};

/// Given what was read. Called once, on a reader's thread (or, when
/// the readers are gone, on the caller's), so it must not block.
pub type ReadDone = Box<dyn FnOnce(Result<Found, ReadError>) + Send>;

/// Given what was scanned; called as [`ReadDone`] is.
pub type ScanDone = Box<dyn FnOnce(Result<Vec<Scanned>, ReadError>) + Send>;

/// A handle to the readers. Cheap to clone; the threads end when the last handle is dropped.
///
/// Nothing here bounds the number of waiting requests: a queue has at most one of each kind.
#[derive(Clone)]
pub struct MessageReader {
    requests: Sender<Request>,
}

enum Request {
    Read { ids: Vec<MessageId>, bytes_max: usize, done: ReadDone },
    Scan { ids: Vec<MessageId>, done: ScanDone },
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
        self.send(Request::Read { ids, bytes_max, done });
    }

    /// Looks at the messages with the given ids, which are increasing, without reading their
    /// bodies; see [`Reader::scan`]. What [`MessageReader::read`] says about commits holds here as
    /// well.
    pub fn scan(&self, ids: Vec<MessageId>, done: ScanDone) {
        self.send(Request::Scan { ids, done });
    }

    fn send(&self, request: Request) {
        match self.requests.send(request) {
            Ok(()) => {}
            Err(mpsc::SendError(Request::Read { done, .. })) => done(Err(ReadError::Closed)),
            Err(mpsc::SendError(Request::Scan { done, .. })) => done(Err(ReadError::Closed)),
        }
    }
}

fn serve(mut reader: Box<dyn Reader>, requests: &Mutex<Receiver<Request>>) {
    loop {
        // The lock is held while waiting: whoever has it takes the next request.
        let next = requests.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match next {
            Ok(Request::Read { ids, bytes_max, done }) => done(reader.read(&ids, bytes_max)),
            Ok(Request::Scan { ids, done }) => done(reader.scan(&ids)),
            Err(mpsc::RecvError) => return,
        }
    }
}
