//! A user's permissions in one vhost: three expressions over names, and two over routing keys for each topic exchange that has
//! them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::pattern::{InvalidPattern, Pattern};

/// What is to be done with a resource.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Right {
    Configure,
    Write,
    Read,
}

impl Right {
    /// The word in RabbitMQ's error text.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Right::Configure => "configure",
            Right::Write => "write",
            Right::Read => "read",
        }
    }
}

/// All that a user may do in one vhost. RabbitMQ keeps the two kinds apart: each can be there without the other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Permissions {
    /// None: the user may not open the vhost.
    pub(crate) names: Option<NamePermissions>,
    /// By exchange. An exchange that is not here is open to any routing key.
    pub(crate) topics: BTreeMap<Arc<str>, TopicPermissions>,
}

impl Permissions {
    /// Whether the user has the right on the queue or exchange of this name. The default exchange is asked for as `amq.default`.
    pub(crate) fn allows(&self, right: Right, name: &str) -> bool {
        let name = if name.is_empty() { "amq.default" } else { name };
        self.names.as_ref().is_some_and(|names| match right {
            Right::Configure => names.configure.matches(name),
            Right::Write => names.write.matches(name),
            Right::Read => names.read.matches(name),
        })
    }

    /// Whether the user may publish to (`Right::Write`) or bind from (`Right::Read`) a topic exchange with this routing key.
    pub(crate) fn allows_topic(&self, right: Right, exchange: &str, routing_key: &str) -> bool {
        self.topics.get(exchange).is_none_or(|topics| match right {
            Right::Write => topics.write.matches(routing_key),
            Right::Read => topics.read.matches(routing_key),
            // Configuring has nothing to do with routing keys.
            Right::Configure => true,
        })
    }

    /// Nothing is left of them.
    pub(crate) fn is_empty(&self) -> bool {
        self.names.is_none() && self.topics.is_empty()
    }
}

/// Permissions over the names of queues and exchanges, with the texts as they were given.
#[derive(Clone, Debug)]
pub(crate) struct NamePermissions {
    configure: Pattern,
    write: Pattern,
    read: Pattern,
    pub(crate) texts: NamePatterns,
}

/// The texts of [`NamePermissions`].
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct NamePatterns {
    pub(crate) configure: String,
    pub(crate) write: String,
    pub(crate) read: String,
}

impl NamePermissions {
    /// Everything, as who makes a vhost has in it.
    pub(crate) fn everything() -> NamePermissions {
        let all = || ".*".to_owned();
        let texts = NamePatterns { configure: all(), write: all(), read: all() };
        let pattern = Pattern::Everything;
        NamePermissions { configure: pattern.clone(), write: pattern.clone(), read: pattern, texts }
    }

    /// Compiles the patterns.
    pub(crate) fn parse(texts: NamePatterns) -> Result<NamePermissions, InvalidPattern> {
        Ok(NamePermissions {
            configure: Pattern::parse(&texts.configure)?,
            write: Pattern::parse(&texts.write)?,
            read: Pattern::parse(&texts.read)?,
            texts,
        })
    }
}

/// Permissions over the routing keys of one topic exchange, with the texts as they were given.
#[derive(Clone, Debug)]
pub(crate) struct TopicPermissions {
    write: Pattern,
    read: Pattern,
    pub(crate) texts: TopicPatterns,
}

/// The texts of [`TopicPermissions`].
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct TopicPatterns {
    pub(crate) write: String,
    pub(crate) read: String,
}

impl TopicPermissions {
    /// Compiles the patterns for a user in a vhost, whose names take the places of `{username}` and `{vhost}`. `{client_id}` is
    /// MQTT's and stands for itself, as in RabbitMQ.
    pub(crate) fn parse(
        texts: TopicPatterns,
        user: &str,
        vhost: &str,
    ) -> Result<TopicPermissions, InvalidPattern> {
        let compile = |text: &str| {
            let expanded = expand(text, user, vhost);
            Pattern::parse(&expanded).map_err(|invalid| invalid.written(text))
        };
        Ok(TopicPermissions { write: compile(&texts.write)?, read: compile(&texts.read)?, texts })
    }
}

/// A name is text and no expression: a user of the name `.*` is not everyone.
fn expand(text: &str, user: &str, vhost: &str) -> String {
    let text = text.replace("{username}", &regex::escape(user));
    let text = text.replace("{vhost}", &regex::escape(vhost));
    text.replace("{client_id}", r"\{client_id\}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> String {
        text.to_owned()
    }

    #[test]
    fn each_right_has_its_pattern() {
        let texts = NamePatterns { configure: text("^q-"), write: text("default"), read: text("") };
        let names = Some(NamePermissions::parse(texts).unwrap());
        let permissions = Permissions { names, ..Permissions::default() };
        let table = [
            (Right::Configure, "q-1", true),
            (Right::Configure, "x-q-1", false),
            (Right::Write, "", true),
            (Right::Write, "my-default-one", true),
            (Right::Write, "other", false),
            (Right::Read, "q-1", false),
        ];
        for (right, name, allowed) in table {
            assert_eq!(permissions.allows(right, name), allowed, "{} {name}", right.name());
        }
        assert!(!Permissions::default().allows(Right::Read, "q-1"), "none at all");
    }

    #[test]
    fn topic_permissions_hold_for_their_exchange_only_and_know_who_asks() {
        let texts =
            TopicPatterns { write: text(r"^{username}\.{vhost}\."), read: text("{client_id}") };
        let parsed = TopicPermissions::parse(texts, "a.b", "/").unwrap();
        let topics = BTreeMap::from([(Arc::from("events"), parsed)]);
        let permissions = Permissions { topics, ..Permissions::default() };
        let table = [
            (Right::Write, "events", "a.b./.x", true),
            (Right::Write, "events", "aXb./.x", false),
            (Right::Write, "events", "x.a.b./.x", false),
            (Right::Write, "other", "anything", true),
            (Right::Read, "events", "x", false),
            (Right::Read, "events", "{client_id}", true),
        ];
        for (right, exchange, key, allowed) in table {
            let answer = permissions.allows_topic(right, exchange, key);
            assert_eq!(answer, allowed, "{} {exchange} {key}", right.name());
        }
    }

    #[test]
    fn a_topic_pattern_that_does_not_compile_is_refused() {
        let texts = TopicPatterns { write: text("("), read: text(".*") };
        let refused = TopicPermissions::parse(texts, "u", "/").unwrap_err();
        assert_eq!(refused.to_string(), "invalid_regexp '(': unclosed group");
    }
}
