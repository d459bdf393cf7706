//! The HTTP management API of the broker, with RabbitMQ's paths, words and shapes.
//!
//! It knows no broker internals: all it asks and orders goes through [`Management`], which the broker implements.
//! A request passes these in order:
//!
//! | | |
//! |---|---|
//! | `server` | connections: how many, for how long |
//! | `api` | the table of all routes |
//! | `answer` | what holds for every answer: `Accept`, `OPTIONS`, headers |
//! | `auth`, `logins` | who is asking |
//! | `caller`, `target` | may they ask this, and of which vhost and object |
//! | `query`, `fields` | what comes in: the query string, the JSON body |
//! | `api/<resource>` | one question or order to [`Management`] |
//! | `views/<resource>`, `list`, `error` | what goes out |

mod answer;
mod api;
mod auth;
mod caller;
mod error;
mod fields;
mod limits;
mod list;
mod logins;
pub mod management;
mod query;
mod server;
mod target;
mod views;

use std::sync::Arc;

use axum::Router;
use tokio::sync::Semaphore;

pub use server::serve;

use logins::Logins;
use management::Management;

/// What all handlers share.
struct Api {
    management: Arc<dyn Management>,
    logins: Logins,
    /// Room for request bodies, in KiB.
    bodies: Arc<Semaphore>,
}

/// The state of the router.
type Shared = Arc<Api>;

/// All routes, over a broker. Requests carry the client's address as [`axum::extract::ConnectInfo`] of a
/// [`SocketAddr`](std::net::SocketAddr), as [`serve`] puts it there; without it, a client counts as remote.
pub fn router(management: Arc<dyn Management>) -> Router {
    let logins = Logins::new(Arc::clone(&management));
    let bodies = Arc::new(Semaphore::new(limits::BODIES_KIB));
    api::routes(Arc::new(Api { management, logins, bodies }))
}
