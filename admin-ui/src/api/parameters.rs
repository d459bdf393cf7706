//! `/api/parameters`, `/api/global-parameters`.
//!
//! RabbitMQ keeps policies, operator policies and limits of vhosts among the parameters, and shows them here (policies only by
//! their component). They can be read here too, but are changed only at their own endpoints, which check them.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::Value;

use super::one;
use crate::Shared;
use crate::caller::Policymaker;
use crate::error::{ApiError, missing};
use crate::fields::Fields;
use crate::list;
use crate::management::{Error, GlobalParameter, Parameter, PolicyKind, Put};
use crate::query::Query;
use crate::target::{Path, Scope, Target};
use crate::views::limits;

const POLICY: &str = "policy";
const OPERATOR_POLICY: &str = "operator_policy";
const VHOST_LIMITS: &str = "vhost-limits";

/// Those of all components, except policies.
pub(super) async fn list(
    State(api): State<Shared>,
    _: Policymaker,
    scope: Scope,
    query: Query,
) -> Result<Response, ApiError> {
    let mut parameters = api.management.parameters(None, scope.vhost()).await?;
    for component in [OPERATOR_POLICY, VHOST_LIMITS] {
        parameters.extend(of_component(&api, component, scope.vhost()).await?);
    }
    parameters.retain(|parameter| scope.contains(&parameter.vhost));
    Ok(list::answer(parameters, query))
}

/// Those of a component, in one vhost or in all.
pub(super) async fn list_component(
    State(api): State<Shared>,
    _: Policymaker,
    scope: Scope,
    path: Path<Vec<String>>,
    query: Query,
) -> Result<Response, ApiError> {
    let component = path.0.first().ok_or_else(ApiError::not_found)?;
    let mut parameters = of_component(&api, component, scope.vhost()).await?;
    parameters.retain(|parameter| scope.contains(&parameter.vhost));
    Ok(list::answer(parameters, query))
}

/// One.
pub(super) async fn get(
    State(api): State<Shared>,
    _: Policymaker,
    target: Target,
    path: Path<(String, String, String)>,
    query: Query,
) -> Result<Response, ApiError> {
    let component = &path.0.0;
    if !is_kept_elsewhere(component) {
        let found = api.management.parameter(component, &target.vhost, &target.name).await?;
        return Ok(one(&found, &query));
    }
    let parameters = of_component(&api, component, Some(&target.vhost)).await?;
    let found = parameters.iter().find(|parameter| parameter.name == target.name);
    Ok(one(found.ok_or_else(ApiError::not_found)?, &query))
}

/// Creates or replaces one: `value`.
pub(super) async fn put(
    State(api): State<Shared>,
    _: Policymaker,
    target: Target,
    Path((component, ..)): Path<(String, String, String)>,
    mut fields: Fields,
) -> Result<Put, ApiError> {
    fields.require(&["value"])?;
    let value = fields.take("value").unwrap_or_default();
    let parameter = Parameter { component, vhost: target.vhost, name: target.name, value };
    api.management.put_parameter(parameter).await.map_err(missing("vhost_not_found"))
}

/// Deletes one.
pub(super) async fn delete(
    State(api): State<Shared>,
    _: Policymaker,
    target: Target,
    Path((component, ..)): Path<(String, String, String)>,
) -> Result<StatusCode, ApiError> {
    api.management.delete_parameter(&component, &target.vhost, &target.name).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn is_kept_elsewhere(component: &str) -> bool {
    [POLICY, OPERATOR_POLICY, VHOST_LIMITS].contains(&component)
}

async fn of_component(
    api: &Shared,
    component: &str,
    vhost: Option<&str>,
) -> Result<Vec<Parameter>, Error> {
    let kind = match component {
        POLICY => PolicyKind::Policy,
        OPERATOR_POLICY => PolicyKind::OperatorPolicy,
        VHOST_LIMITS => return vhost_limits(api, vhost).await,
        other => return api.management.parameters(Some(other), vhost).await,
    };
    let policies = api.management.policies(kind, vhost).await?;
    Ok(policies.into_iter().map(|policy| policy.into_parameter(kind)).collect())
}

async fn vhost_limits(api: &Shared, vhost: Option<&str>) -> Result<Vec<Parameter>, Error> {
    let mut all = api.management.vhost_limits().await?;
    if let Some(vhost) = vhost {
        api.management.vhost(vhost).await?;
        all.retain(|limits| limits.vhost == vhost);
    }
    let parameters = all.into_iter().map(|one| Parameter {
        component: VHOST_LIMITS.to_owned(),
        name: "limits".to_owned(),
        value: Value::Object(limits::of_vhost(&one)),
        vhost: one.vhost,
    });
    Ok(parameters.collect())
}

/// All global ones.
pub(super) async fn list_global(
    State(api): State<Shared>,
    _: Policymaker,
    query: Query,
) -> Result<Response, ApiError> {
    Ok(list::answer(api.management.global_parameters().await?, query))
}

/// One global one.
pub(super) async fn get_global(
    State(api): State<Shared>,
    _: Policymaker,
    Path(name): Path<String>,
    query: Query,
) -> Result<Response, ApiError> {
    Ok(one(&api.management.global_parameter(&name).await?, &query))
}

/// Creates or replaces a global one: `value`.
pub(super) async fn put_global(
    State(api): State<Shared>,
    _: Policymaker,
    Path(name): Path<String>,
    mut fields: Fields,
) -> Result<Put, ApiError> {
    fields.require(&["value"])?;
    let value = fields.take("value").unwrap_or(Value::Null);
    Ok(api.management.put_global_parameter(GlobalParameter { name, value }).await?)
}

/// Deletes a global one.
pub(super) async fn delete_global(
    State(api): State<Shared>,
    _: Policymaker,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    api.management.delete_global_parameter(&name).await?;
    Ok(StatusCode::NO_CONTENT)
}
