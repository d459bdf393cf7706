//! Topic permissions of users: put and delete.

use std::sync::Arc;

use leveret_persistence::{Change, TopicPermissionRecord};

use super::users::{permissions_in, set_permissions};
use super::{Refused, Registry};
use crate::access::permissions::{TopicPatterns, TopicPermissions};

impl Registry {
    /// Gives a user permissions over the routing keys of an exchange. Says whether it had none in the vhost, as RabbitMQ does.
    pub(crate) async fn put_topic_permission(
        &self,
        user: &str,
        vhost: &str,
        exchange: &str,
        patterns: TopicPatterns,
    ) -> Result<bool, Refused> {
        self.make(|change| {
            let vhost = Arc::clone(change.vhost(vhost)?);
            let mut user = change.user(user)?;
            if vhost.check_exchange(exchange).is_err() {
                return Err(Refused::Invalid(format!("no_such_exchange '{exchange}'")));
            }
            let parsed = TopicPermissions::parse(patterns, &user.name, &vhost.name)?;
            let record = topic_permission_record(&user.name, &vhost.name, exchange, &parsed.texts);
            change.rows.push(Change::PutTopicPermission(record));
            let mut permissions = permissions_in(&user, &vhost.name);
            let is_new = permissions.topics.is_empty();
            permissions.topics.insert(exchange.into(), parsed);
            set_permissions(&mut user, Arc::clone(&vhost.name), permissions);
            change.put_user(user);
            Ok(is_new)
        })
        .await
    }

    /// Takes away those for one exchange, or all of a user in a vhost.
    pub(crate) async fn delete_topic_permissions(
        &self,
        user: &str,
        vhost: &str,
        exchange: Option<&str>,
    ) -> Result<(), Refused> {
        self.make(|change| {
            let mut user = change.user(user)?;
            let vhost = Arc::clone(&change.vhost(vhost)?.name);
            let mut permissions = permissions_in(&user, &vhost);
            let (gone, kept) = std::mem::take(&mut permissions.topics)
                .into_iter()
                .partition(|(name, _)| exchange.is_none_or(|exchange| exchange == &**name));
            permissions.topics = kept;
            let gone: std::collections::BTreeMap<_, _> = gone;
            if gone.is_empty() {
                return Err(Refused::NotFound);
            }
            let deletions = gone.keys().map(|name| deletion(&user.name, &vhost, name));
            change.rows.extend(deletions);
            set_permissions(&mut user, vhost, permissions);
            change.put_user(user);
            Ok(())
        })
        .await
    }
}

/// The row that goes with a topic permission.
pub(super) fn deletion(user: &str, vhost: &str, exchange: &str) -> Change {
    Change::DeleteTopicPermission {
        user: user.to_owned(),
        vhost: vhost.to_owned(),
        exchange: exchange.to_owned(),
    }
}

fn topic_permission_record(
    user: &str,
    vhost: &str,
    exchange: &str,
    texts: &TopicPatterns,
) -> TopicPermissionRecord {
    let TopicPatterns { write, read } = texts.clone();
    let (user, vhost, exchange) = (user.to_owned(), vhost.to_owned(), exchange.to_owned());
    TopicPermissionRecord { user, vhost, exchange, write, read }
}
