//! What the arguments of a binding ask of a message's headers, and whether a message has it. Read
//! once when `headers.rs` files the binding, then asked for each message that its index leads
//! there.

use std::sync::Arc;

use amq_protocol::types::{AMQPValue, FieldTable};

use crate::headers::HeaderValue;
use crate::{Arguments, BindError, term, type_name};

const X_MATCH: &str = "x-match";

/// The conditions in the arguments of a binding.
#[derive(Clone, Debug)]
pub(super) struct Conditions {
    require: Require,
    /// In an `all`, the first is the one that the entry is filed under.
    list: Vec<Condition>,
}

#[derive(Clone, Debug)]
pub(super) struct Condition {
    pub(super) name: Arc<str>,
    /// `None` asks only that the header is there.
    pub(super) value: Option<HeaderValue>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Require {
    All,
    Any,
}

impl Conditions {
    /// Refuses an `x-match` that is none of the four.
    pub(super) fn check(arguments: &Arguments) -> Result<(), BindError> {
        XMatch::of(arguments).map(|_| ())
    }

    /// Reads a binding's arguments. `x-match` itself is never a condition, other names that start
    /// with `x-` only in the `-with-x` variants, and a void value asks for presence.
    pub(super) fn of(arguments: &Arguments) -> Self {
        // A bad value cannot be bound; RabbitMQ too takes one from an old database as `all`.
        let x_match = XMatch::of(arguments).unwrap_or_default();
        let list = arguments
            .into_iter()
            .filter(|(name, _)| name.as_str() != X_MATCH)
            .filter(|(name, _)| x_match.with_x || !name.as_str().starts_with("x-"))
            .map(|(name, value)| Condition {
                name: name.as_str().into(),
                value: (*value != AMQPValue::Void).then(|| HeaderValue::from(value)),
            })
            .collect();
        Self { require: x_match.require, list }
    }

    /// Whether every message matches, one without headers included.
    pub(super) fn always(&self) -> bool {
        self.require == Require::All && self.list.is_empty()
    }

    /// Chooses the condition that an `all` is filed under. When many bindings share a condition and
    /// differ in another, this keeps them from all being filed under the one they share.
    pub(super) fn put_first_least_by_key(&mut self, key: impl Fn(&Condition) -> usize) {
        let least = (0..self.list.len()).min_by_key(|i| self.list.get(*i).map_or(0, &key));
        if let Some(least) = least {
            self.list.swap(0, least);
        }
    }

    pub(super) fn filed_under(&self) -> &[Condition] {
        match self.require {
            Require::All => self.list.get(..1).unwrap_or_default(),
            Require::Any => &self.list,
        }
    }

    /// Whether `headers` match, given that they fulfil a condition of [`Conditions::filed_under`].
    pub(super) fn confirm(&self, headers: &FieldTable) -> bool {
        match self.require {
            Require::All => self.list.iter().skip(1).all(|condition| condition.holds(headers)),
            Require::Any => true,
        }
    }
}

impl Condition {
    fn holds(&self, headers: &FieldTable) -> bool {
        match (headers.inner().get(&*self.name), &self.value) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(actual), Some(expected)) => HeaderValue::from(actual) == *expected,
        }
    }
}

/// The argument `x-match`; `all` when it is absent, which the specification leaves open.
#[derive(Clone, Copy, Debug)]
struct XMatch {
    require: Require,
    with_x: bool,
}

impl Default for XMatch {
    fn default() -> Self {
        Self { require: Require::All, with_x: false }
    }
}

impl XMatch {
    fn of(arguments: &Arguments) -> Result<Self, BindError> {
        let Some(value) = arguments.get(X_MATCH) else {
            return Ok(Self::default());
        };
        let text = match value {
            AMQPValue::LongString(text) => text.as_bytes(),
            AMQPValue::ShortString(text) => text.as_str().as_bytes(),
            other => {
                return Err(BindError::XMatchType {
                    type_name: type_name(other),
                    value: term::of(other),
                });
            }
        };
        match text {
            b"all" => Ok(Self { require: Require::All, with_x: false }),
            b"any" => Ok(Self { require: Require::Any, with_x: false }),
            b"all-with-x" => Ok(Self { require: Require::All, with_x: true }),
            b"any-with-x" => Ok(Self { require: Require::Any, with_x: true }),
            other => Err(BindError::XMatchValue(String::from_utf8_lossy(other).into_owned())),
        }
    }
}
