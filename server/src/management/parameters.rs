//! Parameters of components, and global ones.

use async_trait::async_trait;
use leveret_admin_ui::management::{Error, GlobalParameter, Parameter, Parameters, Put};

use super::{Managed, put, refused};
use crate::definitions::limits::vhost_limits;
use crate::definitions::parameters::{
    LIMITS, OPERATOR_POLICY, POLICY, Parameter as Stored, ParameterKey, VHOST_LIMITS,
};

#[async_trait]
impl Parameters for Managed {
    async fn parameters(
        &self,
        component: Option<&str>,
        vhost: Option<&str>,
    ) -> Result<Vec<Parameter>, Error> {
        let definitions = self.node.registry.now();
        if vhost.is_some_and(|vhost| !definitions.vhosts.contains_key(vhost)) {
            return Err(Error::NotFound);
        }
        let asked = |key: &ParameterKey| {
            component.is_none_or(|component| component == &*key.component)
                && vhost.is_none_or(|vhost| vhost == &*key.vhost)
                && !has_endpoints_of_its_own(&key.component)
        };
        let found = definitions.parameters.iter().filter(|(key, _)| asked(key));
        Ok(found.map(|(key, parameter)| view(key, parameter)).collect())
    }

    async fn parameter(
        &self,
        component: &str,
        vhost: &str,
        name: &str,
    ) -> Result<Parameter, Error> {
        let key = ParameterKey::new(vhost, component, name);
        let definitions = self.node.registry.now();
        let found = definitions.parameters.get(&key).ok_or(Error::NotFound)?;
        Ok(view(&key, found))
    }

    async fn put_parameter(&self, parameter: Parameter) -> Result<Put, Error> {
        let Parameter { component, vhost, name, value } = parameter;
        let invalid = |reason: &str| Error::BadRequest(format!("Validation failed\n\n{reason}\n"));
        match component.as_str() {
            POLICY | OPERATOR_POLICY => {
                let text = "policies may not be set using this method";
                return Err(Error::BadRequest(text.to_owned()));
            }
            VHOST_LIMITS if name != LIMITS => return Err(invalid("the name must be limits")),
            VHOST_LIMITS => drop(vhost_limits(&value).map_err(refused)?),
            // The others are of plugins that are not here: a parameter that nothing heeds would look as if it were.
            other => return Err(invalid(&format!("component {other} not found"))),
        }
        let key = ParameterKey::new(&vhost, &component, &name);
        put(self.node.registry.put_parameter(key, value).await)
    }

    async fn delete_parameter(
        &self,
        component: &str,
        vhost: &str,
        name: &str,
    ) -> Result<(), Error> {
        if matches!(component, POLICY | OPERATOR_POLICY) {
            let text = "policies may not be cleared using this method";
            return Err(Error::BadRequest(text.to_owned()));
        }
        let key = ParameterKey::new(vhost, component, name);
        self.node.registry.delete_parameter(&key).await.map_err(refused)
    }

    async fn global_parameters(&self) -> Result<Vec<GlobalParameter>, Error> {
        let definitions = self.node.registry.now();
        let views = definitions.global_parameters.iter().map(|(name, value)| GlobalParameter {
            name: name.to_string(),
            value: value.as_ref().clone(),
        });
        Ok(views.collect())
    }

    async fn global_parameter(&self, name: &str) -> Result<GlobalParameter, Error> {
        let definitions = self.node.registry.now();
        let value = definitions.global_parameters.get(name).ok_or(Error::NotFound)?;
        Ok(GlobalParameter { name: name.to_owned(), value: value.as_ref().clone() })
    }

    async fn put_global_parameter(&self, parameter: GlobalParameter) -> Result<Put, Error> {
        let GlobalParameter { name, value } = parameter;
        put(self.node.registry.put_global_parameter(&name, value).await)
    }

    async fn delete_global_parameter(&self, name: &str) -> Result<(), Error> {
        self.node.registry.delete_global_parameter(name).await.map_err(refused)
    }
}

/// The API lists these by those, in their place among the parameters too.
fn has_endpoints_of_its_own(component: &str) -> bool {
    matches!(component, POLICY | OPERATOR_POLICY | VHOST_LIMITS)
}

fn view(key: &ParameterKey, parameter: &Stored) -> Parameter {
    Parameter {
        component: key.component.to_string(),
        vhost: key.vhost.to_string(),
        name: key.name.to_string(),
        value: parameter.value.clone(),
    }
}
