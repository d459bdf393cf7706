//! Tests of what only the owner of a broker process can do to it. They always start a Leveret of their own.

mod alarms;
mod crash;
mod hostile;
mod large_bodies;
mod limits;
mod restart;
mod restart_definitions;
mod restart_topology;
mod shutdown;
mod startup;
mod store_failure;
