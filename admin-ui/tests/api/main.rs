//! The HTTP API over a broker that lives in memory: one module a resource, as in `src/api`.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "where a test cannot go on it fails, and the line says where"
)]

mod answers;
mod auth;
mod bindings;
mod broker;
mod exchanges;
mod fake;
mod limits;
mod overview;
mod parameters;
mod permissions;
mod policies;
mod queues;
mod server;
mod users;
mod vhosts;
mod waiting;
