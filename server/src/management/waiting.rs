//! Messages that wait for their time.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use leveret_admin_ui::management::{Error, Waiting, WaitingMessage, WaitingPage, Window};
use leveret_persistence::{MessageId, Scanned};
use tokio::sync::oneshot;

use super::{Managed, properties};
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
    let (done, scanned) = oneshot::channel();
    vhost.storage.reader.scan(ids, Box::new(move |result| drop(done.send(result))));
    let scanned = match scanned.await {
        Ok(Ok(scanned)) => scanned,
        Ok(Err(error)) => return Err(Error::Unavailable(error.to_string())),
        Err(_) => return Err(Error::Unavailable("the broker stops".to_owned())),
    };
    let mut scanned: HashMap<MessageId, Scanned> =
        scanned.into_iter().map(|found| (found.id, found)).collect();
    let messages = waiting.into_iter().map(|waits| {
        let found = scanned.remove(&waits.id);
        view(&waits, found)
    });
    Ok(WaitingPage { total, messages: messages.collect() })
}

/// `found`: what the store has of it; transient messages are in memory only, where their queue alone looks.
fn view(waits: &Waits, found: Option<Scanned>) -> WaitingMessage {
    let Waits { id, due_ms, retries } = *waits;
    let message = WaitingMessage { id, due_ms, retries, ..WaitingMessage::default() };
    match found {
        Some(Scanned { properties, body_len, .. }) => WaitingMessage {
            properties: properties::to_json(&properties),
            body_len_bytes: body_len,
            ..message
        },
        None => message,
    }
}
