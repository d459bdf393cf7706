//! What a queue knows of a publisher that numbers its messages.

use serde_json::{Value, json};

use crate::management::PublisherView;

/// One publisher. A gap is its first and its last missing number.
pub(crate) fn publisher(publisher: &PublisherView) -> Value {
    json!({
        "publisher": publisher.publisher,
        "received": publisher.received,
        "missing": publisher.missing,
        "gaps": publisher.gaps,
        "duplicates": publisher.duplicates,
        "reordered": publisher.reordered,
        "last": publisher.last,
    })
}
