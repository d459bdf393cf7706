//! `/api/overview`: the node at a glance.

use axum::Json;
use axum::extract::State;

use crate::Shared;
use crate::caller::{Caller, Visible};
use crate::error::ApiError;
use crate::management::{Error, Object, Totals};
use crate::query::Query;
use crate::views;

/// A monitor sees the totals of the node, anyone else those of the vhosts in which it has permissions.
pub(super) async fn get(
    State(api): State<Shared>,
    caller: Caller,
    query: Query,
) -> Result<Json<Object>, ApiError> {
    let node = api.management.node().await?;
    let totals = match caller.known_vhosts(&api).await {
        Visible::All => api.management.totals(None).await?,
        Visible::Only(vhosts) => {
            let mut sum = Totals::default();
            for vhost in vhosts {
                match api.management.totals(Some(&vhost)).await {
                    Ok(totals) => add(&mut sum, totals),
                    // Deleted since.
                    Err(Error::NotFound) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            sum
        }
    };
    let overview = views::overview(node, totals, caller.is_monitor());
    Ok(Json(query.columns(overview)))
}

fn add(sum: &mut Totals, totals: Totals) {
    sum.connections += totals.connections;
    sum.channels += totals.channels;
    sum.queues += totals.queues;
    sum.exchanges += totals.exchanges;
    sum.consumers += totals.consumers;
    sum.messages_ready += totals.messages_ready;
    sum.messages_unacknowledged += totals.messages_unacknowledged;
}
