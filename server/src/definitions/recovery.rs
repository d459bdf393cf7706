//! From the store's records to definitions: on start, once.

use std::collections::HashMap;
use std::sync::Arc;

use imbl::OrdMap;
use leveret_persistence::{PermissionRecord, UserRecord};

use super::users::{permissions_in, read_tags, set_permissions};
use crate::access::password::Hash;
use crate::access::permissions::{NamePatterns, NamePermissions};
use crate::access::user::{User, UserLimits};

/// The users of the store's records. What cannot be used is left out and said in the log: nobody may get in by it, and it does
/// not keep the others out.
pub(crate) fn users(
    users: &[UserRecord],
    permissions: &[PermissionRecord],
) -> OrdMap<Arc<str>, Arc<User>> {
    let mut known: HashMap<&str, User> =
        users.iter().map(|record| (record.name.as_str(), user(record))).collect();
    for record in permissions {
        let PermissionRecord { vhost, configure, write, read, .. } = record.clone();
        let Some(user) = known.get_mut(record.user.as_str()) else {
            continue;
        };
        match NamePermissions::parse(NamePatterns { configure, write, read }) {
            Ok(names) => {
                let mut permissions = permissions_in(user, &vhost);
                permissions.names = Some(names);
                set_permissions(user, vhost.as_str().into(), permissions);
            }
            Err(reason) => {
                tracing::error!(user = record.user, vhost, %reason, "this permission is left out");
            }
        }
    }
    known.into_values().map(|user| (Arc::clone(&user.name), Arc::new(user))).collect()
}

fn user(record: &UserRecord) -> User {
    let hash = Hash::parse(&record.hashing_algorithm, &record.password_hash);
    let hash = hash.unwrap_or_else(|reason| {
        tracing::error!(user = record.name, %reason, "this user cannot log in");
        Hash::Nothing
    });
    User {
        name: record.name.as_str().into(),
        credentials: Arc::new(hash.into()),
        tags: read_tags(&record.tags).into(),
        limits: UserLimits::default(),
        permissions: OrdMap::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::permissions::Right;

    #[test]
    fn users_come_from_the_records_and_bad_records_give_nothing() {
        let hash = Hash::new_sha256(b"secret");
        let user = |name: &str, password_hash: String| UserRecord {
            name: name.into(),
            password_hash,
            hashing_algorithm: hash.algorithm().into(),
            tags: "impersonator, monitoring".into(),
            limits: String::new(),
        };
        let permission = |user: &str, configure: &str| PermissionRecord {
            user: user.into(),
            vhost: "/".into(),
            configure: configure.into(),
            write: ".*".into(),
            read: String::new(),
        };
        let records = [user("good", hash.text()), user("bad", "?".into())];
        let permissions =
            [permission("good", "^a"), permission("bad", "("), permission("gone", "")];
        let users = users(&records, &permissions);
        assert_eq!(users.len(), 2);
        let (good, bad) = (&users["good"], &users["bad"]);
        assert!(good.is_impersonator());
        assert!(good.may_open("/") && !good.may_open("elsewhere"));
        assert!(good.permissions["/"].allows(Right::Configure, "a"));
        assert!(good.credentials.hash.accepts(b"secret"));
        assert!(!bad.may_open("/"), "a pattern that does not compile grants nothing");
        assert!(!bad.credentials.hash.accepts(b"secret"));
    }
}
