//! The hand-written hot path against `amq_protocol`, byte for byte.

use super::arbitrary::{damage, properties, short_string};
use super::{encoded, payload};
use crate::protocol::content::{
    BODY_SIZE_MAX, body_exceeds_content, decode_ack, decode_content_header, decode_publish,
    expected_content_body, expected_content_header, expected_method,
};
use crate::protocol::delivery::{
    Content, Deliver, GetOk, Return, encode_ack, encode_deliver, encode_get_ok, encode_nack,
    encode_return,
};
use crate::protocol::reply_code::ReplyCode;
use amq_protocol::frame::{AMQPContentHeader, AMQPFrame, WriteContext, parse_frame};
use amq_protocol::protocol::{AMQPClass, BasicProperties, basic, parse_class};
use bytes::BytesMut;
use proptest::collection::vec;
use proptest::prelude::*;

/// A method and its content in the frames `amq_protocol` makes of them.
fn their_frames(
    channel: u16,
    method: basic::AMQPMethod,
    properties: &BasicProperties,
    body: &[u8],
    body_frame_max: usize,
) -> Vec<u8> {
    let mut out = encoded(&AMQPFrame::Method(channel, AMQPClass::Basic(method)));
    let header = AMQPContentHeader {
        class_id: 60,
        body_size: body.len() as u64,
        properties: properties.clone(),
    };
    out.extend(encoded(&AMQPFrame::Header(channel, header)));
    for part in body.chunks(body_frame_max) {
        out.extend(encoded(&AMQPFrame::Body(channel, part.to_vec())));
    }
    out
}

fn raw(properties: &BasicProperties) -> Vec<u8> {
    basic::gen_properties(properties)(WriteContext::from(Vec::new())).unwrap().write
}

/// The frame-max of a test, and the body bytes that one frame then carries.
fn frame_max() -> impl Strategy<Value = (u32, usize)> {
    prop_oneof![
        Just((0, usize::MAX)),
        (1..40_usize).prop_map(|part| (u32::try_from(part).unwrap() + 8, part)),
    ]
}

fn content_header(class_id: u16, weight: u16, body_size: u64) -> Vec<u8> {
    let mut bytes = class_id.to_be_bytes().to_vec();
    bytes.extend_from_slice(&weight.to_be_bytes());
    bytes.extend_from_slice(&body_size.to_be_bytes());
    bytes.extend_from_slice(&[0, 0]);
    bytes
}

#[test]
fn content_out_of_place_is_refused_in_the_words_of_rabbitmq() {
    let table = [
        (
            expected_method(),
            "UNEXPECTED_FRAME - expected method frame, got non method frame instead",
            0,
        ),
        (
            expected_content_header(),
            "UNEXPECTED_FRAME - expected content header for class 60, \
             got non content header frame instead",
            60,
        ),
        (
            decode_content_header(&content_header(10, 0, 1)).unwrap_err(),
            "UNEXPECTED_FRAME - expected content header for class 60, \
             got one for class 10 instead",
            60,
        ),
        (
            decode_content_header(&content_header(60, 1, 1)).unwrap_err(),
            "UNEXPECTED_FRAME - expected content header for class 60, \
             got non content header frame instead",
            60,
        ),
        (
            decode_content_header(&content_header(60, 0, BODY_SIZE_MAX + 1)).unwrap_err(),
            "FRAME_ERROR - content body size 536870913 exceeds maximum allowed size 536870912",
            60,
        ),
        (
            expected_content_body(),
            "UNEXPECTED_FRAME - expected content body, got non content body frame instead",
            60,
        ),
        (
            body_exceeds_content(),
            "FRAME_ERROR - content body frame exceeds remaining content size",
            60,
        ),
    ];
    for (fault, text, class_id) in table {
        assert_eq!(fault.reply_text().as_str(), text);
        assert_eq!(fault.class_id, class_id, "{text}");
    }
}

