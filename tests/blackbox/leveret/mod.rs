//! Tests of what only the owner of a broker process can do to it. They always start a Leveret of their own.

mod alarms;
mod crash;
mod dead_letter_safety;
mod deduplication;
mod exchange_delayed;
mod hostile;
mod large_bodies;
mod limits;
mod message_groups;
mod restart;
mod restart_definitions;
mod restart_queues;
mod restart_topology;
mod retry_delays;
mod sequences;
mod shutdown;
mod startup;
mod store_failure;
