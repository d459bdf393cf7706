//! A client's connection: handshake, then one task that reads frames, serves its channels and writes what is due.

mod close;
mod events;
mod frames;
pub(crate) mod handshake;
mod heartbeat;
pub(crate) mod listener;
mod methods;
mod outbox;
pub(crate) mod output;
mod task;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use amq_protocol::protocol::AMQPClass;
use foldhash::fast::RandomState;
use leveret_persistence::Ticket;
use leveret_routing::Binding;

use crate::access::permissions::Right;
use crate::access::user_access::UserAccess;
use crate::channel::Channel;
use crate::channel::publish::{ConfirmRun, Publishes};
use crate::channel::settle::Settlements;
use crate::connections::Admitted;
use crate::node::Node;
use crate::protocol::method::encode_method;
use crate::protocol::{Fault, ReplyCode};
use crate::queue::Queue;
use crate::vhost::Vhost;
use crate::vhost::publish::Router;
use crate::vhost::refusals::{self, Resource};
pub(crate) use outbox::{Event, Events, Outbox, StoreFailed};
use output::Output;

/// A connection, unique in the life of the node.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct ConnectionId(pub(crate) u64);

/// A channel, unique in the life of the node: a number that is used again is another channel.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct ChannelId {
    /// Unique by itself.
    pub(crate) serial: u64,
    /// Its number on its connection.
    pub(crate) number: u16,
}

/// What a client said that it understands (`capabilities` in its properties).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ClientCapabilities {
    pub(crate) authentication_failure_close: bool,
    pub(crate) connection_blocked: bool,
    pub(crate) consumer_cancel_notify: bool,
}

/// What the handshake settled.
pub(crate) struct Opened {
    pub(crate) id: ConnectionId,
    pub(crate) access: UserAccess,
    pub(crate) vhost: Arc<Vhost>,
    pub(crate) admitted: Admitted,
    pub(crate) outbox: Outbox,
    pub(crate) events: Events,
    pub(crate) capabilities: ClientCapabilities,
    /// The largest frame either side may send, in bytes; 0 = no limit.
    pub(crate) frame_max: u32,
    /// The number of channels that may be open at once; 0 = no limit.
    pub(crate) channel_max: u16,
    /// The heartbeat interval in seconds; 0 = none.
    pub(crate) heartbeat_secs: u16,
}

/// A slot of a connection's table of channels.
#[derive(Debug)]
pub(crate) enum Slot {
    Open(Box<Channel>),
    /// `channel.close` was sent: everything but its answer is ignored.
    Closing,
}

/// An open connection, without its socket.
pub(crate) struct Connection {
    pub(crate) node: Arc<Node>,
    pub(crate) id: ConnectionId,
    /// What its user may do.
    pub(crate) access: UserAccess,
    /// Its place among the open connections.
    admitted: Admitted,
    pub(crate) vhost: Arc<Vhost>,
    capabilities: ClientCapabilities,
    pub(crate) frame_max: u32,
    channel_max: u16,
    /// Where others leave events for this connection.
    pub(crate) outbox: Outbox,
    /// What they have left there.
    pub(crate) events: Events,
    /// Bytes for the client.
    pub(crate) out: Output,
    pub(crate) channels: HashMap<u16, Slot, RandomState>,
    pub(crate) router: Router,
    pub(crate) publishes: Publishes,
    pub(crate) settlements: Settlements,
    /// The batches that the store has not finished, oldest first, and the confirms that wait for each.
    pub(crate) in_store: VecDeque<Vec<ConfirmRun>>,
    /// The queues it has published to that ask it to wait: it is not read until they have caught up.
    held_by: Vec<Arc<Queue>>,
    /// The queues that are this connection's alone.
    pub(crate) exclusive: Vec<Arc<Queue>>,
    /// What the store has to have written before the answers in `out` may be sent, and where the first of them begins.
    unwritten: Option<(Ticket, usize)>,
    /// When the frames being served were read, in milliseconds since the Unix epoch.
    pub(crate) read_ms: u64,
    /// It has published since it was last asked to stop.
    pub(crate) has_published: bool,
}

