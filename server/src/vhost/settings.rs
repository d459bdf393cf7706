//! What operators set of a vhost, besides what clients declare in it.

use std::sync::Arc;

use super::{Topology, Vhost, refusals};
use crate::protocol::Fault;

/// The settings of a vhost as of one moment.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct VhostSettings {
    /// For people.
    pub(crate) description: String,
    /// For people and tools.
    pub(crate) tags: Vec<String>,
    /// The type of queues that are declared without one; none: the node's.
    pub(crate) default_queue_type: Option<String>,
    pub(crate) limits: VhostLimits,
    /// Its deletion is refused.
    pub(crate) protected: bool,
}

/// What a vhost may have at once. None, like a negative number: no limit.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct VhostLimits {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) max_connections: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) max_queues: Option<i64>,
}

impl Vhost {
    /// The settings of this moment.
    pub(crate) fn settings(&self) -> Arc<VhostSettings> {
        self.settings.load_full()
    }

    /// How many connections it may have; None: any number.
    pub(crate) fn connection_limit(&self) -> Option<i64> {
        self.settings.load().limits.max_connections.filter(|limit| *limit >= 0)
    }

    /// How many queues it may have; None: any number.
    pub(crate) fn queue_limit(&self) -> Option<usize> {
        self.settings.load().limits.max_queues.and_then(|limit| usize::try_from(limit).ok())
    }

    /// Refuses a new queue where there are as many as there may be.
    pub(super) fn check_queue_limit(&self, topology: &Topology, queue: &str) -> Result<(), Fault> {
        match self.queue_limit() {
            Some(limit) if topology.queues.len() >= limit => {
                Err(refusals::queue_limit(queue, &self.name, limit))
            }
            _ => Ok(()),
        }
    }

    /// Replaces the settings.
    pub(crate) fn set_settings(&self, settings: VhostSettings) {
        self.settings.store(Arc::new(settings));
    }

    /// The type of queues that are declared without one; None: the node's.
    pub(crate) fn default_queue_type(&self) -> Option<String> {
        self.settings.load().default_queue_type.clone()
    }
}
