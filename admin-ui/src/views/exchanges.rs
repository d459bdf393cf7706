//! An exchange.

use serde_json::json;

use super::{object, put};
use crate::list::Row;
use crate::management::{ExchangeView, Object};

impl Row for ExchangeView {
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
            "type": self.exchange_type,
            "durable": self.durable,
            "auto_delete": self.auto_delete,
            "internal": self.internal,
            "arguments": self.arguments,
        }));
        put(&mut json, "policy", self.policy.clone());
        json.extend(self.extra.clone());
        json
    }
}
