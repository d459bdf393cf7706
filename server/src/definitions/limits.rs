//! Limits of vhosts, which are a parameter of theirs, and of users, which are in their records.

use std::sync::Arc;

use leveret_persistence::Change;
use serde_json::{Map, Value};

use super::parameters::{LIMITS, ParameterKey, VHOST_LIMITS};
use super::users::user_record;
use super::{DefinitionsChange, Refused, Registry};
use crate::access::user::UserLimits;
use crate::erlang_term::{erlang_proplist, erlang_term};
use crate::vhost::settings::{VhostLimits, VhostSettings};

/// What may be limited in a vhost, by its name in JSON.
const OF_VHOSTS: [&str; 2] = ["max-connections", "max-queues"];
/// What may be limited of a user.
const OF_USERS: [&str; 2] = ["max-connections", "max-channels"];

impl Registry {
    /// Sets one limit of a vhost. Open connections and queues beyond it stay.
    pub(crate) async fn put_vhost_limit(
        &self,
        vhost: &str,
        name: &str,
        value: Value,
    ) -> Result<(), Refused> {
        self.set_vhost_limits(vhost, |limits| {
            limits.insert(name.to_owned(), value);
        })
        .await
    }

    /// Removes one limit of a vhost, if it is there.
    pub(crate) async fn delete_vhost_limit(&self, vhost: &str, name: &str) -> Result<(), Refused> {
        self.set_vhost_limits(vhost, |limits| {
            limits.remove(name);
        })
        .await
    }

    async fn set_vhost_limits(
        &self,
        vhost: &str,
        set: impl FnOnce(&mut Map<String, Value>),
    ) -> Result<(), Refused> {
        self.make(|change| {
            let before = change.vhost(vhost)?.settings().limits;
            let mut entries = entries(&before);
            set(&mut entries);
            let value = Value::Object(entries);
            let limits = vhost_limits(&value)?;
            let key = ParameterKey::new(vhost, VHOST_LIMITS, LIMITS);
            if limits != VhostLimits::default() {
                change.put_parameter(key, value).map(drop)
            } else if before != limits {
                change.delete_parameter(&key)
            } else {
                Ok(())
            }
        })
        .await
    }

    /// Sets one limit of a user. Open connections and channels beyond it stay.
    pub(crate) async fn put_user_limit(
        &self,
        user: &str,
        name: &str,
        value: Value,
    ) -> Result<(), Refused> {
        self.set_user_limits(user, |limits| {
            limits.insert(name.to_owned(), value);
        })
        .await
    }

    /// Removes one limit of a user, if it is there.
    pub(crate) async fn delete_user_limit(&self, user: &str, name: &str) -> Result<(), Refused> {
        self.set_user_limits(user, |limits| {
            limits.remove(name);
        })
        .await
    }

    async fn set_user_limits(
        &self,
        user: &str,
        set: impl FnOnce(&mut Map<String, Value>),
    ) -> Result<(), Refused> {
        self.make(|change| {
            let mut user = change.user(user)?;
            let mut entries = entries(&user.limits);
            set(&mut entries);
            user.limits = user_limits(&entries)?;
            change.rows.push(Change::PutUser(user_record(&user)));
            change.put_user(user);
            Ok(())
        })
        .await
    }
}

impl DefinitionsChange<'_> {
    /// The parameter with a vhost's limits was put or deleted.
    pub(super) fn vhost_limits_changed(&mut self, key: &ParameterKey) -> Result<(), Refused> {
        let value = self.definitions.parameters.get(key).map(|parameter| parameter.value.clone());
        let limits = match value {
            Some(value) => vhost_limits(&value)?,
            None => VhostLimits::default(),
        };
        let vhost = Arc::clone(self.vhost(&key.vhost)?);
        let settings = VhostSettings { limits, ..VhostSettings::clone(&vhost.settings()) };
        self.settings.push((vhost, settings));
        Ok(())
    }
}

