//! Permissions of a user at a topic exchange.

use serde_json::json;

use super::object;
use crate::list::Row;
use crate::management::{Object, TopicPermission};

impl Row for TopicPermission {
    fn order(&self) -> impl Ord {
        (&self.vhost, &self.user, &self.exchange)
    }

    fn name(&self) -> &str {
        &self.user
    }

    fn json(&self) -> Object {
        object(json!({
            "user": self.user,
            "vhost": self.vhost,
            "exchange": self.exchange,
            "write": self.write,
            "read": self.read,
        }))
    }
}
