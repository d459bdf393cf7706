//! The HTTP management API of the broker, with RabbitMQ's paths, words and shapes.
//!
//! It knows no broker internals: all it asks and orders goes through [`Management`](management::Management), which the broker
//! implements.

pub mod management;
