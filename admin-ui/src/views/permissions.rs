//! Permissions of a user in a vhost.

use serde_json::json;

use super::object;
use crate::list::Row;
use crate::management::{Object, Permission};

impl Row for Permission {
    fn order(&self) -> impl Ord {
        (&self.vhost, &self.user)
    }

    fn name(&self) -> &str {
        &self.user
    }

    fn json(&self) -> Object {
        object(json!({
            "user": self.user,
            "vhost": self.vhost,
            "configure": self.configure,
            "write": self.write,
            "read": self.read,
        }))
    }
}
