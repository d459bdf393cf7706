//! From the first byte to `connection.open-ok` (specification section 2.2.4): one function a step, each with what
//! the one before has settled.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use amq_protocol::protocol::AMQPClass;
use amq_protocol::protocol::connection::{
    AMQPMethod, Open, OpenOk, Secure, Start, StartOk, Tune, TuneOk,
};
use amq_protocol::types::{AMQPValue, FieldTable, LongString};
use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time;

use super::close::connection_close;
use super::{ClientCapabilities, ConnectionId, Opened, Outbox};
use crate::access::sasl::{self, Credentials, Mechanism};
use crate::access::user::User;
use crate::access::user_access::UserAccess;
use crate::connections::{ConnectionLimits, NotAdmitted};
use crate::limits::{CHANNEL_MAX, FRAME_MAX, INITIAL_FRAME_MAX, LOGIN_FAILURE_DELAY};
use crate::node::Node;
use crate::protocol::frame::{
    FRAME_MIN_SIZE, FrameKind, PROTOCOL_HEADER, next_frame, unexpected_frame,
};
use crate::protocol::method::{decode_method, encode_method};
use crate::protocol::{Fault, ReplyCode};

/// The heartbeat interval that the server proposes, in seconds (RabbitMQ's default).
const HEARTBEAT_SECS: u16 = 60;

/// Why a handshake came to nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failed {
    /// The client went away; without having sent a byte it was a health check.
    #[error("the client went away: {0}")]
    Lost(#[from] std::io::Error),
    #[error("it does not speak AMQP 0-9-1: it began with {0:?}")]
    WrongProtocol([u8; 8]),
    /// Told to the client with `connection.close`.
    #[error("{0}")]
    Refused(Fault),
    /// Told to the client only by a closed socket, after a pause: it could not understand more, or must not learn more.
    #[error("{0}")]
    RefusedSilently(String),
}

/// A socket during the handshake, with what was read ahead.
pub(super) struct Wire<'a, R, W> {
    pub(super) reader: &'a mut R,
    pub(super) writer: &'a mut W,
    pub(super) input: &'a mut BytesMut,
}

/// Leads a client through the handshake. On failure the client has been told as RabbitMQ tells it.
pub(super) async fn shake_hands<R, W>(
    mut wire: Wire<'_, R, W>,
    node: &Arc<Node>,
    id: ConnectionId,
    peer: IpAddr,
) -> Result<Opened, Failed>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let opened = steps(&mut wire, node, id, peer).await;
    match &opened {
        Ok(_) | Err(Failed::Lost(_)) => {}
        Err(Failed::WrongProtocol(_)) => wire.write(&PROTOCOL_HEADER).await?,
        Err(Failed::Refused(fault)) => {
            wire.send(connection_close(fault)).await?;
            // The client answers or leaves; either way it has read why.
            drop(time::timeout(Duration::from_secs(1), wire.method()).await);
        }
        Err(Failed::RefusedSilently(_)) => time::sleep(LOGIN_FAILURE_DELAY).await,
    }
    opened
}

async fn steps<R, W>(
    wire: &mut Wire<'_, R, W>,
    node: &Arc<Node>,
    id: ConnectionId,
    peer: IpAddr,
) -> Result<Opened, Failed>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    wire.protocol_header().await?;
    wire.send(AMQPClass::Connection(AMQPMethod::Start(start(node)))).await?;
    let start_ok = wire.start_ok().await?;
    let capabilities = capabilities(&start_ok.client_properties);
    let user = log_in(wire, node, start_ok, capabilities, peer).await?;
    let proposed =
        Tune { channel_max: CHANNEL_MAX, frame_max: FRAME_MAX, heartbeat: HEARTBEAT_SECS };
    wire.send(AMQPClass::Connection(AMQPMethod::Tune(proposed))).await?;
    let tuned = wire.tune_ok().await?;
    check_tuned(&tuned).map_err(Failed::Refused)?;
    let open = wire.open().await?;
    let opened = open_vhost(node, id, user, capabilities, &tuned, &open);
    let opened = opened.map_err(Failed::Refused)?;
    wire.send(AMQPClass::Connection(AMQPMethod::OpenOk(OpenOk {}))).await?;
    Ok(opened)
}

