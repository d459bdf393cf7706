//! Users.

use async_trait::async_trait;
use leveret_admin_ui::management::{
    Credentials, Error, Put, UserLimits, UserSettings, UserView, Users,
};

use super::{Managed, put, refused};
use crate::access::password::{self, Hash};
use crate::access::user::User;

#[async_trait]
impl Users for Managed {
    async fn users(&self) -> Result<Vec<UserView>, Error> {
        Ok(self.node.registry.now().users.values().map(|user| view(user)).collect())
    }

    async fn user(&self, name: &str) -> Result<UserView, Error> {
        self.node.registry.now().users.get(name).map(|user| view(user)).ok_or(Error::NotFound)
    }

    async fn put_user(&self, name: &str, settings: UserSettings) -> Result<Put, Error> {
        let UserSettings { credentials, tags } = settings;
        let hash = match credentials {
            Credentials::None => Hash::Nothing,
            Credentials::Hash { hash, algorithm } => {
                let algorithm = algorithm.as_deref().unwrap_or(password::SHA256);
                let parsed = Hash::parse(algorithm, &hash);
                parsed.map_err(|unknown| Error::BadRequest(unknown.to_string()))?
            }
            Credentials::Password(password) => self.node.logins.hash(password.into_bytes()).await,
        };
        put(self.node.registry.put_user(name, hash, tags).await)
    }

    async fn delete_user(&self, name: &str) -> Result<(), Error> {
        self.node.delete_user(name).await.map_err(refused)
    }
}

fn view(user: &User) -> UserView {
    let hash = &user.credentials.hash;
    UserView {
        name: user.name.to_string(),
        password_hash: hash.text(),
        hashing_algorithm: hash.algorithm().to_owned(),
        tags: user.tags.to_vec(),
        limits: limits(user),
    }
}

/// The limits of a user, which are listed by themselves too.
pub(super) fn limits(user: &User) -> UserLimits {
    let crate::access::user::UserLimits { max_connections, max_channels } = user.limits;
    UserLimits { user: user.name.to_string(), max_connections, max_channels }
}
