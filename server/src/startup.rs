//! From a configuration to a running broker and back: open the store, recover, listen; on a signal the reverse.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use leveret_admin_ui::management::Listener;
use leveret_persistence::{
    Batch, Change, CommitError, Committer, CommitterThread, Limits, MessageReader, OpenError,
    PermissionRecord, Reader, Recovered, Store as _, UserRecord, VhostRecord, sqlite,
};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time;

use crate::access::{DEFAULT_USER, password};
use crate::alarms::{self, Alarms, Thresholds};
use crate::config::Config;
use crate::connection::handshake::stopping;
use crate::connection::listener;
use crate::definitions;
use crate::limits::SHUTDOWN_TIMEOUT;
use crate::management::Managed;
use crate::node::Node;
use crate::queue::Command;
use crate::storage::{Storage, awaited};
use crate::vhost::DEFAULT_VHOST;
use crate::vhost::recovery::{self, Found};

/// Threads that read messages back from the store.
const READER_THREADS: usize = 1;

/// Why the broker did not start, or did not stop cleanly. Each says what to do next.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory cannot be used.
    #[error("cannot use the data directory {directory}: {error}\n{hint}")]
    Store {
        /// The directory.
        directory: String,
        /// Why.
        error: OpenError,
        /// What to do.
        hint: &'static str,
    },
    /// A definition in the store cannot be read.
    #[error(
        "{0}\nThis version cannot read what another has written: start the version that wrote it."
    )]
    Definitions(String),
    /// The store failed while the broker ran or stopped.
    #[error(
        "the store failed: {0}\nWhat was confirmed is safe. Free or repair the disk and start again."
    )]
    Failed(#[from] CommitError),
    /// An address cannot be listened on.
    #[error(
        "cannot listen on {address}: {error}\nIs another broker running? Choose another address with --listen ADDR:PORT or --http-listen ADDR:PORT."
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        error: io::Error,
    },
    /// The operating system refused something else.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Runs the broker until SIGTERM or SIGINT.
pub async fn run(config: Config) -> Result<(), StartError> {
    // First, so that a signal during a long recovery is not the default action.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    // Before the store: a taken port must not cost a recovery.
    let listeners = bind_all(&config.listen)?;
    let http_listeners = match config.no_http {
        true => Vec::new(),
        false => bind_all(&config.http_listen)?,
    };
    let (store, recovered) = open(&config)?;
    let reader = MessageReader::start(&store, READER_THREADS)
        .map_err(|error| store_error(&config, error))?;
    let scanner = store.reader().map_err(|error| store_error(&config, error))?;
    let (committer, thread) = Committer::start(Box::new(store), recovered.next, Limits::default());
    let storage = Storage::new(committer, reader);
    let node = Arc::new(recover(config, storage, recovered, scanner).await?);
    announce(&node.config, &listeners, &http_listeners)?;
    let http = manage(&node, &listeners, http_listeners)?;
    for listener in listeners {
        tokio::spawn(listener::accept(listener, Arc::clone(&node)));
    }
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping");
    http.stop().await;
    stop(&node, thread).await
}

/// The HTTP API, as long as it is served.
struct Http {
    serving: JoinSet<()>,
    stopping: watch::Sender<bool>,
}

impl Http {
    /// Takes no more requests, and waits for those that are being answered.
    async fn stop(self) {
        let Http { serving, stopping } = self;
        stopping.send_replace(true);
        serving.join_all().await;
    }
}

