//! One connection to the relay: answers the methods that this tool sends, and relays what it publishes.

use std::io::Read;
use std::net::TcpStream;
use std::sync::Arc;

use amq_protocol::frame::{AMQPFrame, parse_frame};
use amq_protocol::protocol::{AMQPClass, basic, channel, confirm, connection, exchange, queue};
use amq_protocol::types::{AMQPValue, FieldTable};

use super::batch::Batch;
use super::topology::{Outgoing, Topology};
use crate::error::Error;
use crate::frames::{self, BODY, Frame, HEADER, Input, METHOD};
use crate::handshake::FRAME_MAX;
use crate::link::{CONSUMER_TAG, push_frame};

/// One read's worth of publishes.
const INPUT_BYTES: usize = 256 * 1024;

/// What the relay knows of a connection.
#[derive(Debug)]
pub(super) struct Session<'a> {
    topology: &'a Topology,
    outgoing: Arc<Outgoing>,
    batch: Batch,
    /// Exchange and routing key of the batch, as two short strings.
    names: Vec<u8>,
    confirming: bool,
    published: u64,
    closed: bool,
}

impl<'a> Session<'a> {
    /// Before the first byte; `stream` is what is written to.
    pub(super) fn new(stream: TcpStream, topology: &'a Topology) -> Self {
        Self {
            topology,
            outgoing: Arc::new(Outgoing::new(stream)),
            batch: Batch::default(),
            names: Vec::new(),
            confirming: false,
            published: 0,
            closed: false,
        }
    }

    /// Serves until the client closes the connection or goes away.
    pub(super) fn run(&mut self, mut stream: TcpStream) -> Result<(), Error> {
        let mut protocol_header = [0; 8];
        stream.read_exact(&mut protocol_header)?;
        if protocol_header != *b"AMQP\0\0\x09\x01" {
            return Err(Error::Protocol("not AMQP 0-9-1".to_owned()));
        }
        self.answer(0, start())?;
        let mut input = Input::new(FRAME_MAX as usize);
        while !self.closed {
            match stream.read(input.spare())? {
                0 => return Ok(()),
                count => input.advance(count),
            }
            while let Some(frame) = input.next()? {
                self.on_frame(frame)?;
            }
            self.relay()?;
            if self.published > 0 {
                // Idle connections and consumers need no such buffer.
                input.grow(INPUT_BYTES);
            }
        }
        Ok(())
    }

    /// The connection has ended.
    pub(super) fn leave(&self) {
        self.topology.leave(&self.outgoing);
    }

    fn on_frame(&mut self, frame: Frame<'_>) -> Result<(), Error> {
        match frame.kind {
            METHOD => self.on_method_frame(frame),
            HEADER => self.batch.header(frame),
            BODY => self.batch.body(frame),
            // A heartbeat, which asks for nothing.
            _ => Ok(()),
        }
    }

    fn on_method_frame(&mut self, frame: Frame<'_>) -> Result<(), Error> {
        if let Some(names) = frames::published_names(frame.payload) {
            if names != self.names {
                self.relay()?;
                self.names = names.to_vec();
            }
            return self.batch.begin(names);
        }
        match parse_frame(frame.bytes) {
            Ok((_, AMQPFrame::Method(on_channel, method))) => {
                // Its answer says that all before it was done.
                self.relay()?;
                self.on_method(on_channel, method)
            }
            _ => Err(Error::Protocol("a method that cannot be decoded".to_owned())),
        }
    }

    /// Hands on the whole messages of the batch, and confirms them.
    fn relay(&mut self) -> Result<(), Error> {
        if self.batch.len() == 0 {
            return Ok(());
        }
        let (exchange, key) = frames::split_names(&self.names)
            .ok_or_else(|| Error::Protocol("names that are not text".to_owned()))?;
        for consumer in self.topology.takers(exchange, key) {
            // A consumer that has gone leaves by itself, and what it would have got is lost.
            let _gone = consumer.deliver(&mut self.batch);
        }
        self.published += self.batch.len() as u64;
        self.batch.clear();
        if self.confirming {
            let mut confirm = Vec::new();
            frames::push_ack(&mut confirm, self.published, true);
            self.outgoing.send(&confirm)?;
        }
        Ok(())
    }

