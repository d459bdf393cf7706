//! Answers the HTTP API: one file a resource, each an implementation of that resource's trait.

mod access;
mod arguments;
mod bindings;
mod exchanges;
mod limits;
mod node;
mod parameters;
mod permissions;
mod policies;
mod properties;
mod publish;
mod publishers;
mod queues;
mod topic_permissions;
mod users;
mod vhosts;
mod waiting;

use std::sync::Arc;

use leveret_admin_ui::management::{Error, Listener, Put};

use crate::access::permissions::{Permissions, Right};
use crate::definitions::Refused;
use crate::node::Node;
use crate::protocol::{Fault, ReplyCode};
use crate::vhost::Vhost;
use crate::vhost::refusals::Resource;

/// The broker, as the HTTP API knows it.
pub(crate) struct Managed {
    node: Arc<Node>,
    listeners: Vec<Listener>,
}

impl Managed {
    /// `listeners`: where the node listens.
    pub(crate) fn new(node: Arc<Node>, listeners: Vec<Listener>) -> Managed {
        Managed { node, listeners }
    }

    fn vhost_of(&self, name: &str) -> Result<Arc<Vhost>, Error> {
        self.node.registry.vhost(name).ok_or(Error::NotFound)
    }

    /// One vhost, or all.
    fn vhosts_of(&self, name: Option<&str>) -> Result<Vec<Arc<Vhost>>, Error> {
        match name {
            Some(name) => Ok(vec![self.vhost_of(name)?]),
            None => Ok(self.node.registry.now().vhosts.values().cloned().collect()),
        }
    }
}

/// What a user may do in a vhost, for the operations that AMQP guards too.
struct Granted {
    permissions: Arc<Permissions>,
}

impl Managed {
    /// The administrator of all vhosts may be without permissions in this one: then it may do nothing in it.
    fn access_of(&self, user: &str, vhost: &Vhost) -> Result<Granted, Error> {
        let definitions = self.node.registry.now();
        let user = definitions.users.get(user).ok_or_else(access_refused)?;
        let permissions = user.permissions.get(&vhost.name).cloned().unwrap_or_default();
        Ok(Granted { permissions })
    }
}

impl Granted {
    fn check(&self, right: Right, resource: Resource<'_>) -> Result<(), Error> {
        let (Resource::Queue(name) | Resource::Exchange(name)) = resource;
        if self.permissions.allows(right, name) { Ok(()) } else { Err(access_refused()) }
    }
}

/// RabbitMQ's words over HTTP, whatever is refused.
fn access_refused() -> Error {
    Error::Refused("Access refused.".to_owned())
}

/// What AMQP would close a channel for, as the API says it.
fn fault(fault: Fault) -> Error {
    match fault.code {
        ReplyCode::NotFound => Error::NotFound,
        ReplyCode::AccessRefused => access_refused(),
        _ => Error::BadRequest(fault.explanation.into_owned()),
    }
}

fn refused(refused: Refused) -> Error {
    match refused {
        Refused::NotFound => Error::NotFound,
        Refused::Invalid(reason) => Error::BadRequest(reason),
        Refused::Protected(_) => Error::PreconditionFailed(refused.to_string()),
        Refused::StoreFailed => Error::Unavailable(Refused::StoreFailed.to_string()),
    }
}

/// `put_*` of the definitions say whether what they put is new.
fn put(is_new: Result<bool, Refused>) -> Result<Put, Error> {
    match is_new {
        Ok(true) => Ok(Put::Created),
        Ok(false) => Ok(Put::Updated),
        Err(reason) => Err(refused(reason)),
    }
}
