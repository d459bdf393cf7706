//! The open connections of the node: who they are, how many each user and vhost has, and how to reach them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::connection::{ConnectionId, Event, Outbox};
use crate::protocol::Fault;
use crate::vhost::VhostName;

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    table: Mutex<Table>,
    all_closed: Notify,
}

#[derive(Debug, Default)]
struct Table {
    open: HashMap<ConnectionId, Open>,
    users: HashMap<Arc<str>, Usage>,
    vhosts: HashMap<VhostName, usize>,
    /// The broker stops: no more may open.
    stopping: bool,
}

#[derive(Debug)]
struct Open {
    outbox: Outbox,
    user: Arc<str>,
    vhost: VhostName,
    channels: Arc<AtomicUsize>,
}

/// What is open.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct OpenTotals {
    pub(crate) connections: usize,
    pub(crate) channels: usize,
}

/// What a user has open.
#[derive(Debug, Default)]
struct Usage {
    connections: usize,
    channels: Arc<AtomicUsize>,
}

/// How many connections there may be. Negative or none: any number.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ConnectionLimits {
    pub(crate) vhost: Option<i64>,
    pub(crate) user: Option<i64>,
}

/// Why a connection may not open.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum NotAdmitted {
    /// The broker stops.
    Stopping,
    /// The vhost has as many as this already.
    VhostLimit(i64),
    /// The user has as many as this already.
    UserLimit(i64),
}

impl Connections {
    /// Adds a connection for as long as what it returns lives. Counted and added in one step: a limit holds exactly.
    pub(crate) fn admit(
        self: &Arc<Self>,
        id: ConnectionId,
        outbox: Outbox,
        user: &Arc<str>,
        vhost: &VhostName,
        limits: ConnectionLimits,
    ) -> Result<Admitted, NotAdmitted> {
        let mut table = self.table();
        if table.stopping {
            return Err(NotAdmitted::Stopping);
        }
        if let Some(limit) = reached(limits.vhost, table.vhosts.get(vhost).copied()) {
            return Err(NotAdmitted::VhostLimit(limit));
        }
        let of_user = table.users.get(user).map(|usage| usage.connections);
        if let Some(limit) = reached(limits.user, of_user) {
            return Err(NotAdmitted::UserLimit(limit));
        }
        *table.vhosts.entry(Arc::clone(vhost)).or_default() += 1;
        let usage = table.users.entry(Arc::clone(user)).or_default();
        usage.connections += 1;
        let of_user = Arc::clone(&usage.channels);
        let channels = Arc::<AtomicUsize>::default();
        let open = Open {
            outbox,
            user: Arc::clone(user),
            vhost: Arc::clone(vhost),
            channels: Arc::clone(&channels),
        };
        table.open.insert(id, open);
        Ok(Admitted { connections: Arc::clone(self), id, channels, of_user })
    }

    /// Closes every connection with this fault and lets no more in.
    pub(crate) fn close_all(&self, fault: &Fault) {
        self.table().stopping = true;
        self.close_where(fault, |_| true);
    }

    /// Closes a user's connections.
    pub(crate) fn close_of_user(&self, user: &str, fault: &Fault) {
        self.close_where(fault, |open| &*open.user == user);
    }

    /// Closes the connections to a vhost.
    pub(crate) fn close_of_vhost(&self, vhost: &str, fault: &Fault) {
        self.close_where(fault, |open| &*open.vhost == vhost);
    }

    fn close_where(&self, fault: &Fault, chosen: impl Fn(&Open) -> bool) {
        for open in self.table().open.values().filter(|open| chosen(open)) {
            open.outbox.send(Event::Close(fault.clone()));
        }
    }

    /// Waits until no connection is open.
    pub(crate) async fn all_closed(&self) {
        let mut closed = std::pin::pin!(self.all_closed.notified());
        closed.as_mut().enable();
        if self.table().open.is_empty() {
            return;
        }
        closed.await;
    }

