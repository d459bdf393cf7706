//! The definitions, by their keys. Changed by commits, listed when the store is opened.

use std::collections::BTreeMap;

use crate::change::Change;
use crate::ids::QueueId;
use crate::records::{
    BindingRecord, Definitions, ExchangeRecord, GlobalParameterRecord, ParameterRecord,
    PermissionRecord, QueueRecord, TopicPermissionRecord, UserRecord, VhostRecord,
};

/// A key of two names.
type Two = (String, String);
/// A key of three names.
type Three = (String, String, String);

/// One map for each kind.
#[derive(Default)]
pub(super) struct Tables {
    vhosts: BTreeMap<String, VhostRecord>,
    users: BTreeMap<String, UserRecord>,
    permissions: BTreeMap<Two, PermissionRecord>,
    topic_permissions: BTreeMap<Three, TopicPermissionRecord>,
    parameters: BTreeMap<Three, ParameterRecord>,
    global_parameters: BTreeMap<String, GlobalParameterRecord>,
    exchanges: BTreeMap<Two, ExchangeRecord>,
    pub(super) queues: BTreeMap<QueueId, QueueRecord>,
    bindings: BTreeMap<BindingRecord, ()>,
}

impl Tables {
    /// Applies a change of the definitions; the others change nothing here.
    pub(super) fn apply(&mut self, change: Change) {
        match change {
            Change::Settle { .. }
            | Change::PutProgress { .. }
            | Change::Remember { .. }
            | Change::Forget { .. }
            | Change::ForgetOwner { .. } => {}
            Change::PutVhost(record) => put(&mut self.vhosts, record.name.clone(), record),
            Change::DeleteVhost { name } => delete(&mut self.vhosts, &name),
            Change::PutUser(record) => put(&mut self.users, record.name.clone(), record),
            Change::DeleteUser { name } => delete(&mut self.users, &name),
            Change::PutPermission(record) => {
                let key = (record.user.clone(), record.vhost.clone());
                put(&mut self.permissions, key, record);
            }
            Change::DeletePermission { user, vhost } => {
                delete(&mut self.permissions, &(user, vhost));
            }
            Change::PutTopicPermission(record) => {
                let key = (record.user.clone(), record.vhost.clone(), record.exchange.clone());
                put(&mut self.topic_permissions, key, record);
            }
            Change::DeleteTopicPermission { user, vhost, exchange } => {
                delete(&mut self.topic_permissions, &(user, vhost, exchange));
            }
            Change::PutParameter(record) => {
                let key = (record.vhost.clone(), record.component.clone(), record.name.clone());
                put(&mut self.parameters, key, record);
            }
            Change::DeleteParameter { vhost, component, name } => {
                delete(&mut self.parameters, &(vhost, component, name));
            }
            Change::PutGlobalParameter(record) => {
                put(&mut self.global_parameters, record.name.clone(), record);
            }
            Change::DeleteGlobalParameter { name } => delete(&mut self.global_parameters, &name),
            Change::PutExchange(record) => {
                put(&mut self.exchanges, (record.vhost.clone(), record.name.clone()), record);
            }
            Change::DeleteExchange { vhost, name } => delete(&mut self.exchanges, &(vhost, name)),
            Change::PutQueue(record) => put(&mut self.queues, record.id, record),
            Change::DeleteQueue(queue) => delete(&mut self.queues, &queue),
            Change::PutBinding(record) => put(&mut self.bindings, record, ()),
            Change::DeleteBinding(record) => delete(&mut self.bindings, &record),
            Change::DeliveredTo { queue, id } => {
                if let Some(record) = self.queues.get_mut(&queue) {
                    record.delivered_to = id;
                }
            }
        }
    }

    /// All records, each list in the order of its keys.
    pub(super) fn list(&self) -> Definitions {
        Definitions {
            vhosts: self.vhosts.values().cloned().collect(),
            users: self.users.values().cloned().collect(),
            permissions: self.permissions.values().cloned().collect(),
            topic_permissions: self.topic_permissions.values().cloned().collect(),
            parameters: self.parameters.values().cloned().collect(),
            global_parameters: self.global_parameters.values().cloned().collect(),
            exchanges: self.exchanges.values().cloned().collect(),
            queues: self.queues.values().cloned().collect(),
            bindings: self.bindings.keys().cloned().collect(),
        }
    }
}

fn put<K: Ord, V>(table: &mut BTreeMap<K, V>, key: K, record: V) {
    table.insert(key, record);
}

fn delete<K: Ord, V>(table: &mut BTreeMap<K, V>, key: &K) {
    table.remove(key);
}
