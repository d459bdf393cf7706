//! One channel of a connection: send anything, wait for anything. What tests do often has a name in `operations.rs`
//! and `topology.rs`.

use std::cell::RefCell;
use std::rc::Rc;

use amq_protocol::frame::{AMQPContentHeader, AMQPFrame};
use amq_protocol::protocol::{BasicProperties, basic, channel};

use super::inbox::Event;
use super::{FRAME_OVERHEAD, Shared};
use crate::closed::Closed;
use crate::method::{Method, Request};

/// One channel. Every wait ends at [`crate::wait::DEADLINE`] with a panic.
#[derive(Clone, Debug)]
pub struct Channel {
    shared: Rc<RefCell<Shared>>,
    number: u16,
}

impl Channel {
    pub(super) fn new(shared: Rc<RefCell<Shared>>, number: u16) -> Self {
        Self { shared, number }
    }

    /// The channel number.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// Sends a method and waits for nothing.
    pub fn send(&self, method: impl Method) {
        self.shared.borrow_mut().wire.send_method(self.number, method);
    }

    /// Sends frames and bytes of the test's own making.
    pub fn send_bytes(&self, bytes: &[u8]) {
        let _closed_already = self.shared.borrow_mut().wire.send_bytes(bytes);
    }

    /// Sends a request and waits for its reply; what else arrives meanwhile stays in the inbox.
    ///
    /// # Errors
    /// How the broker closed the channel or the connection instead.
    pub fn call<R: Request>(&self, request: R) -> Result<R::Reply, Closed> {
        self.send(request);
        self.wait_for(|event| R::reply(&event.method))
    }

    /// The first event that `pick` takes, removed from the inbox.
    ///
    /// # Errors
    /// How the broker closed the channel or the connection before one came.
    pub fn wait_for<T>(&self, pick: impl Fn(&Event) -> Option<T>) -> Result<T, Closed> {
        let mut shared = self.shared.borrow_mut();
        loop {
            let inbox = shared.inbox(self.number);
            let found =
                inbox.events.iter().enumerate().find_map(|(at, event)| Some((at, pick(event)?)));
            if let Some((at, taken)) = found {
                inbox.events.remove(at);
                return Ok(taken);
            }
            if let Some(closed) = inbox.closed.clone().or_else(|| shared.closed.clone()) {
                return Err(closed);
            }
            shared.pump();
        }
    }

    /// The next event, whatever it is; panics when the channel or connection is closed instead.
    pub fn next(&self) -> Event {
        self.wait_for(|event| Some(event.clone()))
            .unwrap_or_else(|closed| panic!("waited for an event, got {closed:?}"))
    }

    /// Waits until the broker closes this channel or the connection, and says how.
    pub fn closed(&self) -> Closed {
        self.wait_for(|_| None::<()>).expect_err("nothing was picked")
    }

    /// Everything that has arrived on this channel and that nobody asked for, oldest first.
    pub fn unclaimed(&self) -> Vec<Event> {
        self.shared.borrow_mut().inbox(self.number).events.drain(..).collect()
    }

    /// Closes the channel and waits for close-ok; its number can be opened again.
    pub fn close(self) {
        self.call(channel::Close { reply_code: 200, ..Default::default() })
            .expect("the broker answers channel.close");
        self.shared.borrow_mut().inboxes.remove(&self.number);
    }

    /// Publishes any bytes in body frames of the size that was negotiated.
    pub fn publish_method(&self, method: basic::Publish, properties: BasicProperties, body: &[u8]) {
        let mut shared = self.shared.borrow_mut();
        shared.wire.send_method(self.number, method);
        let header = AMQPContentHeader { class_id: 60, body_size: body.len() as u64, properties };
        shared.wire.send(&AMQPFrame::Header(self.number, header));
        let chunk_len = match shared.frame_max {
            0 => body.len().max(1),
            frame_max => usize::try_from(frame_max).expect("u32 fits usize") - FRAME_OVERHEAD,
        };
        for chunk in body.chunks(chunk_len) {
            shared.wire.send(&AMQPFrame::Body(self.number, chunk.to_vec()));
        }
    }
}
