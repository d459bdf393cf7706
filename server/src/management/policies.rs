//! Policies and operator policies, which are parameters of two components.

use async_trait::async_trait;
use leveret_admin_ui::management::{Error, Object, Policies, Policy, PolicyKind, Put};
use serde_json::Value;

use super::{Managed, put, refused};
use crate::clock;
use crate::definitions::parameters::{OPERATOR_POLICY, POLICY, Parameter, ParameterKey};
use crate::vhost::policy;

#[async_trait]
impl Policies for Managed {
    async fn policies(&self, kind: PolicyKind, vhost: Option<&str>) -> Result<Vec<Policy>, Error> {
        let definitions = self.node.registry.now();
        if vhost.is_some_and(|vhost| !definitions.vhosts.contains_key(vhost)) {
            return Err(Error::NotFound);
        }
        let asked = |key: &ParameterKey| {
            &*key.component == component(kind) && vhost.is_none_or(|vhost| vhost == &*key.vhost)
        };
        let found = definitions.parameters.iter().filter(|(key, _)| asked(key));
        Ok(found.map(|(key, parameter)| view(key, parameter)).collect())
    }

    async fn policy(&self, kind: PolicyKind, vhost: &str, name: &str) -> Result<Policy, Error> {
        let key = ParameterKey::new(vhost, component(kind), name);
        let definitions = self.node.registry.now();
        let found = definitions.parameters.get(&key).ok_or(Error::NotFound)?;
        Ok(view(&key, found))
    }

    async fn put_policy(
        &self,
        kind: PolicyKind,
        vhost: &str,
        name: &str,
        policy: Object,
    ) -> Result<Put, Error> {
        self.vhost_of(vhost)?;
        let invalid =
            |reasons: String| Error::BadRequest(format!("Validation failed\n\n{reasons}\n"));
        let policy = Value::Object(policy);
        let checked = policy::Policy::parse(parsed_kind(kind), name, &policy, clock::now_ms())
            .map_err(invalid)?;
        let ignored: Vec<&str> = checked.without_effect().collect();
        if !ignored.is_empty() {
            let keys = ignored.join(", ");
            tracing::warn!(
                vhost,
                policy = name,
                keys,
                "these keys of a policy have no effect here"
            );
        }
        let key = ParameterKey::new(vhost, component(kind), name);
        put(self.node.registry.put_parameter(key, checked.to_value()).await)
    }

    async fn delete_policy(&self, kind: PolicyKind, vhost: &str, name: &str) -> Result<(), Error> {
        let key = ParameterKey::new(vhost, component(kind), name);
        self.node.registry.delete_parameter(&key).await.map_err(refused)
    }
}

const fn component(kind: PolicyKind) -> &'static str {
    match kind {
        PolicyKind::Policy => POLICY,
        PolicyKind::OperatorPolicy => OPERATOR_POLICY,
    }
}

const fn parsed_kind(kind: PolicyKind) -> policy::PolicyKind {
    match kind {
        PolicyKind::Policy => policy::PolicyKind::User,
        PolicyKind::OperatorPolicy => policy::PolicyKind::Operator,
    }
}

/// What is stored was checked when it was put.
fn view(key: &ParameterKey, parameter: &Parameter) -> Policy {
    let text = |name: &str| {
        let text = parameter.value.get(name).and_then(|value| value.as_str());
        text.unwrap_or_default().to_owned()
    };
    let definition = parameter.value.get("definition").and_then(|value| value.as_object());
    let priority = parameter.value.get("priority").and_then(|value| value.as_number());
    Policy {
        vhost: key.vhost.to_string(),
        name: key.name.to_string(),
        pattern: text("pattern"),
        apply_to: text("apply-to"),
        definition: definition.cloned().unwrap_or_default(),
        priority: priority.cloned().unwrap_or_else(|| 0.into()),
    }
}
