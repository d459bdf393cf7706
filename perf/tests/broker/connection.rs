//! One connection to the broker: reads frames, answers methods, confirms publishes.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Mutex;

use amq_protocol::frame::{AMQPFrame, parse_frame};
use amq_protocol::protocol::{AMQPClass, basic, channel, confirm, connection, exchange, queue};
use amq_protocol::types::FieldTable;

use super::state::{Message, State, Verdict, encode, with_content};

const FRAME_MAX: u32 = 131_072;

struct Connection<'a> {
    stream: TcpStream,
    state: &'a Mutex<State>,
    /// The publish whose content is being received.
    publish: Option<(basic::Publish, Option<Message>)>,
    confirms: bool,
    published: u64,
    acked_up_to: u64,
    frame_max: u32,
}

/// Serves a client until it goes away or is sent away.
pub(crate) fn serve(stream: TcpStream, state: &Mutex<State>) {
    let mut connection = Connection {
        stream,
        state,
        publish: None,
        confirms: false,
        published: 0,
        acked_up_to: 0,
        frame_max: state.lock().unwrap().faults.frame_max.unwrap_or(FRAME_MAX),
    };
    let mut bytes = Vec::new();
    let mut chunk = vec![0; 65_536];
    loop {
        let mut rest = bytes.as_slice();
        while let Ok((after, frame)) = parse_frame(rest) {
            rest = after;
            if connection.on_frame(frame).is_none() {
                return;
            }
        }
        let used = bytes.len() - rest.len();
        bytes.drain(..used);
        match connection.stream.read(&mut chunk) {
            Ok(count) if count > 0 => bytes.extend(&chunk[..count]),
            _ => return,
        }
    }
}

