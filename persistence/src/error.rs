//! What can go wrong with a store, by operation: opening it, committing, reading back.
//!
//! A caller that fails to open tells the operator and stops; one that fails to commit stops
//! confirming; one that fails to read tells the queue. They never share a type.

use std::path::PathBuf;

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has the directory open.
    #[error("{} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// The file was written by a newer version of this program.
    #[error("the store has schema version {found}, but this program knows only up to {known}")]
    Newer {
        /// The version in the file.
        found: u32,
        /// The newest version this program can read.
        known: u32,
    },
    /// The file is not a store of this program.
    #[error("{} is not a message store", .0.display())]
    NotAStore(PathBuf),
    /// The file contradicts itself.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// The file or its directory may not be written.
    #[error("the store can not be written: {0}")]
    ReadOnly(String),
    /// No space is left.
    #[error("the disk is full: {0}")]
    DiskFull(String),
    /// The operating system or SQLite refused.
    #[error("the store could not be opened: {0}")]
    Io(String),
}

/// Why a batch will never be durable. Once one batch has failed, all later ones fail.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CommitError {
    /// No space is left.
    #[error("the disk is full: {0}")]
    DiskFull(String),
    /// The store has become read-only.
    #[error("the store can not be written: {0}")]
    ReadOnly(String),
    /// Another program held a write lock for too long.
    #[error("the store is locked by another program: {0}")]
    Locked(String),
    /// The file contradicts itself.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// The operating system or SQLite refused.
    #[error("the store could not be written: {0}")]
    Io(String),
    /// An earlier commit failed, with this message.
    #[error("the store failed earlier: {0}")]
    Failed(String),
    /// The committer has been stopped.
    #[error("the store is closed")]
    Closed,
}

/// Why messages could not be read back.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ReadError {
    /// A row does not hold what was written.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// The operating system or SQLite refused.
    #[error("the store could not be read: {0}")]
    Io(String),
    /// The readers have been stopped.
    #[error("the store is closed")]
    Closed,
}
