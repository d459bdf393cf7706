//! stub
use crate::queue::rules::QueueType;
use serde_json::{Map, Value};
use std::sync::Arc;
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum PolicyKind {
    User,
    Operator,
}
#[derive(Clone, Debug)]
pub(crate) struct Policy {}
impl Policy {
    pub(crate) fn parse(_k: PolicyKind, _n: &str, _v: &Value, _u: u64) -> Result<Policy, String> {
        Ok(Policy {})
    }
}
#[derive(Clone, Debug, Default)]
pub(crate) struct Policies {}
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Effective {
    pub(crate) policy: Option<Arc<str>>,
    pub(crate) operator_policy: Option<Arc<str>>,
    pub(crate) definition: Map<String, Value>,
    pub(crate) since_ms: u64,
}
impl Policies {
    pub(crate) fn put(&mut self, _k: PolicyKind, _p: Policy) {}
    pub(crate) fn for_queue(&self, _n: &str, _k: QueueType) -> Effective {
        Effective::default()
    }
    pub(crate) fn for_exchange(&self, _n: &str) -> Effective {
        Effective::default()
    }
}
