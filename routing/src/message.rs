//! The message being routed, as the matching rules see it. `route.rs` makes one per walk.

use std::borrow::Cow;
use std::cell::OnceCell;

use amq_protocol::types::FieldTable;

use crate::Headers;

/// What is known of a message.
pub(crate) struct Message<'a> {
    routing_keys: &'a [&'a str],
    headers: &'a dyn Headers,
    /// The decoded headers, once an exchange asked for them.
    table: OnceCell<Option<Cow<'a, FieldTable>>>,
}

impl<'a> Message<'a> {
    pub(crate) fn new(routing_keys: &'a [&'a str], headers: &'a dyn Headers) -> Self {
        Self { routing_keys, headers, table: OnceCell::new() }
    }

    /// The published routing key first, then those of `CC` and `BCC`.
    pub(crate) fn routing_keys(&self) -> &'a [&'a str] {
        self.routing_keys
    }

    pub(crate) fn each_key(&self, route: impl FnMut(&str)) {
        self.routing_keys.iter().copied().for_each(route);
    }

    pub(crate) fn table(&self) -> Option<&FieldTable> {
        self.table.get_or_init(|| self.headers.table()).as_deref()
    }

    /// The properties other than the headers.
    pub(crate) fn properties(&self) -> &'a dyn Headers {
        self.headers
    }
}
