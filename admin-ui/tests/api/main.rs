//! The HTTP API over a broker that lives in memory: one module a resource, as in `src/api`.

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
