//! From the bytes of one read to what they ask for: frames to their channels, whole messages in one step.

use std::ops::Range;

use bytes::{Buf, Bytes, BytesMut};
use leveret_persistence::Message;

use super::{Connection, Slot};
use crate::channel::content::{Outcome, Published};
use crate::clock;
use crate::protocol::content::{
    self, decode_ack, decode_content_header, decode_publish, publish_arguments,
};
use crate::protocol::frame::{Frame, FrameKind, next_frame, unexpected_frame};
use crate::protocol::method::{BASIC_ACK, BASIC_PUBLISH, MethodId, decode_method, method_id};
use crate::protocol::{Fault, ReplyCode};
use crate::queue;

/// The whole frames at the start of `buffer`, cut off it, and the fault of what follows them, if it is one.
///
/// Messages keep what they came in alive. So it takes the buffer with it if it fills it; of little, a copy is made, and the
/// buffer takes the next read.
pub(super) fn cut_whole_frames(buffer: &mut BytesMut, frame_max: u32) -> (Bytes, Option<Fault>) {
    let mut end = 0;
    let fault = loop {
        match next_frame(buffer, end, frame_max) {
            Ok(Some(frame)) => end = frame.end,
            Ok(None) => break None,
            Err(fault) => break Some(fault),
        }
    };
    let frames = if end >= buffer.capacity() / 2 {
        buffer.split_to(end)
    } else {
        let copy = BytesMut::from(buffer.get(..end).unwrap_or_default());
        buffer.advance(end);
        copy
    };
    (Bytes::from_owner(Read(frames)), fault)
}

/// The frames of one read, whose references are counted on a cache line of their own: one thread counts up here while others
/// count down, and the small blocks that `Bytes` keeps its counts in lie beside each other.
#[repr(align(128))]
struct Read(BytesMut);

impl AsRef<[u8]> for Read {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Connection {
    /// Serves frames that [`cut_whole_frames`] has found, and hands on what they gathered.
    pub(super) async fn serve(&mut self, frames: &Bytes) -> Result<Next, Fault> {
        self.read_ms = clock::now_ms();
        let mut from = 0;
        while let Some(frame) = Frame::at(frames, from) {
            let (end, served) = match self.whole_message(frames, &frame) {
                Some((end, published)) => {
                    let done = self.publish(frame.channel, published).map(|()| Next::GoOn);
                    (end, done.map_err(|fault| fault.with_method(BASIC_PUBLISH)))
                }
                None => (frame.end, self.serve_frame(frames, &frame).await),
            };
            from = end;
            match served {
                Ok(Next::GoOn) => {}
                Ok(Next::Closed) => return Ok(Next::Closed),
                Err(fault) if frame.channel == 0 => return Err(fault.into_connection()),
                Err(fault) => self.channel_fault(frame.channel, fault).await?,
            }
        }
        self.send_gathered().await;
        Ok(Next::GoOn)
    }

    async fn serve_frame(&mut self, frames: &Bytes, frame: &Frame) -> Result<Next, Fault> {
        let payload = slice(frames, &frame.payload);
        let number = frame.channel;
        let method = match frame.kind {
            FrameKind::Method => method_id(payload),
            FrameKind::Header | FrameKind::Body | FrameKind::Heartbeat => None,
        };
        let served = match (frame.kind, number) {
            (FrameKind::Heartbeat, 0) => Ok(Next::GoOn),
            (FrameKind::Method, 0) => Box::pin(self.connection_method(payload)).await,
            (FrameKind::Heartbeat, _) | (_, 0) => Err(unexpected_frame(frame.kind, payload)),
            _ if !matches!(self.channels.get(&number), Some(Slot::Open(_))) => {
                self.serve_closed_channel(number, method, payload)
            }
            (FrameKind::Method, _) => {
                self.serve_method(number, method, payload).await.map(|()| Next::GoOn)
            }
            (FrameKind::Header | FrameKind::Body, _) => {
                self.serve_content(number, frame.kind, payload).map(|()| Next::GoOn)
            }
        };
        served.map_err(|fault| match method {
            Some(method) => fault.with_method(method),
            None => fault,
        })
    }

    async fn serve_method(
        &mut self,
        number: u16,
        method: Option<MethodId>,
        payload: &[u8],
    ) -> Result<(), Fault> {
        let Some(channel) = self.channel(number) else {
            return Ok(());
        };
        if !channel.assembly.is_idle() {
            return Err(channel.assembly.interrupted());
        }
        match method {
            Some(BASIC_PUBLISH) => {
                channel.assembly.method(payload, &decode_publish(payload)?);
                Ok(())
            }
            Some(BASIC_ACK) => {
                let (tag, multiple) = decode_ack(payload)?;
                self.settle(number, tag, multiple, queue::state::Outcome::Ack)
            }
            _ => {
                if method == Some(BASIC_QOS) {
                    Connection::check_prefetch_size(payload)?;
                }
                let method = decode_method(payload)?;
                // It may ask about what came before it in the same read.
                self.send_gathered().await;
                // Boxed: its future, many times that of the hot methods, would be part of every idle connection.
                Box::pin(self.open_channel_method(number, method)).await
            }
        }
    }