/// The credentials may come in `start-ok` or, from a client that waits to be asked, in `secure-ok`.
async fn log_in<R, W>(
    wire: &mut Wire<'_, R, W>,
    node: &Node,
    start_ok: StartOk,
    capabilities: ClientCapabilities,
    peer: IpAddr,
) -> Result<Arc<User>, Failed>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let name = start_ok.mechanism;
    let mechanism: Mechanism = name.as_str().parse().map_err(|_| {
        Failed::RefusedSilently(format!("unknown authentication mechanism '{name}'"))
    })?;
    let mut response = start_ok.response;
    if response.is_empty() {
        let secure = Secure { challenge: LongString::default() };
        wire.send(AMQPClass::Connection(AMQPMethod::Secure(secure))).await?;
        response = wire.secure_ok().await?;
    }
    let Credentials { name, password } = sasl::credentials(mechanism, response.as_bytes())
        .map_err(|reason| Failed::RefusedSilently(format!("malformed SASL response: {reason}")))?;
    node.login(&name, password, peer).await.map_err(|refused| {
        tracing::warn!("{mechanism} login refused: user '{name}' - {refused}");
        let text = format!(
            "Login was refused using authentication mechanism {mechanism}. For details see the broker logfile."
        );
        let fault = Fault::new(ReplyCode::AccessRefused, text).into_connection();
        match capabilities.authentication_failure_close {
            true => Failed::Refused(fault),
            false => Failed::RefusedSilently(fault.to_string()),
        }
    })
}

/// A client may lower what the server proposed, not raise it; 0 would be no limit at all.
fn check_tuned(tuned: &TuneOk) -> Result<(), Fault> {
    let refused = |text: String| Err(Fault::new(ReplyCode::NotAllowed, text));
    let TuneOk { channel_max, frame_max, .. } = *tuned;
    if frame_max != 0 && frame_max < FRAME_MIN_SIZE {
        return refused(format!(
            "negotiated frame_max = {frame_max} is lower than the minimum allowed value ({FRAME_MIN_SIZE})"
        ));
    }
    if frame_max == 0 || frame_max > FRAME_MAX {
        return refused(format!(
            "negotiated frame_max = {frame_max} is higher than the maximum allowed value ({FRAME_MAX})"
        ));
    }
    if channel_max == 0 || channel_max > CHANNEL_MAX {
        return refused(format!(
            "negotiated channel_max = {channel_max} is higher than the maximum allowed value ({CHANNEL_MAX})"
        ));
    }
    Ok(())
}

fn open_vhost(
    node: &Arc<Node>,
    id: ConnectionId,
    user: Arc<User>,
    capabilities: ClientCapabilities,
    tuned: &TuneOk,
    open: &Open,
) -> Result<Opened, Fault> {
    let name = open.virtual_host.as_str();
    let refused = |text: String| Fault::new(ReplyCode::NotAllowed, text);
    let no_access = || format!("access to vhost '{name}' refused for user '{}'", user.name);
    let vhost = node.registry.vhost(name);
    let vhost = vhost.ok_or_else(|| refused(format!("vhost {name} not found")))?;
    let (outbox, events) = Outbox::new();
    let limits =
        ConnectionLimits { vhost: vhost.connection_limit(), user: user.limits.max_connections };
    let admitted = node.connections.admit(id, outbox.clone(), &user.name, &vhost.name, limits);
    let admitted = admitted.map_err(|reason| match reason {
        NotAdmitted::Stopping => stopping(),
        NotAdmitted::VhostLimit(limit) => {
            refused(format!("{}: connection limit ({limit}) is reached", no_access()))
        }
        NotAdmitted::UserLimit(limit) => refused(format!(
            "connection refused for user '{}': user connection limit ({limit}) is reached",
            user.name
        )),
    })?;
    // Only now, when a deletion finds this connection: one that came before is seen here.
    let definitions = node.registry.now();
    let known = definitions.users.get(&user.name);
    if !known.is_some_and(|user| user.may_open(name)) {
        return Err(refused(no_access()));
    }
    if !definitions.vhosts.get(name).is_some_and(|known| Arc::ptr_eq(known, &vhost)) {
        return Err(refused(format!("vhost {name} not found")));
    }
    let access = UserAccess::new(node.registry.shared(), user, Arc::clone(&vhost.name));
    Ok(Opened {
        id,
        access,
        vhost,
        admitted,
        outbox,
        events,
        capabilities,
        frame_max: tuned.frame_max,
        channel_max: tuned.channel_max,
        heartbeat_secs: tuned.heartbeat,
    })
}

/// RabbitMQ's words to who is there, or comes, when the broker stops.
pub(crate) fn stopping() -> Fault {
    let text = "broker forced connection closure with reason 'shutdown'";
    Fault::new(ReplyCode::ConnectionForced, text)
}

fn start(node: &Node) -> Start {
    Start {
        version_major: 0,
        version_minor: 9,
        server_properties: server_properties(&node.cluster_name),
        mechanisms: Mechanism::NAMES.join(" ").into(),
        locales: "en_US".into(),
    }
}

