//! README's first message in Rust. The file it includes is complete, and is quoted in README as it stands.

#![expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]

include!("../../docs/examples/first_message.rs");
