//! The password that a user's slow hash has accepted last, so that clients that come back do not pay for it again.

use std::sync::{LazyLock, Mutex, PoisonError};

use sha2::{Digest, Sha256};

use super::password::same_bytes;

/// Known to this process alone: what is remembered is of no use elsewhere.
static KEY: LazyLock<[u8; 32]> = LazyLock::new(rand::random);

/// Remembers one password, as a keyed digest.
#[derive(Default)]
pub(crate) struct Verified(Mutex<Option<[u8; 32]>>);

impl std::fmt::Debug for Verified {
    /// Says nothing of the digest.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Verified(..)")
    }
}

impl Verified {
    /// Whether this is the password that was remembered.
    pub(crate) fn is(&self, password: &[u8]) -> bool {
        let digest = digest(password);
        let remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.is_some_and(|remembered| same_bytes(&remembered, &digest))
    }

    /// The hash has accepted this password.
    pub(crate) fn remember(&self, password: &[u8]) {
        let digest = digest(password);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(digest);
    }
}

fn digest(password: &[u8]) -> [u8; 32] {
    // The length of the key is fixed, and so is that of its digest: no password can pass for another.
    let inner = Sha256::new().chain_update(*KEY).chain_update(password).finalize();
    Sha256::new().chain_update(*KEY).chain_update(inner).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_password_that_was_remembered_is_known() {
        let verified = Verified::default();
        assert!(!verified.is(b""));
        verified.remember(b"secret");
        assert!(verified.is(b"secret"));
        assert!(!verified.is(b"Secret"));
        verified.remember(b"other");
        assert!(!verified.is(b"secret"));
    }
}
