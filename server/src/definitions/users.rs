//! Users and their permissions: put and delete.

use std::sync::Arc;

use leveret_persistence::{Change, PermissionRecord, Ticket, UserRecord};

use super::limits::entries;
use super::{Refused, Registry, topic_permissions};
use crate::access::password::Hash;
use crate::access::permissions::{NamePatterns, NamePermissions, Permissions};
use crate::access::user::{User, UserLimits};
use crate::limits::{USER_NAME_BYTES_MAX, USER_TAG_BYTES_MAX, USER_TAGS_MAX};
use crate::vhost::VhostName;

impl Registry {
    /// Creates a user, or replaces its password and tags; its permissions and limits stay. Says whether it is new.
    pub(crate) async fn put_user(
        &self,
        name: &str,
        hash: Hash,
        tags: Vec<String>,
    ) -> Result<bool, Refused> {
        check_name(name)?;
        check_tags(&tags)?;
        self.make(|change| {
            let known = change.user(name).ok();
            let is_new = known.is_none();
            let mut user = known.unwrap_or_else(|| User {
                name: name.into(),
                credentials: Arc::new(Hash::Nothing.into()),
                tags: [].into(),
                limits: UserLimits::default(),
                permissions: imbl::OrdMap::new(),
            });
            user.credentials = Arc::new(hash.into());
            user.tags = tags.into();
            change.rows.push(Change::PutUser(user_record(&user)));
            change.put_user(user);
            Ok(is_new)
        })
        .await
    }

    /// Deletes a user with its permissions. To be waited for; its connections are the caller's to close.
    pub(crate) fn delete_user(&self, name: &str) -> Result<Ticket, Refused> {
        let decided = self.decide(|change| {
            let user = change.user(name)?;
            for (vhost, permissions) in &user.permissions {
                change.rows.extend(permission_deletions(&user.name, vhost, permissions));
            }
            change.definitions.users.remove(&user.name);
            change.rows.push(Change::DeleteUser { name: name.to_owned() });
            Ok(())
        });
        decided.map(|((), applied)| applied.ticket)
    }

    /// Gives a user permissions over names in a vhost. Says whether it had none.
    pub(crate) async fn put_permission(
        &self,
        user: &str,
        vhost: &str,
        patterns: NamePatterns,
    ) -> Result<bool, Refused> {
        let parsed = NamePermissions::parse(patterns)?;
        self.make(|change| {
            let vhost = Arc::clone(&change.vhost(vhost)?.name);
            let mut user = change.user(user)?;
            let mut permissions = permissions_in(&user, &vhost);
            let is_new = permissions.names.is_none();
            let record = permission_record(&user.name, &vhost, &parsed.texts);
            change.rows.push(Change::PutPermission(record));
            permissions.names = Some(parsed);
            set_permissions(&mut user, vhost, permissions);
            change.put_user(user);
            Ok(is_new)
        })
        .await
    }

    /// Takes the permissions over names away.
    pub(crate) async fn delete_permission(&self, user: &str, vhost: &str) -> Result<(), Refused> {
        self.make(|change| {
            let mut user = change.user(user)?;
            let vhost = Arc::clone(&change.vhost(vhost)?.name);
            let mut permissions = permissions_in(&user, &vhost);
            permissions.names.take().ok_or(Refused::NotFound)?;
            let (name, vhost_name) = (user.name.to_string(), vhost.to_string());
            change.rows.push(Change::DeletePermission { user: name, vhost: vhost_name });
            set_permissions(&mut user, vhost, permissions);
            change.put_user(user);
            Ok(())
        })
        .await
    }
}

/// The permissions of a user in a vhost, to be changed.
pub(super) fn permissions_in(user: &User, vhost: &str) -> Permissions {
    user.permissions.get(vhost).map(|found| Permissions::clone(found)).unwrap_or_default()
}

/// Puts changed permissions back; empty ones are none.
pub(super) fn set_permissions(user: &mut User, vhost: VhostName, permissions: Permissions) {
    if permissions.is_empty() {
        user.permissions.remove(&vhost);
    } else {
        user.permissions.insert(vhost, Arc::new(permissions));
    }
}

/// The rows that go with a user's permissions in a vhost.
pub(super) fn permission_deletions(
    user: &str,
    vhost: &str,
    permissions: &Permissions,
) -> Vec<Change> {
    let names = permissions
        .names
        .iter()
        .map(|_| Change::DeletePermission { user: user.to_owned(), vhost: vhost.to_owned() });
    let topics = permissions.topics.keys();
    names.chain(topics.map(|exchange| topic_permissions::deletion(user, vhost, exchange))).collect()
}

pub(super) fn permission_record(user: &str, vhost: &str, texts: &NamePatterns) -> PermissionRecord {
    let NamePatterns { configure, write, read } = texts.clone();
    PermissionRecord { user: user.to_owned(), vhost: vhost.to_owned(), configure, write, read }
}

pub(super) fn user_record(user: &User) -> UserRecord {
    let hash = &user.credentials.hash;
    UserRecord {
        name: user.name.to_string(),
        password_hash: hash.text(),
        hashing_algorithm: hash.algorithm().to_owned(),
        tags: user.tags.join(","),
        limits: match user.limits {
            limits if limits == UserLimits::default() => String::new(),
            limits => serde_json::Value::Object(entries(&limits)).to_string(),
        },
    }
}

/// The tags of a record's text, or of a comma-separated text from elsewhere.
pub(crate) fn read_tags(text: &str) -> Vec<String> {
    let tags = text.split(',').map(str::trim);
    tags.filter(|tag| !tag.is_empty()).map(str::to_owned).collect()
}

fn check_name(name: &str) -> Result<(), Refused> {
    match name.len() {
        0 => Err(Refused::Invalid("user_name_is_empty".to_owned())),
        1..=USER_NAME_BYTES_MAX => Ok(()),
        _ => {
            Err(Refused::Invalid(format!("a user's name has at most {USER_NAME_BYTES_MAX} bytes")))
        }
    }
}

fn check_tags(tags: &[String]) -> Result<(), Refused> {
    let count = tags.len();
    if count > USER_TAGS_MAX {
        let text = format!("A user can have at most {USER_TAGS_MAX} tags (received {count})");
        return Err(Refused::Invalid(text));
    }
    let is_bad = |tag: &&String| tag.len() > USER_TAG_BYTES_MAX || tag.contains(',');
    match tags.iter().find(is_bad) {
        Some(_) => Err(Refused::Invalid(format!(
            "a tag has at most {USER_TAG_BYTES_MAX} bytes and no comma"
        ))),
        None => Ok(()),
    }
}
