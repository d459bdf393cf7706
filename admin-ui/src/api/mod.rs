//! The table of all routes, and one file a resource with its handlers.

mod bindings;
mod exchanges;
mod overview;
mod parameters;
mod permissions;
mod policies;
mod queues;
mod topic_permissions;
mod user_limits;
mod users;
mod vhost_limits;
mod vhosts;
mod waiting;
mod whoami;

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, post, put};

use crate::Shared;
use crate::error::ApiError;
use crate::list::Row;
use crate::query::Query;
use crate::{answer, auth, fields};

/// Every path, and what each method does there.
fn table() -> Vec<(&'static str, MethodRouter<Shared>)> {
    let node = [("/overview", get(overview::get)), ("/whoami", get(whoami::get))];
    let access = [
        ("/users", get(users::list)),
        ("/users/bulk-delete", post(users::bulk_delete)),
        ("/users/{user}", get(users::get).put(users::put).delete(users::delete)),
        ("/users/{user}/permissions", get(users::permissions)),
        ("/users/{user}/topic-permissions", get(users::topic_permissions)),
        ("/user-limits", get(user_limits::list)),
        ("/user-limits/{user}", get(user_limits::get)),
        ("/user-limits/{user}/{name}", put(user_limits::put).delete(user_limits::delete)),
        ("/permissions", get(permissions::list)),
        (
            "/permissions/{vhost}/{user}",
            get(permissions::get).put(permissions::put).delete(permissions::delete),
        ),
        ("/topic-permissions", get(topic_permissions::list)),
        (
            "/topic-permissions/{vhost}/{user}",
            get(topic_permissions::get)
                .put(topic_permissions::put)
                .delete(topic_permissions::delete),
        ),
        (
            "/topic-permissions/{vhost}/{user}/{exchange}",
            delete(topic_permissions::delete_of_exchange),
        ),
    ];
    let vhosts = [
        ("/vhosts", get(vhosts::list)),
        ("/vhosts/{vhost}", get(vhosts::get).put(vhosts::put).delete(vhosts::delete)),
        ("/vhosts/{vhost}/deletion/protection", post(vhosts::protect).delete(vhosts::unprotect)),
        ("/vhosts/{vhost}/permissions", get(vhosts::permissions)),
        ("/vhosts/{vhost}/topic-permissions", get(vhosts::topic_permissions)),
        ("/vhost-limits", get(vhost_limits::list)),
        ("/vhost-limits/{vhost}", get(vhost_limits::get)),
        ("/vhost-limits/{vhost}/{name}", put(vhost_limits::put).delete(vhost_limits::delete)),
    ];
    let topology = [
        ("/exchanges", get(exchanges::list)),
        ("/exchanges/{vhost}", get(exchanges::list)),
        (
            "/exchanges/{vhost}/{name}",
            get(exchanges::get).put(exchanges::put).delete(exchanges::delete),
        ),
        ("/exchanges/{vhost}/{name}/publish", post(exchanges::publish)),
        ("/queues", get(queues::list)),
        ("/queues/{vhost}", get(queues::list)),
        ("/queues/{vhost}/{name}", get(queues::get).put(queues::put).delete(queues::delete)),
        ("/queues/{vhost}/{name}/contents", delete(queues::purge)),
        ("/bindings", get(bindings::list)),
        ("/bindings/{vhost}", get(bindings::list)),
        ("/x/exchanges/{vhost}/{name}/delayed", get(waiting::delayed)),
        ("/x/queues/{vhost}/{name}/retrying", get(waiting::retrying)),
        ("/x/queues/{vhost}/{name}/publishers", get(queues::publishers)),
    ];
    let mut table = Vec::new();
    table.extend(node);
    table.extend(access);
    table.extend(vhosts);
    table.extend(topology);
    table.extend(policies_and_parameters());
    table
}

fn policies_and_parameters() -> Vec<(&'static str, MethodRouter<Shared>)> {
    vec![
        ("/policies", get(policies::list)),
        ("/policies/{vhost}", get(policies::list)),
        (
            "/policies/{vhost}/{name}",
            get(policies::get).put(policies::put).delete(policies::delete),
        ),
        ("/operator-policies", get(policies::list_operator)),
        ("/operator-policies/{vhost}", get(policies::list_operator)),
        (
            "/operator-policies/{vhost}/{name}",
            get(policies::get_operator)
                .put(policies::put_operator)
                .delete(policies::delete_operator),
        ),
        ("/parameters", get(parameters::list)),
        ("/parameters/{component}", get(parameters::list_component)),
        ("/parameters/{component}/{vhost}", get(parameters::list_component)),
        (
            "/parameters/{component}/{vhost}/{name}",
            get(parameters::get).put(parameters::put).delete(parameters::delete),
        ),
        ("/global-parameters", get(parameters::list_global)),
        (
            "/global-parameters/{name}",
            get(parameters::get_global)
                .put(parameters::put_global)
                .delete(parameters::delete_global),
        ),
    ]
}

/// The router. Each path may end with a slash: some clients always add one.
pub(crate) fn routes(api: Shared) -> Router {
    let mut router = Router::new();
    for (path, methods) in table() {
        router = router
            .route(&format!("/api{path}/"), methods.clone())
            .route(&format!("/api{path}"), methods);
    }
    router
        .route_layer(from_fn_with_state(Arc::clone(&api), auth::authenticate))
        .fallback(async || ApiError::not_found())
        .layer(fields::body_limit())
        .layer(from_fn(answer::common))
        .with_state(api)
}

/// One object, or the columns of it that are asked for.
fn one(row: &impl Row, query: &Query) -> Response {
    Json(query.columns(row.json())).into_response()
}

#[cfg(test)]
mod tests {
    use super::table;

    const PAGE: &str = include_str!("../../../docs/http-api.md");

    #[test]
    fn the_page_of_the_api_has_every_path() {
        let missing = |(path, _): &(&str, _)| !PAGE.contains(&format!("`{path}`"));
        let missing: Vec<&str> = table().iter().filter(|it| missing(it)).map(|it| it.0).collect();
        assert!(missing.is_empty(), "not in docs/http-api.md: {missing:?}");
    }
}
