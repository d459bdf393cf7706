//! A user.

use serde_json::json;

use super::{limits, object};
use crate::list::Row;
use crate::management::{Object, UserView};

impl Row for UserView {
    fn order(&self) -> impl Ord {
        &self.name
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn json(&self) -> Object {
        object(json!({
            "name": self.name,
            "password_hash": self.password_hash,
            "hashing_algorithm": self.hashing_algorithm,
            "tags": self.tags,
            "limits": limits::of_user(&self.limits),
        }))
    }
}
