//! What the HTTP API asks of the broker and orders it to do. The API calls it; the broker implements it, one trait a
//! resource, each in its own file.
//!
//! The rules that hold for all of them:
//!
//! - Names and values are as AMQP has them: a vhost is `/`, the default exchange is the empty name. The API has already
//!   decoded the URL and checked the tags of the user and its access to the vhost.
//! - Lists come in any order; the API sorts them.
//! - `put_*` creates or replaces, and says which. `delete_*` of what is not there is [`Error::NotFound`].
//! - A change is answered when it is durable, as `declare-ok` is.
//! - A method that AMQP guards with a permission (configure, write, read) takes the user as `by`, and the implementation
//!   checks that permission.

mod access;
mod bindings;
mod exchanges;
mod limits;
mod node;
mod parameters;
mod permissions;
mod policies;
mod publishers;
mod queues;
mod topic_permissions;
mod users;
mod vhosts;
mod waiting;

pub use access::{Access, LoginRefused, Who};
pub use bindings::{BindingView, Bindings, DestinationType};
pub use exchanges::{ExchangeDeclaration, ExchangeView, Exchanges, Publication};
pub use limits::{Limits, UserLimits, VhostLimits};
pub use node::{ExchangeType, Listener, Node, NodeView, Totals};
pub use parameters::{GlobalParameter, Parameter, Parameters};
pub use permissions::{Permission, Permissions};
pub use policies::{Policies, Policy, PolicyKind};
pub use publishers::{PublisherView, Publishers};
pub use queues::{QueueDeclaration, QueueView, Queues};
pub use topic_permissions::{TopicPermission, TopicPermissions};
pub use users::{Credentials, UserSettings, UserView, Users};
pub use vhosts::{VhostSettings, VhostView, Vhosts};
pub use waiting::{Waiting, WaitingMessage, WaitingPage, Window};

/// A JSON object: AMQP arguments, properties and policy definitions at this boundary.
pub type Object = serde_json::Map<String, serde_json::Value>;

/// All that the HTTP API needs of a broker. It follows from implementing the trait of each resource.
pub trait Management:
    Access
    + Bindings
    + Exchanges
    + Limits
    + Node
    + Parameters
    + Permissions
    + Policies
    + Publishers
    + Queues
    + TopicPermissions
    + Users
    + Vhosts
    + Waiting
{
}

impl<T> Management for T where
    T: Access
        + Bindings
        + Exchanges
        + Limits
        + Node
        + Parameters
        + Permissions
        + Policies
        + Publishers
        + Queues
        + TopicPermissions
        + Users
        + Vhosts
        + Waiting
{
}

/// What a `put_*` did: 201 or 204 over HTTP.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Put {
    /// There was none of that name.
    Created,
    /// There was one; it was changed, or was equal already.
    Updated,
}

/// Why the broker did not do what was asked. Texts are RabbitMQ's words, without a reply code before them.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Error {
    /// The object, or the vhost, exchange, queue or user that it belongs to, does not exist: 404.
    #[error("Not Found")]
    NotFound,
    /// The request cannot be meant, or does not fit what there is (an inequivalent declaration, a queue in use): 400.
    #[error("{0}")]
    BadRequest(String),
    /// The user may not do that to this object: 401. RabbitMQ's text is `Access refused.`, for names beginning with `amq.` too.
    #[error("{0}")]
    Refused(String),
    /// Not while the object is in the state in which it is: 409.
    #[error("{0}")]
    Conflict(String),
    /// The object is protected from that: 412.
    #[error("{0}")]
    PreconditionFailed(String),
    /// The broker cannot at the moment, such as after its store failed: 503.
    #[error("{0}")]
    Unavailable(String),
}
