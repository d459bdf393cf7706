//! Direct reply-to: `amq.rabbitmq.reply-to` as a consumer's queue and as a message's `reply-to`. Replies go from the
//! publisher's channel straight to the asking one and are never stored: at most once, as in RabbitMQ.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use leveret_persistence::Message;

use crate::connection::{ChannelId, Event, Outbox};
use crate::limits::REPLY_TO_WINDOW;

/// The pseudo-queue that a client consumes from and names in `reply-to`.
pub(crate) const REPLY_TO: &str = "amq.rabbitmq.reply-to";

/// Before the token in the names that the broker puts in place of [`REPLY_TO`].
const PREFIX: &str = "amq.rabbitmq.reply-to.";

/// A channel that consumes direct replies.
#[derive(Clone, Debug)]
struct Requester {
    outbox: Outbox,
    channel: ChannelId,
    under_way: Arc<AtomicUsize>,
}

/// The name that a channel's replies come to, for as long as its consumer is there.
#[derive(Debug)]
pub(crate) struct ReplyAddress {
    name: Arc<str>,
    under_way: Arc<AtomicUsize>,
}

impl ReplyAddress {
    /// What a message's `reply-to` becomes.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The connection has taken a reply from its outbox.
    pub(crate) fn taken(&self) {
        self.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

/// All channels of a vhost that wait for direct replies.
#[derive(Debug, Default)]
pub(crate) struct ReplyTo {
    requesters: RwLock<HashMap<Arc<str>, Requester>>,
}

impl ReplyTo {
    /// Whether a name is one that [`ReplyTo::join`] gives out.
    pub(crate) fn is_address(name: &[u8]) -> bool {
        name.starts_with(PREFIX.as_bytes())
    }

    /// Whether a name means direct replies and no queue: the pseudo-queue or an address.
    pub(crate) fn owns(name: &str) -> bool {
        name == REPLY_TO || ReplyTo::is_address(name.as_bytes())
    }

    /// A channel starts to wait for replies.
    pub(crate) fn join(&self, channel: ChannelId, outbox: Outbox) -> ReplyAddress {
        // Whoever knows the name may reply: it must not be guessed.
        let token: [u8; 24] = rand::random();
        let name: Arc<str> = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(token)).into();
        let under_way = Arc::new(AtomicUsize::new(0));
        let requester = Requester { outbox, channel, under_way: Arc::clone(&under_way) };
        let mut requesters = self.requesters.write().unwrap_or_else(PoisonError::into_inner);
        requesters.insert(Arc::clone(&name), requester);
        ReplyAddress { name, under_way }
    }

    /// A channel waits no more.
    pub(crate) fn leave(&self, address: &ReplyAddress) {
        let mut requesters = self.requesters.write().unwrap_or_else(PoisonError::into_inner);
        requesters.remove(&address.name);
    }

    /// Whether someone waits at this name.
    pub(crate) fn is_waiting(&self, name: &[u8]) -> bool {
        self.requester(name).is_some()
    }

    /// Sends a reply. A requester that is gone, or that does not read, loses it.
    pub(crate) fn send(&self, name: &[u8], message: Message) {
        let Some(requester) = self.requester(name) else {
            return;
        };
        if requester.under_way.fetch_add(1, Ordering::Relaxed) < REPLY_TO_WINDOW {
            requester.outbox.send(Event::Reply { channel: requester.channel, message });
        } else {
            requester.under_way.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn requester(&self, name: &[u8]) -> Option<Requester> {
        let name = str::from_utf8(name).ok()?;
        let requesters = self.requesters.read().unwrap_or_else(PoisonError::into_inner);
        requesters.get(name).cloned()
    }
}
