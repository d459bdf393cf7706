//! What the crate promises, one file per rule; `model.rs` compares it with a naive implementation.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that panics has failed and says where"
)]

mod alternate_exchange;
mod auto_delete;
mod binding;
mod consistent_hash;
mod declare;
mod deduplication;
mod delayed_message;
mod direct;
mod exchange_to_exchange;
mod fanout;
mod headers;
mod model;
mod modulus_hash;
mod naive;
mod naive_hash;
mod random;
mod recent_history;
mod support;
mod topic;
