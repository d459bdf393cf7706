//! The node, vhosts, policies, limits, parameters.

use async_trait::async_trait;
use leveret_admin_ui::management::*;
use serde_json::Value;

use super::{Fake, is_operator, put};

#[async_trait]
impl Node for Fake {
    async fn node(&self) -> Result<NodeView, Error> {
        Ok(NodeView {
            product_name: "Leveret".into(),
            product_version: "0.1.0".into(),
            rabbitmq_version: "4.1.0".into(),
            cluster_name: "leveret@test".into(),
            node: "leveret@test".into(),
            default_queue_type: "classic".into(),
            exchange_types: vec![ExchangeType {
                name: "direct".into(),
                description: "by routing key".into(),
            }],
            listeners: vec![Listener {
                protocol: "amqp".into(),
                ip_address: "::".parse().unwrap(),
                port: 5672,
            }],
            extra: Object::new(),
        })
    }

    async fn totals(&self, vhost: Option<&str>) -> Result<Totals, Error> {
        let state = self.state();
        state.in_vhost(vhost)?;
        let inside = |name: &str| vhost.is_none_or(|vhost| vhost == name);
        Ok(Totals {
            queues: state.queues.keys().filter(|(vhost, _)| inside(vhost)).count() as u64,
            exchanges: state.exchanges.keys().filter(|(vhost, _)| inside(vhost)).count() as u64,
            messages_ready: 2,
            messages_unacknowledged: 1,
            ..Totals::default()
        })
    }
}

#[async_trait]
impl Vhosts for Fake {
    async fn vhosts(&self) -> Result<Vec<VhostView>, Error> {
        Ok(self.state().vhosts.values().cloned().collect())
    }

    async fn vhost(&self, name: &str) -> Result<VhostView, Error> {
        self.state().vhosts.get(name).cloned().ok_or(Error::NotFound)
    }

    async fn put_vhost(&self, by: &str, name: &str, settings: VhostSettings) -> Result<Put, Error> {
        let mut state = self.state();
        let vhost = VhostView {
            name: name.into(),
            description: settings.description,
            tags: settings.tags,
            default_queue_type: settings.default_queue_type,
            tracing: settings.tracing.unwrap_or_default(),
            protected: state.vhosts.get(name).is_some_and(|vhost| vhost.protected),
            ..VhostView::default()
        };
        let put = put(&mut state.vhosts, name.into(), vhost);
        if put == Put::Created {
            state.permit(name, by);
        }
        Ok(put)
    }

    async fn delete_vhost(&self, name: &str) -> Result<(), Error> {
        let mut state = self.state();
        if state.vhosts.get(name).is_some_and(|vhost| vhost.protected) {
            return Err(Error::PreconditionFailed(format!("{name} is protected")));
        }
        state.permissions.retain(|(vhost, _), _| vhost != name);
        state.vhosts.remove(name).map(drop).ok_or(Error::NotFound)
    }

    async fn protect_vhost(&self, name: &str, protected: bool) -> Result<(), Error> {
        self.state().vhosts.get_mut(name).ok_or(Error::NotFound)?.protected = protected;
        Ok(())
    }
}

#[async_trait]
impl Policies for Fake {
    async fn policies(&self, kind: PolicyKind, vhost: Option<&str>) -> Result<Vec<Policy>, Error> {
        let state = self.state();
        state.in_vhost(vhost)?;
        let chosen = state.policies.iter().filter(|((operator, owner, _), _)| {
            *operator == is_operator(kind) && vhost.is_none_or(|vhost| vhost == owner)
        });
        Ok(chosen.map(|(_, policy)| policy.clone()).collect())
    }

    async fn policy(&self, kind: PolicyKind, vhost: &str, name: &str) -> Result<Policy, Error> {
        let key = (is_operator(kind), vhost.to_owned(), name.to_owned());
        self.state().policies.get(&key).cloned().ok_or(Error::NotFound)
    }

    async fn put_policy(
        &self,
        kind: PolicyKind,
        vhost: &str,
        name: &str,
        policy: Object,
    ) -> Result<Put, Error> {
        let mut state = self.state();
        state.in_vhost(Some(vhost))?;
        let [pattern, definition] = ["pattern", "definition"].map(|key| policy[key].clone());
        let (Value::String(pattern), Value::Object(definition)) = (&pattern, definition) else {
            return Err(Error::BadRequest(format!("no policy: the pattern is {pattern}")));
        };
        let pattern = pattern.clone();
        let apply_to = policy.get("apply-to").and_then(Value::as_str).unwrap_or("all").to_owned();
        let priority = policy.get("priority").and_then(Value::as_number).cloned();
        let priority = priority.unwrap_or_else(|| 0.into());
        let (vhost, name) = (vhost.to_owned(), name.to_owned());
        let key = (is_operator(kind), vhost.clone(), name.clone());
        let policy = Policy { vhost, name, pattern, apply_to, definition, priority };
        Ok(put(&mut state.policies, key, policy))
    }

