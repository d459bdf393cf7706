//! A user's permissions in one vhost: three regular expressions over names, as RabbitMQ has them (unanchored; empty = nothing).

use leveret_persistence::PermissionRecord;
use regex::Regex;

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

/// See the module.
#[derive(Debug)]
pub(crate) struct Permissions {
    configure: Pattern,
    write: Pattern,
    read: Pattern,
}

impl Permissions {
    /// Reads the patterns of a record.
    pub(crate) fn parse(record: &PermissionRecord) -> Result<Permissions, regex::Error> {
        Ok(Permissions {
            configure: Pattern::parse(&record.configure)?,
            write: Pattern::parse(&record.write)?,
            read: Pattern::parse(&record.read)?,
        })
    }

    /// Whether the user has the right on the queue or exchange of this name. The default exchange is asked for as `amq.default`.
    pub(crate) fn allows(&self, right: Right, name: &str) -> bool {
        let name = if name.is_empty() { "amq.default" } else { name };
        match right {
            Right::Configure => self.configure.matches(name),
            Right::Write => self.write.matches(name),
            Right::Read => self.read.matches(name),
        }
    }
}

/// A permission's expression; the two usual ones need no matching.
#[derive(Debug)]
enum Pattern {
    Nothing,
    Everything,
    Matching(Regex),
}

impl Pattern {
    fn parse(text: &str) -> Result<Pattern, regex::Error> {
        Ok(match text {
            "" => Pattern::Nothing,
            ".*" => Pattern::Everything,
            _ => Pattern::Matching(Regex::new(text)?),
        })
    }

    fn matches(&self, name: &str) -> bool {
        match self {
            Pattern::Nothing => false,
            Pattern::Everything => true,
            Pattern::Matching(regex) => regex.is_match(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_unanchored_and_an_empty_one_allows_nothing() {
        let record = PermissionRecord {
            user: "u".into(),
            vhost: "/".into(),
            configure: "^q-".into(),
            write: "default".into(),
            read: String::new(),
        };
        let permissions = Permissions::parse(&record).unwrap();
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
    }
}
