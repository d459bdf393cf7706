//! A vhost. RabbitMQ says description and tags twice: clients read either.

use serde_json::json;

use super::{object, put};
use crate::list::Row;
use crate::management::{Object, VhostView};

impl Row for VhostView {
    fn order(&self) -> impl Ord {
        &self.name
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn json(&self) -> Object {
        let mut metadata = object(json!({ "description": self.description, "tags": self.tags }));
        put(&mut metadata, "default_queue_type", self.default_queue_type.clone());
        let mut json = object(json!({
            "name": self.name,
            "description": self.description,
            "tags": self.tags,
            "metadata": metadata,
            "default_queue_type": self.default_queue_type.as_deref().unwrap_or("undefined"),
            "protected_from_deletion": self.protected,
            "tracing": self.tracing,
            "messages": self.messages_ready.saturating_add(self.messages_unacknowledged),
            "messages_ready": self.messages_ready,
            "messages_unacknowledged": self.messages_unacknowledged,
        }));
        json.extend(self.extra.clone());
        json
    }
}