impl Connection<'_> {
    /// `None` ends the connection.
    fn on_frame(&mut self, frame: AMQPFrame) -> Option<()> {
        match frame {
            AMQPFrame::ProtocolHeader(_) => {
                let mut server_properties = FieldTable::default();
                let product = amq_protocol::types::AMQPValue::LongString("Broker".into());
                server_properties.insert("product".into(), product);
                self.send_connection(connection::AMQPMethod::Start(connection::Start {
                    version_major: 0,
                    version_minor: 9,
                    server_properties,
                    mechanisms: "PLAIN".into(),
                    locales: "en_US".into(),
                }))
            }
            AMQPFrame::Method(_, AMQPClass::Connection(method)) => self.on_connection(method),
            AMQPFrame::Method(_, method) => self.on_method(method),
            AMQPFrame::Header(_, header) => {
                let (publish, _) = self.publish.take()?;
                let message = Message { header, body: Vec::new() };
                self.publish = Some((publish, Some(message)));
                self.publish_if_complete()
            }
            AMQPFrame::Body(_, part) => {
                self.publish.as_mut()?.1.as_mut()?.body.extend(part);
                self.publish_if_complete()
            }
            AMQPFrame::Heartbeat => {
                let unblocked = connection::Unblocked {};
                self.send_connection(connection::AMQPMethod::Unblocked(unblocked))
            }
            AMQPFrame::InvalidHeartbeat(_) => None,
        }
    }

    fn on_connection(&mut self, method: connection::AMQPMethod) -> Option<()> {
        match method {
            connection::AMQPMethod::StartOk(_) => {
                let tune =
                    connection::Tune { channel_max: 7, frame_max: self.frame_max, heartbeat: 60 };
                self.send_connection(connection::AMQPMethod::Tune(tune))
            }
            connection::AMQPMethod::TuneOk(ok) => {
                assert_eq!((ok.channel_max, ok.frame_max), (7, self.frame_max));
                Some(())
            }
            connection::AMQPMethod::Open(_) => {
                self.send_connection(connection::AMQPMethod::OpenOk(connection::OpenOk {}))
            }
            connection::AMQPMethod::Close(_) => {
                self.send_connection(connection::AMQPMethod::CloseOk(connection::CloseOk {}))
            }
            _ => None,
        }
    }

    fn on_method(&mut self, method: AMQPClass) -> Option<()> {
        match method {
            AMQPClass::Channel(channel::AMQPMethod::Open(_)) => {
                self.send(AMQPClass::Channel(channel::AMQPMethod::OpenOk(channel::OpenOk {})))
            }
            AMQPClass::Channel(channel::AMQPMethod::Close(_)) => {
                self.send(AMQPClass::Channel(channel::AMQPMethod::CloseOk(channel::CloseOk {})))
            }
            AMQPClass::Channel(_) => Some(()),
            AMQPClass::Confirm(_) => {
                self.confirms = true;
                let ok = confirm::AMQPMethod::SelectOk(confirm::SelectOk {});
                self.send(AMQPClass::Confirm(ok))?;
                if self.state.lock().unwrap().faults.block {
                    let blocked = connection::Blocked { reason: "low on memory".into() };
                    self.send_connection(connection::AMQPMethod::Blocked(blocked))?;
                    self.stream.write_all(&encode(&AMQPFrame::Heartbeat)).ok()?;
                }
                Some(())
            }
            AMQPClass::Queue(method) => self.on_queue(method),
            AMQPClass::Exchange(method) => self.on_exchange(method),
            AMQPClass::Basic(method) => self.on_basic(method),
            _ => None,
        }
    }

    fn on_queue(&mut self, method: queue::AMQPMethod) -> Option<()> {
        let answer = match method {
            queue::AMQPMethod::Declare(declare) => {
                let mut state = self.state.lock().unwrap();
                if declare.passive && !state.has_queue(declare.queue.as_str()) {
                    drop(state);
                    return self.close_channel(404, "NOT_FOUND");
                }
                state.declare(declare.queue.as_str());
                let queue = declare.queue;
                let ok = queue::DeclareOk { queue, message_count: 0, consumer_count: 0 };
                queue::AMQPMethod::DeclareOk(ok)
            }
            queue::AMQPMethod::Bind(bind) => {
                let (key, queue) = (bind.routing_key.as_str(), bind.queue.as_str());
                self.state.lock().unwrap().bind(bind.exchange.as_str(), key, queue);
                if bind.nowait {
                    return Some(());
                }
                queue::AMQPMethod::BindOk(queue::BindOk {})
            }
            queue::AMQPMethod::Delete(delete) => {
                let message_count = self.state.lock().unwrap().delete(delete.queue.as_str());
                queue::AMQPMethod::DeleteOk(queue::DeleteOk { message_count })
            }
            _ => return None,
        };
        self.send(AMQPClass::Queue(answer))
    }

    fn on_exchange(&mut self, method: exchange::AMQPMethod) -> Option<()> {
        let answer = match method {
            exchange::AMQPMethod::Declare(declare) => {
                let mut state = self.state.lock().unwrap();
                if declare.passive && !state.has_exchange(declare.exchange.as_str()) {
                    drop(state);
                    return self.close_channel(404, "NOT_FOUND");
                }
                state.declare_exchange(declare.exchange.as_str(), declare.kind.as_str());
                exchange::AMQPMethod::DeclareOk(exchange::DeclareOk {})
            }
            exchange::AMQPMethod::Delete(delete) => {
                self.state.lock().unwrap().delete_exchange(delete.exchange.as_str());
                exchange::AMQPMethod::DeleteOk(exchange::DeleteOk {})
            }
            _ => return None,
        };
        self.send(AMQPClass::Exchange(answer))
    }

    fn on_basic(&mut self, method: basic::AMQPMethod) -> Option<()> {
        match method {
            basic::AMQPMethod::Qos(_) => {
                self.send(AMQPClass::Basic(basic::AMQPMethod::QosOk(basic::QosOk {})))
            }
            basic::AMQPMethod::Consume(consume) => {
                let ok = basic::ConsumeOk { consumer_tag: consume.consumer_tag };
                self.send(AMQPClass::Basic(basic::AMQPMethod::ConsumeOk(ok)))?;
                let stream = self.stream.try_clone().ok()?;
                let mut state = self.state.lock().unwrap();
                let frame_max = self.frame_max as usize;
                state.consume(consume.queue.as_str(), consume.no_ack, stream, frame_max);
                Some(())
            }
            basic::AMQPMethod::Ack(ack) => {
                let count = if ack.multiple { ack.delivery_tag - self.acked_up_to } else { 1 };
                self.acked_up_to = ack.delivery_tag;
                self.state.lock().unwrap().acknowledge(count);
                Some(())
            }
            basic::AMQPMethod::Publish(publish) => {
                self.publish = Some((publish, None));
                Some(())
            }
            _ => None,
        }
    }

    fn publish_if_complete(&mut self) -> Option<()> {
        let (_, Some(message)) = self.publish.as_ref()? else {
            return None;
        };
        if (message.body.len() as u64) < message.header.body_size {
            return Some(());
        }
        let (publish, Some(message)) = self.publish.take()? else {
            return None;
        };
        self.published += 1;
        let (verdict, never_confirm) = {
            let mut state = self.state.lock().unwrap();
            (state.publish(&publish, &message), state.faults.never_confirm)
        };
        match verdict {
            Verdict::CloseConnection => {
                let reply_text = "CONNECTION_FORCED - broker shutdown".into();
                let close = connection::Close { reply_code: 320, reply_text, ..Default::default() };
                self.send_connection(connection::AMQPMethod::Close(close))?;
            }
            Verdict::Returned => {
                let returned = basic::Return {
                    reply_code: 312,
                    reply_text: "NO_ROUTE".into(),
                    exchange: publish.exchange,
                    routing_key: publish.routing_key,
                };
                let method = basic::AMQPMethod::Return(returned);
                let bytes = with_content(method, &message, self.frame_max as usize);
                self.stream.write_all(&bytes).ok()?;
            }
            Verdict::Taken | Verdict::Refused => {}
        }
        if !self.confirms || never_confirm {
            return Some(());
        }
        let (delivery_tag, multiple) = (self.published, false);
        self.send(AMQPClass::Basic(match verdict {
            Verdict::Refused => {
                basic::AMQPMethod::Nack(basic::Nack { delivery_tag, multiple, requeue: false })
            }
            _ => basic::AMQPMethod::Ack(basic::Ack { delivery_tag, multiple }),
        }))
    }

    fn close_channel(&mut self, reply_code: u16, reply_text: &str) -> Option<()> {
        let reply_text = reply_text.into();
        let close = channel::Close { reply_code, reply_text, ..Default::default() };
        self.send(AMQPClass::Channel(channel::AMQPMethod::Close(close)))
    }

    fn send_connection(&mut self, method: connection::AMQPMethod) -> Option<()> {
        let frame = AMQPFrame::Method(0, AMQPClass::Connection(method));
        self.stream.write_all(&encode(&frame)).ok()
    }

    fn send(&mut self, method: AMQPClass) -> Option<()> {
        self.stream.write_all(&encode(&AMQPFrame::Method(1, method))).ok()
    }
}
