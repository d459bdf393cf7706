//! A user: how it logs in, its tags, its limits, and what it may do in each vhost.

use std::sync::Arc;

use imbl::OrdMap;

use super::password::Hash;
use super::permissions::Permissions;
use super::verified::Verified;
use crate::vhost::VhostName;

/// A user as of one moment. Cloning shares what is large.
#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) name: Arc<str>,
    pub(crate) credentials: Arc<Credentials>,
    pub(crate) tags: Arc<[String]>,
    pub(crate) limits: UserLimits,
    pub(crate) permissions: OrdMap<VhostName, Arc<Permissions>>,
}

impl User {
    /// May put another user's name in the `user-id` of a message.
    pub(crate) fn is_impersonator(&self) -> bool {
        self.tags.iter().any(|tag| tag == "impersonator")
    }

    /// Whether it may open a vhost at all.
    pub(crate) fn may_open(&self, vhost: &str) -> bool {
        self.permissions.get(vhost).is_some_and(|permissions| permissions.names.is_some())
    }
}

/// How a user logs in. Replaced as a whole, so that what is remembered of the old password goes with it.
#[derive(Debug)]
pub(crate) struct Credentials {
    pub(crate) hash: Hash,
    pub(crate) verified: Verified,
}

impl From<Hash> for Credentials {
    fn from(hash: Hash) -> Credentials {
        Credentials { hash, verified: Verified::default() }
    }
}

/// What a user may have open at once. None, like a negative number: no limit.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct UserLimits {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) max_connections: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) max_channels: Option<i64>,
}