    /// How many connections and channels are open, in one vhost or in all.
    pub(crate) fn totals(&self, vhost: Option<&str>) -> OpenTotals {
        let table = self.table();
        let asked =
            table.open.values().filter(|open| vhost.is_none_or(|name| name == &*open.vhost));
        asked.fold(OpenTotals::default(), |totals, open| OpenTotals {
            connections: totals.connections + 1,
            channels: totals.channels + open.channels.load(Ordering::Relaxed),
        })
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Each change is one step: a panic elsewhere leaves nothing half done.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The limit, if `count` has reached it.
fn reached(limit: Option<i64>, count: Option<usize>) -> Option<i64> {
    let limit = limit?;
    let max = usize::try_from(limit).ok()?;
    (count.unwrap_or_default() >= max).then_some(limit)
}

/// A connection's entry in [`Connections`]; leaves it when dropped.
#[derive(Debug)]
pub(crate) struct Admitted {
    connections: Arc<Connections>,
    id: ConnectionId,
    channels: Arc<AtomicUsize>,
    /// The channels of the user over all its connections.
    of_user: Arc<AtomicUsize>,
}

impl Admitted {
    /// Counts a channel of the user for as long as what it returns lives; or says the limit that is reached.
    pub(crate) fn open_channel(&self, limit: Option<i64>) -> Result<OpenChannel, i64> {
        let before = self.of_user.fetch_add(1, Ordering::Relaxed);
        self.channels.fetch_add(1, Ordering::Relaxed);
        let counted = OpenChannel([Arc::clone(&self.channels), Arc::clone(&self.of_user)]);
        match reached(limit, Some(before)) {
            Some(limit) => Err(limit),
            None => Ok(counted),
        }
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut table = self.connections.table();
        let Some(Open { user, vhost, .. }) = table.open.remove(&self.id) else {
            return;
        };
        if let Some(usage) = table.users.get_mut(&user) {
            usage.connections -= 1;
            if usage.connections == 0 {
                table.users.remove(&user);
            }
        }
        if let Some(count) = table.vhosts.get_mut(&vhost) {
            *count -= 1;
            if *count == 0 {
                table.vhosts.remove(&vhost);
            }
        }
        if table.open.is_empty() {
            self.connections.all_closed.notify_waiters();
        }
    }
}

/// An open channel in the counts of its connection and its user; leaves them when dropped.
#[derive(Debug)]
pub(crate) struct OpenChannel([Arc<AtomicUsize>; 2]);

impl Drop for OpenChannel {
    fn drop(&mut self) {
        for count in &self.0 {
            count.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::Events;
    use crate::protocol::ReplyCode;

    fn admit(
        connections: &Arc<Connections>,
        id: u64,
        user: &str,
        vhost: &str,
        limits: (Option<i64>, Option<i64>),
    ) -> Result<(Admitted, Events), NotAdmitted> {
        let (outbox, events) = Outbox::new();
        let limits = ConnectionLimits { vhost: limits.0, user: limits.1 };
        let (user, vhost) = (Arc::from(user), Arc::from(vhost));
        let admitted = connections.admit(ConnectionId(id), outbox, &user, &vhost, limits)?;
        Ok((admitted, events))
    }

    #[test]
    fn limits_hold_exactly_and_what_leaves_makes_room() {
        let connections = Arc::new(Connections::default());
        let full = |result: Result<_, NotAdmitted>| result.map(drop).unwrap_err();
        let (none, two) = (None, Some(2));
        let first = admit(&connections, 1, "u", "/", (two, two)).unwrap();
        let _second = admit(&connections, 2, "u", "x", (two, two)).unwrap();
        assert_eq!(full(admit(&connections, 3, "u", "/", (two, two))), NotAdmitted::UserLimit(2));
        let _third = admit(&connections, 4, "v", "/", (two, two)).unwrap();
        assert_eq!(full(admit(&connections, 5, "v", "/", (two, two))), NotAdmitted::VhostLimit(2));
        drop(first);
        let _fourth = admit(&connections, 6, "u", "/", (two, two)).unwrap();
        let _negative = admit(&connections, 7, "u", "/", (Some(-1), none)).unwrap();
        assert_eq!(
            full(admit(&connections, 8, "w", "y", (Some(0), none))),
            NotAdmitted::VhostLimit(0)
        );
        assert_eq!(
            full(admit(&connections, 8, "w", "y", (none, Some(0)))),
            NotAdmitted::UserLimit(0)
        );
        let open = |vhost| connections.totals(vhost).connections;
        assert_eq!((open(None), open(Some("/"))), (4, 3));
    }

    #[test]
    fn channels_count_over_all_connections_of_a_user() {
        let connections = Arc::new(Connections::default());
        let (first, _events) = admit(&connections, 1, "u", "/", (None, None)).unwrap();
        let (second, _events) = admit(&connections, 2, "u", "/", (None, None)).unwrap();
        let (other, _events) = admit(&connections, 3, "v", "/", (None, None)).unwrap();
        let channel = first.open_channel(Some(2)).unwrap();
        let _kept = second.open_channel(Some(2)).unwrap();
        assert_eq!(second.open_channel(Some(2)).unwrap_err(), 2);
        assert_eq!(second.open_channel(Some(2)).unwrap_err(), 2, "a refused one does not count");
        let _theirs = other.open_channel(Some(2)).unwrap();
        let expected = OpenTotals { connections: 3, channels: 3 };
        assert_eq!(connections.totals(Some("/")), expected);
        drop(channel);
        let _room = second.open_channel(Some(2)).unwrap();
        let _unlimited = second.open_channel(Some(-1)).unwrap();
    }

    #[test]
    fn closing_reaches_those_it_is_for() {
        let connections = Arc::new(Connections::default());
        let (_a, mut of_a) = admit(&connections, 1, "u", "/", (None, None)).unwrap();
        let (_b, mut of_b) = admit(&connections, 2, "v", "x", (None, None)).unwrap();
        let fault = Fault::new(ReplyCode::ConnectionForced, "reason");
        connections.close_of_user("u", &fault);
        assert!(matches!(of_a.try_next(), Some(Event::Close(_))));
        assert!(of_b.try_next().is_none());
        connections.close_of_vhost("x", &fault);
        assert!(matches!(of_b.try_next(), Some(Event::Close(_))));
        connections.close_all(&fault);
        let refused = admit(&connections, 3, "u", "/", (None, None)).map(drop).unwrap_err();
        assert_eq!(refused, NotAdmitted::Stopping);
    }
}
