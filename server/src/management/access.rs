//! Who is asking.

use std::collections::BTreeSet;
use std::net::IpAddr;

use async_trait::async_trait;
use leveret_admin_ui::management::{Access, LoginRefused, Who};

use super::Managed;
use crate::access::login;

#[async_trait]
impl Access for Managed {
    fn login(&self, name: &str, password: &[u8], peer: IpAddr) -> Result<Who, LoginRefused> {
        let user = self.node.registry.now().users.get(name).cloned();
        match login::check(user, password, peer) {
            Ok(user) => Ok(Who { name: user.name.to_string(), tags: user.tags.to_vec() }),
            Err(refused) => {
                tracing::warn!("HTTP access denied: user '{name}' - {refused}");
                Err(match refused {
                    login::LoginRefused::InvalidCredentials => LoginRefused::InvalidCredentials,
                    login::LoginRefused::LoopbackOnly => LoginRefused::LoopbackOnly,
                })
            }
        }
    }

    fn access_version(&self) -> u64 {
        self.node.registry.now().version
    }

    async fn accessible_vhosts(&self, user: &str) -> BTreeSet<String> {
        let definitions = self.node.registry.now();
        let Some(user) = definitions.users.get(user) else {
            return BTreeSet::new();
        };
        let opened = user.permissions.keys().filter(|vhost| user.may_open(vhost));
        opened.map(ToString::to_string).collect()
    }
}