/// Serves the HTTP API.
fn manage(
    node: &Arc<Node>,
    listeners: &[TcpListener],
    http_listeners: Vec<TcpListener>,
) -> Result<Http, StartError> {
    let mut known = Vec::new();
    for (protocol, listener) in listeners
        .iter()
        .map(|listener| ("amqp", listener))
        .chain(http_listeners.iter().map(|listener| ("http", listener)))
    {
        let address = listener.local_addr()?;
        let (ip_address, port) = (address.ip(), address.port());
        known.push(Listener { protocol: protocol.to_owned(), ip_address, port });
    }
    let router = leveret_admin_ui::router(Arc::new(Managed::new(Arc::clone(node), known)));
    let (stopping, stop) = watch::channel(false);
    let mut serving = JoinSet::new();
    for listener in http_listeners {
        let mut stop = stop.clone();
        let stopped = async move { drop(stop.wait_for(|stop| *stop).await) };
        serving.spawn(leveret_admin_ui::serve(listener, router.clone(), stopped));
    }
    Ok(Http { serving, stopping })
}

fn bind_all(addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, StartError> {
    addresses
        .iter()
        .map(|&address| {
            listener::bind(address).map_err(|error| StartError::Listen { address, error })
        })
        .collect()
}

fn open(config: &Config) -> Result<(sqlite::SqliteStore, Recovered), StartError> {
    sqlite::open(&config.data).map_err(|error| store_error(config, error))
}

fn store_error(config: &Config, error: OpenError) -> StartError {
    let hint = match &error {
        OpenError::InUse(_) => {
            "Stop the other broker, or give this one a directory of its own with --data DIR."
        }
        OpenError::Newer { .. } => "Start the version that wrote it, or a newer one.",
        OpenError::NotAStore(_) => "Give another directory with --data DIR.",
        OpenError::Damaged(_) => "Restore the directory from a backup.",
        OpenError::ReadOnly(_) => "Make the directory writable for this user.",
        OpenError::DiskFull(_) => "Free some space on the disk.",
        OpenError::Io(_) => "Check that the directory exists and that this user may use it.",
    };
    StartError::Store { directory: config.data.display().to_string(), error, hint }
}

/// Brings users, vhosts and queues back; on a new store makes the default ones.
async fn recover(
    config: Config,
    storage: Storage,
    mut recovered: Recovered,
    reader: Box<dyn Reader>,
) -> Result<Node, StartError> {
    let known = &recovered.definitions;
    // Both: an operator may have deleted all vhosts, and must not find a guest again that was deleted too.
    if known.vhosts.is_empty() && known.users.is_empty() {
        make_defaults(&storage.committer, &mut recovered).await?;
    }
    let Recovered { definitions, backlog, progress, remembered, clean, .. } = recovered;
    let messages: u64 = backlog.values().map(|ids| ids.len()).sum();
    tracing::info!(queues = definitions.queues.len(), messages, clean, "recovered");
    let found = Found { backlog, progress, remembered, clean, reader };
    let parameters = definitions::recovery::parameters(&definitions.parameters);
    let policies = |vhost: &str| definitions::parameters::policies(&parameters, vhost);
    let vhosts = recovery::recover(&definitions, found, policies, &storage)
        .map_err(|error| StartError::Definitions(error.to_string()))?;
    let definitions = definitions::recovery::definitions(&definitions, parameters, vhosts);
    let (sender, alarms) = watch::channel(Alarms::default());
    tokio::spawn(alarms::watch(thresholds(&config), sender));
    Ok(Node::new(config, storage, definitions, alarms))
}

fn thresholds(config: &Config) -> Thresholds {
    let available = alarms::available_memory_bytes().unwrap_or(u64::MAX);
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a memory size, from 0 to the size, needs no exact byte"
    )]
    let memory_bytes = (available as f64 * config.memory_high_watermark) as u64;
    Thresholds { data: config.data.clone(), disk_free_bytes: config.disk_free_limit, memory_bytes }
}

