//! Changes over a store on disk: what others see at once, and what a restart finds.

use std::path::Path;
use std::sync::Arc;

use amq_protocol::frame::WriteContext;
use amq_protocol::protocol::BasicProperties;
use amq_protocol::protocol::basic::gen_properties;
use amq_protocol::types::FieldTable;
use leveret_persistence::{
    Committer, CommitterThread, Definitions as Records, Limits, MessageReader, sqlite,
};
use leveret_routing::{Binding, Destination};
use serde_json::json;

use super::parameters::{LIMITS, ParameterKey, VHOST_LIMITS};
use super::vhosts::NewSettings;
use super::{Definitions, Refused, Registry};
use crate::access::password::Hash;
use crate::access::permissions::{NamePatterns, Right, TopicPatterns};
use crate::access::user_access::UserAccess;
use crate::connection::ConnectionId;
use crate::protocol::properties::Properties;
use crate::storage::Storage;
use crate::vhost::Vhost;
use crate::vhost::exchanges::ExchangeDeclare;
use crate::vhost::publish::Router;
use crate::vhost::queues::QueueDeclare;

/// A registry without definitions over a new store.
fn registry(directory: &Path) -> (Registry, CommitterThread) {
    let (store, recovered) = sqlite::open(directory).unwrap();
    let reader = MessageReader::start(&store, 1).unwrap();
    let (committer, thread) = Committer::start(Box::new(store), recovered.next, Limits::default());
    let storage = Storage::new(committer, reader);
    storage.recovered();
    let registry = Registry::new(Definitions::default(), storage);
    (registry, thread)
}

/// What the store has after a stop.
fn stored(registry: Registry, thread: CommitterThread, directory: &Path) -> Records {
    drop(registry);
    thread.stop().unwrap();
    sqlite::open(directory).unwrap().1.definitions
}

fn everything() -> NamePatterns {
    NamePatterns { configure: ".*".into(), write: ".*".into(), read: ".*".into() }
}

async fn make_vhost(registry: &Registry, name: &str) -> Arc<Vhost> {
    registry.put_vhost("owner", name, NewSettings::default()).await.unwrap();
    registry.vhost(name).unwrap()
}

/// One of everything that can be in a vhost.
async fn fill(registry: &Registry, vhost: &Arc<Vhost>) {
    let name = &*vhost.name;
    let declare = QueueDeclare {
        name: "queue".to_owned(),
        named_by_server: false,
        durable: true,
        exclusive: false,
        auto_delete: false,
        arguments: FieldTable::default(),
    };
    vhost.declare_queue(declare, ConnectionId(1)).unwrap();
    let declare = ExchangeDeclare {
        name: "exchange",
        kind: "topic",
        durable: true,
        auto_delete: false,
        internal: false,
        arguments: FieldTable::default(),
    };
    vhost.declare_exchange(declare).unwrap();
    let binding = Binding {
        source: "exchange".into(),
        destination: Destination::Queue("queue".into()),
        routing_key: "#".into(),
        arguments: FieldTable::default().into(),
    };
    vhost.bind(binding).unwrap();
    registry.put_permission("user", name, everything()).await.unwrap();
    let topics = TopicPatterns { write: "a".into(), read: "b".into() };
    registry.put_topic_permission("user", name, "exchange", topics).await.unwrap();
    registry.put_vhost_limit(name, "max-queues", json!(5)).await.unwrap();
}

/// How many records name a vhost: vhosts, permissions, topic permissions, parameters, queues, exchanges, bindings.
fn counts(records: &Records, vhost: &str) -> [usize; 7] {
    [
        records.vhosts.iter().filter(|record| record.name == vhost).count(),
        records.permissions.iter().filter(|record| record.vhost == vhost).count(),
        records.topic_permissions.iter().filter(|record| record.vhost == vhost).count(),
        records.parameters.iter().filter(|record| record.vhost == vhost).count(),
        records.queues.iter().filter(|record| record.vhost == vhost).count(),
        records.exchanges.iter().filter(|record| record.vhost == vhost).count(),
        records.bindings.iter().filter(|record| record.vhost == vhost).count(),
    ]
}

#[tokio::test]
async fn a_deleted_vhost_takes_along_all_that_belongs_to_it_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let (registry, thread) = registry(directory.path());
    for user in ["owner", "user"] {
        assert!(registry.put_user(user, Hash::Nothing, Vec::new()).await.unwrap());
    }
    let (gone, kept) = (make_vhost(&registry, "gone").await, make_vhost(&registry, "kept").await);
    fill(&registry, &gone).await;
    fill(&registry, &kept).await;

    assert!(gone.begin_deletion());
    assert!(!gone.begin_deletion(), "it has begun already");
    let late = ExchangeDeclare {
        name: "late",
        kind: "direct",
        durable: true,
        auto_delete: false,
        internal: false,
        arguments: FieldTable::default(),
    };
    assert!(gone.declare_exchange(late).is_err(), "nothing new comes into it");
    gone.end_queues().await;
    let ticket = registry.delete_vhost(&gone).unwrap();
    registry.written(ticket).await.unwrap();

    assert!(registry.vhost("gone").is_none());
    assert!(!registry.now().users["user"].may_open("gone"));
    assert!(registry.now().users["user"].may_open("kept"));
    drop((gone, kept));
    let records = stored(registry, thread, directory.path());
    assert_eq!(counts(&records, "gone"), [0; 7]);
    // Two permissions: that of who made it is the other.
    assert_eq!(counts(&records, "kept"), [1, 2, 1, 1, 1, 1, 1]);
}

