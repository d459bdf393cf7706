//! Every bound of the HTTP API, by name.

use std::time::Duration;

/// A request body, in bytes: RabbitMQ's default.
pub(crate) const BODY_LEN_MAX: usize = 20_000_000;

/// All request bodies at once, in KiB: two of the largest. Others wait to be read.
pub(crate) const BODIES_KIB: usize = 40_000;

/// How long a client may take to send a request's body, and to be given room for it.
pub(crate) const BODY_TIME: Duration = Duration::from_secs(60);

/// How long a client may take to send a request's head; also how long an idle connection stays open.
pub(crate) const HEAD_TIME: Duration = Duration::from_secs(60);

/// A request's head, in bytes.
pub(crate) const HEAD_LEN_MAX: usize = 64 * 1024;

/// Connections open at once; further ones wait in the listener's backlog.
pub(crate) const CONNECTIONS: usize = 512;

/// How long open requests may go on when the server is told to stop.
pub(crate) const STOP_TIME: Duration = Duration::from_secs(5);

/// Passwords checked at once. Their hashes are slow on purpose: this many threads at the most are busy with them.
pub(crate) const LOGINS_AT_ONCE: usize = 2;

/// How long a request waits for its password to be checked.
pub(crate) const LOGIN_TIME: Duration = Duration::from_secs(10);

/// How long a login is remembered, unless users change.
pub(crate) const LOGIN_REMEMBERED: Duration = Duration::from_secs(60);

/// How many logins are remembered.
pub(crate) const LOGINS_REMEMBERED: usize = 1024;

/// Items of a page, unless asked otherwise: RabbitMQ's default.
pub(crate) const PAGE_SIZE: usize = 100;

/// Items of a page at the most: RabbitMQ's bound.
pub(crate) const PAGE_SIZE_MAX: usize = 500;

/// A filter on names, in bytes; and its compiled form, in bytes, if it is a regular expression.
pub(crate) const FILTER_LEN_MAX: usize = 1024;
pub(crate) const FILTER_COMPILED_MAX: usize = 1024 * 1024;

/// Rows of a list that are turned into JSON at once.
pub(crate) const ROWS_AT_ONCE: usize = 256;

/// Messages in one answer about what waits.
pub(crate) const WINDOW: usize = 100;
pub(crate) const WINDOW_MAX: usize = 1000;
