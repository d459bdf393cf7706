//! Promise: what the documents quote is what there is. Needs no broker.
//!
//! The programs in `docs/examples` are run by `cargo xtask test`; here the documents are held to quote them as they stand.

const README: &str = include_str!("../../README.md");
const RPC: &str = include_str!("../../docs/rpc.md");
/// A document, the language of its code block, and the file that it quotes.
const QUOTED: [(&str, &str, &str); 4] = [
    (README, "python", include_str!("../../docs/examples/first_message.py")),
    (README, "js", include_str!("../../docs/examples/first_message.js")),
    (README, "rust", include_str!("../../docs/examples/first_message.rs")),
    (RPC, "rust", include_str!("../../docs/examples/rpc.rs")),
];

/// The code blocks of a language, in order.
fn code_blocks<'a>(document: &'a str, language: &str) -> Vec<&'a str> {
    let opening = format!("\n```{language}\n");
    document
        .split(opening.as_str())
        .skip(1)
        .map(|rest| {
            let end = rest.find("\n```\n").expect("a code block ends");
            &rest[..=end]
        })
        .collect()
}

#[test]
fn documents_quote_the_examples_as_they_are() {
    for (document, language, file) in QUOTED {
        assert_eq!(code_blocks(document, language), [file], "{language}");
    }
}
