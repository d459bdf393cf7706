//! From the store's records to definitions: on start, once.

use std::collections::HashMap;
use std::sync::Arc;

use imbl::OrdMap;
use leveret_persistence::{
    GlobalParameterRecord, ParameterRecord, PermissionRecord, TopicPermissionRecord, UserRecord,
    VhostRecord,
};
use serde_json::Value;

use super::Definitions;
use super::limits::vhost_limits;
use super::parameters::{LIMITS, Parameter, ParameterKey, VHOST_LIMITS};
use super::users::{permissions_in, read_tags, set_permissions};
use crate::access::password::Hash;
use crate::access::pattern::InvalidPattern;
use crate::access::permissions::{
    NamePatterns, NamePermissions, Permissions, TopicPatterns, TopicPermissions,
};
use crate::access::user::{User, UserLimits};
use crate::vhost::settings::{VhostLimits, VhostSettings};
use crate::vhost::{Vhost, VhostName};

/// The definitions of the store's records, over the vhosts that were recovered from them. What cannot be used is left out and
/// said in the log: nobody may get in by it, and it does not keep the others out.
pub(crate) fn definitions(
    records: &leveret_persistence::Definitions,
    parameters: OrdMap<ParameterKey, Arc<Parameter>>,
    vhosts: OrdMap<VhostName, Arc<Vhost>>,
) -> Definitions {
    for record in &records.vhosts {
        if let Some(vhost) = vhosts.get(record.name.as_str()) {
            vhost.set_settings(settings(record, &parameters));
        }
    }
    let globals = records.global_parameters.iter();
    let globals = globals.filter_map(|GlobalParameterRecord { name, value }| {
        Some((Arc::from(name.as_str()), Arc::new(json(name, value)?)))
    });
    let global_parameters = globals.collect();
    let users = users(&records.users, &records.permissions, &records.topic_permissions);
    Definitions { users, vhosts, parameters, global_parameters, ..Definitions::default() }
}

/// The parameters of the store's records.
pub(crate) fn parameters(records: &[ParameterRecord]) -> OrdMap<ParameterKey, Arc<Parameter>> {
    let read = |record: &ParameterRecord| {
        let key = ParameterKey::new(&record.vhost, &record.component, &record.name);
        let value = json(&record.name, &record.value)?;
        Some((key, Arc::new(Parameter { value, updated_ms: record.updated_ms })))
    };
    records.iter().filter_map(read).collect()
}

fn json(name: &str, text: &str) -> Option<Value> {
    let value = serde_json::from_str(text);
    value.inspect_err(|error| tracing::error!(name, %error, "this parameter is left out")).ok()
}

fn settings(
    record: &VhostRecord,
    parameters: &OrdMap<ParameterKey, Arc<Parameter>>,
) -> VhostSettings {
    let limits = parameters.get(&ParameterKey::new(&record.name, VHOST_LIMITS, LIMITS));
    let limits = limits.map_or(Ok(VhostLimits::default()), |found| vhost_limits(&found.value));
    let limits = limits.unwrap_or_else(|reason| {
        tracing::error!(vhost = record.name, %reason, "the limits of this vhost are left out");
        VhostLimits::default()
    });
    let default = &record.default_queue_type;
    VhostSettings {
        description: record.description.clone(),
        tags: read_tags(&record.tags),
        default_queue_type: (!default.is_empty()).then(|| default.clone()),
        limits,
        protected: record.protected,
    }
}

fn users(
    users: &[UserRecord],
    permissions: &[PermissionRecord],
    topic_permissions: &[TopicPermissionRecord],
) -> OrdMap<Arc<str>, Arc<User>> {
    let mut known: HashMap<&str, User> =
        users.iter().map(|record| (record.name.as_str(), user(record))).collect();
    for record in permissions {
        let PermissionRecord { user, vhost, configure, write, read } = record.clone();
        let parsed = NamePermissions::parse(NamePatterns { configure, write, read });
        grant(&mut known, &user, &vhost, parsed, |permissions, names| {
            permissions.names = Some(names);
        });
    }
    for record in topic_permissions {
        let TopicPermissionRecord { user, vhost, exchange, write, read } = record.clone();
        let parsed = TopicPermissions::parse(TopicPatterns { write, read }, &user, &vhost);
        // Left out, a topic permission would allow what it forbids.
        let parsed = parsed.or_else(|reason| {
            tracing::error!(user, vhost, %reason, "this topic permission allows nothing");
            TopicPermissions::parse(TopicPatterns::default(), &user, &vhost)
        });
        grant(&mut known, &user, &vhost, parsed, |permissions, topic| {
            permissions.topics.insert(exchange.as_str().into(), topic);
        });
    }
    known.into_values().map(|user| (Arc::clone(&user.name), Arc::new(user))).collect()
}