/// The capabilities are those of RabbitMQ; each has a black-box test that it is kept.
fn server_properties(cluster_name: &str) -> FieldTable {
    let mut capabilities = FieldTable::default();
    for name in [
        "publisher_confirms",
        "exchange_exchange_bindings",
        "basic.nack",
        "consumer_cancel_notify",
        "connection.blocked",
        "consumer_priorities",
        "authentication_failure_close",
        "per_consumer_qos",
        "direct_reply_to",
    ] {
        capabilities.insert(name.into(), AMQPValue::Boolean(true));
    }
    let mut properties = FieldTable::default();
    properties.insert("capabilities".into(), AMQPValue::FieldTable(capabilities));
    for (name, value) in [
        ("product", "Leveret"),
        ("version", env!("CARGO_PKG_VERSION")),
        ("platform", "Rust"),
        ("copyright", "The Leveret authors"),
        ("information", "Licensed under Apache-2.0 or MIT, at your option"),
        ("cluster_name", cluster_name),
    ] {
        properties.insert(name.into(), AMQPValue::LongString(value.into()));
    }
    properties
}

fn capabilities(client_properties: &FieldTable) -> ClientCapabilities {
    let table = match client_properties.inner().get("capabilities") {
        Some(AMQPValue::FieldTable(table)) => table.inner().clone(),
        _ => return ClientCapabilities::default(),
    };
    let has = |name: &str| matches!(table.get(name), Some(AMQPValue::Boolean(true)));
    ClientCapabilities {
        authentication_failure_close: has("authentication_failure_close"),
        connection_blocked: has("connection.blocked"),
        consumer_cancel_notify: has("consumer_cancel_notify"),
    }
}

impl<R: AsyncRead + Unpin, W: AsyncWrite + Unpin> Wire<'_, R, W> {
    /// Reads the 8 bytes that say which protocol follows. RabbitMQ takes that of AMQP 0-9 for 0-9-1.
    async fn protocol_header(&mut self) -> Result<(), Failed> {
        while self.input.len() < PROTOCOL_HEADER.len() {
            self.fill().await?;
        }
        let mut header = [0; 8];
        self.input.copy_to_slice(&mut header);
        match header {
            PROTOCOL_HEADER | [b'A', b'M', b'Q', b'P', 1, 1, 0, 9] => Ok(()),
            other => Err(Failed::WrongProtocol(other)),
        }
    }

    async fn start_ok(&mut self) -> Result<StartOk, Failed> {
        match self.method().await? {
            AMQPMethod::StartOk(start_ok) => Ok(start_ok),
            other => Err(unexpected("starting", &other)),
        }
    }

    async fn secure_ok(&mut self) -> Result<LongString, Failed> {
        match self.method().await? {
            AMQPMethod::SecureOk(secure_ok) => Ok(secure_ok.response),
            other => Err(unexpected("securing", &other)),
        }
    }

    async fn tune_ok(&mut self) -> Result<TuneOk, Failed> {
        match self.method().await? {
            AMQPMethod::TuneOk(tune_ok) => Ok(tune_ok),
            other => Err(unexpected("tuning", &other)),
        }
    }

    async fn open(&mut self) -> Result<Open, Failed> {
        match self.method().await? {
            AMQPMethod::Open(open) => Ok(open),
            other => Err(unexpected("opening", &other)),
        }
    }

    /// The next method on channel 0; heartbeats are passed over.
    async fn method(&mut self) -> Result<AMQPMethod, Failed> {
        let silently = |fault: Fault| Failed::RefusedSilently(fault.to_string());
        loop {
            let Some(frame) = next_frame(self.input, 0, INITIAL_FRAME_MAX).map_err(silently)?
            else {
                self.fill().await?;
                continue;
            };
            let bytes = self.input.split_to(frame.end);
            let payload = bytes.get(frame.payload.clone()).unwrap_or_default();
            match (frame.kind, frame.channel) {
                (FrameKind::Heartbeat, 0) => {}
                (FrameKind::Method, 0) => {
                    return match decode_method(payload).map_err(silently)? {
                        AMQPClass::Connection(method) => Ok(method),
                        _ => Err(silently(Fault::new(
                            ReplyCode::ChannelError,
                            "expected a method of class connection",
                        ))),
                    };
                }
                (kind, _) => return Err(silently(unexpected_frame(kind, payload))),
            }
        }
    }

    async fn fill(&mut self) -> std::io::Result<()> {
        self.input.reserve(512);
        match self.reader.read_buf(self.input).await? {
            0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    async fn send(&mut self, method: AMQPClass) -> std::io::Result<()> {
        let mut out = BytesMut::new();
        encode_method(&mut out, 0, &method);
        self.write(&out).await
    }

    async fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.writer.write_all(bytes).await
    }
}

fn unexpected(state: &str, method: &AMQPMethod) -> Failed {
    let fault = Fault::new(
        ReplyCode::ChannelError,
        format!("unexpected method in connection state {state}"),
    );
    match method {
        // A client that gives up says so.
        AMQPMethod::Close(_) => Failed::Lost(std::io::ErrorKind::ConnectionAborted.into()),
        _ => Failed::Refused(fault),
    }
}
