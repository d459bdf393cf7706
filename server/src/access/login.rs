//! Logging in: a name and a password against the users of this moment. The handshake calls it, and the HTTP API.

use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::sync::{Arc, LazyLock};

use tokio::sync::Semaphore;

use super::DEFAULT_USER;
use super::password::Hash;
use super::user::User;

/// Why a log-in failed: for the log; the client learns only that it did.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum LoginRefused {
    #[error("invalid credentials")]
    InvalidCredentials,
    #[error("user 'guest' can only connect via localhost")]
    LoopbackOnly,
}

/// What an unknown user's password is checked against, in vain: it takes as long as a known one's.
static NO_USER: LazyLock<Hash> = LazyLock::new(|| Hash::new(&rand::random::<[u8; 16]>()));

/// Bounds the checks that are made at once: each takes a core and 19 MiB.
#[derive(Debug)]
pub(crate) struct Logins {
    slow: Semaphore,
}

impl Logins {
    /// Half of the cores may check passwords; the rest goes on with its work.
    pub(crate) fn new() -> Logins {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Logins { slow: Semaphore::new((cores / 2).max(1)) }
    }

    /// The hash of a new password, in the same bounds.
    pub(crate) async fn hash(&self, password: Vec<u8>) -> Hash {
        let _permit = self.slow.acquire().await;
        let hashed = tokio::task::spawn_blocking(move || Hash::new(&password));
        // Only a runtime that stops drops it: nobody logs in any more.
        hashed.await.unwrap_or(Hash::Nothing)
    }

    /// As [`check`], without holding up the thread it is called on.
    pub(crate) async fn check(
        &self,
        user: Option<Arc<User>>,
        password: Vec<u8>,
        peer: IpAddr,
    ) -> Result<Arc<User>, LoginRefused> {
        if let Some(known) = user.as_ref().filter(|user| accepted_at_once(user, &password)) {
            return allowed(known, peer);
        }
        // Nobody closes the semaphore.
        let _permit = self.slow.acquire().await;
        let checked = tokio::task::spawn_blocking(move || check(user, &password, peer));
        // A check that panics, or that a stopping runtime drops, lets nobody in.
        checked.await.unwrap_or(Err(LoginRefused::InvalidCredentials))
    }
}

/// Checks a password against that of the user, if there is one of the name that was given. Blocks for as long as a slow hash
/// takes, unless the password is right and cheap to check: so a refusal does not tell whether there is such a user.
pub(crate) fn check(
    user: Option<Arc<User>>,
    password: &[u8],
    peer: IpAddr,
) -> Result<Arc<User>, LoginRefused> {
    let refused = Err(LoginRefused::InvalidCredentials);
    let Some(user) = user else {
        NO_USER.accepts(password);
        return refused;
    };
    if accepted_at_once(&user, password) {
        return allowed(&user, peer);
    }
    let hash = &user.credentials.hash;
    // An empty password is refused without a look at the hash, which would tell by the time it does not take.
    if !hash.is_slow() || password.is_empty() {
        NO_USER.accepts(b"-");
        return refused;
    }
    if !hash.accepts(password) {
        return refused;
    }
    user.credentials.verified.remember(password);
    allowed(&user, peer)
}

fn accepted_at_once(user: &User, password: &[u8]) -> bool {
    let credentials = &user.credentials;
    match credentials.hash.is_slow() {
        true => credentials.verified.is(password),
        false => credentials.hash.accepts(password),
    }
}

fn allowed(user: &Arc<User>, peer: IpAddr) -> Result<Arc<User>, LoginRefused> {
    if &*user.name == DEFAULT_USER && !peer.to_canonical().is_loopback() {
        return Err(LoginRefused::LoopbackOnly);
    }
    Ok(Arc::clone(user))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::user::UserLimits;

    const LOCAL: &str = "127.0.0.1";
    const REMOTE: &str = "192.0.2.1";

    fn user(name: &str, hash: Hash) -> Option<Arc<User>> {
        Some(Arc::new(User {
            name: name.into(),
            credentials: Arc::new(hash.into()),
            tags: [].into(),
            limits: UserLimits::default(),
            permissions: imbl::OrdMap::new(),
        }))
    }

    #[tokio::test]
    async fn a_login_needs_the_right_password_and_guest_a_loopback_address() {
        let guest = || user("guest", Hash::new_sha256(b"secret"));
        let other = || user("other", Hash::new(b"secret"));
        let table = [
            (guest(), "secret", LOCAL, None),
            (guest(), "secret", "::ffff:127.0.0.1", None),
            (guest(), "secret", REMOTE, Some(LoginRefused::LoopbackOnly)),
            (guest(), "wrong", REMOTE, Some(LoginRefused::InvalidCredentials)),
            (guest(), "", LOCAL, Some(LoginRefused::InvalidCredentials)),
            (None, "secret", LOCAL, Some(LoginRefused::InvalidCredentials)),
            (None, "", LOCAL, Some(LoginRefused::InvalidCredentials)),
            (other(), "secret", REMOTE, None),
            (other(), "wrong", REMOTE, Some(LoginRefused::InvalidCredentials)),
            (other(), "", REMOTE, Some(LoginRefused::InvalidCredentials)),
            (user("blank", Hash::Nothing), "", LOCAL, Some(LoginRefused::InvalidCredentials)),
            (user("blank", Hash::Nothing), "x", LOCAL, Some(LoginRefused::InvalidCredentials)),
        ];
        let logins = Logins::new();
        for (user, password, peer, refused) in table {
            let (bytes, peer) = (password.as_bytes(), peer.parse().unwrap());
            let waited = logins.check(user.clone(), bytes.to_vec(), peer).await;
            assert_eq!(waited.err(), refused, "{user:?} {password} {peer}");
            assert_eq!(check(user, bytes, peer).err(), refused, "{password} {peer}, blocking");
        }
    }

    #[test]
    fn a_password_that_a_slow_hash_has_accepted_is_accepted_at_once_the_next_time() {
        let user = user("other", Hash::new(b"secret")).unwrap();
        assert!(!accepted_at_once(&user, b"secret"));
        check(Some(Arc::clone(&user)), b"secret", LOCAL.parse().unwrap()).unwrap();
        assert!(accepted_at_once(&user, b"secret"));
        assert!(!accepted_at_once(&user, b"wrong"));
    }
}
