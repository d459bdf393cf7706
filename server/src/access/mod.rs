//! Who may do what: users, their passwords, and their permissions per vhost. Read when a client logs in and on every method;
//! changed through the store's records.

pub(crate) mod password;
pub(crate) mod permissions;
pub(crate) mod sasl;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use leveret_persistence::{PermissionRecord, UserRecord};

use crate::vhost::VhostName;
use permissions::Permissions;

/// The user that exists on a new data directory, with its password; it may log in from this machine only.
pub(crate) const DEFAULT_USER: &str = "guest";

/// A user as its connections see it.
#[derive(Debug)]
pub(crate) struct User {
    pub(crate) name: Arc<str>,
    tags: Vec<String>,
    permissions: HashMap<VhostName, Arc<Permissions>>,
    password: password::Hash,
}

impl User {
    /// May put another user's name in the `user-id` of a message.
    pub(crate) fn is_impersonator(&self) -> bool {
        self.tags.iter().any(|tag| tag == "impersonator")
    }

    /// What it may do in a vhost; none: it may not even open it.
    pub(crate) fn permissions(&self, vhost: &str) -> Option<&Arc<Permissions>> {
        self.permissions.get(vhost)
    }
}

/// Why a log-in failed: for the log; the client learns only that it did.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum LoginRefused {
    #[error("invalid credentials")]
    InvalidCredentials,
    #[error("user 'guest' can only connect via localhost")]
    LoopbackOnly,
}

/// All users of the node.
#[derive(Debug, Default)]
pub(crate) struct Access {
    users: HashMap<String, Arc<User>>,
}

impl Access {
    /// The users of the store's records. A record that cannot be used is left out and said in the log: nobody may get in by it.
    pub(crate) fn from_records(users: &[UserRecord], permissions: &[PermissionRecord]) -> Access {
        let mut access = Access::default();
        for record in users {
            match user(record, permissions) {
                Ok(user) => drop(access.users.insert(record.name.clone(), Arc::new(user))),
                Err(reason) => {
                    tracing::error!(user = record.name, %reason, "this user cannot log in");
                }
            }
        }
        access
    }

    /// Checks a name and password of a client at `peer`.
    pub(crate) fn login(
        &self,
        name: &str,
        password: &[u8],
        peer: IpAddr,
    ) -> Result<Arc<User>, LoginRefused> {
        let user = self.users.get(name).ok_or(LoginRefused::InvalidCredentials)?;
        if password.is_empty() || !user.password.accepts(password) {
            return Err(LoginRefused::InvalidCredentials);
        }
        if name == DEFAULT_USER && !peer.to_canonical().is_loopback() {
            return Err(LoginRefused::LoopbackOnly);
        }
        Ok(Arc::clone(user))
    }
}

fn user(record: &UserRecord, permissions: &[PermissionRecord]) -> Result<User, BadRecord> {
    let password = password::Hash::parse(&record.hashing_algorithm, &record.password_hash)?;
    let mut by_vhost = HashMap::new();
    for permission in permissions.iter().filter(|permission| permission.user == record.name) {
        let parsed = Permissions::parse(permission)?;
        by_vhost.insert(VhostName::from(permission.vhost.as_str()), Arc::new(parsed));
    }
    Ok(User {
        name: record.name.as_str().into(),
        tags: record.tags.split(',').map(|tag| tag.trim().to_owned()).collect(),
        permissions: by_vhost,
        password,
    })
}

/// Why a user's record cannot be used.
#[derive(Debug, thiserror::Error)]
enum BadRecord {
    #[error("its password hash is not one of a known algorithm: {0}")]
    Password(#[from] password::UnknownHash),
    #[error("a permission is not a regular expression: {0}")]
    Permission(#[from] regex::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access() -> Access {
        let user = |name: &str| UserRecord {
            name: name.into(),
            password_hash: password::Hash::new(b"secret").to_base64(),
            hashing_algorithm: password::SHA256.into(),
            tags: "impersonator, monitoring".into(),
            limits: String::new(),
        };
        let permission = PermissionRecord {
            user: "guest".into(),
            vhost: "/".into(),
            configure: "^a".into(),
            write: ".*".into(),
            read: String::new(),
        };
        Access::from_records(&[user("guest"), user("other")], &[permission])
    }

    #[test]
    fn a_login_needs_the_right_password_and_guest_a_loopback_address() {
        let access = access();
        let local: IpAddr = "127.0.0.1".parse().unwrap();
        let mapped: IpAddr = "::ffff:127.0.0.1".parse().unwrap();
        let remote: IpAddr = "192.0.2.1".parse().unwrap();
        let table = [
            ("guest", "secret", local, None),
            ("guest", "secret", mapped, None),
            ("guest", "secret", remote, Some(LoginRefused::LoopbackOnly)),
            ("guest", "wrong", remote, Some(LoginRefused::InvalidCredentials)),
            ("guest", "", local, Some(LoginRefused::InvalidCredentials)),
            ("nobody", "secret", local, Some(LoginRefused::InvalidCredentials)),
            ("other", "secret", remote, None),
        ];
        for (name, password, peer, refused) in table {
            let result = access.login(name, password.as_bytes(), peer);
            assert_eq!(result.err(), refused, "{name} {password} {peer}");
        }
    }

    #[test]
    fn permissions_and_tags_come_from_the_records() {
        let access = access();
        let guest = access.login("guest", b"secret", "127.0.0.1".parse().unwrap()).unwrap();
        assert!(guest.is_impersonator());
        assert!(guest.permissions("/").is_some());
        assert!(guest.permissions("elsewhere").is_none());
    }
}
