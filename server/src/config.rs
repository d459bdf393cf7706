//! What a run of the broker is told: the options of `leveret serve`, one declaration each, with name, default and text.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::protocol::content::BODY_SIZE_MAX;

/// Options of `leveret serve`.
#[derive(Args, Clone, Debug)]
pub struct Config {
    /// Directory of the broker's data; made if it is not there
    #[arg(long, value_name = "DIR", default_value = "leveret-data", env = "LEVERET_DATA")]
    pub data: PathBuf,

    /// Address to listen on for AMQP 0-9-1; may be given more than once. Port 0 takes a free one
    #[arg(
        long,
        value_name = "ADDR:PORT",
        default_values = ["0.0.0.0:5672"],
        env = "LEVERET_LISTEN",
        value_delimiter = ','
    )]
    pub listen: Vec<SocketAddr>,

    /// Address to listen on for the HTTP API and the management UI; may be given more than once. Port 0 takes a free one
    #[arg(
        long,
        value_name = "ADDR:PORT",
        default_values = ["0.0.0.0:15672"],
        env = "LEVERET_HTTP_LISTEN",
        value_delimiter = ','
    )]
    pub http_listen: Vec<SocketAddr>,

    /// Do not listen for HTTP
    #[arg(long, env = "LEVERET_NO_HTTP")]
    pub no_http: bool,

    /// What to log to standard error: error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL", default_value = "info", env = "LEVERET_LOG")]
    pub log: tracing::Level,

    /// Largest body of a message in bytes, 536870912 at most; larger ones are refused with 406
    #[arg(
        long,
        value_name = "BYTES",
        default_value_t = 134_217_728,
        value_parser = clap::value_parser!(u64).range(1..=BODY_SIZE_MAX)
    )]
    pub max_message_size: u64,

    /// Seconds that a client may take from connecting to an open vhost
    #[arg(
        long,
        value_name = "SECONDS",
        default_value = "10",
        value_parser = seconds
    )]
    pub handshake_timeout: Duration,

    /// Free disk space in bytes below which publishers are blocked
    #[arg(long, value_name = "BYTES", default_value_t = 50_000_000)]
    pub disk_free_limit: u64,

    /// Share of the available memory above which publishers are blocked
    #[arg(long, value_name = "FRACTION", default_value_t = 0.6, value_parser = fraction)]
    pub memory_high_watermark: f64,
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds > 0.0 && seconds <= 3600.0 => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("expected a number of seconds over 0, up to 3600".to_owned()),
    }
}

fn fraction(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(fraction) if fraction > 0.0 && fraction <= 1.0 => Ok(fraction),
        _ => Err("expected a number over 0, up to 1".to_owned()),
    }
}
