//! Strategies: random names, tables, properties, methods, and damage to what is encoded. Called by
//! the other tests.

use amq_protocol::protocol::{
    AMQPClass, BasicProperties, access, basic, channel, confirm, connection, exchange, queue, tx,
};
use amq_protocol::types::{
    AMQPValue, ByteArray, DecimalValue, FieldArray, FieldTable, LongString, ShortString,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

/// Text of 0 to 255 bytes.
pub(super) fn short_string() -> impl Strategy<Value = ShortString> {
    "\\PC{0,80}".prop_map(|mut text: String| {
        text.truncate(text.floor_char_boundary(255));
        ShortString::from(text)
    })
}

fn long_string() -> impl Strategy<Value = LongString> {
    vec(any::<u8>(), 0..40).prop_map(LongString::from)
}

fn value() -> impl Strategy<Value = AMQPValue> {
    // Floats are compared after a round trip, so not-a-number is left out.
    let leaf = prop_oneof![
        any::<bool>().prop_map(AMQPValue::Boolean),
        any::<i8>().prop_map(AMQPValue::ShortShortInt),
        any::<u8>().prop_map(AMQPValue::ShortShortUInt),
        any::<i16>().prop_map(AMQPValue::ShortInt),
        any::<u16>().prop_map(AMQPValue::ShortUInt),
        any::<i32>().prop_map(AMQPValue::LongInt),
        any::<u32>().prop_map(AMQPValue::LongUInt),
        any::<i64>().prop_map(AMQPValue::LongLongInt),
        proptest::num::f32::NORMAL.prop_map(AMQPValue::Float),
        proptest::num::f64::NORMAL.prop_map(AMQPValue::Double),
        (any::<u8>(), any::<u32>())
            .prop_map(|(scale, value)| AMQPValue::DecimalValue(DecimalValue { scale, value })),
        long_string().prop_map(AMQPValue::LongString),
        any::<u64>().prop_map(AMQPValue::Timestamp),
        vec(any::<u8>(), 0..20).prop_map(|bytes| AMQPValue::ByteArray(ByteArray::from(bytes))),
        Just(AMQPValue::Void),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4)
                .prop_map(|values| AMQPValue::FieldArray(FieldArray::from(values))),
            fields(inner).prop_map(AMQPValue::FieldTable),
        ]
    })
}

fn fields(value: impl Strategy<Value = AMQPValue>) -> impl Strategy<Value = FieldTable> {
    vec((short_string(), value), 0..5).prop_map(|fields| {
        let mut table = FieldTable::default();
        for (name, value) in fields {
            table.insert(name, value);
        }
        table
    })
}

/// A table of up to four levels.
pub(super) fn table() -> impl Strategy<Value = FieldTable> {
    fields(value())
}

/// Properties, each of them present or absent.
pub(super) fn properties() -> impl Strategy<Value = BasicProperties> {
    let text = || option::of(short_string());
    let texts = (text(), text(), text(), text(), text(), text(), text(), text(), text(), text());
    let others = (
        option::of(table()),
        option::of(any::<u8>()),
        option::of(any::<u8>()),
        option::of(any::<u64>()),
    );
    (texts, others).prop_map(|(texts, (headers, delivery_mode, priority, timestamp))| {
        let mut properties = BasicProperties::default();
        macro_rules! set {
            ($($with:ident = $value:expr;)*) => {
                $(if let Some(value) = $value {
                    properties = properties.$with(value);
                })*
            };
        }
        set! {
            with_content_type = texts.0;
            with_content_encoding = texts.1;
            with_correlation_id = texts.2;
            with_reply_to = texts.3;
            with_expiration = texts.4;
            with_message_id = texts.5;
            with_type = texts.6;
            with_user_id = texts.7;
            with_app_id = texts.8;
            with_cluster_id = texts.9;
            with_headers = headers;
            with_delivery_mode = delivery_mode;
            with_priority = priority;
            with_timestamp = timestamp;
        }
        properties
    })
}

/// A method that a client sends or a broker answers, of every class and every shape of arguments.
pub(super) fn method() -> impl Strategy<Value = AMQPClass> {
    prop_oneof![declarations(), bindings(), consuming(), connection_methods(), small_methods()]
}

fn declarations() -> impl Strategy<Value = AMQPClass> {
    let bits = any::<[bool; 5]>();
    (short_string(), short_string(), table(), bits, any::<bool>()).prop_map(
        |(name, kind, arguments, [passive, durable, auto_delete, other, nowait], is_queue)| {
            if is_queue {
                AMQPClass::Queue(queue::AMQPMethod::Declare(queue::Declare {
                    queue: name,
                    passive,
                    durable,
                    exclusive: other,
                    auto_delete,
                    nowait,
                    arguments,
                }))
            } else {
                AMQPClass::Exchange(exchange::AMQPMethod::Declare(exchange::Declare {
                    exchange: name,
                    kind,
                    passive,
                    durable,
                    auto_delete,
                    internal: other,
                    nowait,
                    arguments,
                }))
            }
        },
    )
}

