//! Publishes on their way to the store and the queues, gathered over one read of the socket: one store batch and one
//! command a queue for all of them.

use std::collections::HashSet;
use std::sync::Arc;

use leveret_persistence::{Batch, Completion};

use super::confirms::PublishRange;
use crate::clock;
use crate::connection::ChannelId;
use crate::queue::Queue;
use crate::vhost::Vhost;
use crate::vhost::admission::admit;
use crate::vhost::dispatch::{Outgoing, Verdict, dispatch, without_blind_copies};
use crate::vhost::publish::Route;
use crate::vhost::relay::batch_of;

/// A message that a client has published, and what its channel wants to know of it. `R`: see [`Outgoing`].
#[derive(Debug)]
pub(crate) struct Routed<R = Arc<Route>> {
    pub(crate) outgoing: Outgoing<R>,
    /// The channel it came on.
    pub(crate) channel: ChannelId,
    /// Its number on the channel, if it is to be confirmed.
    pub(crate) confirm: Option<u64>,
    /// Mandatory, and no queue takes it: a transaction returns it at its commit.
    pub(crate) returned: bool,
    /// It goes to who waits for a direct reply, past all queues.
    pub(crate) reply: bool,
}

impl<R> Routed<R> {
    /// The same, no longer holding the read buffer it came in.
    pub(crate) fn detached(self) -> Routed<R> {
        Routed { outgoing: self.outgoing.detached(), ..self }
    }

    /// The same by another way of saying where it goes.
    #[inline]
    fn with_route<S>(self, route: impl FnOnce(R) -> S) -> Routed<S> {
        let Routed { outgoing, channel, confirm, returned, reply } = self;
        let Outgoing { message, route: old, persistent, verdict } = outgoing;
        let outgoing = Outgoing { message, route: route(old), persistent, verdict };
        Routed { outgoing, channel, confirm, returned, reply }
    }
}

impl Routed {
    /// Whether anything is left to be done for it.
    pub(crate) fn is_due(&self) -> bool {
        self.reply || self.confirm.is_some() || !self.outgoing.route.targets.is_empty()
    }

    /// When its confirm is due. That of a duplicate waits for the first one's.
    fn due(&self) -> Due {
        match self.outgoing.verdict {
            Verdict::Refused => Due::Refused,
            Verdict::Taken if !self.outgoing.is_stored() => Due::Now,
            Verdict::Taken | Verdict::Duplicate => Due::AfterStore,
        }
    }
}

/// When a publish is to be confirmed, if at all.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Due {
    AfterStore,
    Now,
    Refused,
}

/// Confirms of one channel that become due together.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct ConfirmRun {
    pub(crate) channel: ChannelId,
    pub(crate) range: PublishRange,
}

/// Where a gathered publish goes: a place among [`Publishes::routes`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct RoutePlace(usize);

/// Gathered publishes.
#[derive(Debug, Default)]
pub(crate) struct Publishes {
    gathered: Vec<Routed<RoutePlace>>,
    /// Their routes; that of many is mostly one, and is not to be counted up and down for each of them.
    routes: Vec<Arc<Route>>,
    /// How many of them wait for a confirm.
    confirming: usize,
}

/// What became of gathered publishes.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    /// To be confirmed when the store has finished the batch.
    pub(crate) after_store: Vec<ConfirmRun>,
    /// To be confirmed now: nothing of them has to be stored.
    pub(crate) now: Vec<ConfirmRun>,
    /// To be answered with `basic.nack`: some queue does not take them.
    pub(crate) refused: Vec<ConfirmRun>,
    /// The queues that ask their publishers to wait.
    pub(crate) held: Vec<Arc<Queue>>,
}

impl Sent {
    /// Puts the confirm of a publish where it belongs, joined with those of the publishes before it on its channel.
    fn confirm(&mut self, channel: ChannelId, number: u64, due: Due) {
        let runs = match due {
            Due::Refused => &mut self.refused,
            Due::AfterStore => &mut self.after_store,
            Due::Now => &mut self.now,
        };
        match runs.last_mut() {
            Some(run) if run.channel == channel && run.range.last + 1 == number => {
                run.range.last = number;
            }
            _ => {
                let range = PublishRange { first: number, last: number };
                runs.push(ConfirmRun { channel, range });
            }
        }
    }
}

impl Publishes {
    pub(crate) fn is_empty(&self) -> bool {
        self.gathered.is_empty()
    }

