//! Logins, users, permissions.

use std::collections::BTreeSet;
use std::net::IpAddr;

use async_trait::async_trait;
use leveret_admin_ui::management::*;

use super::{Fake, put};

#[async_trait]
impl Access for Fake {
    fn login(&self, name: &str, password: &[u8], peer: IpAddr) -> Result<Who, LoginRefused> {
        let mut state = self.state();
        state.logins += 1;
        let user = state.users.get(name).ok_or(LoginRefused::InvalidCredentials)?;
        if user.password_hash.is_empty() || user.password_hash.as_bytes() != password {
            return Err(LoginRefused::InvalidCredentials);
        }
        if name == "admin" && !peer.is_loopback() {
            return Err(LoginRefused::LoopbackOnly);
        }
        Ok(Who { name: name.into(), tags: user.tags.clone() })
    }

    fn access_version(&self) -> u64 {
        self.state().access_version
    }

    async fn accessible_vhosts(&self, user: &str) -> BTreeSet<String> {
        let state = self.state();
        state.permissions.values().filter(|p| p.user == user).map(|p| p.vhost.clone()).collect()
    }
}

#[async_trait]
impl Users for Fake {
    async fn users(&self) -> Result<Vec<UserView>, Error> {
        Ok(self.state().users.values().cloned().collect())
    }

    async fn user(&self, name: &str) -> Result<UserView, Error> {
        self.state().users.get(name).cloned().ok_or(Error::NotFound)
    }

    async fn put_user(&self, name: &str, settings: UserSettings) -> Result<Put, Error> {
        let (hash, algorithm) = match settings.credentials {
            Credentials::Password(password) => (password, "plain".into()),
            Credentials::Hash { hash, algorithm } => {
                (hash, algorithm.unwrap_or_else(|| "default".into()))
            }
            Credentials::None => (String::new(), "none".into()),
        };
        let mut state = self.state();
        state.access_version += 1;
        let user = UserView {
            name: name.into(),
            password_hash: hash,
            hashing_algorithm: algorithm,
            tags: settings.tags,
            ..UserView::default()
        };
        Ok(put(&mut state.users, name.into(), user))
    }

    async fn delete_user(&self, name: &str) -> Result<(), Error> {
        let mut state = self.state();
        state.access_version += 1;
        state.users.remove(name).map(drop).ok_or(Error::NotFound)
    }
}

#[async_trait]
impl Permissions for Fake {
    async fn permissions(&self) -> Result<Vec<Permission>, Error> {
        Ok(self.state().permissions.values().cloned().collect())
    }

    async fn permission(&self, vhost: &str, user: &str) -> Result<Permission, Error> {
        let key = (vhost.to_owned(), user.to_owned());
        self.state().permissions.get(&key).cloned().ok_or(Error::NotFound)
    }

    async fn put_permission(&self, permission: Permission) -> Result<Put, Error> {
        let mut state = self.state();
        state.in_vhost(Some(&permission.vhost))?;
        if !state.users.contains_key(&permission.user) {
            return Err(Error::NotFound);
        }
        let key = (permission.vhost.clone(), permission.user.clone());
        Ok(put(&mut state.permissions, key, permission))
    }

    async fn delete_permission(&self, vhost: &str, user: &str) -> Result<(), Error> {
        let key = (vhost.to_owned(), user.to_owned());
        self.state().permissions.remove(&key).map(drop).ok_or(Error::NotFound)
    }
}

#[async_trait]
impl TopicPermissions for Fake {
    async fn topic_permissions(&self) -> Result<Vec<TopicPermission>, Error> {
        Ok(self.state().topic_permissions.values().cloned().collect())
    }

    async fn put_topic_permission(&self, permission: TopicPermission) -> Result<Put, Error> {
        let mut state = self.state();
        state.in_vhost(Some(&permission.vhost))?;
        if !state.users.contains_key(&permission.user) {
            return Err(Error::NotFound);
        }
        let key = (permission.vhost.clone(), permission.user.clone(), permission.exchange.clone());
        Ok(put(&mut state.topic_permissions, key, permission))
    }

    async fn delete_topic_permissions(
        &self,
        vhost: &str,
        user: &str,
        exchange: Option<&str>,
    ) -> Result<(), Error> {
        let mut state = self.state();
        let before = state.topic_permissions.len();
        state.topic_permissions.retain(|(v, u, e), _| {
            !(v == vhost && u == user && exchange.is_none_or(|exchange| e == exchange))
        });
        match state.topic_permissions.len() < before {
            true => Ok(()),
            false => Err(Error::NotFound),
        }
    }
}
