//! One connection with one channel: its socket, its buffers, and the methods that are rare. Opened by
//! `handshake`; carried by publishers, consumers, idle connections and `topology`.

use std::io;
use std::time::{Duration, Instant};

use amq_protocol::frame::{AMQPFrame, WriteContext, gen_frame, parse_frame};
use amq_protocol::protocol::{AMQPClass, basic, channel, connection};
use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::error::Error;
use crate::frames::{BODY, Frame, HEADER, Input, METHOD};

/// The only channel a connection of this tool opens.
pub(crate) const CHANNEL: u16 = 1;

/// The tag of every consumer of this tool; a connection has one at most.
pub(crate) const CONSUMER_TAG: &str = "perf";

/// How long a synchronous method may take to be answered. Long, because a broker under full load
/// answers after everything that was sent before.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// How long to look for the broker's reason after a write failed.
const LAST_WORDS_WITHIN: Duration = Duration::from_millis(200);

/// How many bytes of small frames may wait before nothing more is read.
const OUTPUT_LIMIT: usize = 1024 * 1024;

/// An open connection.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) stream: TcpStream,
    pub(crate) input: Input,
    pub(crate) output: Output,
    /// Product and version from `connection.start`.
    pub(crate) server: String,
    /// Negotiated, never 0.
    pub(crate) frame_max: usize,
}

/// Frames that are not publishes, waiting for the socket.
#[derive(Debug, Default)]
pub(crate) struct Output {
    bytes: Vec<u8>,
    written: usize,
}

/// What a frame that is not a delivery, a confirm or a return says.
#[derive(Debug)]
pub(crate) enum Notice {
    /// `connection.blocked`: the broker takes no publishes.
    Blocked,
    /// `connection.unblocked`.
    Unblocked,
    /// `basic.cancel`: the broker ended the consumer.
    Cancelled,
    /// The answer to a synchronous method.
    Answer(AMQPClass),
    /// Nothing to act on: a heartbeat (already answered), or content nobody waits for.
    Nothing,
}

impl Output {
    /// Adds a frame.
    pub(crate) fn push(&mut self, frame: &AMQPFrame) -> Result<(), Error> {
        push_frame(&mut self.bytes, frame)
    }

    /// Where already encoded frames are appended.
    pub(crate) fn bytes_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Whether everything was written.
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Writes what the socket takes now.
    pub(crate) fn try_write(&mut self, stream: &TcpStream) -> Result<(), Error> {
        while let Some(rest) = self.bytes.get(self.written..).filter(|rest| !rest.is_empty()) {
            match would_block(stream.try_write(rest))? {
                Some(count) => self.written += count,
                None => return Ok(()),
            }
        }
        self.bytes.clear();
        self.written = 0;
        Ok(())
    }
}

impl Link {
    /// Reads what the socket has now into `input`. Returns whether anything came.
    pub(crate) fn try_read(&mut self) -> Result<bool, Error> {
        match would_block(self.stream.try_read(self.input.spare()))? {
            Some(0) => Err(Error::Disconnected),
            Some(count) => {
                self.input.advance(count);
                Ok(true)
            }
            None => Ok(false),
        }
    }

    /// Waits until there is something to read, or space to write while frames wait in `output`; then
    /// writes `output` and reads once. Returns whether anything was read.
    pub(crate) async fn turn(&mut self) -> Result<bool, Error> {
        let interest = match self.output.bytes.len() {
            0 => Interest::READABLE,
            1..OUTPUT_LIMIT => Interest::READABLE | Interest::WRITABLE,
            // A broker that does not take our acks gets no more deliveries taken.
            _ => Interest::WRITABLE,
        };
        let ready = self.stream.ready(interest).await?;
        if ready.is_writable() {
            self.output.try_write(&self.stream)?;
        }
        if ready.is_readable() { self.try_read() } else { Ok(false) }
    }

    /// Sends a method that has no answer.
    pub(crate) async fn send(&mut self, on_channel: u16, method: AMQPClass) -> Result<(), Error> {
        self.output.push(&AMQPFrame::Method(on_channel, method))?;
        while self.output.bytes.len() >= OUTPUT_LIMIT {
            self.stream.writable().await?;
            self.output.try_write(&self.stream)?;
        }
        Ok(())
    }

    /// Sends a method and waits for the answer that `is_answer` recognises, skipping deliveries.
    pub(crate) async fn call(
        &mut self,
        on_channel: u16,
        method: AMQPClass,
        what: &'static str,
        is_answer: impl Fn(&AMQPClass) -> bool,
    ) -> Result<AMQPClass, Error> {
        self.output.push(&AMQPFrame::Method(on_channel, method))?;
        self.answer(what, is_answer).await
    }

    /// Waits for the answer that `is_answer` recognises.
    pub(crate) async fn answer(
        &mut self,
        what: &'static str,
        is_answer: impl Fn(&AMQPClass) -> bool,
    ) -> Result<AMQPClass, Error> {
        let deadline = Instant::now() + ANSWER_WITHIN;
        loop {
            while let Some(frame) = self.input.next()? {
                match interpret(frame, &mut self.output)? {
                    Notice::Answer(method) if is_answer(&method) => return Ok(method),
                    Notice::Answer(_)
                    | Notice::Blocked
                    | Notice::Unblocked
                    | Notice::Cancelled
                    | Notice::Nothing => {}
                }
            }
            match tokio::time::timeout_at(deadline.into(), self.turn()).await {
                Ok(read) => read?,
                Err(_) => {
                    return Err(Error::NoAnswer { what, after: ANSWER_WITHIN });
                }
            };
        }
    }

