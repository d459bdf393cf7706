//! Who is asking. The API's authentication calls it, for every request that it has not seen lately.

use std::collections::BTreeSet;
use std::net::IpAddr;

use async_trait::async_trait;

/// A user who has logged in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Who {
    /// Its name.
    pub name: String,
    /// Its tags, such as `administrator`.
    pub tags: Vec<String>,
}

/// Why a login failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum LoginRefused {
    /// No such user, or not its password. Which of the two is not for the client.
    #[error("invalid credentials")]
    InvalidCredentials,
    /// The default user, from another machine.
    #[error("User can only log in via localhost")]
    LoopbackOnly,
    /// Too many logins at once to check this one now.
    #[error("too many logins at once")]
    Busy,
}

/// Logins, and which vhosts a user may open.
#[async_trait]
pub trait Access: Send + Sync + 'static {
    /// Checks a name and password of a client at `peer`. May take as long as a slow password hash does: the API calls it on a
    /// thread that may block, a few at a time, and remembers successes for some seconds.
    fn login(&self, name: &str, password: &[u8], peer: IpAddr) -> Result<Who, LoginRefused>;

    /// A number that changes whenever a user, its password or its tags may have changed: a remembered login holds only as long
    /// as this stays the same. Called on every request.
    fn access_version(&self) -> u64;

    /// The vhosts in which the user has permissions, whatever they are.
    async fn accessible_vhosts(&self, user: &str) -> BTreeSet<String>;
}
