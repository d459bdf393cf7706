//! A connection, blocking and in one thread, so that the order in which the broker said things stays visible. It answers
//! nothing but `close`, and hides nothing: what a test did not ask for stays in the inbox of its channel.

mod channel;
mod inbox;
mod operations;
mod topology;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use amq_protocol::frame::AMQPFrame;
use amq_protocol::protocol::channel as channel_class;
use amq_protocol::protocol::{AMQPClass, connection};

use crate::closed::{Closed, channel_closed, connection_closed};
use crate::wire::{Received, Wire};

pub use self::channel::Channel;
use self::inbox::Inbox;
pub use self::inbox::{Event, Message};

/// Octets of a frame that are not payload: type, channel, length, frame end.
const FRAME_OVERHEAD: usize = 8;

#[derive(Debug)]
struct Shared {
    wire: Wire,
    frame_max: u32,
    inboxes: BTreeMap<u16, Inbox>,
    closed: Option<Closed>,
    largest_frame: usize,
}

/// An open connection.
#[derive(Clone, Debug)]
pub struct Connection {
    shared: Rc<RefCell<Shared>>,
}

impl Connection {
    /// A connection whose handshake is done on `wire`.
    pub(crate) fn new(wire: Wire, frame_max: u32) -> Self {
        let inboxes = BTreeMap::from([(0, Inbox::default())]);
        let shared = Shared { wire, frame_max, inboxes, closed: None, largest_frame: 0 };
        Self { shared: Rc::new(RefCell::new(shared)) }
    }

    /// Opens the lowest channel number that is free.
    pub fn channel(&self) -> Channel {
        let number = {
            let shared = self.shared.borrow();
            (1..).find(|number| !shared.inboxes.contains_key(number))
        };
        self.open_channel(number.expect("fewer than 65,535 channels are open"))
            .expect("the broker opens a channel")
    }

    /// Opens the channel `number`.
    ///
    /// # Errors
    /// How the broker refused it.
    pub fn open_channel(&self, number: u16) -> Result<Channel, Closed> {
        let channel = self.unopened_channel(number);
        channel.call(channel_class::Open {})?;
        Ok(channel)
    }

    /// The channel `number` without opening it: for tests of what the broker says to that.
    pub fn unopened_channel(&self, number: u16) -> Channel {
        self.shared.borrow_mut().inboxes.insert(number, Inbox::default());
        Channel::new(Rc::clone(&self.shared), number)
    }

    /// Channel 0, on which the connection itself speaks.
    pub fn control(&self) -> Channel {
        Channel::new(Rc::clone(&self.shared), 0)
    }

    /// Closes the connection and waits for close-ok.
    pub fn close(&self) {
        self.control()
            .call(connection::Close { reply_code: 200, ..Default::default() })
            .expect("the broker answers connection.close");
    }

    /// Octets of the largest body frame the broker has sent, with its overhead.
    pub fn largest_frame(&self) -> usize {
        self.shared.borrow().largest_frame
    }

    /// Waits until the broker closes the connection, and says how.
    pub fn closed(&self) -> Closed {
        let mut shared = self.shared.borrow_mut();
        loop {
            if let Some(closed) = &shared.closed {
                return closed.clone();
            }
            shared.pump();
        }
    }
}

impl Shared {
    /// Reads one frame and puts what it completes into the inbox of its channel.
    fn pump(&mut self) {
        let frame = match self.wire.receive() {
            Received::Frame(frame) => frame,
            Received::End => {
                self.closed.get_or_insert_with(Closed::socket);
                return;
            }
        };
        let number = frame.channel_id();
        match frame {
            AMQPFrame::Method(0, AMQPClass::Connection(connection::AMQPMethod::Close(close))) => {
                self.wire.send_method(0, connection::CloseOk {});
                self.closed = Some(connection_closed(close.reply_code, close.reply_text.as_str()));
            }
            AMQPFrame::Method(_, AMQPClass::Channel(channel_class::AMQPMethod::Close(close))) => {
                self.wire.send_method(number, channel_class::CloseOk {});
                let closed = channel_closed(close.reply_code, close.reply_text.as_str());
                self.inbox(number).closed = Some(closed);
            }
            AMQPFrame::Method(_, method) => self.inbox(number).method(method),
            AMQPFrame::Header(_, header) => self.inbox(number).header(header),
            AMQPFrame::Body(_, bytes) => {
                let octets = bytes.len() + FRAME_OVERHEAD;
                self.largest_frame = self.largest_frame.max(octets);
                self.inbox(number).body(&bytes);
            }
            other => panic!("unexpected frame {other:?}"),
        }
    }

    fn inbox(&mut self, number: u16) -> &mut Inbox {
        self.inboxes
            .get_mut(&number)
            .unwrap_or_else(|| panic!("the broker spoke on channel {number}, which is not open"))
    }
}
