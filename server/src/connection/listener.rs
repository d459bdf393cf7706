//! Takes connections from a listening socket and gives each a task.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::time;

use super::handshake::{Failed, Wire, shake_hands};
use super::heartbeat::Heartbeat;
use super::task::{READ_BUFFER_MIN_BYTES, Task};
use super::{Connection, Opened};
use crate::channel::publish::Publishes;
use crate::channel::settle::Settlements;
use crate::node::Node;
use crate::vhost::publish::Router;

/// Connections that the operating system keeps until they are accepted; more are refused by it.
const BACKLOG: i32 = 1024;

/// Binds an address. Takes over one that a stopped broker has just left.
pub(crate) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Accepts connections for as long as the broker runs.
pub(crate) async fn accept(listener: TcpListener, node: Arc<Node>) {
    loop {
        match listener.accept().await {
            Ok((socket, peer)) => {
                let node = Arc::clone(&node);
                tokio::spawn(Box::pin(serve(socket, peer, node)));
            }
            Err(error) => {
                // Out of file descriptors, mostly: waiting lets others close.
                tracing::error!(%error, "cannot accept a connection");
                time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn serve(mut socket: TcpStream, peer: SocketAddr, node: Arc<Node>) {
    // Replies are small and waited for; batches are made by the connection itself.
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(%peer, %error, "cannot set TCP_NODELAY");
    }
    let id = node.next_connection_id();
    let mut input = BytesMut::new();
    let (mut reader, mut writer) = socket.split();
    let wire = Wire { reader: &mut reader, writer: &mut writer, input: &mut input };
    let handshake = Box::pin(shake_hands(wire, &node, id, peer.ip()));
    let opened = match time::timeout(node.config.handshake_timeout, handshake).await {
        Ok(Ok(opened)) => opened,
        Ok(Err(Failed::Lost(error))) => {
            return tracing::debug!(connection = id.0, %peer, %error, "left during the handshake");
        }
        Ok(Err(failed)) => {
            return tracing::warn!(connection = id.0, %peer, %failed, "handshake failed");
        }
        Err(_) => return tracing::warn!(connection = id.0, %peer, "handshake_timeout"),
    };
    tracing::info!(
        connection = id.0,
        "connection {peer} accepted: user '{}' authenticated and granted access to vhost '{}'",
        opened.access.user_name(),
        opened.vhost.name
    );
    let heartbeat = Heartbeat::new(opened.heartbeat_secs, Instant::now());
    let task = Box::new(Task {
        alarms: node.alarms.clone(),
        connection: connection(node, opened),
        reader,
        writer,
        input,
        heartbeat,
        read_bytes: READ_BUFFER_MIN_BYTES,
        blocked: false,
    });
    task.run().await;
}

fn connection(node: Arc<Node>, opened: Opened) -> Connection {
    Connection {
        node,
        id: opened.id,
        router: Router::new(&opened.vhost, opened.access.clone()),
        access: opened.access,
        admitted: opened.admitted,
        capabilities: opened.capabilities,
        frame_max: opened.frame_max,
        channel_max: opened.channel_max,
        outbox: opened.outbox,
        events: opened.events,
        out: super::output::Output::default(),
        unwritten: None,
        read_ms: 0,
        channels: std::collections::HashMap::default(),
        vhost: opened.vhost,
        publishes: Publishes::default(),
        settlements: Settlements::default(),
        in_store: std::collections::VecDeque::new(),
        held_by: Vec::new(),
        exclusive: Vec::new(),
        has_published: false,
    }
}
