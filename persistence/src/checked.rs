//! A store that failed a write stays failed. This wrapper enforces it for any backend; the
//! committer puts it around whatever store it is given.
//!
//! After a failed sync the operating system may have dropped the dirty pages, so a later success
//! says nothing about what was written before: carrying on could confirm what is not there.

use crate::error::{CommitError, OpenError};
use crate::gather::Gathered;
use crate::ids::NextIds;
use crate::store::{Reader, Store, Upkeep};

/// A store that refuses everything after its first failed write.
pub struct Checked {
    store: Box<dyn Store>,
    failure: Option<String>,
}

impl Checked {
    /// Wraps a store that has not failed yet.
    #[must_use]
    pub fn new(store: Box<dyn Store>) -> Self {
        Self { store, failure: None }
    }

    fn refuse_after_failure(&self) -> Result<(), CommitError> {
        match &self.failure {
            Some(message) => Err(CommitError::Failed(message.clone())),
            None => Ok(()),
        }
    }

    fn note<T>(&mut self, result: Result<T, CommitError>) -> Result<T, CommitError> {
        if let Err(error) = &result {
            self.failure = Some(error.to_string());
        }
        result
    }
}

impl Store for Checked {
    fn commit(&mut self, gathered: &Gathered) -> Result<(), CommitError> {
        self.refuse_after_failure()?;
        let result = self.store.commit(gathered);
        self.note(result)
    }

    fn reader(&self) -> Result<Box<dyn Reader>, OpenError> {
        self.store.reader()
    }

    fn upkeep(&mut self) -> Result<Upkeep, CommitError> {
        self.refuse_after_failure()?;
        let result = self.store.upkeep();
        self.note(result)
    }

    /// A failed store is dropped without being closed, so that its next start is one after an
    /// unclean stop.
    fn close(self: Box<Self>, next: NextIds) -> Result<(), CommitError> {
        self.refuse_after_failure()?;
        self.store.close(next)
    }
}
