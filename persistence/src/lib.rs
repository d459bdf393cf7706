//! Keeps messages and definitions, and gives them back after a crash. Knows no AMQP: names are
//! text, properties and bodies are opaque bytes.
//!
//! ```text
//!                      submit(Batch)                      commit(Gathered)
//! connections, queues ---------------> Committer (thread) ----------------> Store
//!         ^                                 |                               (sqlite, memory)
//!         +---- Completion(ticket) ---------+                                  |
//!         +---- messages ------ MessageReader (threads) <--- Reader -----------+
//! ```
//!
//! - [`Batch`] is what must be there together or not at all: [`Publish`]es and [`Change`]s.
//! - [`Committer`] gathers batches while the store commits the ones before; one transaction and
//!   one sync serve them all.
//! - [`Store`] is the seam for another backend; [`sqlite`] is the durable one, [`memory`] serves
//!   tests and brokers that need not survive a restart.
//! - [`MessageReader`] reads back what a queue does not keep in memory.

mod change;
mod checked;
mod committer;
mod error;
mod gather;
mod ids;
mod limits;
pub mod memory;
mod message;
mod progress;
mod reader;
mod records;
mod remembered;
pub mod sqlite;
mod stamp;
mod store;

pub use change::{Batch, Change, Completion, Publish, Queues};
pub use checked::Checked;
pub use committer::{Committer, CommitterThread};
pub use error::{CommitError, OpenError, ReadError};
pub use gather::Gathered;
pub use ids::{IdSet, MessageId, NextIds, QueueId, Ticket};
pub use limits::Limits;
pub use message::{Message, NAME_LEN_MAX, PROPERTIES_LEN_MAX};
pub use progress::Progress;
pub use reader::{MessageReader, ReadDone, ScanDone};
pub use records::{
    BindingRecord, Definitions, ExchangeRecord, GlobalParameterRecord, ParameterRecord,
    PermissionRecord, QueueRecord, TopicPermissionRecord, UserRecord, VhostRecord,
};
pub use remembered::RememberedKey;
pub use stamp::Stamp;
pub use store::{Found, Reader, Recovered, Scanned, Store, Upkeep};
