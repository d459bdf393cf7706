//! Messages that wait for their time.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use leveret_admin_ui::management::{Error, Waiting, WaitingMessage, WaitingPage, Window};
use leveret_persistence::{Found, Message, MessageId};
use tokio::sync::oneshot;

use super::{Managed, properties};
use crate::limits::QUEUE_LOAD_BYTES;
use crate::queue::{Command, Queue, WaitingMessage as Waits};
use crate::vhost::Vhost;

#[async_trait]
impl Waiting for Managed {
    async fn delayed(
        &self,
        vhost: &str,
        exchange: &str,
        window: Window,
    ) -> Result<WaitingPage, Error> {
        let vhost = self.vhost_of(vhost)?;
        let topology = vhost.topology().clone();
        let found = topology.graph.exchange(exchange).ok_or(Error::NotFound)?;
        if !found.delays() {
            let text = format!("exchange '{exchange}' is not one that delays messages");
            return Err(Error::BadRequest(text));
        }
        let keeper = topology.keepers.get(exchange).cloned().ok_or(Error::NotFound)?;
        page(&vhost, &keeper, window).await
    }

    async fn retrying(
        &self,
        vhost: &str,
        queue: &str,
        window: Window,
    ) -> Result<WaitingPage, Error> {
        let vhost = self.vhost_of(vhost)?;
        let queue = vhost.topology().queues.get(queue).cloned().ok_or(Error::NotFound)?;
        page(&vhost, &queue, window).await
    }
}

async fn page(vhost: &Vhost, queue: &Arc<Queue>, window: Window) -> Result<WaitingPage, Error> {
    let status = queue.status(false).await;
    let total = status.map_err(|_| Error::NotFound)?.waiting as u64;
    let Window { offset, limit } = window;
    let waiting = queue.ask(|reply| Command::ListWaiting { offset, limit, reply }).await;
    let waiting = waiting.map_err(|_| Error::NotFound)?;
    let mut ids: Vec<MessageId> = waiting.iter().map(|waits| waits.id).collect();
    ids.sort_unstable();
    let mut found = read(vhost, ids).await?;
    let messages = waiting.into_iter().map(|waits| view(&waits, found.remove(&waits.id)));
    Ok(WaitingPage { total, messages: messages.collect() })
}

/// What the store has of these messages, which increase: all but the bodies, which are read a few at a time.
async fn read(
    vhost: &Vhost,
    mut ids: Vec<MessageId>,
) -> Result<HashMap<MessageId, WaitingMessage>, Error> {
    let mut all = HashMap::new();
    while !ids.is_empty() {
        let (done, found) = oneshot::channel();
        let tell = Box::new(move |result| drop(done.send(result)));
        vhost.storage.reader.read(ids.clone(), QUEUE_LOAD_BYTES, tell);
        let Found { messages, stopped_at } = match found.await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => return Err(Error::Unavailable(error.to_string())),
            Err(_) => return Err(Error::Unavailable("the broker stops".to_owned())),
        };
        all.extend(messages.into_iter().map(|(id, message)| (id, describe(&message))));
        match stopped_at {
            Some(last) => ids.retain(|id| *id > last),
            None => break,
        }
    }
    Ok(all)
}

fn describe(message: &Message) -> WaitingMessage {
    let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
    WaitingMessage {
        exchange: text(message.exchange()),
        routing_key: text(message.routing_key()),
        properties: properties::to_json(message.properties()),
        body_len_bytes: message.body().len() as u64,
        ..WaitingMessage::default()
    }
}

/// `found`: what the store has of it; one that it has not got yet is in memory only, where its queue alone looks.
fn view(waits: &Waits, found: Option<WaitingMessage>) -> WaitingMessage {
    let Waits { id, due_ms, retries } = *waits;
    WaitingMessage { id, due_ms, retries, ..found.unwrap_or_default() }
}
