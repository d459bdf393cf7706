//! What a connection's user may do in its vhost, as of now: changes reach open connections at once.

use std::sync::Arc;

use arc_swap::{ArcSwap, Cache};

use super::permissions::Permissions;
use super::user::User;
use crate::definitions::Definitions;
use crate::protocol::properties::Properties;
use crate::protocol::{Fault, ReplyCode};
use crate::vhost::VhostName;

/// A connection's view of its user. Looking costs one load and a comparison while nothing has changed.
#[derive(Clone, Debug)]
pub(crate) struct UserAccess {
    definitions: Cache<Arc<ArcSwap<Definitions>>, Arc<Definitions>>,
    vhost: VhostName,
    /// The definitions that the rest is from.
    version: u64,
    user: Arc<User>,
    /// Whether it could name others when it logged in: tags count from the next login, as in RabbitMQ.
    impersonates: bool,
    permissions: Arc<Permissions>,
    /// Counts the changes of `permissions`: what was allowed by older ones is void.
    revision: u64,
}

impl UserAccess {
    /// The view of `user`, who has logged in, in a vhost.
    pub(crate) fn new(
        definitions: &Arc<ArcSwap<Definitions>>,
        user: Arc<User>,
        vhost: VhostName,
    ) -> UserAccess {
        let permissions = user.permissions.get(&vhost).cloned().unwrap_or_default();
        let mut access = UserAccess {
            definitions: Cache::new(Arc::clone(definitions)),
            vhost,
            version: 0,
            impersonates: user.is_impersonator(),
            user,
            permissions,
            revision: 0,
        };
        access.look();
        access
    }

    /// What the user may do, and a number that changes when that does.
    pub(crate) fn current(&mut self) -> (&Permissions, u64) {
        self.look();
        (&self.permissions, self.revision)
    }

    /// The user as of now; one that is deleted, as it was last.
    pub(crate) fn user(&mut self) -> &Arc<User> {
        self.look();
        &self.user
    }

    /// The name, which does not change.
    pub(crate) fn user_name(&self) -> &Arc<str> {
        &self.user.name
    }

    /// Refuses with 406 a message that says it is from another user, unless this one may say so.
    pub(crate) fn check_user_id(&self, properties: &Properties<'_>) -> Result<(), Fault> {
        let Some(claimed) = properties.user_id() else {
            return Ok(());
        };
        let actual = self.user_name();
        if claimed == &**actual || self.impersonates {
            return Ok(());
        }
        let text =
            format!("user_id property set to '{claimed}' but authenticated user was '{actual}'");
        Err(Fault::new(ReplyCode::PreconditionFailed, text))
    }

    fn look(&mut self) {
        let definitions = self.definitions.load();
        if definitions.version == self.version {
            return;
        }
        self.version = definitions.version;
        let user = definitions.users.get(&self.user.name);
        // A deleted user may do nothing in the moment until its connections are closed.
        let permissions = user.and_then(|user| user.permissions.get(&self.vhost));
        let permissions = permissions.cloned().unwrap_or_default();
        if let Some(user) = user {
            self.user = Arc::clone(user);
        }
        if !Arc::ptr_eq(&permissions, &self.permissions) {
            self.permissions = permissions;
            self.revision += 1;
        }
    }
}
