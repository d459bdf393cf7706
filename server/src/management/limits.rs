//! Limits of vhosts and of users.

use async_trait::async_trait;
use leveret_admin_ui::management::{Error, Limits, UserLimits, VhostLimits};
use serde_json::Value;

use super::{Managed, refused, users};
use crate::access;
use crate::vhost::{Vhost, settings};

#[async_trait]
impl Limits for Managed {
    async fn vhost_limits(&self) -> Result<Vec<VhostLimits>, Error> {
        let definitions = self.node.registry.now();
        let none = settings::VhostLimits::default();
        let limited = definitions.vhosts.values().filter(|vhost| vhost.settings().limits != none);
        Ok(limited.map(|vhost| view(vhost)).collect())
    }

    async fn put_vhost_limit(&self, vhost: &str, name: &str, value: Value) -> Result<(), Error> {
        self.node.registry.put_vhost_limit(vhost, name, value).await.map_err(refused)
    }

    async fn delete_vhost_limit(&self, vhost: &str, name: &str) -> Result<(), Error> {
        self.node.registry.delete_vhost_limit(vhost, name).await.map_err(refused)
    }

    async fn user_limits(&self) -> Result<Vec<UserLimits>, Error> {
        let definitions = self.node.registry.now();
        let none = access::user::UserLimits::default();
        let limited = definitions.users.values().filter(|user| user.limits != none);
        Ok(limited.map(|user| users::limits(user)).collect())
    }

    async fn put_user_limit(&self, user: &str, name: &str, value: Value) -> Result<(), Error> {
        self.node.registry.put_user_limit(user, name, value).await.map_err(refused)
    }

    async fn delete_user_limit(&self, user: &str, name: &str) -> Result<(), Error> {
        self.node.registry.delete_user_limit(user, name).await.map_err(refused)
    }
}

fn view(vhost: &Vhost) -> VhostLimits {
    let settings::VhostLimits { max_connections, max_queues } = vhost.settings().limits;
    VhostLimits { vhost: vhost.name.to_string(), max_connections, max_queues }
}
