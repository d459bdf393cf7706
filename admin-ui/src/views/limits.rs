//! Limits of a vhost and of a user.

use serde_json::json;

use super::{object, put};
use crate::list::Row;
use crate::management::{Object, UserLimits, VhostLimits};

/// The limits that are set, by name.
pub(crate) fn of_vhost(limits: &VhostLimits) -> Object {
    let mut json = Object::new();
    put(&mut json, "max-connections", limits.max_connections);
    put(&mut json, "max-queues", limits.max_queues);
    json
}

/// The limits that are set, by name.
pub(super) fn of_user(limits: &UserLimits) -> Object {
    let mut json = Object::new();
    put(&mut json, "max-connections", limits.max_connections);
    put(&mut json, "max-channels", limits.max_channels);
    json
}

impl Row for VhostLimits {
    fn order(&self) -> impl Ord {
        &self.vhost
    }

    fn name(&self) -> &str {
        &self.vhost
    }

    fn json(&self) -> Object {
        object(json!({ "vhost": self.vhost, "value": of_vhost(self) }))
    }
}

impl Row for UserLimits {
    fn order(&self) -> impl Ord {
        &self.user
    }

    fn name(&self) -> &str {
        &self.user
    }

    fn json(&self) -> Object {
        object(json!({ "user": self.user, "value": of_user(self) }))
    }
}
