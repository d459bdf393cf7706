//! `/api/bindings`.

use axum::extract::State;
use axum::response::Response;

use crate::Shared;
use crate::error::ApiError;
use crate::list;
use crate::query::Query;
use crate::target::Scope;

/// Those of the vhosts that the caller may open.
pub(super) async fn list(
    State(api): State<Shared>,
    scope: Scope,
    query: Query,
) -> Result<Response, ApiError> {
    let mut bindings = api.management.bindings(scope.vhost()).await?;
    bindings.retain(|binding| scope.contains(&binding.vhost));
    Ok(list::answer(bindings, query))
}
