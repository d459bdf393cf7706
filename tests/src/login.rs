//! The handshake of a connection, step by step where a test needs a step of its own.

use std::net::SocketAddr;

use amq_protocol::frame::{AMQPFrame, ProtocolVersion};
use amq_protocol::protocol::{AMQPClass, connection};
use amq_protocol::types::{AMQPValue, FieldTable};

use crate::client::Connection;
use crate::closed::{Closed, connection_closed};
use crate::table;
use crate::wire::{Received, Wire};

/// What a client says while it connects. The default is `guest` on `/`, with every capability clients announce, the
/// broker's own limits, and no heartbeats.
#[derive(Clone, Debug)]
pub struct Login {
    /// SASL mechanism.
    pub mechanism: String,
    /// SASL response; the default logs in with PLAIN.
    pub response: Vec<u8>,
    /// Virtual host to open.
    pub vhost: String,
    /// The `capabilities` table of the client properties.
    pub capabilities: FieldTable,
    /// channel-max of tune-ok; `None` takes the broker's.
    pub channel_max: Option<u16>,
    /// frame-max of tune-ok; `None` takes the broker's.
    pub frame_max: Option<u32>,
    /// heartbeat of tune-ok in seconds; 0 is none.
    pub heartbeat_secs: u16,
}

impl Default for Login {
    fn default() -> Self {
        Self {
            mechanism: "PLAIN".into(),
            response: b"\0guest\0guest".to_vec(),
            vhost: "/".into(),
            capabilities: table([
                ("authentication_failure_close", AMQPValue::Boolean(true)),
                ("basic.nack", AMQPValue::Boolean(true)),
                ("connection.blocked", AMQPValue::Boolean(true)),
                ("consumer_cancel_notify", AMQPValue::Boolean(true)),
                ("exchange_exchange_bindings", AMQPValue::Boolean(true)),
                ("publisher_confirms", AMQPValue::Boolean(true)),
            ]),
            channel_max: None,
            frame_max: None,
            heartbeat_secs: 0,
        }
    }
}

impl Login {
    /// The default with another user and password.
    pub fn plain(user: &str, password: &str) -> Self {
        Self { response: format!("\0{user}\0{password}").into_bytes(), ..Self::default() }
    }

    /// The whole handshake.
    ///
    /// # Errors
    /// How the broker refused it.
    pub fn open(&self, address: SocketAddr) -> Result<Connection, Closed> {
        let mut wire = Wire::connect(address);
        self.start(&mut wire);
        let tune = self.tune(&mut wire)?;
        let frame_max = self.frame_max.unwrap_or(tune.frame_max);
        wire.send_method(0, connection::Open { virtual_host: self.vhost.as_str().into() });
        match next(&mut wire)? {
            connection::AMQPMethod::OpenOk(_) => Ok(Connection::new(wire, frame_max)),
            other => panic!("expected connection.open-ok, got {other:?}"),
        }
    }

    /// The protocol header, and the broker's `connection.start`, answered.
    pub fn start(&self, wire: &mut Wire) -> connection::Start {
        wire.send(&AMQPFrame::ProtocolHeader(ProtocolVersion::amqp_0_9_1()));
        let start = match next(wire) {
            Ok(connection::AMQPMethod::Start(start)) => start,
            other => panic!("expected connection.start, got {other:?}"),
        };
        wire.send_method(
            0,
            connection::StartOk {
                client_properties: table([(
                    "capabilities",
                    AMQPValue::FieldTable(self.capabilities.clone()),
                )]),
                mechanism: self.mechanism.as_str().into(),
                response: self.response.clone().into(),
                locale: "en_US".into(),
            },
        );
        start
    }

    /// The broker's `connection.tune`, answered.
    ///
    /// # Errors
    /// How the broker refused the login.
    pub fn tune(&self, wire: &mut Wire) -> Result<connection::Tune, Closed> {
        let tune = match next(wire)? {
            connection::AMQPMethod::Tune(tune) => tune,
            other => panic!("expected connection.tune, got {other:?}"),
        };
        wire.send_method(
            0,
            connection::TuneOk {
                channel_max: self.channel_max.unwrap_or(tune.channel_max),
                frame_max: self.frame_max.unwrap_or(tune.frame_max),
                heartbeat: self.heartbeat_secs,
            },
        );
        Ok(tune)
    }
}

/// The next method of class connection; a close is answered and becomes the error.
fn next(wire: &mut Wire) -> Result<connection::AMQPMethod, Closed> {
    match wire.receive() {
        Received::Frame(AMQPFrame::Method(0, AMQPClass::Connection(method))) => match method {
            connection::AMQPMethod::Close(close) => {
                wire.send_method(0, connection::CloseOk {});
                Err(connection_closed(close.reply_code, close.reply_text.as_str()))
            }
            other => Ok(other),
        },
        Received::Frame(other) => panic!("expected a method of class connection, got {other:?}"),
        Received::End => Err(Closed::socket()),
    }
}
