//! The regular expressions of permissions: over names and routing keys, unanchored. An empty one stands for the empty text, which
//! a routing key can be and a name cannot, as in RabbitMQ.

use regex::{Regex, RegexBuilder};

use crate::limits::{PATTERN_BYTES_MAX, PATTERN_PROGRAM_BYTES_MAX};

/// Characters of a pattern that are said in an error.
const SHOWN_CHARS: usize = 64;

/// A permission's expression; the two usual ones need no matching.
#[derive(Clone, Debug)]
pub(crate) enum Pattern {
    Empty,
    Everything,
    Matching(Regex),
}

/// A text that cannot be used as an expression.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("invalid_regexp '{pattern}': {reason}")]
pub(crate) struct InvalidPattern {
    pattern: String,
    reason: String,
}

impl InvalidPattern {
    /// The same about the text as it was given, before variables were put in.
    pub(crate) fn written(self, pattern: &str) -> InvalidPattern {
        InvalidPattern { pattern: pattern.chars().take(SHOWN_CHARS).collect(), ..self }
    }
}

impl Pattern {
    /// Reads a text.
    pub(crate) fn parse(text: &str) -> Result<Pattern, InvalidPattern> {
        match text {
            "" => return Ok(Pattern::Empty),
            ".*" => return Ok(Pattern::Everything),
            _ => {}
        }
        let invalid = |reason| InvalidPattern { pattern: text.to_owned(), reason }.written(text);
        if text.len() > PATTERN_BYTES_MAX {
            return Err(invalid(format!("longer than {PATTERN_BYTES_MAX} bytes")));
        }
        compile(text).map(Pattern::Matching).map_err(invalid)
    }

    /// Whether it is found in the name.
    pub(crate) fn matches(&self, name: &str) -> bool {
        match self {
            Pattern::Empty => name.is_empty(),
            Pattern::Everything => true,
            Pattern::Matching(regex) => regex.is_match(name),
        }
    }
}

/// Compiles an expression of a user's. What it may cost in memory and, with that, in time a match, is bounded. The error is
/// the reason, in one line.
pub(crate) fn compile(text: &str) -> Result<Regex, String> {
    let compiled = RegexBuilder::new(text)
        .size_limit(PATTERN_PROGRAM_BYTES_MAX)
        .dfa_size_limit(PATTERN_PROGRAM_BYTES_MAX)
        .build();
    compiled.map_err(|error| {
        let error = error.to_string();
        // The last line of a parser's message says why; those before it draw a picture.
        let reason = error.lines().last().unwrap_or_default();
        reason.trim().trim_start_matches("error: ").to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_found_anywhere_and_an_empty_one_in_the_empty_text_only() {
        let table = [
            ("", "a", false),
            ("", "", true),
            (".*", "", true),
            ("^$", "", true),
            ("^q-", "q-1", true),
            ("^q-", "x-q-1", false),
            ("b", "abc", true),
        ];
        for (pattern, name, matches) in table {
            assert_eq!(Pattern::parse(pattern).unwrap().matches(name), matches, "{pattern} {name}");
        }
    }

    #[test]
    fn what_does_not_compile_or_costs_too_much_is_refused_with_a_reason() {
        let long = "a".repeat(PATTERN_BYTES_MAX + 1);
        let too_long =
            format!("invalid_regexp '{}': longer than 4096 bytes", "a".repeat(SHOWN_CHARS));
        let table = [
            ("(", "invalid_regexp '(': unclosed group"),
            ("*", "invalid_regexp '*': repetition operator missing expression"),
            (
                "((a{1000}){1000}){1000}",
                "invalid_regexp '((a{1000}){1000}){1000}': Compiled regex exceeds size limit of 1048576 bytes.",
            ),
            (&long, &too_long),
        ];
        for (pattern, expected) in table {
            assert_eq!(Pattern::parse(pattern).unwrap_err().to_string(), expected);
        }
    }
}
