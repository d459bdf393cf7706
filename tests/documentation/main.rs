//! Promise: what the documents quote is what there is. Needs no broker.
//!
//! The programs in `docs/examples` are run by `cargo xtask test`; here the documents are held to quote them as they stand.

mod links;

/// What a document quotes: the language of its code blocks, and the files, in order.
struct Quotes {
    document: &'static str,
    language: &'static str,
    files: &'static [&'static str],
}

/// `quotes!("page.md", "language", "file", ...)`, with paths below `docs`.
macro_rules! quotes {
    ($document:literal, $language:literal, $($file:literal),+) => {
        Quotes {
            document: include_str!(concat!("../../docs/", $document)),
            language: $language,
            files: &[$(include_str!(concat!("../../docs/examples/", $file))),+],
        }
    };
}

const QUOTED: &[Quotes] = &[
    quotes!("../README.md", "python", "first_message.py"),
    quotes!("../README.md", "js", "first_message.js"),
    quotes!("../README.md", "rust", "first_message.rs"),
    quotes!("alarms.md", "python", "alarms.py"),
    quotes!("consumer-timeouts.md", "python", "consumer_timeouts.py"),
    quotes!("dead-lettering.md", "python", "dead_lettering.py"),
    quotes!("deduplication.md", "python", "deduplication.py"),
    quotes!("exchange-types.md", "python", "exchange_types.py", "delayed_messages.py"),
    quotes!("http-api.md", "sh", "http_api.sh"),
    quotes!("length-limits.md", "python", "length_limits.py"),
    quotes!("message-groups.md", "python", "message_groups.py"),
    quotes!("policies.md", "sh", "policies.sh"),
    quotes!("priorities.md", "python", "priorities.py"),
    quotes!("publisher-numbers.md", "python", "publisher_numbers.py"),
    quotes!("quorum-queues.md", "python", "quorum_queues.py"),
    quotes!("retries.md", "python", "retries.py"),
    quotes!("rpc.md", "rust", "rpc.rs"),
    quotes!("ttl-and-expiry.md", "python", "ttl_and_expiry.py"),
    quotes!("users-and-permissions.md", "sh", "users_and_permissions.sh"),
    quotes!("vhosts-and-limits.md", "sh", "vhosts_and_limits.sh"),
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
    for Quotes { document, language, files } in QUOTED {
        let title = document.lines().next().unwrap_or_default();
        assert_eq!(code_blocks(document, language), *files, "{title}: {language}");
    }
}
