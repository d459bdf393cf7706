//! Request and reply in Rust. The file it includes is complete, and is quoted in `docs/rpc.md` as it stands.

#![expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]

include!("../../docs/examples/rpc.rs");