#[tokio::test]
async fn a_change_of_permissions_is_seen_by_open_connections_and_only_by_those_it_is_about() {
    let directory = tempfile::tempdir().unwrap();
    let (registry, thread) = registry(directory.path());
    registry.put_user("owner", Hash::Nothing, Vec::new()).await.unwrap();
    registry.put_user("user", Hash::Nothing, Vec::new()).await.unwrap();
    let vhost = make_vhost(&registry, "v").await;
    let open = |name: &str| {
        let user = Arc::clone(&registry.now().users[name]);
        UserAccess::new(registry.shared(), user, Arc::clone(&vhost.name))
    };
    let (mut owner, mut user) = (open("owner"), open("user"));
    let before = (owner.current().1, user.current().1);
    assert!(!user.current().0.allows(Right::Read, "q"));

    registry.put_permission("user", "v", everything()).await.unwrap();
    assert!(user.current().0.allows(Right::Read, "q"));
    assert_ne!(user.current().1, before.1, "what older permissions allowed is void");
    assert_eq!(owner.current().1, before.0, "nothing has changed for another user");

    registry.put_user("user", Hash::Nothing, vec!["impersonator".to_owned()]).await.unwrap();
    assert!(user.user().is_impersonator());
    let properties = BasicProperties::default().with_user_id("another".into());
    let raw = gen_properties(&properties)(WriteContext::from(Vec::new())).unwrap().write;
    let properties = Properties::parse(&raw).unwrap();
    assert!(user.check_user_id(&properties).is_err(), "tags count from the next login");
    assert!(open("user").check_user_id(&properties).is_ok());
    assert!(user.current().0.allows(Right::Read, "q"), "its permissions stay");

    registry.delete_user("user").unwrap();
    assert!(!user.current().0.allows(Right::Read, "q"));
    drop((owner, user, vhost));
    let records = stored(registry, thread, directory.path());
    assert_eq!(records.permissions.len(), 1);
}

#[tokio::test]
async fn limits_take_effect_and_are_a_parameter_of_the_vhost() {
    let directory = tempfile::tempdir().unwrap();
    let (registry, thread) = registry(directory.path());
    let vhost = make_vhost(&registry, "v").await;
    let key = ParameterKey::new("v", VHOST_LIMITS, LIMITS);
    let parameter = |registry: &Registry| {
        registry.now().parameters.get(&key).map(|parameter| parameter.value.clone())
    };
    registry.put_vhost_limit("v", "max-queues", json!(2)).await.unwrap();
    registry.put_vhost_limit("v", "max-connections", json!(-1)).await.unwrap();
    registry.delete_vhost_limit("v", "no-limit").await.unwrap();
    assert_eq!((vhost.queue_limit(), vhost.connection_limit()), (Some(2), None));
    let expected = json!({"max-connections": -1, "max-queues": 2});
    assert_eq!(parameter(&registry), Some(expected));
    let refused = registry.put_parameter(key.clone(), json!({"max-queues": "x"})).await;
    assert!(matches!(refused, Err(Refused::Invalid(_))));
    assert_eq!(vhost.queue_limit(), Some(2), "a refused change changes nothing");
    registry.delete_parameter(&key).await.unwrap();
    assert_eq!(vhost.queue_limit(), None);
    drop(vhost);
    assert_eq!(stored(registry, thread, directory.path()).parameters, []);
}

#[tokio::test]
async fn a_connection_that_publishes_nothing_keeps_an_old_topology_only_until_it_looks_again() {
    let directory = tempfile::tempdir().unwrap();
    let (registry, thread) = registry(directory.path());
    registry.put_user("user", Hash::Nothing, Vec::new()).await.unwrap();
    let vhost = make_vhost(&registry, "v").await;
    let user = Arc::clone(&registry.now().users["user"]);
    let access = UserAccess::new(registry.shared(), user, Arc::clone(&vhost.name));
    let mut router = Router::new(&vhost, access);
    let old = Arc::downgrade(&vhost.topology());
    fill(&registry, &vhost).await;
    assert!(old.upgrade().is_some());
    router.refresh();
    assert!(old.upgrade().is_none());
    drop((router, vhost, registry));
    thread.stop().unwrap();
}

#[tokio::test]
async fn what_is_missing_is_not_found_and_what_is_not_allowed_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let (registry, thread) = registry(directory.path());
    registry.put_user("user", Hash::Nothing, Vec::new()).await.unwrap();
    let vhost = make_vhost(&registry, "v").await;
    let not_found = Err(Refused::NotFound);
    let put = |user, vhost| registry.put_permission(user, vhost, everything());
    assert_eq!(put("nobody", "v").await, not_found);
    assert_eq!(put("user", "nowhere").await, not_found);
    assert_eq!(registry.delete_permission("user", "v").await, Err(Refused::NotFound));
    let no_topics = registry.delete_topic_permissions("user", "v", None).await;
    assert_eq!(no_topics, Err(Refused::NotFound));
    let bad = NamePatterns { read: "(".to_owned(), ..everything() };
    let refused = registry.put_permission("user", "v", bad).await;
    assert_eq!(refused.unwrap_err().to_string(), "invalid_regexp '(': unclosed group");
    let topics = TopicPatterns::default();
    let refused = registry.put_topic_permission("user", "v", "none", topics).await;
    assert_eq!(refused.unwrap_err().to_string(), "no_such_exchange 'none'");
    let tags = (0..33).map(|number| number.to_string()).collect();
    let refused = registry.put_user("user", Hash::Nothing, tags).await;
    let expected = "A user can have at most 32 tags (received 33)";
    assert_eq!(refused.unwrap_err().to_string(), expected);
    assert!(registry.now().users["user"].permissions.is_empty());
    drop(vhost);
    assert_eq!(stored(registry, thread, directory.path()).permissions, []);
}
