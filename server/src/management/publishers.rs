//! Publishers that number their messages.

use async_trait::async_trait;
use leveret_admin_ui::management::{Error, PublisherView, Publishers};

use super::Managed;
use crate::queue::Command;
use crate::queue::sequences::Publisher;

#[async_trait]
impl Publishers for Managed {
    async fn publishers(&self, vhost: &str, queue: &str) -> Result<Vec<PublisherView>, Error> {
        let vhost = self.vhost_of(vhost)?;
        let queue = vhost.topology().queues.get(queue).cloned().ok_or(Error::NotFound)?;
        let publishers = queue.ask(|reply| Command::ListPublishers { reply }).await;
        let publishers = publishers.map_err(|_| Error::NotFound)?;
        Ok(publishers.into_iter().map(view).collect())
    }
}

fn view(publisher: Publisher) -> PublisherView {
    let Publisher { id, last, counts, missing } = publisher;
    PublisherView {
        publisher: id,
        received: counts.received,
        missing: counts.missing,
        gaps: missing,
        duplicates: counts.duplicates,
        reordered: counts.reordered,
        last,
    }
}
