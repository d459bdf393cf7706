//! `/api/policies`, for who makes policies, and `/api/operator-policies`, for administrators.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::one;
use crate::Shared;
use crate::caller::{Administrator, Policymaker};
use crate::error::{ApiError, missing};
use crate::fields::Fields;
use crate::list;
use crate::management::{PolicyKind, Put};
use crate::query::Query;
use crate::target::{Scope, Target};

/// Policies of the vhosts that the caller may open.
pub(super) async fn list(
    State(api): State<Shared>,
    scope: Scope,
    query: Query,
) -> Result<Response, ApiError> {
    list_of(PolicyKind::Policy, &api, scope, query).await
}

/// One policy.
pub(super) async fn get(
    State(api): State<Shared>,
    _: Policymaker,
    target: Target,
    query: Query,
) -> Result<Response, ApiError> {
    get_of(PolicyKind::Policy, &api, &target, &query).await
}

/// Creates or replaces a policy: `pattern`, `definition`, `priority`, `apply-to`.
pub(super) async fn put(
    State(api): State<Shared>,
    _: Policymaker,
    target: Target,
    fields: Fields,
) -> Result<Put, ApiError> {
    put_of(PolicyKind::Policy, &api, target, fields).await
}

/// Deletes a policy.
pub(super) async fn delete(
    State(api): State<Shared>,
    _: Policymaker,
    target: Target,
) -> Result<StatusCode, ApiError> {
    delete_of(PolicyKind::Policy, &api, &target).await
}

/// Operator policies of the vhosts that the caller may open.
pub(super) async fn list_operator(
    State(api): State<Shared>,
    scope: Scope,
    query: Query,
) -> Result<Response, ApiError> {
    list_of(PolicyKind::OperatorPolicy, &api, scope, query).await
}

/// One operator policy.
pub(super) async fn get_operator(
    State(api): State<Shared>,
    _: Administrator,
    target: Target,
    query: Query,
) -> Result<Response, ApiError> {
    get_of(PolicyKind::OperatorPolicy, &api, &target, &query).await
}

/// Creates or replaces an operator policy.
pub(super) async fn put_operator(
    State(api): State<Shared>,
    _: Administrator,
    target: Target,
    fields: Fields,
) -> Result<Put, ApiError> {
    put_of(PolicyKind::OperatorPolicy, &api, target, fields).await
}

/// Deletes an operator policy.
pub(super) async fn delete_operator(
    State(api): State<Shared>,
    _: Administrator,
    target: Target,
) -> Result<StatusCode, ApiError> {
    delete_of(PolicyKind::OperatorPolicy, &api, &target).await
}

async fn list_of(
    kind: PolicyKind,
    api: &Shared,
    scope: Scope,
    query: Query,
) -> Result<Response, ApiError> {
    let mut policies = api.management.policies(kind, scope.vhost()).await?;
    policies.retain(|policy| scope.contains(&policy.vhost));
    Ok(list::answer(policies, query))
}

async fn get_of(
    kind: PolicyKind,
    api: &Shared,
    target: &Target,
    query: &Query,
) -> Result<Response, ApiError> {
    Ok(one(&api.management.policy(kind, &target.vhost, &target.name).await?, query))
}

async fn put_of(
    kind: PolicyKind,
    api: &Shared,
    target: Target,
    mut fields: Fields,
) -> Result<Put, ApiError> {
    fields.require(&["pattern", "definition"])?;
    let put = api.management.put_policy(kind, &target.vhost, &target.name, fields.take_all());
    put.await.map_err(missing("vhost_not_found"))
}

async fn delete_of(
    kind: PolicyKind,
    api: &Shared,
    target: &Target,
) -> Result<StatusCode, ApiError> {
    api.management.delete_policy(kind, &target.vhost, &target.name).await?;
    Ok(StatusCode::NO_CONTENT)
}