    /// Adds a publish that goes this way.
    #[inline]
    pub(crate) fn add(&mut self, route: &Arc<Route>, routed: Routed<()>) {
        if self.routes.last().is_none_or(|last| !Arc::ptr_eq(last, route)) {
            self.routes.push(Arc::clone(route));
        }
        let place = RoutePlace(self.routes.len() - 1);
        self.confirming += usize::from(routed.confirm.is_some());
        self.gathered.push(routed.with_route(|()| place));
    }

    /// Whether any of them has to be stored.
    pub(crate) fn any_stored(&self) -> bool {
        self.stored().next().is_some()
    }

    /// The channels that have published what must be stored and wait for no confirm of it.
    pub(crate) fn unconfirmed_channels(&self) -> HashSet<u16> {
        let unconfirmed = self.stored().filter(|routed| routed.confirm.is_none());
        unconfirmed.map(|routed| routed.channel.number).collect()
    }

    fn stored(&self) -> impl Iterator<Item = &Routed<RoutePlace>> {
        self.gathered.iter().filter(|routed| {
            let Outgoing { route, persistent, .. } = routed.outgoing;
            !route_at(&self.routes, route).stored_in(persistent).is_empty()
        })
    }

    /// Hands everything to the store and then to the queues. `stored` is called when the store has finished, if any
    /// confirm waits for it.
    pub(crate) async fn send(
        &mut self,
        vhost: &Vhost,
        stored: impl FnOnce() -> Completion,
    ) -> Sent {
        vhost.storage.committer.room().await;
        if self.routes.iter().any(|route| route.gated) {
            return self.send_gated(vhost, stored).await;
        }
        let Publishes { gathered, routes, confirming } = self;
        let mut sent = Sent::default();
        if std::mem::take(confirming) > 0 {
            for Routed { outgoing, channel, confirm, .. } in gathered.iter() {
                let route = route_at(routes, outgoing.route);
                let waits = !route.stored_in(outgoing.persistent).is_empty();
                if let Some(number) = *confirm {
                    sent.confirm(*channel, number, if waits { Due::AfterStore } else { Due::Now });
                }
            }
        }
        let done = (!sent.after_store.is_empty()).then(stored);
        let count = gathered.len();
        let routed = gathered.drain(..).map(|routed| routed.with_route(|at| route_at(routes, at)));
        let batch = Batch { done, ..Batch::default() };
        sent.held = dispatch(&vhost.storage, count, due(vhost, routed), batch).await;
        routes.clear();
        sent
    }

    /// As [`Publishes::send`], where a queue or an exchange may refuse some of them.
    async fn send_gated(&mut self, vhost: &Vhost, stored: impl FnOnce() -> Completion) -> Sent {
        let Publishes { gathered, routes, confirming } = self;
        *confirming = 0;
        let own = |at: RoutePlace| routes.get(at.0).cloned().unwrap_or_default();
        let mut gathered: Vec<Routed> =
            gathered.drain(..).map(|routed| routed.with_route(own)).collect();
        routes.clear();
        let mut admission = admit(vhost, outgoing(&mut gathered), clock::now_ms()).await;
        let mut sent = Sent::default();
        for routed in &gathered {
            if let Some(number) = routed.confirm {
                sent.confirm(routed.channel, number, routed.due());
            }
        }
        let done = (!sent.after_store.is_empty()).then(stored);
        let batch = Batch { done, ..batch_of(&mut admission) };
        let count = gathered.len() + admission.dead.len();
        let messages = due(vhost, gathered.into_iter()).chain(admission.dead.drain(..));
        sent.held = dispatch(&vhost.storage, count, messages, batch).await;
        sent
    }
}

/// The route at a place that [`Publishes::add`] has given.
#[inline]
fn route_at(routes: &[Arc<Route>], place: RoutePlace) -> &Route {
    routes.get(place.0).expect("a route stays as long as what goes by it")
}

/// What these ask the queues about.
pub(crate) fn outgoing(routed: &mut [Routed]) -> impl Iterator<Item = &mut Outgoing> {
    routed.iter_mut().map(|routed| &mut routed.outgoing)
}

/// What goes to queues; direct replies go at once to who waits for them.
pub(crate) fn due<R>(
    vhost: &Vhost,
    routed: impl Iterator<Item = Routed<R>>,
) -> impl Iterator<Item = Outgoing<R>> {
    routed.filter_map(|Routed { outgoing, reply, .. }| {
        if reply {
            let message = without_blind_copies(&outgoing.message);
            vhost.reply_to.send(outgoing.message.routing_key(), message);
            return None;
        }
        Some(outgoing)
    })
}