/// RabbitMQ's first start: vhost `/`, and user guest with password guest, who may do everything in it from this machine.
async fn make_defaults(committer: &Committer, recovered: &mut Recovered) -> Result<(), StartError> {
    let vhost = VhostRecord {
        name: DEFAULT_VHOST.to_owned(),
        description: "Default virtual host".to_owned(),
        ..VhostRecord::default()
    };
    let user = UserRecord {
        name: DEFAULT_USER.to_owned(),
        password_hash: password::Hash::new_sha256(DEFAULT_USER.as_bytes()).text(),
        hashing_algorithm: password::SHA256.to_owned(),
        tags: "administrator".to_owned(),
        limits: String::new(),
    };
    let everything = || ".*".to_owned();
    let permission = PermissionRecord {
        user: user.name.clone(),
        vhost: vhost.name.clone(),
        configure: everything(),
        write: everything(),
        read: everything(),
    };
    let (batch, written) = awaited(Batch {
        changes: vec![
            Change::PutVhost(vhost.clone()),
            Change::PutUser(user.clone()),
            Change::PutPermission(permission.clone()),
        ],
        ..Batch::default()
    });
    committer.submit(batch);
    written.await.unwrap_or(Err(CommitError::Closed))?;
    recovered.definitions.vhosts.push(vhost);
    recovered.definitions.users.push(user);
    recovered.definitions.permissions.push(permission);
    Ok(())
}

/// The one line that a person who has just started the broker needs.
#[expect(clippy::print_stdout, reason = "the line that scripts and people wait for")]
fn announce(
    config: &Config,
    listeners: &[TcpListener],
    http_listeners: &[TcpListener],
) -> Result<(), StartError> {
    let addresses = addresses(listeners)?;
    let urls = |scheme: &str, addresses: &[SocketAddr]| {
        let urls: Vec<_> =
            addresses.iter().map(|address| format!("{scheme}://{address}")).collect();
        urls.join(", ")
    };
    let manages = match http_listeners {
        [] => String::new(),
        some => format!("manages on {}; ", urls("http", &self::addresses(some)?)),
    };
    let first = addresses.first().map(|address| match address.ip() {
        ip if ip.is_unspecified() => SocketAddr::new(Ipv4Addr::LOCALHOST.into(), address.port()),
        _ => *address,
    });
    let first = first.map_or_else(String::new, |address| address.to_string());
    println!(
        "Leveret {} listens on {}; {manages}data in {}; publish a first message: leveret perf --uri \
         amqp://guest:guest@{first} --messages 1",
        env!("CARGO_PKG_VERSION"),
        urls("amqp", &addresses),
        config.data.display(),
    );
    Ok(())
}

fn addresses(listeners: &[TcpListener]) -> Result<Vec<SocketAddr>, StartError> {
    Ok(listeners.iter().map(TcpListener::local_addr).collect::<Result<_, _>>()?)
}

/// Closes every connection with 320, lets every queue note what it has delivered, and closes the store.
async fn stop(node: &Arc<Node>, thread: CommitterThread) -> Result<(), StartError> {
    node.connections.close_all(&stopping());
    if time::timeout(SHUTDOWN_TIMEOUT, node.connections.all_closed()).await.is_err() {
        tracing::warn!("some connections did not close in time");
    }
    if time::timeout(SHUTDOWN_TIMEOUT, stop_queues(node)).await.is_err() {
        tracing::warn!(
            "some queues did not stop in time: more messages may come back as redelivered"
        );
    }
    let stopped = tokio::task::spawn_blocking(move || thread.stop()).await;
    stopped.map_err(io::Error::other)??;
    tracing::info!("stopped");
    Ok(())
}

/// Lets every queue note what it has delivered. Its task ends when it has handled what came before.
async fn stop_queues(node: &Node) {
    node.storage.stop();
    let definitions = Arc::clone(&node.registry.now());
    for vhost in definitions.vhosts.values() {
        let queues: Vec<_> = vhost.topology().queues.values().cloned().collect();
        // What is dormant has delivered nothing that is still there.
        for queue in queues.into_iter().filter(|queue| !queue.is_dormant()) {
            queue.send(Command::Stop).await.ok();
            queue.ended().await;
        }
    }
}
