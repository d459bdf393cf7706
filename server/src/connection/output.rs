//! What waits to be written to a client: frames in one buffer, and between them large bodies, which are not copied into it. A
//! vectored write takes them together.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use leveret_persistence::Message;

use crate::limits::WRITE_UNCOPIED_BYTES;
use crate::protocol::delivery::{
    Content, Deliver, body_frames, encode_deliver, encode_deliver_head,
};
use crate::protocol::frame::FRAME_END;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Output {
    /// Written first: bodies, and the frames before each.
    ahead: VecDeque<Bytes>,
    ahead_bytes: usize,
    /// The frames after them; more are added here.
    tail: BytesMut,
}

impl Output {
    /// Bytes that wait.
    pub(crate) fn len(&self) -> usize {
        self.ahead_bytes + self.tail.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where frames are added.
    pub(crate) fn buffer(&mut self) -> &mut BytesMut {
        &mut self.tail
    }

    /// Adds a delivery, its body in frames of at most `frame_max` bytes (0: no limit).
    #[inline]
    pub(crate) fn deliver(
        &mut self,
        channel: u16,
        deliver: &Deliver<'_>,
        message: &Message,
        frame_max: u32,
    ) {
        let content = Content { properties: message.properties(), body: message.body() };
        if content.body.len() < WRITE_UNCOPIED_BYTES {
            return encode_deliver(&mut self.tail, channel, deliver, content, frame_max);
        }
        encode_deliver_head(&mut self.tail, channel, deliver, content);
        let body = message.body_bytes();
        for (start, part) in body_frames(channel, body.len(), frame_max) {
            self.tail.put_slice(&start);
            self.push(body.slice(part));
            self.tail.put_u8(FRAME_END);
        }
    }

    /// Adds bytes as they are.
    fn push(&mut self, bytes: Bytes) {
        let frames = self.tail.split().freeze();
        self.ahead_bytes += frames.len() + bytes.len();
        self.ahead.extend([frames, bytes].into_iter().filter(|part| !part.is_empty()));
    }

    /// Takes back what is after the first `len` bytes.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.tail.truncate(len.saturating_sub(self.ahead_bytes));
        while self.ahead_bytes > len
            && let Some(mut last) = self.ahead.pop_back()
        {
            self.ahead_bytes -= last.len();
            last.truncate(len.saturating_sub(self.ahead_bytes));
            if !last.is_empty() {
                self.ahead_bytes += last.len();
                self.ahead.push_back(last);
            }
        }
    }

    /// Gives the memory of a burst back, if all of it has been written.
    pub(crate) fn shrink(&mut self) {
        if self.is_empty() {
            *self = Output::default();
        }
    }
}

impl Buf for Output {
    fn remaining(&self) -> usize {
        self.len()
    }

    fn chunk(&self) -> &[u8] {
        self.ahead.front().map_or(&self.tail, |first| first)
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let chunks = self.ahead.iter().map(|part| &part[..]).chain([&self.tail[..]]);
        let filled = slices.iter_mut().zip(chunks.filter(|chunk| !chunk.is_empty()));
        filled.map(|(slice, chunk)| *slice = IoSlice::new(chunk)).count()
    }

    fn advance(&mut self, mut count: usize) {
        while let Some(first) = self.ahead.front_mut() {
            let written = count.min(first.len());
            first.advance(written);
            self.ahead_bytes -= written;
            count -= written;
            if !first.is_empty() {
                return;
            }
            self.ahead.pop_front();
        }
        self.tail.advance(count);
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// What is done to an output, and to the plain bytes that it stands for.
    #[derive(Clone, Debug)]
    enum Step {
        Frames(Vec<u8>),
        Body(Vec<u8>),
        Write(prop::sample::Index),
        Truncate(prop::sample::Index),
    }

    fn step() -> impl Strategy<Value = Step> {
        let bytes = || vec(any::<u8>(), 0..20);
        prop_oneof![
            bytes().prop_map(Step::Frames),
            bytes().prop_map(Step::Body),
            any::<prop::sample::Index>().prop_map(Step::Write),
            any::<prop::sample::Index>().prop_map(Step::Truncate),
        ]
    }

    fn bytes_of(output: &Output) -> Vec<u8> {
        let mut slices = [IoSlice::new(&[]); 64];
        let count = output.chunks_vectored(&mut slices);
        slices[..count].iter().flat_map(|slice| slice.to_vec()).collect()
    }

    proptest! {
        #[test]
        fn what_is_written_is_what_was_added_in_its_order(steps in vec(step(), 0..30)) {
            let (mut output, mut plain) = (Output::default(), Vec::new());
            for step in steps {
                match step {
                    Step::Frames(bytes) => {
                        output.buffer().extend_from_slice(&bytes);
                        plain.extend(bytes);
                    }
                    Step::Body(bytes) => {
                        output.push(bytes.clone().into());
                        plain.extend(bytes);
                    }
                    Step::Write(index) => {
                        let count = index.index(plain.len() + 1);
                        output.advance(count);
                        plain.drain(..count);
                    }
                    Step::Truncate(index) => {
                        let len = index.index(plain.len() + 1);
                        output.truncate(len);
                        plain.truncate(len);
                    }
                }
                prop_assert_eq!(bytes_of(&output), plain.clone());
                prop_assert_eq!((output.len(), output.is_empty()), (plain.len(), plain.is_empty()));
                prop_assert!(plain.starts_with(output.chunk()) && output.chunk().is_empty() == plain.is_empty());
            }
        }

        #[test]
        fn a_large_body_makes_the_same_frames_as_a_copied_one(
            more in 0_usize..5000,
            frame_max in prop_oneof![Just(0_u32), 4096..20_000_u32],
        ) {
            let body: Vec<u8> = (0..=u8::MAX).cycle().take(WRITE_UNCOPIED_BYTES + more).collect();
            let message = Message::new(b"exchange", b"key", &[0x10, 0, 2], &body);
            let deliver = Deliver {
                consumer_tag: "tag",
                delivery_tag: 7,
                redelivered: true,
                exchange: b"exchange",
                routing_key: b"key",
            };
            let content = Content { properties: &[0x10, 0, 2], body: &body };
            let (mut output, mut copied) = (Output::default(), BytesMut::new());
            output.deliver(3, &deliver, &message, frame_max);
            encode_deliver(&mut copied, 3, &deliver, content, frame_max);
            prop_assert!(!output.ahead.is_empty());
            prop_assert_eq!(output.copy_to_bytes(output.len()), copied);
        }
    }
}
