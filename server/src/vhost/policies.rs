//! Policies at work: what they say reaches queues and exchanges that are there, and leaves them again. What they say is decided
//! in [`super::policy`].

use std::sync::Arc;

use leveret_routing::Name;

use super::policy::{Effective, Policies};
use super::{Topology, Vhost};
use crate::queue::rules::{Keeps, Overflow};
use crate::queue::{Command, Queue, settings};

/// The policy key of an exchange.
const ALTERNATE_EXCHANGE: &str = "alternate-exchange";

impl Vhost {
    /// Replaces all policies. The store has been told by the caller.
    pub(crate) fn set_policies(&self, policies: Policies) {
        let mut change = self.change();
        change.topology.policies = policies;
        let exchanges: Vec<Name> =
            change.topology.graph.exchanges().map(|exchange| exchange.name.clone()).collect();
        for exchange in exchanges {
            change.topology.apply_exchange_policy(&exchange);
        }
        let mut changed = Vec::new();
        for queue in change.topology.queues.values() {
            let policy = change.topology.policies.for_queue(&queue.name, queue.kind);
            if **queue.policy.load() != policy {
                changed.push((Arc::clone(queue), policy));
            }
        }
        for (queue, policy) in &changed {
            follow(queue, policy);
        }
        // Routes that were remembered know which queues may refuse messages: this makes them void.
        change.apply();
        // The tasks hear of it after everyone else, and their inboxes may be full.
        tokio::spawn(async move {
            for (queue, _) in changed {
                let rules = queue.rules.load_full();
                // One without a task looks at its rules when it gets one, unless they are why it needs one.
                if queue.is_dormant() && rules.expires_ms.is_none() {
                    continue;
                }
                queue.send(Command::Rules(Box::new(rules.as_ref().clone()))).await.ok();
            }
        });
    }
}

impl Topology {
    /// Gives an exchange the alternate exchange that its policy names, or takes it away.
    pub(super) fn apply_exchange_policy(&mut self, exchange: &str) {
        let policy = self.policies.for_exchange(exchange);
        let alternate = policy.definition.get(ALTERNATE_EXCHANGE).and_then(|name| name.as_str());
        self.graph.set_policy_alternate(exchange, alternate.map(Into::into));
    }
}

/// Notes the rules of a queue under its new policy where publishers look.
fn follow(queue: &Queue, policy: &Effective) {
    if queue.keeps != Keeps::ForClients {
        return;
    }
    let rules = settings::rules(&queue.arguments, queue.kind, queue.auto_delete, policy);
    queue.gate.set_refuses(rules.overflow != Overflow::DropHead);
    queue.rules.store(Arc::new(rules));
    queue.policy.store(Arc::new(policy.clone()));
}