fn grant<T>(
    users: &mut HashMap<&str, User>,
    user: &str,
    vhost: &str,
    parsed: Result<T, InvalidPattern>,
    set: impl FnOnce(&mut Permissions, T),
) {
    match (users.get_mut(user), parsed) {
        (Some(user), Ok(parsed)) => {
            let mut permissions = permissions_in(user, vhost);
            set(&mut permissions, parsed);
            set_permissions(user, vhost.into(), permissions);
        }
        (Some(_), Err(reason)) => {
            tracing::error!(user, vhost, %reason, "this permission is left out");
        }
        (None, _) => {}
    }
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
        limits: user_limits(record),
        permissions: OrdMap::new(),
    }
}

fn user_limits(record: &UserRecord) -> UserLimits {
    if record.limits.is_empty() {
        return UserLimits::default();
    }
    serde_json::from_str(&record.limits).unwrap_or_else(|reason| {
        tracing::error!(user = record.name, %reason, "the limits of this user are left out");
        UserLimits::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::permissions::Right;

    #[test]
    fn users_come_from_the_records_and_bad_records_give_nothing() {
        let hash = Hash::new_sha256(b"secret");
        let user = |name: &str, password_hash: String, limits: &str| UserRecord {
            name: name.into(),
            password_hash,
            hashing_algorithm: hash.algorithm().into(),
            tags: "impersonator, monitoring".into(),
            limits: limits.into(),
        };
        let permission = |user: &str, configure: &str| PermissionRecord {
            user: user.into(),
            vhost: "/".into(),
            configure: configure.into(),
            write: ".*".into(),
            read: String::new(),
        };
        let topic = |user: &str, write: &str| TopicPermissionRecord {
            user: user.into(),
            vhost: "/".into(),
            exchange: "amq.topic".into(),
            write: write.into(),
            read: ".*".into(),
        };
        let records =
            [user("good", hash.text(), r#"{"max-channels":3}"#), user("bad", "?".into(), "?")];
        let permissions =
            [permission("good", "^a"), permission("bad", "("), permission("gone", "")];
        let topics = [topic("good", "^{username}$"), topic("bad", "(")];
        let users = users(&records, &permissions, &topics);
        assert_eq!(users.len(), 2);
        let (good, bad) = (&users["good"], &users["bad"]);
        assert!(good.is_impersonator());
        assert!(good.may_open("/") && !good.may_open("elsewhere"));
        assert!(good.permissions["/"].allows(Right::Configure, "a"));
        assert!(good.permissions["/"].allows_topic(Right::Write, "amq.topic", "good"));
        assert!(good.credentials.hash.accepts(b"secret"));
        assert_eq!(good.limits.max_channels, Some(3));
        assert!(!bad.may_open("/"), "a pattern that does not compile grants nothing");
        assert!(!bad.permissions["/"].allows_topic(Right::Write, "amq.topic", "a"));
        assert!(!bad.credentials.hash.accepts(b"secret"));
        assert_eq!(bad.limits, UserLimits::default());
    }

    #[test]
    fn settings_of_a_vhost_come_from_its_record_and_its_limits_from_a_parameter() {
        let record = VhostRecord {
            name: "v".into(),
            description: "d".into(),
            tags: "a,b".into(),
            default_queue_type: "quorum".into(),
            protected: true,
        };
        let limits = |value: &str| ParameterRecord {
            vhost: "v".into(),
            component: VHOST_LIMITS.into(),
            name: LIMITS.into(),
            value: value.into(),
            updated_ms: 1,
        };
        let table =
            [(r#"{"max-queues":1}"#, Some(1)), (r#"{"max-queues":"x"}"#, None), ("?", None)];
        for (value, max_queues) in table {
            let read = settings(&record, &parameters(&[limits(value)]));
            assert_eq!(read.limits.max_queues, max_queues, "{value}");
            assert_eq!((read.description.as_str(), read.tags.len()), ("d", 2));
            assert_eq!(read.default_queue_type.as_deref(), Some("quorum"));
            assert!(read.protected);
        }
    }
}
