//! Runtime parameters.

use serde_json::json;

use super::object;
use crate::list::Row;
use crate::management::{GlobalParameter, Object, Parameter};

impl Row for Parameter {
    fn order(&self) -> impl Ord {
        (&self.vhost, &self.name, &self.component)
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn json(&self) -> Object {
        object(json!({
            "value": self.value,
            "vhost": self.vhost,
            "component": self.component,
            "name": self.name,
        }))
    }
}

impl Row for GlobalParameter {
    fn order(&self) -> impl Ord {
        &self.name
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn json(&self) -> Object {
        object(json!({ "name": self.name, "value": self.value }))
    }
}
