//! Exchanges, queues, bindings, and what waits in them.

use async_trait::async_trait;
use leveret_admin_ui::management::*;
use serde_json::json;

use super::{Fake, State, put};

/// As the broker does: not without permissions in the vhost, and no names that are its own.
fn permitted(state: &State, by: &str, vhost: &str, name: &str) -> Result<(), Error> {
    let has = state.permissions.contains_key(&(vhost.to_owned(), by.to_owned()));
    match has && !name.starts_with("amq.") {
        true => Ok(()),
        false => Err(Error::Refused("Access refused.".into())),
    }
}

#[async_trait]
impl Exchanges for Fake {
    async fn exchanges(&self, vhost: Option<&str>) -> Result<Vec<ExchangeView>, Error> {
        let state = self.state();
        state.in_vhost(vhost)?;
        let all = state.exchanges.values();
        Ok(all.filter(|e| vhost.is_none_or(|vhost| vhost == e.vhost)).cloned().collect())
    }

    async fn exchange(&self, vhost: &str, name: &str) -> Result<ExchangeView, Error> {
        let key = (vhost.to_owned(), name.to_owned());
        self.state().exchanges.get(&key).cloned().ok_or(Error::NotFound)
    }

    async fn put_exchange(
        &self,
        by: &str,
        vhost: &str,
        name: &str,
        declaration: ExchangeDeclaration,
    ) -> Result<Put, Error> {
        let mut state = self.state();
        state.in_vhost(Some(vhost))?;
        permitted(&state, by, vhost, name)?;
        let exchange = ExchangeView {
            vhost: vhost.into(),
            name: name.into(),
            exchange_type: declaration.exchange_type,
            durable: declaration.durable,
            auto_delete: declaration.auto_delete,
            internal: declaration.internal,
            arguments: declaration.arguments,
            ..ExchangeView::default()
        };
        Ok(put(&mut state.exchanges, (vhost.into(), name.into()), exchange))
    }

    async fn delete_exchange(
        &self,
        by: &str,
        vhost: &str,
        name: &str,
        if_unused: bool,
    ) -> Result<(), Error> {
        let mut state = self.state();
        permitted(&state, by, vhost, name)?;
        if if_unused && name == "used" {
            let reason = format!("exchange '{name}' in vhost '{vhost}' in use");
            return Err(Error::BadRequest(reason));
        }
        let key = (vhost.to_owned(), name.to_owned());
        state.exchanges.remove(&key).map(drop).ok_or(Error::NotFound)
    }

    async fn publish(
        &self,
        by: &str,
        vhost: &str,
        exchange: &str,
        publication: Publication,
    ) -> Result<bool, Error> {
        let mut state = self.state();
        permitted(&state, by, vhost, exchange)?;
        if !state.exchanges.contains_key(&(vhost.to_owned(), exchange.to_owned())) {
            return Err(Error::NotFound);
        }
        let queue = (vhost.to_owned(), publication.routing_key.clone());
        let routed = state.queues.contains_key(&queue);
        state.published.push(publication);
        Ok(routed)
    }
}

#[async_trait]
impl Queues for Fake {
    async fn queues(&self, vhost: Option<&str>) -> Result<Vec<QueueView>, Error> {
        let state = self.state();
        state.in_vhost(vhost)?;
        let all = state.queues.values();
        Ok(all.filter(|q| vhost.is_none_or(|vhost| vhost == q.vhost)).cloned().collect())
    }

    async fn queue(&self, vhost: &str, name: &str) -> Result<QueueView, Error> {
        let key = (vhost.to_owned(), name.to_owned());
        self.state().queues.get(&key).cloned().ok_or(Error::NotFound)
    }

    async fn put_queue(
        &self,
        by: &str,
        vhost: &str,
        name: &str,
        declaration: QueueDeclaration,
    ) -> Result<Put, Error> {
        let mut state = self.state();
        state.in_vhost(Some(vhost))?;
        permitted(&state, by, vhost, name)?;
        let queue = QueueView {
            vhost: vhost.into(),
            name: name.into(),
            queue_type: "classic".into(),
            durable: declaration.durable,
            auto_delete: declaration.auto_delete,
            arguments: declaration.arguments,
            state: "running".into(),
            ..QueueView::default()
        };
        let existing = state.queues.get(&(vhost.to_owned(), name.to_owned()));
        match existing.map(|existing| existing.durable == queue.durable) {
            None => {
                state.add_queue(queue);
                Ok(Put::Created)
            }
            Some(true) => Ok(Put::Updated),
            Some(false) => Err(Error::BadRequest("inequivalent arg 'durable'".into())),
        }
    }

    async fn delete_queue(
        &self,
        by: &str,
        vhost: &str,
        name: &str,
        if_empty: bool,
        if_unused: bool,
    ) -> Result<(), Error> {
        let mut state = self.state();
        permitted(&state, by, vhost, name)?;
        let key = (vhost.to_owned(), name.to_owned());
        let queue = state.queues.get(&key).ok_or(Error::NotFound)?;
        let but = |what| Error::BadRequest(format!("queue '{name}' in vhost '{vhost}' {what}"));
        if if_empty && queue.messages_ready > 0 {
            return Err(but("not empty"));
        }
        if if_unused && queue.consumers > 0 {
            return Err(but("in use"));
        }
        state.queues.remove(&key);
        Ok(())
    }

    async fn purge_queue(&self, by: &str, vhost: &str, name: &str) -> Result<u64, Error> {
        let mut state = self.state();
        permitted(&state, by, vhost, name)?;
        let queue = state.queues.get_mut(&(vhost.to_owned(), name.to_owned()));
        Ok(std::mem::take(&mut queue.ok_or(Error::NotFound)?.messages_ready))
    }
}

#[async_trait]
impl Bindings for Fake {
    async fn bindings(&self, vhost: Option<&str>) -> Result<Vec<BindingView>, Error> {
        let state = self.state();
        state.in_vhost(vhost)?;
        let all = state.bindings.iter();
        Ok(all.filter(|b| vhost.is_none_or(|vhost| vhost == b.vhost)).cloned().collect())
    }
}

#[async_trait]
impl Waiting for Fake {
    async fn delayed(&self, _: &str, exchange: &str, window: Window) -> Result<WaitingPage, Error> {
        match exchange {
            "" => Err(Error::BadRequest("not a delayed exchange".into())),
            _ => Ok(five_messages(window)),
        }
    }

    async fn retrying(&self, _: &str, _: &str, window: Window) -> Result<WaitingPage, Error> {
        Ok(five_messages(window))
    }
}

fn five_messages(window: Window) -> WaitingPage {
    let message = |id: u64| WaitingMessage {
        id,
        due_ms: 1_000 + id,
        retries: 2,
        exchange: "e".into(),
        routing_key: "k".into(),
        properties: Object::from_iter([("delivery_mode".to_owned(), json!(2))]),
        body_len_bytes: 3,
    };
    let messages = (0..5).skip(window.offset).take(window.limit).map(message).collect();
    WaitingPage { total: 5, messages }
}

#[async_trait]
impl Publishers for Fake {
    async fn publishers(&self, _: &str, _: &str) -> Result<Vec<PublisherView>, Error> {
        let publisher = |name: &str| PublisherView {
            publisher: name.into(),
            received: 7,
            missing: 3,
            gaps: vec![(2, 3), (5, 5)],
            duplicates: 1,
            reordered: 4,
            last: 10,
        };
        Ok(vec![publisher("b"), publisher("a")])
    }
}
