//! One TCP connection to a broker: frames and bytes as they are, nothing answered on its own.
//!
//! The codec is amq-protocol's, which Leveret's hand-written one is checked against. Used by the tests that send what no
//! client would, and by [`crate::client`].

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use amq_protocol::frame::{AMQPFrame, WriteContext, gen_frame, parse_frame};
use amq_protocol::protocol::AMQPClass;

use crate::method::Method;
use crate::wait::DEADLINE;

/// The protocol header of AMQP 0-9-1.
pub const PROTOCOL_HEADER: [u8; 8] = *b"AMQP\x00\x00\x09\x01";

/// What came from the broker.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "one at a time lives on the stack of a test")]
pub enum Received {
    /// One whole frame.
    Frame(AMQPFrame),
    /// The broker closed the socket, or reset it.
    End,
}

/// A socket, and what was read from it but not yet taken.
#[derive(Debug)]
pub struct Wire {
    socket: TcpStream,
    unread: Vec<u8>,
}

impl Wire {
    /// Connects; panics when nobody listens.
    pub fn connect(address: SocketAddr) -> Self {
        let socket = TcpStream::connect(address)
            .unwrap_or_else(|error| panic!("cannot connect to {address}: {error}"));
        socket.set_nodelay(true).expect("a connected socket takes options");
        Self { socket, unread: Vec::new() }
    }

    /// Sends bytes as they are. An error means that the broker has gone, which some tests expect.
    pub fn send_bytes(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.socket.write_all(bytes)
    }

    /// Sends one frame. That the broker has closed already is not an error here: what it said is still to be read.
    pub fn send(&mut self, frame: &AMQPFrame) {
        let _closed_already = self.send_bytes(&encode(frame));
    }

    /// Sends one method.
    pub fn send_method(&mut self, channel: u16, method: impl Method) {
        self.send(&AMQPFrame::Method(channel, method.into_class()));
    }

    /// The next frame that is not a heartbeat, or the end of the connection; panics at the deadline.
    pub fn receive(&mut self) -> Received {
        loop {
            match self.receive_within(DEADLINE) {
                Some(Received::Frame(AMQPFrame::Heartbeat)) => {}
                Some(received) => return received,
                None => panic!("the broker sent nothing for {DEADLINE:?}"),
            }
        }
    }

    /// The next method on any channel; panics on anything else.
    pub fn receive_method(&mut self) -> (u16, AMQPClass) {
        match self.receive() {
            Received::Frame(AMQPFrame::Method(channel, method)) => (channel, method),
            other => panic!("expected a method, got {other:?}"),
        }
    }

    /// Reads and drops everything until the broker closes the socket; panics at the deadline.
    pub fn drain(&mut self) {
        while self.receive() != Received::End {}
    }

    /// The next frame, heartbeats included, or nothing when `patience` runs out first.
    pub fn receive_within(&mut self, patience: Duration) -> Option<Received> {
        let end = Instant::now() + patience;
        loop {
            if let Some(frame) = self.parse() {
                return Some(Received::Frame(frame));
            }
            match self.read_more(end) {
                ReadOutcome::Bytes => {}
                ReadOutcome::End => return Some(Received::End),
                ReadOutcome::Nothing => return None,
            }
        }
    }

    /// Exactly `count` raw bytes, or fewer if the broker closes first.
    pub fn receive_bytes(&mut self, count: usize) -> Vec<u8> {
        let end = Instant::now() + DEADLINE;
        while self.unread.len() < count && matches!(self.read_more(end), ReadOutcome::Bytes) {}
        let taken = count.min(self.unread.len());
        self.unread.drain(..taken).collect()
    }

    /// Says that nothing more will be sent, as a client that crashes does.
    pub fn shut_down_write(&self) {
        let _reset_already = self.socket.shutdown(Shutdown::Write);
    }

    fn parse(&mut self) -> Option<AMQPFrame> {
        match parse_frame(self.unread.as_slice()) {
            Ok((rest, frame)) => {
                let used = self.unread.len() - rest.len();
                self.unread.drain(..used);
                Some(frame)
            }
            Err(error) if error.is_incomplete() => None,
            Err(error) => panic!("the broker sent a malformed frame: {error:?}"),
        }
    }

    fn read_more(&mut self, end: Instant) -> ReadOutcome {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return ReadOutcome::Nothing;
        }
        self.socket.set_read_timeout(Some(left)).expect("a non-zero timeout is valid");
        let mut chunk = [0; 64 * 1024];
        match self.socket.read(&mut chunk) {
            Ok(0) => ReadOutcome::End,
            Ok(count) => {
                self.unread.extend(chunk.iter().take(count));
                ReadOutcome::Bytes
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                ReadOutcome::Nothing
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => ReadOutcome::Bytes,
            Err(_reset) => ReadOutcome::End,
        }
    }
}

/// What one read from the socket brought.
enum ReadOutcome {
    Bytes,
    End,
    Nothing,
}

/// The bytes of a frame.
pub fn encode(frame: &AMQPFrame) -> Vec<u8> {
    gen_frame(frame)(WriteContext::from(Vec::new())).expect("a vector takes every frame").write
}

/// A frame with any type, channel and payload, for what the codec would refuse to build. Ends with the frame-end octet.
pub fn raw_frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("test payloads are small");
    let mut bytes = vec![kind];
    bytes.extend(channel.to_be_bytes());
    bytes.extend(length.to_be_bytes());
    bytes.extend(payload);
    bytes.push(0xCE);
    bytes
}
