//! Definitions as plain rows: what a broker is told once and remembers.
//!
//! Names are text and `arguments` is text that the caller encodes (JSON); nothing here is
//! interpreted. Records come back from [`Store`](crate::Store) backends as they were put.

use crate::ids::{MessageId, QueueId};

/// A vhost. Key: the name.
#[derive(Clone, Debug, Default, Eq, PartialEq, Ord, PartialOrd)]
pub struct VhostRecord {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// The vhost's tags, separated by commas.
    pub tags: String,
    /// The type of a queue that is declared in it without one; empty for none.
    pub default_queue_type: String,
    /// Whether its deletion is refused.
    pub protected: bool,
}

/// A user. Key: the name.
#[derive(Clone, Debug, Default, Eq, PartialEq, Ord, PartialOrd)]
pub struct UserRecord {
    /// Its name.
    pub name: String,
    /// The password hash as base64 text; empty for a user that can not log in with a password.
    pub password_hash: String,
    /// How the hash was made, in RabbitMQ's words (`rabbit_password_hashing_sha256`).
    pub hashing_algorithm: String,
    /// The user's tags, in the caller's encoding.
    pub tags: String,
    /// How much it may open, as JSON; empty for no limit.
    pub limits: String,
}

/// What a user may do in a vhost, as three regular expressions. Key: user and vhost.
#[derive(Clone, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub struct PermissionRecord {
    /// The user.
    pub user: String,
    /// The vhost.
    pub vhost: String,
    /// The names it may declare and delete.
    pub configure: String,
    /// The names it may publish to.
    pub write: String,
    /// The names it may consume from.
    pub read: String,
}

/// Which routing keys a user may use at a topic exchange, as two regular expressions. Key: user,
/// vhost and exchange.
#[derive(Clone, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub struct TopicPermissionRecord {
    /// The user.
    pub user: String,
    /// The vhost.
    pub vhost: String,
    /// The name of the exchange.
    pub exchange: String,
    /// The routing keys it may publish with.
    pub write: String,
    /// The routing keys it may bind with.
    pub read: String,
}

/// A parameter of a vhost: a policy, an operator policy, the vhost's limits, and so on. Key: vhost,
/// component and name.
#[derive(Clone, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub struct ParameterRecord {
    /// The vhost.
    pub vhost: String,
    /// What it is a parameter of, in RabbitMQ's words: `policy`, `operator_policy`, `vhost-limits`.
    pub component: String,
    /// Its name.
    pub name: String,
    /// Its value as JSON.
    pub value: String,
    /// When it was last changed, in milliseconds since the Unix epoch; 0 if that is not known.
    pub updated_ms: u64,
}

/// A parameter of the whole broker. Key: the name.
#[derive(Clone, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub struct GlobalParameterRecord {
    /// Its name.
    pub name: String,
    /// Its value as JSON.
    pub value: String,
}

/// An exchange. Key: vhost and name.
#[derive(Clone, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub struct ExchangeRecord {
    /// The vhost it is in.
    pub vhost: String,
    /// Its name.
    pub name: String,
    /// Its type (`direct`, `topic`, ...).
    pub kind: String,
    /// Whether it was declared durable.
    pub durable: bool,
    /// Whether it goes when its last binding goes.
    pub auto_delete: bool,
    /// Whether clients may not publish to it.
    pub internal: bool,
    /// Its arguments, in the caller's encoding.
    pub arguments: String,
}

/// A queue. Key: the id.
#[derive(Clone, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub struct QueueRecord {
    /// Its id, from [`Committer::next_queue_id`](crate::Committer::next_queue_id).
    pub id: QueueId,
    /// The vhost it is in.
    pub vhost: String,
    /// Its name, unique in the vhost among those with the same `keeps_for`.
    pub name: String,
    /// Whether it was declared durable.
    pub durable: bool,
    /// Whether it goes when its last consumer goes.
    pub auto_delete: bool,
    /// Its arguments, in the caller's encoding.
    pub arguments: String,
    /// The highest message id ever delivered from it, as of the last clean stop; 0 for none.
    pub delivered_to: MessageId,
    /// Empty for an ordinary queue. For an internal one the name of the exchange whose messages it
    /// keeps: those that wait in a delayed exchange, the last ones of an exchange with a history.
    pub keeps_for: String,
}

/// A binding. Key: all of it.
#[derive(Clone, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub struct BindingRecord {
    /// The vhost it is in.
    pub vhost: String,
    /// The exchange that messages come from.
    pub source: String,
    /// `queue` or `exchange`.
    pub destination_kind: String,
    /// The name of the queue or exchange they go to.
    pub destination: String,
    /// The binding's routing key.
    pub routing_key: String,
    /// Its arguments, in the caller's encoding.
    pub arguments: String,
}

/// Every record of a store, each list in the order of its keys.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Definitions {
    /// All vhosts.
    pub vhosts: Vec<VhostRecord>,
    /// All users.
    pub users: Vec<UserRecord>,
    /// All permissions.
    pub permissions: Vec<PermissionRecord>,
    /// All topic permissions.
    pub topic_permissions: Vec<TopicPermissionRecord>,
    /// All parameters of vhosts.
    pub parameters: Vec<ParameterRecord>,
    /// All global parameters.
    pub global_parameters: Vec<GlobalParameterRecord>,
    /// All exchanges.
    pub exchanges: Vec<ExchangeRecord>,
    /// All queues.
    pub queues: Vec<QueueRecord>,
    /// All bindings.
    pub bindings: Vec<BindingRecord>,
}
