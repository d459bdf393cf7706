//! Permissions of a user in a vhost: `/api/permissions`.

use async_trait::async_trait;

use super::{Error, Put};

/// What a user may do in a vhost: regular expressions over names of exchanges and queues.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Permission {
    /// The user's name.
    pub user: String,
    /// The vhost's name.
    pub vhost: String,
    /// May declare and delete these.
    pub configure: String,
    /// May publish and bind to these.
    pub write: String,
    /// May consume and bind from these.
    pub read: String,
}

/// Permissions.
#[async_trait]
pub trait Permissions: Send + Sync + 'static {
    /// All of them.
    async fn permissions(&self) -> Result<Vec<Permission>, Error>;

    /// Those of a user in a vhost.
    async fn permission(&self, vhost: &str, user: &str) -> Result<Permission, Error>;

    /// Gives them. A user or vhost that does not exist is [`Error::NotFound`]; a pattern that does not compile is
    /// [`Error::BadRequest`].
    async fn put_permission(&self, permission: Permission) -> Result<Put, Error>;

    /// Takes them away.
    async fn delete_permission(&self, vhost: &str, user: &str) -> Result<(), Error>;
}
