//! Limits of vhosts, which are a parameter of theirs, and of users, which are in their records.

use std::sync::Arc;

use leveret_persistence::Change;
use serde_json::Value;

use super::parameters::{LIMITS, ParameterKey, VHOST_LIMITS};
use super::users::user_record;
use super::{DefinitionsChange, Refused, Registry};
use crate::access::user::UserLimits;
use crate::erlang_term::{erlang_proplist, erlang_term};
use crate::vhost::settings::{VhostLimits, VhostSettings};

impl Registry {
    /// Changes the limits of a vhost. Open connections and queues beyond a new limit stay.
    pub(crate) async fn set_vhost_limits(
        &self,
        vhost: &str,
        set: impl FnOnce(&mut VhostLimits),
    ) -> Result<(), Refused> {
        self.make(|change| {
            let before = change.vhost(vhost)?.settings().limits;
            let mut limits = before;
            set(&mut limits);
            let key = ParameterKey::new(vhost, VHOST_LIMITS, LIMITS);
            if limits != VhostLimits::default() {
                change.put_parameter(key, json(&limits)).map(drop)
            } else if before != limits {
                change.delete_parameter(&key)
            } else {
                Ok(())
            }
        })
        .await
    }

    /// Changes the limits of a user. Open connections and channels beyond a new limit stay.
    pub(crate) async fn set_user_limits(
        &self,
        user: &str,
        set: impl FnOnce(&mut UserLimits),
    ) -> Result<(), Refused> {
        self.make(|change| {
            let mut user = change.user(user)?;
            set(&mut user.limits);
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

/// Reads the value of a parameter `vhost-limits`; refuses with RabbitMQ's words, without what comes before them.
pub(crate) fn vhost_limits(value: &Value) -> Result<VhostLimits, Refused> {
    let Value::Object(entries) = value else {
        return Err(invalid(&format!(
            "limits should be an object, actually was {}",
            erlang_term(value)
        )));
    };
    let known = ["max-connections", "max-queues"];
    let unknown: Vec<_> =
        entries.iter().filter(|(name, _)| !known.contains(&name.as_str())).collect();
    if !unknown.is_empty() {
        let unknown = erlang_proplist(unknown);
        return Err(invalid(&format!("Unrecognised terms {unknown} in limits")));
    }
    let limit = |name: &str| match entries.get(name) {
        None => Ok(None),
        Some(value) => value.as_i64().map(Some).ok_or_else(|| {
            let term = erlang_term(value);
            invalid(&format!("{name} should be a number, actually was {term}"))
        }),
    };
    Ok(VhostLimits { max_connections: limit("max-connections")?, max_queues: limit("max-queues")? })
}

/// RabbitMQ's frame around the reasons of a refused parameter.
fn invalid(reason: &str) -> Refused {
    Refused::Invalid(format!("Validation failed\n\n{reason}\n"))
}

/// Limits as JSON, which has a key for each that is set.
pub(super) fn json(limits: &impl serde::Serialize) -> Value {
    serde_json::to_value(limits).expect("limits are integers under text keys")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn vhost_limits_are_two_integers() {
        let limits = |max_connections, max_queues| Ok(VhostLimits { max_connections, max_queues });
        let refused = |reason: &str| Err(invalid(reason));
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
}