fn bindings() -> impl Strategy<Value = AMQPClass> {
    let names = (short_string(), short_string(), short_string());
    (names, table(), any::<bool>(), 0..4).prop_map(
        |((destination, source, routing_key), arguments, nowait, which)| match which {
            0 => AMQPClass::Queue(queue::AMQPMethod::Bind(queue::Bind {
                queue: destination,
                exchange: source,
                routing_key,
                nowait,
                arguments,
            })),
            1 => AMQPClass::Queue(queue::AMQPMethod::Unbind(queue::Unbind {
                queue: destination,
                exchange: source,
                routing_key,
                arguments,
            })),
            2 => AMQPClass::Exchange(exchange::AMQPMethod::Bind(exchange::Bind {
                destination,
                source,
                routing_key,
                nowait,
                arguments,
            })),
            _ => AMQPClass::Exchange(exchange::AMQPMethod::Unbind(exchange::Unbind {
                destination,
                source,
                routing_key,
                nowait,
                arguments,
            })),
        },
    )
}

fn consuming() -> impl Strategy<Value = AMQPClass> {
    let names = (short_string(), short_string());
    (names, table(), any::<[bool; 4]>(), any::<u64>(), 0..5).prop_map(
        |((queue, consumer_tag), arguments, [a, b, c, d], delivery_tag, which)| {
            AMQPClass::Basic(match which {
                0 => basic::AMQPMethod::Consume(basic::Consume {
                    queue,
                    consumer_tag,
                    no_local: a,
                    no_ack: b,
                    exclusive: c,
                    nowait: d,
                    arguments,
                }),
                1 => basic::AMQPMethod::ConsumeOk(basic::ConsumeOk { consumer_tag }),
                2 => basic::AMQPMethod::Cancel(basic::Cancel { consumer_tag, nowait: a }),
                3 => basic::AMQPMethod::Nack(basic::Nack { delivery_tag, multiple: a, requeue: b }),
                _ => basic::AMQPMethod::Get(basic::Get { queue, no_ack: a }),
            })
        },
    )
}

fn connection_methods() -> impl Strategy<Value = AMQPClass> {
    let names = (short_string(), short_string());
    (names, table(), long_string(), any::<u16>(), any::<u32>(), 0..5).prop_map(
        |((first, second), table, long, short, frame_max, which)| {
            AMQPClass::Connection(match which {
                0 => connection::AMQPMethod::Start(connection::Start {
                    version_major: 0,
                    version_minor: 9,
                    server_properties: table,
                    mechanisms: long.clone(),
                    locales: long,
                }),
                1 => connection::AMQPMethod::StartOk(connection::StartOk {
                    client_properties: table,
                    mechanism: first,
                    response: long,
                    locale: second,
                }),
                2 => connection::AMQPMethod::TuneOk(connection::TuneOk {
                    channel_max: short,
                    frame_max,
                    heartbeat: short,
                }),
                3 => connection::AMQPMethod::Open(connection::Open { virtual_host: first }),
                _ => connection::AMQPMethod::Close(connection::Close {
                    reply_code: short,
                    reply_text: first,
                    class_id: short,
                    method_id: short,
                }),
            })
        },
    )
}

fn small_methods() -> impl Strategy<Value = AMQPClass> {
    (short_string(), any::<bool>(), 0..6).prop_map(|(name, bit, which)| match which {
        0 => AMQPClass::Channel(channel::AMQPMethod::Open(channel::Open {})),
        1 => AMQPClass::Channel(channel::AMQPMethod::Flow(channel::Flow { active: bit })),
        2 => AMQPClass::Confirm(confirm::AMQPMethod::Select(confirm::Select { nowait: bit })),
        3 => AMQPClass::Tx(tx::AMQPMethod::Commit(tx::Commit {})),
        4 => AMQPClass::Access(access::AMQPMethod::Request(access::Request {
            realm: name,
            exclusive: bit,
            passive: bit,
            active: bit,
            write: bit,
            read: bit,
        })),
        _ => AMQPClass::Queue(queue::AMQPMethod::Delete(queue::Delete {
            queue: name,
            if_unused: bit,
            if_empty: !bit,
            nowait: bit,
        })),
    })
}

/// What happens to bytes on their way.
#[derive(Debug, Clone)]
pub(super) enum Damage {
    None,
    Cut(prop::sample::Index),
    Overwrite(prop::sample::Index, u8),
    Append(Vec<u8>),
}

impl Damage {
    pub(super) fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::None => {}
            Self::Cut(at) => bytes.truncate(at.index(bytes.len() + 1)),
            Self::Overwrite(at, with) if !bytes.is_empty() => {
                let at = at.index(bytes.len());
                bytes[at] = *with;
            }
            Self::Overwrite(..) => {}
            Self::Append(more) => bytes.extend_from_slice(more),
        }
    }
}

/// One kind of damage, or none.
pub(super) fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        Just(Damage::None),
        any::<prop::sample::Index>().prop_map(Damage::Cut),
        (any::<prop::sample::Index>(), any::<u8>())
            .prop_map(|(at, with)| Damage::Overwrite(at, with)),
        vec(any::<u8>(), 1..4).prop_map(Damage::Append),
    ]
}
