//! The black-box tests: one module per promise to a client.
//!
//! Those in this folder hold for RabbitMQ too; where the two differ on purpose, the test states both. Those in `leveret`
//! are about what a test cannot do to a RabbitMQ it does not own: killing it, its files, its limits. "Check 19"
//! in a comment is a line of `tests/CHECKS.md`.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "where a test cannot go on it fails, and the line says where"
)]

mod ack;
mod alternate_exchange;
mod bindings;
mod channels;
mod confirms;
mod consume;
mod consumer_priority;
mod consumer_timeout;
mod dead_letter;
mod dead_letter_cycles;
mod dead_letter_headers;
mod delivery_limit;
mod exchange_consistent_hash;
mod exchange_default;
mod exchange_direct;
mod exchange_fanout;
mod exchange_headers;
mod exchange_modulus_hash;
mod exchange_random;
mod exchange_recent_history;
mod exchange_topic;
mod exchanges;
mod exclusive;
mod frames;
mod handshake;
mod heartbeat;
mod lapin_round_trip;
mod leveret;
mod limits;
mod management_access;
mod operator_policies;
mod parameters;
mod permission_changes;
mod permissions;
mod policies;
mod policy_matching;
mod policy_validation;
mod publish;
mod qos;
mod queue_arguments;
mod queue_expires;
mod queue_length;
mod queue_names;
mod queue_priority;
mod queue_ttl;
mod queues;
mod quorum_queue;
mod quorum_queue_declare;
mod reply_to;
mod single_active_consumer;
mod topic_permissions;
mod tx;
mod users;
mod vhosts;
