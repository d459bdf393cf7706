//! `/api/x/exchanges/:vhost/:name/delayed`, `/api/x/queues/:vhost/:name/retrying`: messages that wait for their time. Not
//! RabbitMQ's: paths under `/api/x` can never be.

use axum::Json;
use axum::extract::State;

use super::exchanges::exchange;
use crate::Shared;
use crate::error::ApiError;
use crate::limits::{WINDOW, WINDOW_MAX};
use crate::management::{Object, Window};
use crate::query::Query;
use crate::target::Target;
use crate::views;

/// Those of a delayed exchange, the first due first.
pub(super) async fn delayed(
    State(api): State<Shared>,
    target: Target,
    query: Query,
) -> Result<Json<Object>, ApiError> {
    let window = window(&query)?;
    let page = api.management.delayed(&target.vhost, exchange(&target.name), window).await?;
    Ok(Json(views::delayed(&page, window)))
}

/// Those of a queue that are to be tried again, the first due first.
pub(super) async fn retrying(
    State(api): State<Shared>,
    target: Target,
    query: Query,
) -> Result<Json<Object>, ApiError> {
    let window = window(&query)?;
    let page = api.management.retrying(&target.vhost, &target.name, window).await?;
    Ok(Json(views::retrying(&page, window)))
}

fn window(query: &Query) -> Result<Window, ApiError> {
    let offset = query.number("offset")?.unwrap_or(0);
    let limit = query.number("limit")?.unwrap_or(WINDOW).min(WINDOW_MAX);
    Ok(Window { offset, limit })
}
