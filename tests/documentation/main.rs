//! Promise: what the documents quote is what there is. Needs no broker.
//!
//! The programs in `docs/examples` are run by `cargo xtask test`; here README is held to quote them as they stand.

/// README, the language of its code block, and the file that it quotes.
const README: &str = include_str!("../../README.md");
const QUOTED: [(&str, &str); 3] = [
    ("python", include_str!("../../docs/examples/first_message.py")),
    ("js", include_str!("../../docs/examples/first_message.js")),
    ("rust", include_str!("../../docs/examples/first_message.rs")),
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
fn readme_quotes_the_examples_as_they_are() {
    for (language, file) in QUOTED {
        assert_eq!(code_blocks(README, language), [file], "{language}");
    }
}