impl Connection {
    /// The channel of this number, if it is open.
    pub(crate) fn channel(&mut self, number: u16) -> Option<&mut Channel> {
        match self.channels.get_mut(&number) {
            Some(Slot::Open(channel)) => Some(channel),
            _ => None,
        }
    }

    /// The channel of this id, if it is still the one of its number and open.
    pub(crate) fn channel_of(&mut self, id: ChannelId) -> Option<&mut Channel> {
        self.channel(id.number).filter(|channel| channel.id == id)
    }

    /// Puts a method into the write buffer.
    pub(crate) fn send(&mut self, channel: u16, method: AMQPClass) {
        encode_method(self.out.buffer(), channel, &method);
    }

    /// As [`Connection::send`], unless the client asked for no answer.
    pub(crate) fn reply(&mut self, channel: u16, nowait: bool, method: AMQPClass) {
        if !nowait {
            self.send(channel, method);
        }
    }

    /// Gives back what has grown with the traffic, and what is kept alive only by looking at it seldom.
    fn give_back(&mut self) {
        self.out.shrink();
        self.events.shrink();
        self.router.refresh();
        self.access.current();
    }

    /// What is answered from now on waits for the store to have written everything up to `ticket`. All that one read asks for
    /// shares the wait: a client that declares many things at once does not wait for each.
    /// Refuses at once if the store has failed already.
    pub(crate) fn answer_after(&mut self, ticket: Option<Ticket>) -> Result<(), Fault> {
        let committer = &self.node.storage.committer;
        let Some(ticket) = ticket.filter(|ticket| *ticket > committer.committed()) else {
            return Ok(());
        };
        if committer.failed() {
            return Err(refusals::store_failed());
        }
        let (last, start) = self.unwritten.unwrap_or((ticket, self.out.len()));
        self.unwritten = Some((last.max(ticket), start));
        Ok(())
    }

    /// Waits for what [`Connection::answer_after`] was told. If the store fails, what was answered is not so: the connection ends.
    async fn answers_written(&mut self) -> Result<(), Fault> {
        let Some((ticket, start)) = self.unwritten.take() else {
            return Ok(());
        };
        let written = self.vhost.written(Some(ticket)).await;
        written.map_err(|failed| {
            self.out.truncate(start);
            Fault::new(ReplyCode::InternalError, failed.explanation)
        })
    }

    /// Refuses with 403 if the user lacks the right.
    pub(crate) fn check(&mut self, right: Right, resource: Resource<'_>) -> Result<(), Fault> {
        let (Resource::Queue(name) | Resource::Exchange(name)) = resource;
        if self.access.current().0.allows(right, name) {
            Ok(())
        } else {
            let user = self.access.user_name();
            Err(refusals::access_refused(right, resource, &self.vhost.name, user))
        }
    }

    /// Whether the user has any right at all on the resource.
    pub(crate) fn check_any(&mut self, resource: Resource<'_>) -> Result<(), Fault> {
        let refused = self.check(Right::Configure, resource);
        let any = [Right::Write, Right::Read].into_iter().any(|r| self.check(r, resource).is_ok());
        if any { Ok(()) } else { refused }
    }

    /// Refuses with 403 a binding of a topic exchange whose routing key the user may not read.
    pub(crate) fn check_topic_read(&mut self, binding: &Binding) -> Result<(), Fault> {
        let source = &*binding.source;
        if !self.vhost.is_topic(source) {
            return Ok(());
        }
        if self.access.current().0.allows_topic(Right::Read, source, &binding.routing_key) {
            return Ok(());
        }
        let user = self.access.user_name();
        let (key, vhost) = (&binding.routing_key, &self.vhost.name);
        Err(refusals::topic_refused(Right::Read, key, source, vhost, user))
    }
}
