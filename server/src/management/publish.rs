//! Publishing over HTTP: a message at a time, by the rules that hold for channels.

use std::sync::Arc;

use leveret_admin_ui::management::{Error, Publication};
use leveret_persistence::{Message, Stamp};

use super::{Managed, properties};
use crate::access::user_access::UserAccess;
use crate::channel::basic::check_expiration;
use crate::clock;
use crate::protocol::properties::Properties;
use crate::protocol::{Fault, ReplyCode};
use crate::vhost::Vhost;
use crate::vhost::admission::admit;
use crate::vhost::dispatch::{Outgoing, Verdict, dispatch};
use crate::vhost::publish::{Route, Router, Wishes};
use crate::vhost::relay::batch_of;
use crate::vhost::reply_to::{REPLY_TO, ReplyTo};

impl Managed {
    /// Publishes and waits until it is durable. Says whether it reached a queue.
    pub(super) async fn publish_to(
        &self,
        by: &str,
        vhost: &Vhost,
        exchange: &str,
        publication: Publication,
    ) -> Result<bool, Error> {
        let outgoing = self.outgoing(by, vhost, exchange, &publication)?;
        let key = publication.routing_key.as_bytes();
        if exchange.is_empty() && ReplyTo::is_address(key) {
            let waiting = vhost.reply_to.is_waiting(key);
            vhost.reply_to.send(key, outgoing.message);
            return Ok(waiting);
        }
        let routed = outgoing.route.is_routed;
        let mut messages = [outgoing];
        let storage = &vhost.storage;
        storage.committer.room().await;
        let mut admission = admit(vhost, messages.iter_mut(), clock::now_ms()).await;
        let refused = messages.iter().any(|outgoing| outgoing.verdict == Verdict::Refused);
        let batch = batch_of(&mut admission);
        let count = messages.len() + admission.dead.len();
        let messages = messages.into_iter().chain(admission.dead.drain(..));
        dispatch(storage, count, messages, batch).await;
        let written = storage.written(storage.committer.submitted()).await;
        written.map_err(|error| Error::Unavailable(error.to_string()))?;
        Ok(routed && !refused)
    }

    /// The message with its route, checked in the order in which a channel checks.
    fn outgoing(
        &self,
        by: &str,
        vhost: &Vhost,
        exchange: &str,
        publication: &Publication,
    ) -> Result<Outgoing, Error> {
        let Publication { routing_key, properties, payload } = publication;
        let raw = properties::from_json(properties)?;
        let (key, max) = (routing_key.as_str(), self.node.config.max_message_size);
        if key.len() > usize::from(u8::MAX) {
            return Err(Error::BadRequest("a routing key has at most 255 bytes".to_owned()));
        }
        let user = self.node.registry.now().users.get(by).cloned();
        let user = user.ok_or_else(super::access_refused)?;
        let size = payload.len();
        if size as u64 > max {
            let text = format!("message size {size} is larger than configured max size {max}");
            return Err(refused(&Fault::new(ReplyCode::PreconditionFailed, text)));
        }
        let access = UserAccess::new(self.node.registry.shared(), user, Arc::clone(&vhost.name));
        let (route, wishes) =
            route(vhost, access, exchange, key, &raw).map_err(|fault| refused(&fault))?;
        let persistent = Properties::parse(&raw).is_ok_and(|found| found.is_persistent());
        let message = Message::try_new(exchange.as_bytes(), key.as_bytes(), &raw, payload);
        let message = message.ok_or_else(|| Error::BadRequest("too large".to_owned()))?;
        let stamp = Stamp { arrived_ms: clock::now_ms(), flags: wishes.flags };
        Ok(Outgoing::new(message.stamped(stamp), route, persistent))
    }
}

fn route(
    vhost: &Vhost,
    access: UserAccess,
    exchange: &str,
    routing_key: &str,
    raw: &[u8],
) -> Result<(Arc<Route>, Wishes), Fault> {
    let properties = Properties::parse(raw)?;
    let wishes = Wishes::of(&properties)?;
    let mut router = Router::new(vhost, access.clone());
    let route = router.route(vhost, exchange, routing_key, &wishes, &properties)?;
    access.check_user_id(&properties)?;
    check_expiration(&properties)?;
    if properties.reply_to() == Some(REPLY_TO) {
        let text = "fast reply consumer does not exist";
        return Err(Fault::new(ReplyCode::PreconditionFailed, text));
    }
    Ok((route, wishes))
}

/// As RabbitMQ says over HTTP what it would close a channel for: `406 PRECONDITION_FAILED - ...`.
fn refused(fault: &Fault) -> Error {
    match fault.code {
        ReplyCode::NotFound => Error::NotFound,
        code => Error::BadRequest(format!("{} {}", code.number(), fault.reply_text())),
    }
}