    fn serve_content(&mut self, number: u16, kind: FrameKind, payload: &[u8]) -> Result<(), Fault> {
        let size_max = self.node.config.max_message_size;
        let Some(channel) = self.channel(number) else {
            return Ok(());
        };
        let outcome = match kind {
            FrameKind::Header => channel.assembly.header(payload, size_max)?,
            _ => channel.assembly.body(payload)?,
        };
        match outcome {
            Outcome::Incomplete => Ok(()),
            Outcome::TooLarge(size) => Err(self.too_large(size).with_method(BASIC_PUBLISH)),
            Outcome::Complete(published) => {
                self.publish(number, published).map_err(|fault| fault.with_method(BASIC_PUBLISH))
            }
        }
    }

    /// A publish whose header and body follow it in the same read, the body in one frame: the usual case. The message
    /// is then slices of the read, with nothing copied. Gives where it ends; None: take it frame by frame.
    fn whole_message(&mut self, frames: &Bytes, method: &Frame) -> Option<(usize, Published)> {
        let payload = slice(frames, &method.payload);
        if method.kind != FrameKind::Method || method_id(payload) != Some(BASIC_PUBLISH) {
            return None;
        }
        let number = method.channel;
        if !self.channel(number)?.assembly.is_idle() {
            return None;
        }
        let header = Frame::at(frames, method.end)?;
        if header.kind != FrameKind::Header || header.channel != number {
            return None;
        }
        let content = decode_content_header(slice(frames, &header.payload)).ok()?;
        let (body, end) = match content.body_size {
            0 => (header.end..header.end, header.end),
            size => {
                let body = Frame::at(frames, header.end)?;
                let whole = body.payload.len() as u64 == size;
                if body.kind != FrameKind::Body || body.channel != number || !whole {
                    return None;
                }
                (body.payload, body.end)
            }
        };
        let publish = publish_arguments(payload)?;
        let message = Message::from_slices(
            frames.clone(),
            shifted(&publish.exchange, method.payload.start),
            shifted(&publish.routing_key, method.payload.start),
            shifted(&content.properties, header.payload.start),
            body,
        )?;
        let (mandatory, immediate) = (publish.mandatory, publish.immediate);
        Some((end, Published { message, mandatory, immediate }))
    }

    /// Frames for a channel that is not open: only `channel.open` is welcome; a channel that the broker has closed is deaf
    /// until the client has answered.
    fn serve_closed_channel(
        &mut self,
        number: u16,
        method: Option<MethodId>,
        payload: &[u8],
    ) -> Result<Next, Fault> {
        use amq_protocol::protocol::{AMQPClass, channel};
        let closing = self.channels.contains_key(&number);
        let Some(method) = method else {
            return if closing { Ok(Next::GoOn) } else { Err(content::expected_method()) };
        };
        let decoded = match closing && method.0 != CHANNEL_CLASS {
            true => return Ok(Next::GoOn),
            false => decode_method(payload)?,
        };
        match (decoded, closing) {
            (AMQPClass::Channel(channel::AMQPMethod::Open(_)), false) => {
                self.open_channel(number)?
            }
            (AMQPClass::Channel(channel::AMQPMethod::CloseOk(_)), true) => {
                self.channels.remove(&number);
            }
            (AMQPClass::Channel(channel::AMQPMethod::Close(_)), true) => {
                let ok = channel::AMQPMethod::CloseOk(channel::CloseOk {});
                self.send(number, AMQPClass::Channel(ok));
            }
            // A late answer to a channel that is closed already.
            (AMQPClass::Channel(channel::AMQPMethod::CloseOk(_)), false) | (_, true) => {}
            (_, false) => {
                return Err(Fault::new(ReplyCode::ChannelError, "expected 'channel.open'"));
            }
        }
        Ok(Next::GoOn)
    }
}

/// Whether a connection goes on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Next {
    GoOn,
    /// The client has closed it; the answer is in the write buffer.
    Closed,
}

const CHANNEL_CLASS: u16 = 20;
const BASIC_QOS: MethodId = (60, 10);

/// Part of the frames; `Frame::at` gave the range, so it is there.
fn slice<'a>(frames: &'a Bytes, range: &Range<usize>) -> &'a [u8] {
    frames.get(range.clone()).unwrap_or_default()
}

fn shifted(range: &Range<usize>, by: usize) -> Range<usize> {
    range.start + by..range.end + by
}
