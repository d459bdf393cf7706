//! Policies: settings for the queues and exchanges whose names match a pattern. Which policy an object follows, and what it
//! says there together with an operator's, is decided here; called when policies change and when an object is declared.

mod keys;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use imbl::OrdMap;
use regex::Regex;
use serde_json::{Map, Number, Value, json};

use crate::access::pattern::compile;
use crate::erlang_term::erlang_term;
use crate::queue::rules::QueueType;

/// Bytes of a pattern: RabbitMQ's limit.
pub(crate) const PATTERN_BYTES_MAX: usize = 1024;

/// Whose policy it is. An object follows one of each kind at most.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum PolicyKind {
    /// Component `policy`: any key.
    User,
    /// Component `operator_policy`: the keys that limit; they only ever tighten what users say.
    Operator,
}

/// What a policy is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ApplyTo {
    All,
    Queues,
    ClassicQueues,
    QuorumQueues,
    /// For nothing that this broker has.
    Streams,
    Exchanges,
}

impl ApplyTo {
    const EACH: [ApplyTo; 6] = [
        ApplyTo::All,
        ApplyTo::Queues,
        ApplyTo::ClassicQueues,
        ApplyTo::QuorumQueues,
        ApplyTo::Streams,
        ApplyTo::Exchanges,
    ];

    /// The word in RabbitMQ's JSON.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            ApplyTo::All => "all",
            ApplyTo::Queues => "queues",
            ApplyTo::ClassicQueues => "classic_queues",
            ApplyTo::QuorumQueues => "quorum_queues",
            ApplyTo::Streams => "streams",
            ApplyTo::Exchanges => "exchanges",
        }
    }

    fn includes(self, object: Object) -> bool {
        match self {
            ApplyTo::All => true,
            ApplyTo::Queues => matches!(object, Object::Queue(_)),
            ApplyTo::ClassicQueues => object == Object::Queue(QueueType::Classic),
            ApplyTo::QuorumQueues => object == Object::Queue(QueueType::Quorum),
            ApplyTo::Streams => false,
            ApplyTo::Exchanges => object == Object::Exchange,
        }
    }
}

/// What may follow a policy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Object {
    Queue(QueueType),
    Exchange,
}

/// One policy, checked.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    pub(crate) name: Arc<str>,
    /// A regular expression, found anywhere in a name.
    pub(crate) pattern: String,
    compiled: Regex,
    pub(crate) apply_to: ApplyTo,
    /// The greatest wins. RabbitMQ takes fractions too.
    pub(crate) priority: Number,
    pub(crate) definition: Map<String, Value>,
    /// When it was last put, in milliseconds since the Unix epoch.
    pub(crate) updated_ms: u64,
}

impl Policy {
    /// Reads `{pattern, definition, priority?, "apply-to"?}`; other keys are ignored. The error is RabbitMQ's, one reason a line.
    pub(crate) fn parse(
        kind: PolicyKind,
        name: &str,
        value: &Value,
        updated_ms: u64,
    ) -> Result<Policy, String> {
        let definition = mandatory(value, "definition", name)
            .and_then(|definition| definition_of(kind, definition));
        let apply_to = value.get("apply-to").map_or(Ok(ApplyTo::All), apply_to_of);
        let pattern = mandatory(value, "pattern", name).and_then(pattern_of);
        let priority = value.get("priority").map_or(Ok(Number::from(0)), priority_of);
        match (definition, apply_to, pattern, priority) {
            (Ok(definition), Ok(apply_to), Ok((pattern, compiled)), Ok(priority)) => Ok(Policy {
                name: name.into(),
                pattern,
                compiled,
                apply_to,
                priority,
                definition,
                updated_ms,
            }),
            (definition, apply_to, pattern, priority) => {
                let reasons = [definition.err(), apply_to.err(), pattern.err(), priority.err()];
                Err(reasons.into_iter().flatten().collect::<Vec<_>>().join("\n"))
            }
        }
    }

    /// The same as a parameter's value, with nothing left out.
    pub(crate) fn to_value(&self) -> Value {
        json!({
            "pattern": self.pattern,
            "definition": self.definition,
            "priority": self.priority,
            "apply-to": self.apply_to.as_str(),
        })
    }

    /// The keys that this broker takes and does not act on.
    pub(crate) fn without_effect(&self) -> impl Iterator<Item = &'static str> {
        keys::without_effect(&self.definition)
    }

    fn is_for(&self, name: &str, object: Object) -> bool {
        let fits = match object {
            Object::Queue(kind) => keys::all_fit(&self.definition, kind),
            Object::Exchange => true,
        };
        fits && self.apply_to.includes(object) && self.compiled.is_match(name)
    }

    fn priority(&self) -> f64 {
        // Every number that JSON has is one.
        self.priority.as_f64().unwrap_or(0.0)
    }
}

