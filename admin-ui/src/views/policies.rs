//! A policy of either kind.

use serde_json::{Value, json};

use super::object;
use crate::list::Row;
use crate::management::{Object, Parameter, Policy, PolicyKind};

impl Row for Policy {
    fn order(&self) -> impl Ord {
        (&self.vhost, &self.name)
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn json(&self) -> Object {
        object(json!({
            "vhost": self.vhost,
            "name": self.name,
            "pattern": self.pattern,
            "apply-to": self.apply_to,
            "definition": self.definition,
            "priority": self.priority,
        }))
    }
}

impl Policy {
    /// The policy as one of the parameters, among which RabbitMQ keeps it.
    pub(crate) fn into_parameter(self, kind: PolicyKind) -> Parameter {
        let component = match kind {
            PolicyKind::Policy => "policy",
            PolicyKind::OperatorPolicy => "operator_policy",
        };
        let mut value = self.json();
        value.remove("vhost");
        value.remove("name");
        Parameter {
            component: component.to_owned(),
            vhost: self.vhost,
            name: self.name,
            value: Value::Object(value),
        }
    }
}
