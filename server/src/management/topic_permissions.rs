//! Permissions over routing keys.

use async_trait::async_trait;
use leveret_admin_ui::management::{Error, Put, TopicPermission, TopicPermissions};

use super::{Managed, put, refused};
use crate::access::permissions::TopicPatterns;

#[async_trait]
impl TopicPermissions for Managed {
    async fn topic_permissions(&self) -> Result<Vec<TopicPermission>, Error> {
        let mut views = Vec::new();
        for user in self.node.registry.now().users.values() {
            for (vhost, permissions) in &user.permissions {
                views.extend(permissions.topics.iter().map(|(exchange, topic)| {
                    let TopicPatterns { write, read } = topic.texts.clone();
                    TopicPermission {
                        user: user.name.to_string(),
                        vhost: vhost.to_string(),
                        exchange: exchange.to_string(),
                        write,
                        read,
                    }
                }));
            }
        }
        Ok(views)
    }

    async fn put_topic_permission(&self, permission: TopicPermission) -> Result<Put, Error> {
        let TopicPermission { user, vhost, exchange, write, read } = permission;
        let patterns = TopicPatterns { write, read };
        put(self.node.registry.put_topic_permission(&user, &vhost, &exchange, patterns).await)
    }

    async fn delete_topic_permissions(
        &self,
        vhost: &str,
        user: &str,
        exchange: Option<&str>,
    ) -> Result<(), Error> {
        let deleted = self.node.registry.delete_topic_permissions(user, vhost, exchange);
        deleted.await.map_err(refused)
    }
}
