//! From a TCP connection to an open channel: protocol header, start, tune, open. Called for every
//! connection of a run.

use std::time::Duration;

use amq_protocol::auth::{Credentials, SASLMechanism};
use amq_protocol::frame::{AMQPFrame, ProtocolVersion};
use amq_protocol::protocol::{AMQPClass, channel, connection};
use amq_protocol::types::{AMQPValue, FieldTable};
use tokio::net::TcpStream;

use crate::error::Error;
use crate::frames::Input;
use crate::link::{CHANNEL, Link, Output};
use crate::uri::Uri;

const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// RabbitMQ's default, and the most this tool asks for.
pub(crate) const FRAME_MAX: u32 = 131_072;

/// Connects, logs in and opens channel 1. Heartbeats are negotiated off: the runs are short, and a
/// broker that stalls must show up as a stall.
pub(crate) async fn connect(uri: &Uri, name: &str) -> Result<Link, Error> {
    let stream = open_socket(uri).await?;
    let mut link = Link {
        stream,
        input: Input::new(FRAME_MAX as usize),
        output: Output::default(),
        server: String::new(),
        frame_max: FRAME_MAX as usize,
    };
    link.output.push(&AMQPFrame::ProtocolHeader(ProtocolVersion::amqp_0_9_1()))?;
    log_in(&mut link, uri, name).await?;
    let open = connection::Open { virtual_host: uri.vhost.as_str().into() };
    let method = AMQPClass::Connection(connection::AMQPMethod::Open(open));
    link.call(0, method, "connection.open", |answer| {
        matches!(answer, AMQPClass::Connection(connection::AMQPMethod::OpenOk(_)))
    })
    .await?;
    open_channel(&mut link).await?;
    Ok(link)
}

/// Opens channel 1; also after the broker closed it.
pub(crate) async fn open_channel(link: &mut Link) -> Result<(), Error> {
    let method = AMQPClass::Channel(channel::AMQPMethod::Open(channel::Open {}));
    link.call(CHANNEL, method, "channel.open", |answer| {
        matches!(answer, AMQPClass::Channel(channel::AMQPMethod::OpenOk(_)))
    })
    .await?;
    Ok(())
}

async fn open_socket(uri: &Uri) -> Result<TcpStream, Error> {
    let address = uri.address();
    let attempt = TcpStream::connect((uri.host.as_str(), uri.port));
    let result = tokio::time::timeout(CONNECT_WITHIN, attempt).await;
    let stream = match result.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into())) {
        Ok(stream) => stream,
        Err(source) => return Err(Error::Connect { address, source }),
    };
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// `connection.start` to `connection.tune-ok`.
async fn log_in(link: &mut Link, uri: &Uri, name: &str) -> Result<(), Error> {
    let start = link.answer("the protocol header", |answer| {
        matches!(answer, AMQPClass::Connection(connection::AMQPMethod::Start(_)))
    });
    if let AMQPClass::Connection(connection::AMQPMethod::Start(start)) = start.await? {
        link.server = server_name(&start.server_properties);
    }
    let credentials = Credentials::new(uri.user.as_str().into(), uri.password.as_str().into());
    let start_ok = connection::StartOk {
        client_properties: client_properties(name),
        mechanism: "PLAIN".into(),
        response: credentials.sasl_auth_string(SASLMechanism::Plain),
        locale: "en_US".into(),
    };
    let method = AMQPClass::Connection(connection::AMQPMethod::StartOk(start_ok));
    let answer = link.call(0, method, "connection.start-ok", |answer| {
        matches!(answer, AMQPClass::Connection(connection::AMQPMethod::Tune(_)))
    });
    let AMQPClass::Connection(connection::AMQPMethod::Tune(tune)) = answer.await? else {
        return Err(Error::Protocol("no connection.tune".to_owned()));
    };
    let frame_max = match tune.frame_max {
        0 => FRAME_MAX,
        limit => limit.min(FRAME_MAX),
    };
    link.frame_max = frame_max as usize;
    link.input.set_frame_max(frame_max as usize);
    // RabbitMQ refuses a channel_max above its own, and 0 where it has a limit.
    let tune_ok = connection::TuneOk { channel_max: tune.channel_max, frame_max, heartbeat: 0 };
    let method = AMQPClass::Connection(connection::AMQPMethod::TuneOk(tune_ok));
    link.output.push(&AMQPFrame::Method(0, method))
}

/// The server's own words for what it is, such as `RabbitMQ 4.3.6`.
fn server_name(properties: &FieldTable) -> String {
    let text = |key: &str| match properties.inner().get(key) {
        Some(AMQPValue::LongString(text)) => text.to_string(),
        _ => String::new(),
    };
    format!("{} {}", text("product"), text("version")).trim().to_owned()
}

fn client_properties(name: &str) -> FieldTable {
    let mut capabilities = FieldTable::default();
    for capability in [
        "publisher_confirms",
        "basic.nack",
        "consumer_cancel_notify",
        "connection.blocked",
        "authentication_failure_close",
    ] {
        capabilities.insert(capability.into(), AMQPValue::Boolean(true));
    }
    let mut properties = FieldTable::default();
    for (key, value) in [
        ("product", "leveret perf"),
        ("version", env!("CARGO_PKG_VERSION")),
        ("connection_name", name),
    ] {
        properties.insert(key.into(), AMQPValue::LongString(value.into()));
    }
    properties.insert("capabilities".into(), AMQPValue::FieldTable(capabilities));
    properties
}