/// Reads the value of a parameter `vhost-limits`; refuses with RabbitMQ's words.
pub(crate) fn vhost_limits(value: &Value) -> Result<VhostLimits, Refused> {
    // RabbitMQ's frame around the reasons of a refused parameter.
    let invalid = |reason: String| Refused::Invalid(format!("Validation failed\n\n{reason}\n"));
    let Value::Object(entries) = value else {
        let term = erlang_term(value);
        return Err(invalid(format!("limits should be an object, actually was {term}")));
    };
    let [max_connections, max_queues] = numbers(entries, OF_VHOSTS, "limits").map_err(invalid)?;
    Ok(VhostLimits { max_connections, max_queues })
}

/// RabbitMQ puts no frame around these.
fn user_limits(entries: &Map<String, Value>) -> Result<UserLimits, Refused> {
    let [max_connections, max_channels] =
        numbers(entries, OF_USERS, "user-limits").map_err(Refused::Invalid)?;
    Ok(UserLimits { max_connections, max_channels })
}

/// The limits of these names, in their order. `scope`: what RabbitMQ's text calls all of them.
fn numbers<const N: usize>(
    entries: &Map<String, Value>,
    names: [&str; N],
    scope: &str,
) -> Result<[Option<i64>; N], String> {
    let unknown: Vec<_> =
        entries.iter().filter(|(name, _)| !names.contains(&name.as_str())).collect();
    if !unknown.is_empty() {
        return Err(format!("Unrecognised terms {} in {scope}", erlang_proplist(unknown)));
    }
    let mut limits = [None; N];
    for (limit, name) in limits.iter_mut().zip(names) {
        let Some(value) = entries.get(name) else { continue };
        let Some(number) = value.as_i64() else {
            let term = erlang_term(value);
            return Err(format!("{name} should be a number, actually was {term}"));
        };
        *limit = Some(number);
    }
    Ok(limits)
}

/// Limits as JSON, which has a key for each that is set.
pub(super) fn entries(limits: &impl serde::Serialize) -> Map<String, Value> {
    match serde_json::to_value(limits) {
        Ok(Value::Object(entries)) => entries,
        other => unreachable!("limits are integers under text keys, not {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn vhost_limits_are_two_integers() {
        let limits = |max_connections, max_queues| Ok(VhostLimits { max_connections, max_queues });
        let refused =
            |reason: &str| Err(Refused::Invalid(format!("Validation failed\n\n{reason}\n")));
        let table = [
            (json!({}), limits(None, None)),
            (json!({"max-connections": 0, "max-queues": -1}), limits(Some(0), Some(-1))),
            (json!({"max-queues": 99_999_999_999_i64}), limits(None, Some(99_999_999_999))),
            (
                json!({"max-connections": "x"}),
                refused("max-connections should be a number, actually was <<\"x\">>"),
            ),
            (
                json!({"max-queues": 1.5}),
                refused("max-queues should be a number, actually was 1.5"),
            ),
            (json!({"max-x": 1}), refused("Unrecognised terms [{<<\"max-x\">>,1}] in limits")),
            (json!(3), refused("limits should be an object, actually was 3")),
        ];
        for (value, expected) in table {
            assert_eq!(vhost_limits(&value), expected, "{value}");
        }
    }

    #[test]
    fn user_limits_are_two_integers() {
        let limits =
            |max_connections, max_channels| Ok(UserLimits { max_connections, max_channels });
        let refused = |reason: &str| Err(Refused::Invalid(reason.to_owned()));
        let table = [
            (json!({}), limits(None, None)),
            (json!({"max-connections": 0, "max-channels": -1}), limits(Some(0), Some(-1))),
            (
                json!({"max-channels": null}),
                refused("max-channels should be a number, actually was null"),
            ),
            (
                json!({"max-queues": 1}),
                refused("Unrecognised terms [{<<\"max-queues\">>,1}] in user-limits"),
            ),
        ];
        for (value, expected) in table {
            assert_eq!(user_limits(value.as_object().unwrap()), expected, "{value}");
        }
    }
}