    fn on_method(&mut self, on_channel: u16, method: AMQPClass) -> Result<(), Error> {
        use AMQPClass::{Basic, Channel, Confirm, Connection, Exchange, Queue};
        use connection::AMQPMethod as OnConnection;
        let answer = match method {
            Connection(OnConnection::StartOk(_)) => {
                let tune = connection::Tune { channel_max: 1, frame_max: FRAME_MAX, heartbeat: 0 };
                Connection(OnConnection::Tune(tune))
            }
            Connection(OnConnection::TuneOk(_)) => return Ok(()),
            Connection(OnConnection::Open(_)) => {
                Connection(OnConnection::OpenOk(connection::OpenOk {}))
            }
            Connection(OnConnection::Close(_)) => {
                self.closed = true;
                Connection(OnConnection::CloseOk(connection::CloseOk {}))
            }
            Channel(channel::AMQPMethod::Open(_)) => {
                Channel(channel::AMQPMethod::OpenOk(channel::OpenOk {}))
            }
            Channel(channel::AMQPMethod::Close(_)) => {
                Channel(channel::AMQPMethod::CloseOk(channel::CloseOk {}))
            }
            Confirm(confirm::AMQPMethod::Select(_)) => {
                self.confirming = true;
                Confirm(confirm::AMQPMethod::SelectOk(confirm::SelectOk {}))
            }
            Exchange(method) => return self.on_exchange(on_channel, method),
            Queue(method) => return self.on_queue(on_channel, method),
            Basic(method) => return self.on_basic(on_channel, method),
            other => return Err(not_spoken(&other)),
        };
        self.answer(on_channel, answer)
    }

    fn on_exchange(&mut self, on_channel: u16, method: exchange::AMQPMethod) -> Result<(), Error> {
        use exchange::AMQPMethod as OnExchange;
        let answer = match method {
            OnExchange::Declare(_) => OnExchange::DeclareOk(exchange::DeclareOk {}),
            OnExchange::Delete(delete) => {
                self.topology.delete_exchange(delete.exchange.as_str());
                OnExchange::DeleteOk(exchange::DeleteOk {})
            }
            other => return Err(not_spoken(&other)),
        };
        self.answer(on_channel, AMQPClass::Exchange(answer))
    }

    fn on_queue(&mut self, on_channel: u16, method: queue::AMQPMethod) -> Result<(), Error> {
        use queue::AMQPMethod as OnQueue;
        let answer = match method {
            OnQueue::Declare(declare) => OnQueue::DeclareOk(queue::DeclareOk {
                queue: declare.queue,
                message_count: 0,
                consumer_count: 0,
            }),
            OnQueue::Bind(bind) => {
                self.topology.bind(bind.exchange.as_str(), bind.queue.as_str());
                if bind.nowait {
                    return Ok(());
                }
                OnQueue::BindOk(queue::BindOk {})
            }
            OnQueue::Delete(delete) => {
                self.topology.delete_queue(delete.queue.as_str());
                OnQueue::DeleteOk(queue::DeleteOk { message_count: 0 })
            }
            other => return Err(not_spoken(&other)),
        };
        self.answer(on_channel, AMQPClass::Queue(answer))
    }

    fn on_basic(&mut self, on_channel: u16, method: basic::AMQPMethod) -> Result<(), Error> {
        use basic::AMQPMethod as OnBasic;
        match method {
            OnBasic::Ack(_) => Ok(()),
            OnBasic::Qos(_) => {
                self.answer(on_channel, AMQPClass::Basic(OnBasic::QosOk(basic::QosOk {})))
            }
            OnBasic::Consume(consume) if consume.consumer_tag.as_str() == CONSUMER_TAG => {
                let ok = basic::ConsumeOk { consumer_tag: consume.consumer_tag };
                self.answer(on_channel, AMQPClass::Basic(OnBasic::ConsumeOk(ok)))?;
                // Only now, so that no delivery comes before the answer.
                self.topology.consume(consume.queue.as_str(), Arc::clone(&self.outgoing));
                Ok(())
            }
            other => Err(not_spoken(&other)),
        }
    }

    fn answer(&self, on_channel: u16, method: AMQPClass) -> Result<(), Error> {
        let mut bytes = Vec::new();
        push_frame(&mut bytes, &AMQPFrame::Method(on_channel, method))?;
        Ok(self.outgoing.send(&bytes)?)
    }
}

fn start() -> AMQPClass {
    let mut server_properties = FieldTable::default();
    server_properties.insert("product".into(), AMQPValue::LongString("relay".into()));
    AMQPClass::Connection(connection::AMQPMethod::Start(connection::Start {
        version_major: 0,
        version_minor: 9,
        server_properties,
        mechanisms: "PLAIN".into(),
        locales: "en_US".into(),
    }))
}

fn not_spoken(method: &impl std::fmt::Debug) -> Error {
    Error::Protocol(format!("the relay speaks only what its own tool asks for, not {method:?}"))
}
