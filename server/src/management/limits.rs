//! Limits of vhosts and of users.

use async_trait::async_trait;
use leveret_admin_ui::management::{Error, Limits, UserLimit, UserLimits, VhostLimit, VhostLimits};

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

    async fn put_vhost_limit(
        &self,
        vhost: &str,
        limit: VhostLimit,
        value: Option<i64>,
    ) -> Result<(), Error> {
        let set = |limits: &mut settings::VhostLimits| match limit {
            VhostLimit::MaxConnections => limits.max_connections = value,
            VhostLimit::MaxQueues => limits.max_queues = value,
        };
        self.node.registry.set_vhost_limits(vhost, set).await.map_err(refused)
    }

    async fn user_limits(&self) -> Result<Vec<UserLimits>, Error> {
        let definitions = self.node.registry.now();
        let none = access::user::UserLimits::default();
        let limited = definitions.users.values().filter(|user| user.limits != none);
        Ok(limited.map(|user| users::limits(user)).collect())
    }

    async fn put_user_limit(
        &self,
        user: &str,
        limit: UserLimit,
        value: Option<i64>,
    ) -> Result<(), Error> {
        let set = |limits: &mut access::user::UserLimits| match limit {
            UserLimit::MaxConnections => limits.max_connections = value,
            UserLimit::MaxChannels => limits.max_channels = value,
        };
        self.node.registry.set_user_limits(user, set).await.map_err(refused)
    }
}

fn view(vhost: &Vhost) -> VhostLimits {
    let settings::VhostLimits { max_connections, max_queues } = vhost.settings().limits;
    VhostLimits { vhost: vhost.name.to_string(), max_connections, max_queues }
}
