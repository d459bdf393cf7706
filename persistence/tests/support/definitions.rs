//! Definitions of every kind, at least two of each, and the changes that put them.

use leveret_persistence::{
    BindingRecord, Change, Definitions, ExchangeRecord, GlobalParameterRecord, ParameterRecord,
    PermissionRecord, QueueId, QueueRecord, TopicPermissionRecord, UserRecord, VhostRecord,
};

use super::queue;

const VHOSTS: [&str; 2] = ["/", "staging"];

/// Every list filled, in the order of its keys.
pub(crate) fn every_kind_of_definition() -> Definitions {
    Definitions {
        vhosts: VHOSTS.map(vhost).into(),
        users: ["guest", "root"].map(user).into(),
        permissions: VHOSTS.map(permission).into(),
        topic_permissions: ["audit", "orders"].map(topic_permission).into(),
        parameters: ["operator_policy", "policy"].map(parameter).into(),
        global_parameters: ["cluster_name", "motd"].map(global_parameter).into(),
        exchanges: VHOSTS.map(exchange).into(),
        // An internal queue may have the name of another.
        queues: vec![
            queue(1),
            queue(2),
            QueueRecord { id: QueueId(3), keeps_for: "orders".to_owned(), ..queue(1) },
        ],
        bindings: ["#", "eu.*"].map(binding).into(),
    }
}

fn vhost(name: &str) -> VhostRecord {
    VhostRecord {
        name: name.to_owned(),
        description: "the shop".to_owned(),
        tags: "production,eu".to_owned(),
        default_queue_type: "quorum".to_owned(),
        protected: true,
    }
}

fn user(name: &str) -> UserRecord {
    UserRecord {
        name: name.to_owned(),
        password_hash: "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR".to_owned(),
        hashing_algorithm: "rabbit_password_hashing_sha256".to_owned(),
        tags: "administrator".to_owned(),
        limits: r#"{"max-connections":10}"#.to_owned(),
    }
}

fn permission(vhost: &str) -> PermissionRecord {
    PermissionRecord {
        user: "guest".to_owned(),
        vhost: vhost.to_owned(),
        configure: ".*".to_owned(),
        write: "^orders\\.".to_owned(),
        read: String::new(),
    }
}

fn topic_permission(exchange: &str) -> TopicPermissionRecord {
    TopicPermissionRecord {
        user: "guest".to_owned(),
        vhost: "/".to_owned(),
        exchange: exchange.to_owned(),
        write: "^eu\\.".to_owned(),
        read: ".*".to_owned(),
    }
}

fn parameter(component: &str) -> ParameterRecord {
    ParameterRecord {
        vhost: "/".to_owned(),
        component: component.to_owned(),
        name: "short".to_owned(),
        value: r#"{"pattern":".*","definition":{"max-length":9}}"#.to_owned(),
        updated_ms: 1_795_379_430_123,
    }
}

fn global_parameter(name: &str) -> GlobalParameterRecord {
    GlobalParameterRecord { name: name.to_owned(), value: r#""shop""#.to_owned() }
}

fn exchange(vhost: &str) -> ExchangeRecord {
    ExchangeRecord {
        vhost: vhost.to_owned(),
        name: "orders".to_owned(),
        kind: "topic".to_owned(),
        durable: true,
        auto_delete: vhost == "/",
        internal: vhost != "/",
        arguments: r#"{"alternate-exchange":"unrouted"}"#.to_owned(),
    }
}

fn binding(routing_key: &str) -> BindingRecord {
    BindingRecord {
        vhost: "/".to_owned(),
        source: "orders".to_owned(),
        destination_kind: "queue".to_owned(),
        destination: "queue-1".to_owned(),
        routing_key: routing_key.to_owned(),
        arguments: "{}".to_owned(),
    }
}

/// The changes that put all of them.
pub(crate) fn puts(definitions: &Definitions) -> Vec<Change> {
    let Definitions {
        vhosts,
        users,
        permissions,
        topic_permissions,
        parameters,
        global_parameters,
        exchanges,
        queues,
        bindings,
    } = definitions.clone();
    let mut changes: Vec<Change> = vhosts.into_iter().map(Change::PutVhost).collect();
    changes.extend(users.into_iter().map(Change::PutUser));
    changes.extend(permissions.into_iter().map(Change::PutPermission));
    changes.extend(topic_permissions.into_iter().map(Change::PutTopicPermission));
    changes.extend(parameters.into_iter().map(Change::PutParameter));
    changes.extend(global_parameters.into_iter().map(Change::PutGlobalParameter));
    changes.extend(exchanges.into_iter().map(Change::PutExchange));
    changes.extend(queues.into_iter().map(Change::PutQueue));
    changes.extend(bindings.into_iter().map(Change::PutBinding));
    changes
}
