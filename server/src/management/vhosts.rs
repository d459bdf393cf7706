//! Vhosts.

use async_trait::async_trait;
use leveret_admin_ui::management::{Error, Object, Put, VhostSettings, VhostView, Vhosts};

use super::node::DEFAULT_QUEUE_TYPE;
use super::{Managed, put, refused};
use crate::definitions::vhosts::NewSettings;
use crate::vhost::Vhost;

#[async_trait]
impl Vhosts for Managed {
    async fn vhosts(&self) -> Result<Vec<VhostView>, Error> {
        let mut views = Vec::new();
        for vhost in self.vhosts_of(None)? {
            views.push(self.view(&vhost).await);
        }
        Ok(views)
    }

    async fn vhost(&self, name: &str) -> Result<VhostView, Error> {
        Ok(self.view(&*self.vhost_of(name)?).await)
    }

    async fn put_vhost(&self, by: &str, name: &str, settings: VhostSettings) -> Result<Put, Error> {
        let VhostSettings { description, tags, default_queue_type, tracing } = settings;
        if tracing == Some(true) {
            // Said, not swallowed: who turns it on waits for messages at amq.rabbitmq.trace.
            return Err(Error::BadRequest("tracing is not supported".to_owned()));
        }
        let new = NewSettings { description, tags, default_queue_type };
        put(self.node.registry.put_vhost(by, name, new).await)
    }

    async fn delete_vhost(&self, name: &str) -> Result<(), Error> {
        self.node.delete_vhost(name).await.map_err(refused)
    }

    async fn protect_vhost(&self, name: &str, protected: bool) -> Result<(), Error> {
        self.node.registry.protect_vhost(name, protected).await.map_err(refused)
    }
}

impl Managed {
    async fn view(&self, vhost: &Vhost) -> VhostView {
        let settings = vhost.settings();
        let messages = super::node::messages(vhost).await;
        VhostView {
            name: vhost.name.to_string(),
            description: settings.description.clone(),
            tags: settings.tags.clone(),
            // RabbitMQ gives a vhost the node's default when it is made, and shows that.
            default_queue_type: Some(
                settings
                    .default_queue_type
                    .clone()
                    .unwrap_or_else(|| DEFAULT_QUEUE_TYPE.to_owned()),
            ),
            tracing: false,
            protected: settings.protected,
            messages_ready: messages.ready,
            messages_unacknowledged: messages.unacknowledged,
            extra: Object::new(),
        }
    }
}