    /// Ends the connection after an error: sends the close-ok that may go with it. Returns the reason
    /// that the broker gave, where a write failed before it was read.
    pub(crate) async fn give_up(&mut self, error: Error) -> Error {
        let _best_effort = self.output.try_write(&self.stream);
        if !matches!(error, Error::Socket(_)) {
            return error;
        }
        while tokio::time::timeout(LAST_WORDS_WITHIN, self.stream.readable()).await.is_ok() {
            if !matches!(self.try_read(), Ok(true)) {
                break;
            }
            while let Ok(Some(frame)) = self.input.next() {
                if let Err(reason) = interpret(frame, &mut self.output) {
                    return reason;
                }
            }
        }
        error
    }

    /// Ends the connection in good order: `connection.close` and its answer.
    pub(crate) async fn close(mut self) -> Result<(), Error> {
        let close =
            connection::Close { reply_code: 200, reply_text: "bye".into(), ..Default::default() };
        let method = AMQPClass::Connection(connection::AMQPMethod::Close(close));
        let is_answer = |method: &AMQPClass| {
            matches!(method, AMQPClass::Connection(connection::AMQPMethod::CloseOk(_)))
        };
        self.call(0, method, "connection.close", is_answer).await.map(|_| ())
    }
}

/// The `channel.close` this tool ends its channel with.
pub(crate) fn channel_close() -> AMQPFrame {
    let close = channel::Close { reply_code: 200, reply_text: "bye".into(), ..Default::default() };
    AMQPFrame::Method(CHANNEL, AMQPClass::Channel(channel::AMQPMethod::Close(close)))
}

/// Decodes a frame that is not on the fast path, and answers what must be answered at once. The
/// broker's closing of the connection or the channel becomes an error.
pub(crate) fn interpret(frame: Frame<'_>, output: &mut Output) -> Result<Notice, Error> {
    if matches!(frame.kind, HEADER | BODY) {
        return Ok(Notice::Nothing);
    }
    let parsed = match parse_frame(frame.bytes) {
        Ok((_, parsed)) => parsed,
        Err(_) if frame.kind == METHOD => {
            let id = frame.payload.get(..4).unwrap_or_default();
            return Err(Error::Protocol(format!("a method that cannot be decoded, id {id:?}")));
        }
        Err(_) => return Err(Error::Protocol(format!("a frame of type {}", frame.kind))),
    };
    let (on_channel, method) = match parsed {
        AMQPFrame::Heartbeat => {
            output.push(&AMQPFrame::Heartbeat)?;
            return Ok(Notice::Nothing);
        }
        AMQPFrame::Method(on_channel, method) => (on_channel, method),
        AMQPFrame::ProtocolHeader(_)
        | AMQPFrame::Header(..)
        | AMQPFrame::Body(..)
        | AMQPFrame::InvalidHeartbeat(_) => {
            return Err(Error::Protocol(format!("a frame of type {}", frame.kind)));
        }
    };
    Ok(match method {
        AMQPClass::Connection(connection::AMQPMethod::Close(close)) => {
            let ok = connection::AMQPMethod::CloseOk(connection::CloseOk {});
            output.push(&AMQPFrame::Method(0, AMQPClass::Connection(ok)))?;
            let text = close.reply_text.to_string();
            return Err(Error::ConnectionClosed { code: close.reply_code, text });
        }
        AMQPClass::Channel(channel::AMQPMethod::Close(close)) => {
            let ok = channel::AMQPMethod::CloseOk(channel::CloseOk {});
            output.push(&AMQPFrame::Method(on_channel, AMQPClass::Channel(ok)))?;
            let text = close.reply_text.to_string();
            return Err(Error::ChannelClosed { code: close.reply_code, text });
        }
        AMQPClass::Connection(connection::AMQPMethod::Blocked(_)) => Notice::Blocked,
        AMQPClass::Connection(connection::AMQPMethod::Unblocked(_)) => Notice::Unblocked,
        AMQPClass::Basic(basic::AMQPMethod::Cancel(_)) => Notice::Cancelled,
        AMQPClass::Basic(basic::AMQPMethod::Deliver(_) | basic::AMQPMethod::Return(_)) => {
            Notice::Nothing
        }
        answer => Notice::Answer(answer),
    })
}

/// Appends an encoded frame.
pub(crate) fn push_frame(bytes: &mut Vec<u8>, frame: &AMQPFrame) -> Result<(), Error> {
    let context = WriteContext::from(std::mem::take(bytes));
    match gen_frame(frame)(context) {
        Ok(context) => {
            *bytes = context.into_inner().0;
            Ok(())
        }
        Err(error) => Err(Error::Protocol(format!("cannot encode a frame: {error}"))),
    }
}

/// `None` where the socket has nothing to give or no space.
pub(crate) fn would_block(result: io::Result<usize>) -> Result<Option<usize>, Error> {
    match result {
        Ok(count) => Ok(Some(count)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(Error::Socket(error)),
    }
}
