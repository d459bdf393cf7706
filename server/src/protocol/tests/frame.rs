//! Frames: found at any cut of the stream, and refused in RabbitMQ's words.

use super::arbitrary::method;
use super::encoded;
use crate::protocol::frame::{
    Frame, FrameKind, HEARTBEAT, PROTOCOL_HEADER, next_frame, unexpected_frame,
};
use amq_protocol::frame::{AMQPFrame, ProtocolVersion};
use proptest::collection::vec;
use proptest::prelude::*;

fn frame(kind: u8, channel: u16, payload: &[u8], end_marker: u8) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend_from_slice(&channel.to_be_bytes());
    bytes.extend_from_slice(&u32::try_from(payload.len()).unwrap().to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes.push(end_marker);
    bytes
}

fn refusal(bytes: &[u8], frame_max: u32) -> String {
    next_frame(bytes, 0, frame_max).unwrap_err().reply_text().to_string()
}

#[test]
fn bytes_that_are_no_frame_are_refused_in_the_words_of_rabbitmq() {
    let seventeen: Vec<u8> = (0..17).collect();
    let table = [
        (frame(9, 0, &[1, 2, 3], 0xCE), "type 9, all octets = <<1,2,3>>: unknown_frame"),
        (frame(9, 0, &[], 0xCE), "type 9, all octets = <<>>: unknown_frame"),
        (frame(0, 0, b"GET /", 0xCE), "type 0, all octets = <<\"GET /\">>: unknown_frame"),
        (
            frame(4, 0, b"a\"b\\c\r\n", 0xCE),
            "type 4, all octets = <<\"a\\\"b\\\\c\\r\\n\">>: unknown_frame",
        ),
        (frame(1, 1, &[0, 60, 0], 0xCE), "type 1, all octets = <<0,60,0>>: unknown_frame"),
        (frame(2, 1, &[0, 60, 0], 0xCE), "type 2, all octets = <<0,60,0>>: unknown_frame"),
        (frame(8, 0, &[7], 0xCE), "type 8, all octets = <<7>>: unknown_frame"),
        (
            frame(1, 0, &[0; 16], 0),
            "type 1, all octets = <<0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0>>: {invalid_frame_end_marker,0}",
        ),
        (
            frame(1, 0, &seventeen, 207),
            "type 1, first 16 octets = <<0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15>>: \
             {invalid_frame_end_marker,207}",
        ),
        // The end marker is looked at before the type, as in RabbitMQ.
        (frame(9, 0, &[1], 0), "type 9, all octets = <<1>>: {invalid_frame_end_marker,0}"),
    ];
    for (bytes, text) in table {
        assert_eq!(refusal(&bytes, 131_072), format!("FRAME_ERROR - {text}"));
    }
}

#[test]
fn a_payload_over_the_limit_is_refused_before_it_arrives() {
    let header = [3, 0, 1, 0x00, 0x03, 0x0D, 0x40];
    assert_eq!(
        refusal(&header, 131_072),
        "FRAME_ERROR - type 3, all octets = <<>>: {frame_too_large,200000,131064}"
    );
    assert_eq!(next_frame(&header, 0, 0), Ok(None), "0 is no limit");
}

#[test]
fn eight_octets_over_the_limit_are_forgiven() {
    let at_limit = frame(3, 1, &[0; 8192], 0xCE);
    let over = frame(3, 1, &[0; 8193], 0xCE);
    assert!(next_frame(&at_limit, 0, 8192).unwrap().is_some());
    assert!(next_frame(&over, 0, 8192).is_err());
}

#[test]
fn a_frame_where_it_may_not_be_is_named() {
    let table = [
        (FrameKind::Heartbeat, &b""[..], "type 8, all octets = <<>>"),
        (FrameKind::Body, b"hello", "type 3, all octets = <<\"hello\">>"),
        (
            FrameKind::Body,
            &[255; 20],
            &format!("type 3, first 16 octets = <<{}255>>", "255,".repeat(15)),
        ),
    ];
    for (kind, payload, text) in table {
        let fault = unexpected_frame(kind, payload);
        assert_eq!(fault.reply_text().as_str(), format!("UNEXPECTED_FRAME - {text}"));
    }
}

#[test]
fn the_fixed_byte_strings_are_those_of_amq_protocol() {
    assert_eq!(encoded(&AMQPFrame::Heartbeat), HEARTBEAT);
    let header = AMQPFrame::ProtocolHeader(ProtocolVersion::amqp_0_9_1());
    assert_eq!(encoded(&header), PROTOCOL_HEADER);
}

#[test]
fn a_start_past_the_buffer_is_the_same_as_no_bytes() {
    assert_eq!(next_frame(&HEARTBEAT, 9, 0), Ok(None));
}

fn any_frame() -> impl Strategy<Value = (u16, FrameKind, Vec<u8>)> {
    let channel = any::<u16>();
    prop_oneof![
        (channel, method()).prop_map(|(channel, method)| {
            (channel, FrameKind::Method, encoded(&AMQPFrame::Method(channel, method)))
        }),
        (channel, vec(any::<u8>(), 0..100)).prop_map(|(channel, body)| {
            (channel, FrameKind::Body, encoded(&AMQPFrame::Body(channel, body)))
        }),
        Just((0, FrameKind::Heartbeat, HEARTBEAT.to_vec())),
    ]
}

proptest! {
    #[test]
    fn every_frame_of_a_stream_is_found_however_much_has_arrived(
        frames in vec(any_frame(), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let stream: Vec<u8> = frames.iter().flat_map(|(_, _, bytes)| bytes.clone()).collect();
        let arrived = &stream[..cut.index(stream.len() + 1)];
        let mut at = 0;
        for (channel, kind, bytes) in frames {
            let end = at + bytes.len();
            let found = next_frame(arrived, at, 0).unwrap();
            if end > arrived.len() {
                prop_assert_eq!(found, None);
                break;
            }
            prop_assert_eq!(&found, &Some(Frame { kind, channel, payload: at + 7..end - 1, end }));
            prop_assert_eq!(Frame::at(arrived, at), found, "found again");
            at = end;
        }
    }

    #[test]
    fn arbitrary_bytes_are_a_frame_within_them_or_none(
        bytes in vec(any::<u8>(), 0..64),
        from in 0_usize..70,
        frame_max in prop_oneof![Just(0_u32), 0..64_u32, any::<u32>()],
    ) {
        if let Ok(Some(frame)) = next_frame(&bytes, from, frame_max) {
            prop_assert!(frame.payload.start == from + 7);
            prop_assert!(frame.end == frame.payload.end + 1 && frame.end <= bytes.len());
            prop_assert_eq!(Frame::at(&bytes, from), Some(frame));
        }
    }
}
