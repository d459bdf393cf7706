//! What arrived on one channel: methods, each with its content once that is whole, in the order they came.

use std::collections::VecDeque;

use amq_protocol::frame::AMQPContentHeader;
use amq_protocol::protocol::{AMQPClass, BasicProperties, basic};
use amq_protocol::types::AMQPValue;

use crate::closed::Closed;

/// A method the broker sent on a channel, with its content if it carries one.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The method.
    pub method: AMQPClass,
    /// Properties and body of deliver, get-ok and return; empty for every other method.
    pub properties: BasicProperties,
    /// See `properties`.
    pub body: Vec<u8>,
}

/// A message as `basic.deliver`, `basic.get-ok` or `basic.return` bring it. What the method has not is empty or 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Consumer tag of a deliver.
    pub consumer_tag: String,
    /// Delivery tag of a deliver or get-ok.
    pub delivery_tag: u64,
    /// Redelivered flag of a deliver or get-ok.
    pub redelivered: bool,
    /// Exchange it was published to.
    pub exchange: String,
    /// Routing key it was published with.
    pub routing_key: String,
    /// Messages left in the queue, of a get-ok.
    pub message_count: u32,
    /// Reply code of a return.
    pub reply_code: u16,
    /// Reply text of a return.
    pub reply_text: String,
    /// The properties.
    pub properties: BasicProperties,
    /// The body as text; the tests send nothing else.
    pub body: String,
}

impl Message {
    /// A header by name.
    pub fn header(&self, name: &str) -> Option<&AMQPValue> {
        self.properties.headers().as_ref()?.inner().get(name)
    }

    /// A header that must be a long string if it is there.
    pub fn text_header(&self, name: &str) -> Option<String> {
        self.header(name).map(|value| match value {
            AMQPValue::LongString(text) => text.to_string(),
            other => panic!("header {name} is {other:?}"),
        })
    }

    /// A header that must be a 64-bit integer if it is there.
    pub fn count_header(&self, name: &str) -> Option<i64> {
        self.header(name).map(|value| match value {
            AMQPValue::LongLongInt(count) => *count,
            other => panic!("header {name} is {other:?}"),
        })
    }
}

impl Event {
    /// The message in this event, if it brings one.
    pub fn message(&self) -> Option<Message> {
        let mut message = Message {
            consumer_tag: String::new(),
            delivery_tag: 0,
            redelivered: false,
            exchange: String::new(),
            routing_key: String::new(),
            message_count: 0,
            reply_code: 0,
            reply_text: String::new(),
            properties: self.properties.clone(),
            body: String::from_utf8_lossy(&self.body).into_owned(),
        };
        let AMQPClass::Basic(method) = &self.method else {
            return None;
        };
        match method {
            basic::AMQPMethod::Deliver(deliver) => {
                message.consumer_tag = deliver.consumer_tag.to_string();
                message.delivery_tag = deliver.delivery_tag;
                message.redelivered = deliver.redelivered;
                message.exchange = deliver.exchange.to_string();
                message.routing_key = deliver.routing_key.to_string();
            }
            basic::AMQPMethod::GetOk(got) => {
                message.delivery_tag = got.delivery_tag;
                message.redelivered = got.redelivered;
                message.exchange = got.exchange.to_string();
                message.routing_key = got.routing_key.to_string();
                message.message_count = got.message_count;
            }
            basic::AMQPMethod::Return(returned) => {
                message.exchange = returned.exchange.to_string();
                message.routing_key = returned.routing_key.to_string();
                message.reply_code = returned.reply_code;
                message.reply_text = returned.reply_text.to_string();
            }
            _ => return None,
        }
        Some(message)
    }
}

/// What is known of one channel.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    pub(super) events: VecDeque<Event>,
    /// A content whose header or body is not complete yet, and the bytes it still lacks.
    partial: Option<(Event, Option<u64>)>,
    pub(super) closed: Option<Closed>,
}

impl Inbox {
    pub(super) fn method(&mut self, method: AMQPClass) {
        assert!(self.partial.is_none(), "{method:?} before the content was complete");
        let carries_content = matches!(
            method,
            AMQPClass::Basic(
                basic::AMQPMethod::Deliver(_)
                    | basic::AMQPMethod::GetOk(_)
                    | basic::AMQPMethod::Return(_)
            )
        );
        let event = Event { method, properties: BasicProperties::default(), body: Vec::new() };
        if carries_content {
            self.partial = Some((event, None));
        } else {
            self.events.push_back(event);
        }
    }

    pub(super) fn header(&mut self, header: AMQPContentHeader) {
        let (event, left) = self.partial.as_mut().expect("a header follows its method");
        event.properties = header.properties;
        *left = Some(header.body_size);
        self.finish_content();
    }

    pub(super) fn body(&mut self, bytes: &[u8]) {
        let (event, left) = self.partial.as_mut().expect("a body follows its header");
        let left = left.as_mut().expect("a body follows its header");
        *left = left.checked_sub(bytes.len() as u64).expect("no more body than was declared");
        event.body.extend(bytes);
        self.finish_content();
    }

    fn finish_content(&mut self) {
        if let Some((event, _)) = self.partial.take_if(|(_, left)| *left == Some(0)) {
            self.events.push_back(event);
        }
    }
}
