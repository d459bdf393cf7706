//! A queue.

use serde_json::json;

use super::{object, put};
use crate::list::Row;
use crate::management::{Object, QueueView};

impl Row for QueueView {
    fn order(&self) -> impl Ord {
        (&self.vhost, &self.name)
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn json(&self) -> Object {
        let mut json = object(json!({
            "vhost": self.vhost,
            "name": self.name,
            "type": self.queue_type,
            "durable": self.durable,
            "auto_delete": self.auto_delete,
            "exclusive": self.exclusive,
            "arguments": self.arguments,
            "state": self.state,
            "messages": self.messages_ready.saturating_add(self.messages_unacknowledged),
            "messages_ready": self.messages_ready,
            "messages_unacknowledged": self.messages_unacknowledged,
            "message_bytes":
                self.message_bytes_ready.saturating_add(self.message_bytes_unacknowledged),
            "message_bytes_ready": self.message_bytes_ready,
            "message_bytes_unacknowledged": self.message_bytes_unacknowledged,
            "message_bytes_ram": self.message_bytes_ram,
            "message_bytes_persistent": self.message_bytes_persistent,
            "consumers": self.consumers,
            "effective_policy_definition": self.effective_policy_definition,
        }));
        put(&mut json, "policy", self.policy.clone());
        put(&mut json, "operator_policy", self.operator_policy.clone());
        json.extend(self.extra.clone());
        json
    }
}
