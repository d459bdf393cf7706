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
use crate::vhost::relay::batch_of;

/// A message that a client has published, and what its channel wants to know of it.
#[derive(Debug)]
pub(crate) struct Routed {
    pub(crate) outgoing: Outgoing,
    /// The channel it came on.
    pub(crate) channel: ChannelId,
    /// Its number on the channel, if it is to be confirmed.
    pub(crate) confirm: Option<u64>,
    /// Mandatory, and no queue takes it: a transaction returns it at its commit.
    pub(crate) returned: bool,
    /// It goes to who waits for a direct reply, past all queues.
    pub(crate) reply: bool,
}

impl Routed {
    /// Whether anything is left to be done for it.
    pub(crate) fn is_due(&self) -> bool {
        self.reply || self.confirm.is_some() || !self.outgoing.route.targets.is_empty()
    }

    /// Whether its confirm has to wait for the store. That of a duplicate waits for the first one's.
    fn waits_for_store(&self) -> bool {
        self.outgoing.is_stored() || self.outgoing.verdict == Verdict::Duplicate
    }

    fn is_refused(&self) -> bool {
        self.outgoing.verdict == Verdict::Refused
    }

    /// The same, no longer holding the read buffer it came in.
    pub(crate) fn detached(self) -> Routed {
        Routed { outgoing: self.outgoing.detached(), ..self }
    }
}

/// Confirms of one channel that become due together.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct ConfirmRun {
    pub(crate) channel: ChannelId,
    pub(crate) range: PublishRange,
}

/// Gathered publishes.
#[derive(Debug, Default)]
pub(crate) struct Publishes {
    gathered: Vec<Routed>,
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
    fn confirm(&mut self, routed: &Routed) {
        let (channel, Some(number)) = (routed.channel, routed.confirm) else {
            return;
        };
        let runs = if routed.is_refused() {
            &mut self.refused
        } else if routed.waits_for_store() {
            &mut self.after_store
        } else {
            &mut self.now
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

    pub(crate) fn add(&mut self, routed: Routed) {
        self.gathered.push(routed);
    }

    /// Whether any of them has to be stored.
    pub(crate) fn any_stored(&self) -> bool {
        self.gathered.iter().any(|routed| routed.outgoing.is_stored())
    }

    /// The channels that have published what must be stored and wait for no confirm of it.
    pub(crate) fn unconfirmed_channels(&self) -> HashSet<u16> {
        let stored = self.gathered.iter().filter(|routed| routed.outgoing.is_stored());
        let unconfirmed = stored.filter(|routed| routed.confirm.is_none());
        unconfirmed.map(|routed| routed.channel.number).collect()
    }

    /// Hands everything to the store and then to the queues. `stored` is called when the store has finished, if any
    /// confirm waits for it.
    pub(crate) async fn send(
        &mut self,
        vhost: &Vhost,
        stored: impl FnOnce() -> Completion,
    ) -> Sent {
        vhost.storage.committer.room().await;
        let now_ms = clock::now_ms();
        let mut admission = admit(vhost, outgoing(&mut self.gathered), now_ms).await;
        let mut sent = Sent::default();
        for routed in &self.gathered {
            sent.confirm(routed);
        }
        let done = (!sent.after_store.is_empty()).then(stored);
        let batch = Batch { done, ..batch_of(&mut admission) };
        let count = self.gathered.len() + admission.dead.len();
        let messages = due(vhost, self.gathered.drain(..)).chain(admission.dead.drain(..));
        sent.held = dispatch(&vhost.storage, count, messages, batch).await;
        sent
    }
}

/// What these ask the queues about.
pub(crate) fn outgoing(routed: &mut [Routed]) -> impl Iterator<Item = &mut Outgoing> {
    routed.iter_mut().map(|routed| &mut routed.outgoing)
}

/// What goes to queues; direct replies go at once to who waits for them.
pub(crate) fn due(
    vhost: &Vhost,
    routed: impl Iterator<Item = Routed>,
) -> impl Iterator<Item = Outgoing> {
    routed.filter_map(|Routed { outgoing, reply, .. }| {
        if reply {
            let message = without_blind_copies(&outgoing.message);
            vhost.reply_to.send(outgoing.message.routing_key(), message);
            return None;
        }
        Some(outgoing)
    })
}
