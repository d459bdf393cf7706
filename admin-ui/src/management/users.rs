//! Users: `/api/users`.

use async_trait::async_trait;

use super::{Error, Put, UserLimits};

/// A user.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct UserView {
    /// Its name.
    pub name: String,
    /// As it was given or made; empty: no login with a password.
    pub password_hash: String,
    /// How the hash was made, such as `rabbit_password_hashing_sha256`.
    pub hashing_algorithm: String,
    /// Such as `administrator`.
    pub tags: Vec<String>,
    /// Its limits; `user` in it repeats the name.
    pub limits: UserLimits,
}

/// How a user is to log in.
#[derive(Clone, Eq, PartialEq)]
pub enum Credentials {
    /// With this password, which the broker hashes.
    Password(String),
    /// With the password of this hash.
    Hash {
        /// In the text form of its algorithm.
        hash: String,
        /// RabbitMQ's name of it; none: its default, SHA-256.
        algorithm: Option<String>,
    },
    /// Not with a password.
    None,
}

/// A user as it is to be.
#[derive(Clone, Eq, PartialEq)]
pub struct UserSettings {
    /// Replaces what there was.
    pub credentials: Credentials,
    /// Replaces what there was.
    pub tags: Vec<String>,
}

/// Users.
#[async_trait]
pub trait Users: Send + Sync + 'static {
    /// All of them.
    async fn users(&self) -> Result<Vec<UserView>, Error>;

    /// One.
    async fn user(&self, name: &str) -> Result<UserView, Error>;

    /// Creates one or replaces its settings; its permissions and limits stay. An unknown algorithm, or a hash that it cannot have
    /// made, is [`Error::BadRequest`].
    async fn put_user(&self, name: &str, settings: UserSettings) -> Result<Put, Error>;

    /// Deletes one with its permissions, and closes its connections.
    async fn delete_user(&self, name: &str) -> Result<(), Error>;
}
