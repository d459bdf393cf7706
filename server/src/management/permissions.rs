//! Permissions over names.

use async_trait::async_trait;
use leveret_admin_ui::management::{Error, Permission, Permissions, Put};

use super::{Managed, put, refused};
use crate::access::permissions::{self, NamePatterns};
use crate::access::user::User;

#[async_trait]
impl Permissions for Managed {
    async fn permissions(&self) -> Result<Vec<Permission>, Error> {
        let definitions = self.node.registry.now();
        let of_user = |user: &User| {
            let granted = user.permissions.iter();
            let views = granted.filter_map(|(vhost, granted)| view(&user.name, vhost, granted));
            views.collect::<Vec<_>>()
        };
        Ok(definitions.users.values().flat_map(|user| of_user(user)).collect())
    }

    async fn permission(&self, vhost: &str, user: &str) -> Result<Permission, Error> {
        let definitions = self.node.registry.now();
        let user = definitions.users.get(user).ok_or(Error::NotFound)?;
        let granted = user.permissions.get(vhost).ok_or(Error::NotFound)?;
        view(&user.name, vhost, granted).ok_or(Error::NotFound)
    }

    async fn put_permission(&self, permission: Permission) -> Result<Put, Error> {
        let Permission { user, vhost, configure, write, read } = permission;
        let patterns = NamePatterns { configure, write, read };
        put(self.node.registry.put_permission(&user, &vhost, patterns).await)
    }

    async fn delete_permission(&self, vhost: &str, user: &str) -> Result<(), Error> {
        self.node.registry.delete_permission(user, vhost).await.map_err(refused)
    }
}

fn view(user: &str, vhost: &str, granted: &permissions::Permissions) -> Option<Permission> {
    let NamePatterns { configure, write, read } = granted.names.as_ref()?.texts.clone();
    Some(Permission { user: user.to_owned(), vhost: vhost.to_owned(), configure, write, read })
}
