//! Vhosts: put and delete.

use std::sync::Arc;

use leveret_persistence::{Change, Ticket, VhostRecord};

use super::parameters::{self, ParameterKey};
use super::users::{permission_deletions, permission_record, set_permissions};
use super::{Refused, Registry};
use crate::access::permissions::{NamePermissions, Permissions};
use crate::access::user::User;
use crate::limits::{VHOST_NAME_BYTES_MAX, VHOST_TEXT_BYTES_MAX};
use crate::vhost::Vhost;
use crate::vhost::settings::VhostSettings;

/// The types of queue that a vhost may have as its default.
const QUEUE_TYPES: [&str; 3] = ["classic", "quorum", "stream"];

/// What is to be set of a vhost: all of it, as RabbitMQ does.
#[derive(Clone, Debug, Default)]
pub(crate) struct NewSettings {
    pub(crate) description: String,
    pub(crate) tags: Vec<String>,
    /// None: the node's default.
    pub(crate) default_queue_type: Option<String>,
}

impl Registry {
    /// Creates a vhost or changes its settings; `by` may then do everything in a new one. Says whether it is new.
    pub(crate) async fn put_vhost(
        &self,
        by: &str,
        name: &str,
        new: NewSettings,
    ) -> Result<bool, Refused> {
        check(name, &new)?;
        self.make(|change| {
            let known = change.vhost(name).ok().cloned();
            let is_new = known.is_none();
            let vhost = known.unwrap_or_else(|| Vhost::new(name.into(), self.storage.clone()));
            let NewSettings { description, tags, default_queue_type } = new;
            let default_queue_type = default_queue_type.filter(|name| !is_undefined(name));
            let before = VhostSettings::clone(&vhost.settings());
            let settings = VhostSettings { description, tags, default_queue_type, ..before };
            change.rows.push(Change::PutVhost(vhost_record(name, &settings)));
            change.settings.push((Arc::clone(&vhost), settings));
            if let (true, Ok(mut creator)) = (is_new, change.user(by)) {
                let everything = NamePermissions::everything();
                let record = permission_record(by, name, &everything.texts);
                change.rows.push(Change::PutPermission(record));
                let permissions = Permissions { names: Some(everything), ..Permissions::default() };
                set_permissions(&mut creator, Arc::clone(&vhost.name), permissions);
                change.put_user(creator);
            }
            change.definitions.vhosts.insert(Arc::clone(&vhost.name), vhost);
            Ok(is_new)
        })
        .await
    }

    /// Protects a vhost from being deleted, or no longer.
    pub(crate) async fn protect_vhost(&self, name: &str, protected: bool) -> Result<(), Refused> {
        self.make(|change| {
            let vhost = Arc::clone(change.vhost(name)?);
            let settings = VhostSettings { protected, ..VhostSettings::clone(&vhost.settings()) };
            change.rows.push(Change::PutVhost(vhost_record(name, &settings)));
            change.settings.push((vhost, settings));
            Ok(())
        })
        .await
    }

    /// Deletes a vhost with all that belongs to it, in one transaction. Its queues' tasks must have ended.
    pub(crate) fn delete_vhost(&self, vhost: &Vhost) -> Result<Ticket, Refused> {
        let name = &*vhost.name;
        let decided = self.decide(|change| {
            let users: Vec<User> =
                change.definitions.users.values().map(|u| User::clone(u)).collect();
            for mut user in users {
                if let Some(permissions) = user.permissions.remove(name) {
                    change.rows.extend(permission_deletions(&user.name, name, &permissions));
                    change.put_user(user);
                }
            }
            let parameters = change.definitions.parameters.keys();
            let gone: Vec<ParameterKey> =
                parameters.filter(|key| &*key.vhost == name).cloned().collect();
            for key in gone {
                change.definitions.parameters.remove(&key);
                change.rows.push(parameters::deletion(&key));
            }
            change.rows.extend(vhost.clear());
            change.rows.push(Change::DeleteVhost { name: name.to_owned() });
            change.definitions.vhosts.remove(name).ok_or(Refused::NotFound)?;
            Ok(())
        });
        decided.map(|((), applied)| applied.ticket)
    }
}

/// RabbitMQ's words for none: the node's default.
fn is_undefined(queue_type: &str) -> bool {
    matches!(queue_type, "" | "undefined" | "default")
}

pub(super) fn vhost_record(name: &str, settings: &VhostSettings) -> VhostRecord {
    VhostRecord {
        name: name.to_owned(),
        description: settings.description.clone(),
        tags: settings.tags.join(","),
        default_queue_type: settings.default_queue_type.clone().unwrap_or_default(),
        protected: settings.protected,
    }
}

fn check(name: &str, new: &NewSettings) -> Result<(), Refused> {
    let invalid = |text: String| Err(Refused::Invalid(text));
    if name.is_empty() || name.len() > VHOST_NAME_BYTES_MAX {
        return invalid(format!("a vhost's name has 1 to {VHOST_NAME_BYTES_MAX} bytes"));
    }
    let length: usize = new.tags.iter().chain([&new.description]).map(String::len).sum();
    if length > VHOST_TEXT_BYTES_MAX {
        return invalid(format!("description and tags have at most {VHOST_TEXT_BYTES_MAX} bytes"));
    }
    if new.tags.iter().any(|tag| tag.contains(',')) {
        return invalid("a tag has no comma".to_owned());
    }
    match new.default_queue_type.as_deref() {
        Some(other) if !is_undefined(other) && !QUEUE_TYPES.contains(&other) => {
            invalid(format!("{other} is not a valid queue type"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_checked() {
        let new = |tags: &[&str], default_queue_type: Option<&str>| NewSettings {
            description: String::new(),
            tags: tags.iter().map(|&tag| tag.to_owned()).collect(),
            default_queue_type: default_queue_type.map(str::to_owned),
        };
        let long = "v".repeat(VHOST_NAME_BYTES_MAX + 1);
        let large = "t".repeat(VHOST_TEXT_BYTES_MAX + 1);
        let table = [
            ("v", new(&["a", "b"], Some("quorum")), None),
            ("v", new(&[], Some("undefined")), None),
            ("v", new(&[], Some("foo")), Some("foo is not a valid queue type")),
            ("v", new(&["a,b"], None), Some("a tag has no comma")),
            ("v", new(&[&large], None), Some("description and tags have at most 16384 bytes")),
            ("", new(&[], None), Some("a vhost's name has 1 to 255 bytes")),
            (&long, new(&[], None), Some("a vhost's name has 1 to 255 bytes")),
        ];
        for (name, new, refused) in table {
            let text = check(name, &new).err().map(|refused| refused.to_string());
            assert_eq!(text.as_deref(), refused, "{name} {new:?}");
        }
    }
}
