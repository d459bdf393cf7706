//! What can end a run early, in words a user can act on. Made everywhere in this crate, shown by
//! `run`.

use std::io;
use std::time::Duration;

use amq_protocol::types::ReplyCode;

/// Why a run could not start or could not go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Options that contradict each other or are out of range.
    #[error("{0}")]
    Options(String),
    /// The broker's address could not be resolved or connected to.
    #[error("cannot connect to {address}: {source}{}", hint(.source))]
    Connect {
        /// Host and port as given.
        address: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// The socket failed after the connection was established.
    #[error("the connection broke: {0}")]
    Socket(#[from] io::Error),
    /// End of stream without `connection.close`.
    #[error(
        "the broker closed the TCP connection without connection.close \
         (during the handshake this usually means a wrong password or vhost; see the broker's log)"
    )]
    Disconnected,
    /// `connection.close` from the broker.
    #[error("the broker closed the connection: {code} {text}")]
    ConnectionClosed {
        /// The reply code, such as 320 for a shutdown.
        code: ReplyCode,
        /// The reply text.
        text: String,
    },
    /// `channel.close` from the broker.
    #[error("the broker closed the channel: {code} {text}")]
    ChannelClosed {
        /// The reply code, such as 404 for a queue that does not exist.
        code: ReplyCode,
        /// The reply text.
        text: String,
    },
    /// `basic.cancel` from the broker: the queue was deleted or its node went away.
    #[error("the broker cancelled the consumer of queue '{0}' (basic.cancel): was it deleted?")]
    Cancelled(String),
    /// Bytes that are not AMQP 0-9-1, or a frame nobody asked for.
    #[error("the broker sent something that is not valid here: {0}")]
    Protocol(String),
    /// An answer that did not come.
    #[error("no answer to {what} within {} s", .after.as_secs_f64())]
    NoAnswer {
        /// The method or step that was waited for.
        what: &'static str,
        /// How long it was waited for.
        after: Duration,
    },
    /// Nothing was published, confirmed or delivered for the time given with `--timeout`.
    #[error("{0}")]
    Stalled(String),
    /// Ctrl-C a second time, while confirms or deliveries were still awaited.
    #[error("interrupted before everything had arrived")]
    Interrupted,
    /// The report could not be encoded as JSON.
    #[error("cannot write the report: {0}")]
    Report(#[from] serde_json::Error),
}

/// What to try next, for the failures to connect that users meet.
fn hint(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::ConnectionRefused => " - is the broker running?",
        io::ErrorKind::TimedOut => " - is the host right, and the port open?",
        io::ErrorKind::NotFound | io::ErrorKind::InvalidInput => " - is the host name right?",
        _ if source.raw_os_error() == Some(TOO_MANY_OPEN_FILES) => " - raise `ulimit -n`",
        _ => "",
    }
}

/// `EMFILE` on Linux, macOS and the BSDs; the standard library has no stable name for it.
const TOO_MANY_OPEN_FILES: i32 = 24;