    async fn delete_policy(&self, kind: PolicyKind, vhost: &str, name: &str) -> Result<(), Error> {
        let key = (is_operator(kind), vhost.to_owned(), name.to_owned());
        self.state().policies.remove(&key).map(drop).ok_or(Error::NotFound)
    }
}

#[async_trait]
impl Limits for Fake {
    async fn vhost_limits(&self) -> Result<Vec<VhostLimits>, Error> {
        Ok(self.state().vhost_limits.values().cloned().collect())
    }

    async fn put_vhost_limit(&self, vhost: &str, name: &str, value: Value) -> Result<(), Error> {
        if name != "max-queues" || !value.is_i64() {
            return Err(Error::BadRequest(format!("no limit: {name} {value}")));
        }
        self.set_vhost_limit(vhost, value.as_i64())
    }

    async fn delete_vhost_limit(&self, vhost: &str, name: &str) -> Result<(), Error> {
        if name == "max-queues" { self.set_vhost_limit(vhost, None) } else { Ok(()) }
    }

    async fn user_limits(&self) -> Result<Vec<UserLimits>, Error> {
        Ok(self.state().user_limits.values().cloned().collect())
    }

    async fn put_user_limit(&self, user: &str, name: &str, value: Value) -> Result<(), Error> {
        if name != "max-channels" || !value.is_i64() {
            return Err(Error::BadRequest(format!("no limit: {name} {value}")));
        }
        self.set_user_limit(user, value.as_i64())
    }

    async fn delete_user_limit(&self, user: &str, name: &str) -> Result<(), Error> {
        if name == "max-channels" { self.set_user_limit(user, None) } else { Ok(()) }
    }
}

/// Of each kind of limit the fake knows one.
impl Fake {
    fn set_vhost_limit(&self, vhost: &str, max_queues: Option<i64>) -> Result<(), Error> {
        let mut state = self.state();
        state.in_vhost(Some(vhost))?;
        state.vhost_limits.remove(vhost);
        if max_queues.is_some() {
            let limits = VhostLimits { vhost: vhost.into(), max_queues, ..VhostLimits::default() };
            state.vhost_limits.insert(vhost.into(), limits);
        }
        Ok(())
    }

    fn set_user_limit(&self, user: &str, max_channels: Option<i64>) -> Result<(), Error> {
        let mut state = self.state();
        let limits = UserLimits { user: user.into(), max_channels, ..UserLimits::default() };
        let view = state.users.get_mut(user).ok_or(Error::NotFound)?;
        view.limits = limits.clone();
        state.user_limits.remove(user);
        if max_channels.is_some() {
            state.user_limits.insert(user.into(), limits);
        }
        Ok(())
    }
}

#[async_trait]
impl Parameters for Fake {
    async fn parameters(
        &self,
        component: Option<&str>,
        vhost: Option<&str>,
    ) -> Result<Vec<Parameter>, Error> {
        let state = self.state();
        state.in_vhost(vhost)?;
        let chosen = state.parameters.values().filter(|parameter| {
            component.is_none_or(|component| component == parameter.component)
                && vhost.is_none_or(|vhost| vhost == parameter.vhost)
        });
        Ok(chosen.cloned().collect())
    }

    async fn parameter(
        &self,
        component: &str,
        vhost: &str,
        name: &str,
    ) -> Result<Parameter, Error> {
        let key = (component.to_owned(), vhost.to_owned(), name.to_owned());
        self.state().parameters.get(&key).cloned().ok_or(Error::NotFound)
    }

    async fn put_parameter(&self, parameter: Parameter) -> Result<Put, Error> {
        let mut state = self.state();
        state.in_vhost(Some(&parameter.vhost))?;
        if parameter.component != "shovel" {
            return Err(Error::BadRequest(format!("no component: {}", parameter.component)));
        }
        let key = (parameter.component.clone(), parameter.vhost.clone(), parameter.name.clone());
        Ok(put(&mut state.parameters, key, parameter))
    }

    async fn delete_parameter(
        &self,
        component: &str,
        vhost: &str,
        name: &str,
    ) -> Result<(), Error> {
        if component == "policy" {
            return Err(Error::BadRequest("not by this method".into()));
        }
        let key = (component.to_owned(), vhost.to_owned(), name.to_owned());
        self.state().parameters.remove(&key).map(drop).ok_or(Error::NotFound)
    }

    async fn global_parameters(&self) -> Result<Vec<GlobalParameter>, Error> {
        Ok(self.state().global_parameters.values().cloned().collect())
    }

    async fn global_parameter(&self, name: &str) -> Result<GlobalParameter, Error> {
        self.state().global_parameters.get(name).cloned().ok_or(Error::NotFound)
    }

    async fn put_global_parameter(&self, parameter: GlobalParameter) -> Result<Put, Error> {
        let key = parameter.name.clone();
        Ok(put(&mut self.state().global_parameters, key, parameter))
    }

    async fn delete_global_parameter(&self, name: &str) -> Result<(), Error> {
        self.state().global_parameters.remove(name).map(drop).ok_or(Error::NotFound)
    }
}