fn mandatory<'a>(value: &'a Value, key: &str, name: &str) -> Result<&'a Value, String> {
    value.get(key).ok_or_else(|| format!("Key \"{key}\" not found in {name}"))
}

fn definition_of(kind: PolicyKind, value: &Value) -> Result<Map<String, Value>, String> {
    let Value::Object(definition) = value else {
        return Err(format!("definition must be a dictionary: {}", erlang_term(value)));
    };
    keys::check(kind, definition)?;
    Ok(definition.clone())
}

fn apply_to_of(value: &Value) -> Result<ApplyTo, String> {
    let known = ApplyTo::EACH.into_iter().find(|known| value.as_str() == Some(known.as_str()));
    known.ok_or_else(|| {
        let given = value.as_str().map_or_else(|| erlang_term(value), str::to_owned);
        // Two blanks before 'quorum_queues', as RabbitMQ has them.
        format!(
            "apply-to '{given}' unrecognised; should be one of: 'queues', 'classic_queues',  \
             'quorum_queues', 'streams', 'exchanges', or 'all'"
        )
    })
}

/// Where PCRE, which RabbitMQ matches with, has words of its own for what is wrong, these are ours; look-around and
/// back-references do not exist here.
fn pattern_of(value: &Value) -> Result<(String, Regex), String> {
    let Value::String(text) = value else {
        return Err(format!("pattern should be a binary but was {}", erlang_term(value)));
    };
    if text.len() > PATTERN_BYTES_MAX {
        return Err(format!("pattern must not exceed {PATTERN_BYTES_MAX} bytes"));
    }
    let compiled = compile(text).map_err(|reason| {
        format!("pattern should be regular expression but is invalid: {reason}")
    })?;
    Ok((text.clone(), compiled))
}

fn priority_of(value: &Value) -> Result<Number, String> {
    match value {
        Value::Number(number) => Ok(number.clone()),
        other => Err(format!("priority should be a number, actually was {}", erlang_term(other))),
    }
}

/// What an object has to follow: the policy of each kind that won, merged.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Effective {
    /// The name of the policy.
    pub(crate) policy: Option<Arc<str>>,
    /// The name of the operator policy.
    pub(crate) operator_policy: Option<Arc<str>>,
    /// What they say together; empty without any.
    pub(crate) definition: Map<String, Value>,
    /// When the later of the two was put, in milliseconds since the Unix epoch.
    pub(crate) since_ms: u64,
}

/// The policies of a vhost. Cloning shares everything.
#[derive(Clone, Debug, Default)]
pub(crate) struct Policies {
    user: OrdMap<Arc<str>, Arc<Policy>>,
    operator: OrdMap<Arc<str>, Arc<Policy>>,
}

impl Policies {
    /// Adds a policy, in place of the one of its name.
    pub(crate) fn put(&mut self, kind: PolicyKind, policy: Policy) {
        self.of_mut(kind).insert(Arc::clone(&policy.name), Arc::new(policy));
    }

    /// What a queue has to follow.
    pub(crate) fn for_queue(&self, name: &str, kind: QueueType) -> Effective {
        self.effective(name, Object::Queue(kind))
    }

    /// What an exchange has to follow: the default exchange, nothing.
    pub(crate) fn for_exchange(&self, name: &str) -> Effective {
        if name.is_empty() {
            return Effective::default();
        }
        self.effective(name, Object::Exchange)
    }

    fn effective(&self, name: &str, object: Object) -> Effective {
        let user = winner(&self.user, name, object);
        let operator = winner(&self.operator, name, object);
        let definition = user.map(|policy| policy.definition.clone()).unwrap_or_default();
        Effective {
            policy: user.map(|policy| Arc::clone(&policy.name)),
            operator_policy: operator.map(|policy| Arc::clone(&policy.name)),
            definition: match operator {
                Some(operator) => keys::merged(definition, &operator.definition),
                None => definition,
            },
            since_ms: [user, operator]
                .into_iter()
                .flatten()
                .map(|p| p.updated_ms)
                .max()
                .unwrap_or(0),
        }
    }

    fn of_mut(&mut self, kind: PolicyKind) -> &mut OrdMap<Arc<str>, Arc<Policy>> {
        match kind {
            PolicyKind::User => &mut self.user,
            PolicyKind::Operator => &mut self.operator,
        }
    }
}

/// The one policy that an object follows: of those that are for it the one with the greatest priority; of equals the first by
/// name, where RabbitMQ leaves it open. Policies of one kind are never merged.
fn winner<'a>(
    policies: &'a OrdMap<Arc<str>, Arc<Policy>>,
    name: &str,
    object: Object,
) -> Option<&'a Arc<Policy>> {
    policies.values().fold(None, |best: Option<&Arc<Policy>>, policy| {
        let beats = best.is_none_or(|best| policy.priority() > best.priority());
        // The pattern last: it is what costs.
        if beats && policy.is_for(name, object) { Some(policy) } else { best }
    })
}
