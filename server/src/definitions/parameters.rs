//! Runtime parameters: JSON values of a component in a vhost, and global ones. RabbitMQ keeps policies and vhost limits as such
//! too, and so does this broker.

use std::sync::Arc;

use imbl::OrdMap;
use leveret_persistence::{Change, GlobalParameterRecord, ParameterRecord};
use serde_json::Value;

use super::{DefinitionsChange, Refused, Registry};
use crate::clock;
use crate::limits::{PARAMETER_BYTES_MAX, PARAMETER_NAME_BYTES_MAX};
use crate::vhost::VhostName;
use crate::vhost::policy::{Policies, Policy, PolicyKind};

/// The component of policies.
pub(crate) const POLICY: &str = "policy";
/// The component of operator policies.
pub(crate) const OPERATOR_POLICY: &str = "operator_policy";
/// The component of a vhost's limits.
pub(crate) const VHOST_LIMITS: &str = "vhost-limits";
/// The one name of a parameter of [`VHOST_LIMITS`].
pub(crate) const LIMITS: &str = "limits";

/// What a parameter is found by.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct ParameterKey {
    pub(crate) vhost: VhostName,
    pub(crate) component: Arc<str>,
    pub(crate) name: Arc<str>,
}

impl ParameterKey {
    pub(crate) fn new(vhost: &str, component: &str, name: &str) -> ParameterKey {
        ParameterKey { vhost: vhost.into(), component: component.into(), name: name.into() }
    }
}

/// A parameter's value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Parameter {
    pub(crate) value: Value,
    /// When it was last put, in milliseconds since 1970.
    pub(crate) updated_ms: u64,
}

impl Registry {
    /// Creates or replaces a parameter, which its component has accepted already. Says whether it is new.
    pub(crate) async fn put_parameter(
        &self,
        key: ParameterKey,
        value: Value,
    ) -> Result<bool, Refused> {
        self.make(|change| change.put_parameter(key, value)).await
    }

    /// Deletes a parameter.
    pub(crate) async fn delete_parameter(&self, key: &ParameterKey) -> Result<(), Refused> {
        self.make(|change| change.delete_parameter(key)).await
    }

    /// Creates or replaces a global parameter. Says whether it is new.
    pub(crate) async fn put_global_parameter(
        &self,
        name: &str,
        value: Value,
    ) -> Result<bool, Refused> {
        check_size(name, &value)?;
        self.make(|change| {
            let record = GlobalParameterRecord { name: name.to_owned(), value: value.to_string() };
            change.rows.push(Change::PutGlobalParameter(record));
            let known = &mut change.definitions.global_parameters;
            Ok(known.insert(name.into(), Arc::new(value)).is_none())
        })
        .await
    }

    /// Deletes a global parameter.
    pub(crate) async fn delete_global_parameter(&self, name: &str) -> Result<(), Refused> {
        self.make(|change| {
            change.definitions.global_parameters.remove(name).ok_or(Refused::NotFound)?;
            change.rows.push(Change::DeleteGlobalParameter { name: name.to_owned() });
            Ok(())
        })
        .await
    }
}

impl DefinitionsChange<'_> {
    pub(super) fn put_parameter(
        &mut self,
        key: ParameterKey,
        value: Value,
    ) -> Result<bool, Refused> {
        check_size(&key.name, &value)?;
        self.vhost(&key.vhost)?;
        let updated_ms = clock::now_ms();
        self.rows.push(Change::PutParameter(ParameterRecord {
            vhost: key.vhost.to_string(),
            component: key.component.to_string(),
            name: key.name.to_string(),
            value: value.to_string(),
            updated_ms,
        }));
        let parameter = Arc::new(Parameter { value, updated_ms });
        let is_new = self.definitions.parameters.insert(key.clone(), parameter).is_none();
        self.parameter_changed(&key)?;
        Ok(is_new)
    }

    pub(super) fn delete_parameter(&mut self, key: &ParameterKey) -> Result<(), Refused> {
        self.definitions.parameters.remove(key).ok_or(Refused::NotFound)?;
        self.rows.push(deletion(key));
        self.parameter_changed(key)
    }

    /// Brings what is made of the parameter up to date.
    fn parameter_changed(&mut self, key: &ParameterKey) -> Result<(), Refused> {
        match &*key.component {
            VHOST_LIMITS => self.vhost_limits_changed(key),
            POLICY | OPERATOR_POLICY => self.policies_changed(&key.vhost),
            _ => Ok(()),
        }
    }
}

/// The policies of a vhost. One that cannot be used is left out and said in the log.
pub(crate) fn policies(parameters: &OrdMap<ParameterKey, Arc<Parameter>>, vhost: &str) -> Policies {
    let mut policies = Policies::default();
    for (component, kind) in [(POLICY, PolicyKind::User), (OPERATOR_POLICY, PolicyKind::Operator)] {
        let first = ParameterKey::new(vhost, component, "");
        let of_kind = parameters.range(first..);
        let of_kind =
            of_kind.take_while(|(key, _)| &*key.vhost == vhost && &*key.component == component);
        for (key, parameter) in of_kind {
            match Policy::parse(kind, &key.name, &parameter.value, parameter.updated_ms) {
                Ok(policy) => policies.put(kind, policy),
                Err(reason) => {
                    tracing::error!(vhost, policy = &*key.name, reason, "this policy is left out");
                }
            }
        }
    }
    policies
}

impl DefinitionsChange<'_> {
    fn policies_changed(&mut self, vhost: &str) -> Result<(), Refused> {
        let policies = policies(&self.definitions.parameters, vhost);
        let vhost = Arc::clone(self.vhost(vhost)?);
        self.policies.push((vhost, policies));
        Ok(())
    }
}

/// The row that goes with a parameter.
pub(super) fn deletion(key: &ParameterKey) -> Change {
    Change::DeleteParameter {
        vhost: key.vhost.to_string(),
        component: key.component.to_string(),
        name: key.name.to_string(),
    }
}

fn check_size(name: &str, value: &Value) -> Result<(), Refused> {
    if name.is_empty() || name.len() > PARAMETER_NAME_BYTES_MAX {
        let text = format!("a parameter's name has 1 to {PARAMETER_NAME_BYTES_MAX} bytes");
        return Err(Refused::Invalid(text));
    }
    if value.to_string().len() > PARAMETER_BYTES_MAX {
        let text = format!("a parameter's value has at most {PARAMETER_BYTES_MAX} bytes");
        return Err(Refused::Invalid(text));
    }
    Ok(())
}
