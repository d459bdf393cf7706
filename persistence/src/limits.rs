//! The bounds of this crate that its user may choose.

/// Bounds of a committer.
#[derive(Copy, Clone, Debug)]
pub struct Limits {
    /// Bytes of messages that may wait for the store before
    /// [`Committer::room`](crate::Committer::room) makes publishers wait. A batch is never
    /// refused, so the real maximum is this plus one batch a publisher.
    pub pending_bytes_max: usize,
    /// Bytes of messages after which a transaction takes no further batch. More gathers more
    /// cheaply but makes the first of them wait longer for its confirm.
    pub commit_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { pending_bytes_max: 64 << 20, commit_bytes_max: 4 << 20 }
    }
}