#[test]
fn the_largest_body_allowed_may_be_announced() {
    let header = decode_content_header(&content_header(60, 0, BODY_SIZE_MAX)).unwrap();
    assert_eq!((header.body_size, header.properties), (BODY_SIZE_MAX, 12..14));
}

#[test]
fn a_malformed_publish_or_ack_is_refused() {
    let table = [
        (
            decode_publish(&[0, 60, 0, 40, 0, 0, 9]).unwrap_err(),
            "SYNTAX_ERROR - malformed basic.publish",
        ),
        (
            decode_publish(&[0, 60, 0, 40, 0, 0, 1, 0xFF, 0, 0]).unwrap_err(),
            "FRAME_ERROR - Malformed UTF-8 in shortstr",
        ),
        (decode_ack(&[0, 60, 0, 80, 0]).unwrap_err(), "SYNTAX_ERROR - malformed basic.ack"),
    ];
    for (fault, text) in table {
        assert_eq!(fault.reply_text().as_str(), text);
        assert_eq!(fault.class_id, 60);
    }
}

proptest! {
    #[test]
    fn a_publish_is_judged_and_decoded_as_amq_protocol_does(
        exchange in short_string(),
        routing_key in short_string(),
        mandatory in any::<bool>(),
        immediate in any::<bool>(),
        damage in damage(),
    ) {
        let publish = basic::Publish { exchange, routing_key, mandatory, immediate };
        let method = AMQPClass::Basic(basic::AMQPMethod::Publish(publish));
        let frame = encoded(&AMQPFrame::Method(1, method));
        let mut arguments = payload(&frame)[4..].to_vec();
        damage.apply(&mut arguments);
        let bytes = [&[0, 60, 0, 40], arguments.as_slice()].concat();
        let ours = decode_publish(&bytes).ok().map(|publish| {
            let text = |range| std::str::from_utf8(&bytes[range]).unwrap().into();
            AMQPClass::Basic(basic::AMQPMethod::Publish(basic::Publish {
                exchange: text(publish.exchange),
                routing_key: text(publish.routing_key),
                mandatory: publish.mandatory,
                immediate: publish.immediate,
            }))
        });
        let theirs = match parse_class(bytes.as_slice()) {
            Ok(([], method)) => Some(method),
            _ => None,
        };
        prop_assert_eq!(ours, theirs);
    }

    #[test]
    fn an_ack_is_judged_and_decoded_as_amq_protocol_does(
        delivery_tag in any::<u64>(),
        multiple in any::<bool>(),
        damage in damage(),
    ) {
        let mut out = BytesMut::new();
        encode_ack(&mut out, 1, delivery_tag, multiple);
        let mut arguments = payload(&out)[4..].to_vec();
        damage.apply(&mut arguments);
        let bytes = [&[0, 60, 0, 80], arguments.as_slice()].concat();
        let ours = decode_ack(&bytes).ok().map(|(delivery_tag, multiple)| {
            AMQPClass::Basic(basic::AMQPMethod::Ack(basic::Ack { delivery_tag, multiple }))
        });
        let theirs = match parse_class(bytes.as_slice()) {
            Ok(([], method)) => Some(method),
            _ => None,
        };
        prop_assert_eq!(ours, theirs);
    }

    #[test]
    fn a_content_header_is_decoded_as_amq_protocol_does(
        body_size in 0..=BODY_SIZE_MAX,
        properties in properties(),
    ) {
        let header = AMQPContentHeader { class_id: 60, body_size, properties: properties.clone() };
        let frame = encoded(&AMQPFrame::Header(1, header));
        let ours = decode_content_header(payload(&frame)).unwrap();
        prop_assert_eq!(ours.body_size, body_size);
        prop_assert_eq!(&payload(&frame)[ours.properties], raw(&properties));
    }

    #[test]
    fn arbitrary_payloads_never_panic(payload in vec(any::<u8>(), 0..40)) {
        let _judged = decode_publish(&payload);
        let _judged = decode_ack(&payload);
        let _judged = decode_content_header(&payload);
    }

    #[test]
    fn confirms_are_encoded_as_amq_protocol_does(
        channel in any::<u16>(),
        delivery_tag in any::<u64>(),
        multiple in any::<bool>(),
    ) {
        let mut out = BytesMut::new();
        encode_ack(&mut out, channel, delivery_tag, multiple);
        encode_nack(&mut out, channel, delivery_tag, multiple);
        let ack = basic::AMQPMethod::Ack(basic::Ack { delivery_tag, multiple });
        let nack = basic::AMQPMethod::Nack(basic::Nack { delivery_tag, multiple, requeue: false });
        let theirs = [ack, nack].map(|method| {
            encoded(&AMQPFrame::Method(channel, AMQPClass::Basic(method)))
        });
        prop_assert_eq!(out.as_ref(), theirs.concat());
    }

    #[test]
    fn messages_are_encoded_as_amq_protocol_does(
        (channel, delivery_tag, message_count) in any::<(u16, u64, u32)>(),
        redelivered in any::<bool>(),
        (consumer_tag, exchange, routing_key) in (short_string(), short_string(), short_string()),
        properties in properties(),
        body in vec(any::<u8>(), 0..120),
        (frame_max, body_frame_max) in frame_max(),
    ) {
        let raw = raw(&properties);
        let content = Content { properties: &raw, body: &body };
        let theirs = |method| their_frames(channel, method, &properties, &body, body_frame_max);

        let mut out = BytesMut::new();
        let deliver = Deliver {
            consumer_tag: consumer_tag.as_str(),
            delivery_tag,
            redelivered,
            exchange: exchange.as_str().as_bytes(),
            routing_key: routing_key.as_str().as_bytes(),
        };
        encode_deliver(&mut out, channel, &deliver, content, frame_max);
        prop_assert_eq!(out.as_ref(), theirs(basic::AMQPMethod::Deliver(basic::Deliver {
            consumer_tag,
            delivery_tag,
            redelivered,
            exchange: exchange.clone(),
            routing_key: routing_key.clone(),
        })));

        out.clear();
        let get_ok = GetOk {
            delivery_tag,
            redelivered,
            exchange: exchange.as_str().as_bytes(),
            routing_key: routing_key.as_str().as_bytes(),
            message_count,
        };
        encode_get_ok(&mut out, channel, &get_ok, content, frame_max);
        prop_assert_eq!(out.as_ref(), theirs(basic::AMQPMethod::GetOk(basic::GetOk {
            delivery_tag,
            redelivered,
            exchange: exchange.clone(),
            routing_key: routing_key.clone(),
            message_count,
        })));

        out.clear();
        let returned = Return {
            reply_code: ReplyCode::NoRoute,
            exchange: exchange.as_str().as_bytes(),
            routing_key: routing_key.as_str().as_bytes(),
        };
        encode_return(&mut out, channel, &returned, content, frame_max);
        prop_assert_eq!(out.as_ref(), theirs(basic::AMQPMethod::Return(basic::Return {
            reply_code: 312,
            reply_text: "NO_ROUTE".into(),
            exchange,
            routing_key,
        })));
    }

    #[test]
    fn a_frame_max_smaller_than_a_frame_still_gives_frames(
        frame_max in 1..10_u32,
        body in vec(any::<u8>(), 0..20),
    ) {
        let mut out = BytesMut::new();
        let deliver = Deliver {
            consumer_tag: "c",
            delivery_tag: 1,
            redelivered: false,
            exchange: b"",
            routing_key: b"q",
        };
        let content = Content { properties: &[0, 0], body: &body };
        encode_deliver(&mut out, 1, &deliver, content, frame_max);
        let mut rest = out.as_ref();
        let mut arrived = Vec::new();
        while !rest.is_empty() {
            let (next, frame) = parse_frame(rest).unwrap();
            if let AMQPFrame::Body(_, part) = frame {
                arrived.extend(part);
            }
            rest = next;
        }
        prop_assert_eq!(arrived, body);
    }
}
