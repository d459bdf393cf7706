//! A broker in memory: just enough to answer the API, with RabbitMQ's texts where a test looks at them.

mod access;
mod settings;
mod topology;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use leveret_admin_ui::management::{
    BindingView, DestinationType, Error, ExchangeView, GlobalParameter, Object, Parameter,
    Permission, Policy, PolicyKind, Publication, Put, QueueView, TopicPermission, UserLimits,
    UserView, VhostLimits, VhostView,
};

/// The broker.
pub(crate) struct Fake {
    state: Mutex<State>,
}

type InVhost = (String, String);

/// All that it keeps.
#[derive(Default)]
pub(crate) struct State {
    /// Raised when users change.
    pub(crate) access_version: u64,
    /// How often a password was checked.
    pub(crate) logins: usize,
    pub(crate) users: BTreeMap<String, UserView>,
    pub(crate) vhosts: BTreeMap<String, VhostView>,
    pub(crate) permissions: BTreeMap<InVhost, Permission>,
    pub(crate) topic_permissions: BTreeMap<(String, String, String), TopicPermission>,
    pub(crate) policies: BTreeMap<(bool, String, String), Policy>,
    pub(crate) vhost_limits: BTreeMap<String, VhostLimits>,
    pub(crate) user_limits: BTreeMap<String, UserLimits>,
    pub(crate) parameters: BTreeMap<(String, String, String), Parameter>,
    pub(crate) global_parameters: BTreeMap<String, GlobalParameter>,
    pub(crate) exchanges: BTreeMap<InVhost, ExchangeView>,
    pub(crate) queues: BTreeMap<InVhost, QueueView>,
    pub(crate) bindings: Vec<BindingView>,
    pub(crate) published: Vec<Publication>,
}

impl Fake {
    /// Users `admin`, `maker`, `monitor`, `manager`, `app` with the tags that these suggest, each with its name as its password;
    /// vhosts `/` and `a/b`, with the default exchange in each. All but `admin` have permissions in `a/b` only.
    pub(crate) fn new() -> Fake {
        let mut state = State::default();
        for vhost in ["/", "a/b"] {
            state.add_vhost(vhost);
        }
        let users = [
            ("admin", "administrator", "/"),
            ("maker", "policymaker", "a/b"),
            ("monitor", "monitoring", "a/b"),
            ("manager", "management", "a/b"),
            ("app", "impersonator", "a/b"),
        ];
        for (name, tag, vhost) in users {
            let user = UserView {
                name: name.into(),
                password_hash: name.into(),
                hashing_algorithm: "plain".into(),
                tags: vec![tag.into()],
                ..UserView::default()
            };
            state.users.insert(name.into(), user);
            state.permit(vhost, name);
        }
        Fake { state: Mutex::new(state) }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl State {
    fn add_vhost(&mut self, name: &str) {
        let vhost = VhostView { name: name.into(), ..VhostView::default() };
        self.vhosts.insert(name.into(), vhost);
        let default = ExchangeView {
            vhost: name.into(),
            exchange_type: "direct".into(),
            durable: true,
            ..ExchangeView::default()
        };
        self.exchanges.insert((name.into(), String::new()), default);
    }

    fn permit(&mut self, vhost: &str, user: &str) {
        let permission = Permission {
            user: user.into(),
            vhost: vhost.into(),
            configure: ".*".into(),
            write: ".*".into(),
            read: ".*".into(),
        };
        self.permissions.insert((vhost.into(), user.into()), permission);
    }

    /// A vhost that is asked for must exist.
    fn in_vhost(&self, vhost: Option<&str>) -> Result<(), Error> {
        match vhost {
            Some(vhost) if !self.vhosts.contains_key(vhost) => Err(Error::NotFound),
            _ => Ok(()),
        }
    }

    /// Adds a queue with its binding to the default exchange.
    pub(crate) fn add_queue(&mut self, queue: QueueView) {
        self.bindings.push(BindingView {
            vhost: queue.vhost.clone(),
            source: String::new(),
            destination_type: DestinationType::Queue,
            destination: queue.name.clone(),
            routing_key: queue.name.clone(),
            arguments: Object::new(),
        });
        self.queues.insert((queue.vhost.clone(), queue.name.clone()), queue);
    }
}

fn put<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, value: V) -> Put {
    match map.insert(key, value) {
        None => Put::Created,
        Some(_) => Put::Updated,
    }
}

fn is_operator(kind: PolicyKind) -> bool {
    kind == PolicyKind::OperatorPolicy
}
