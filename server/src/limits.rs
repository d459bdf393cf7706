//! Every bound of the broker, by name. What happens at each is said beside it; relations between them are checked at compile time.

use std::time::Duration;

use crate::protocol::frame::FRAME_MIN_SIZE;

/// Bytes that one read takes from a socket at most, and the size of a connection's read buffer.
pub(crate) const READ_BUFFER_BYTES: usize = 128 * 1024;

/// Bytes waiting for a client that does not read. Above it a connection takes no more deliveries from
/// its outbox, so that its consumers run out of window and the queues serve others.
pub(crate) const WRITE_BUFFER_HIGH_BYTES: usize = 512 * 1024;

/// The smallest body that is written to a client's socket from where it is, in bytes; smaller ones are copied into the write
/// buffer, which costs less than to keep track of them.
pub(crate) const WRITE_UNCOPIED_BYTES: usize = 16 * 1024;

/// Bytes of replies and confirms waiting for a client that does not read. Above it the connection is not read either.
pub(crate) const WRITE_BUFFER_STOP_READING_BYTES: usize = 8 * 1024 * 1024;

/// Messages on their way from a queue to one consumer's socket; at the limit the queue passes the consumer over.
pub(crate) const CONSUMER_WINDOW_MESSAGES: u32 = 4096;

/// As [`CONSUMER_WINDOW_MESSAGES`], in bytes. One message larger than it still goes out, alone.
pub(crate) const CONSUMER_WINDOW_BYTES: usize = 1024 * 1024;

/// Deliveries that a consumer without a prefetch limit may leave unacknowledged; at the limit it gets no more until it acks.
pub(crate) const CONSUMER_UNACKED_MAX: u32 = 1 << 20;

/// What the commands in a queue's inbox cost in memory, in bytes; at the limit the publishers' sockets are not read. What is on
/// its way is to fit into the cache of a processor: with 128 reads instead of these four to eight, scenario A of `leveret perf`
/// took 20 % more CPU a message, and B 40 %.
pub(crate) const QUEUE_INBOX_BYTES: usize = 1024 * 1024;

/// What a command costs there besides the messages that it brings, in bytes.
pub(crate) const COMMAND_OVERHEAD_BYTES: usize = 256;

/// Commands that a queue takes from its inbox before it delivers.
pub(crate) const QUEUE_BATCH_COMMANDS: usize = 8;

/// Ready messages from which on a queue takes no more publishes while a consumer is short of nothing but time on the
/// processor: publishers and consumers then run at one pace, and the backlog does not go through the disk.
pub(crate) const QUEUE_FLOW_MESSAGES: usize = 16 * 1024;

/// How long [`QUEUE_FLOW_MESSAGES`] holds publishers up for a consumer that takes nothing at all.
pub(crate) const QUEUE_FLOW_PATIENCE: Duration = Duration::from_millis(10);

/// How long a queue has nothing to do before its task ends; the next command starts it again.
pub(crate) const QUEUE_IDLE_BEFORE_DORMANT: Duration = Duration::from_secs(1);

/// Messages that a queue asks of the store in one read.
pub(crate) const QUEUE_LOAD_MESSAGES: usize = 1024;

/// Bytes of message after which such a read stops.
pub(crate) const QUEUE_LOAD_BYTES: usize = 1024 * 1024;

/// Ready messages that stay in memory at the head of a queue when the rest is paged out.
pub(crate) const QUEUE_HEAD_MESSAGES: usize = 2048;

/// How long a queue goes at most without looking for deliveries that are held too long, if it limits that at all.
pub(crate) const CONSUMER_TIMEOUT_STEP_MS: u64 = 1000;

/// Messages that a queue puts aside because their groups are busy; at the limit it looks no further for a group that is not.
pub(crate) const GROUPS_PARKED_MESSAGES: usize = 4096;

/// As [`GROUPS_PARKED_MESSAGES`], in bytes.
pub(crate) const GROUPS_PARKED_BYTES: usize = 4 * 1024 * 1024;

/// Messages of a queue on their way to its dead-letter exchange; at the limit it expires no more and drops no more, and what
/// is rejected beyond it leaves memory as soon as the store has it.
pub(crate) const QUEUE_DYING_MAX: usize = 4096;

/// How long a message whose next queue refuses it waits where it is before it is tried again.
pub(crate) const RELAY_RETRY_MS: u64 = 1000;

/// Bytes of message that all queues of a node keep in memory together before they page out.
pub(crate) const NODE_MESSAGE_BYTES: usize = 64 * 1024 * 1024;

/// Bytes of message that a queue may keep in memory however full the node is.
pub(crate) const QUEUE_MESSAGE_BYTES_MIN: usize = 64 * 1024;

/// What one message costs in memory besides its own bytes.
pub(crate) const MESSAGE_OVERHEAD_BYTES: usize = 128;

/// Replies on their way to one direct reply-to consumer; more are dropped: such replies are delivered at most once.
pub(crate) const REPLY_TO_WINDOW: usize = 16 * 1024;

/// Routing decisions a connection remembers; at the limit it forgets them all.
pub(crate) const ROUTE_CACHE_ENTRIES: usize = 1024;

/// Bytes of publishes and acknowledgements that a transaction gathers; beyond it the channel is closed with 406.
pub(crate) const TX_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Commands of one transaction; beyond it the channel is closed with 406.
pub(crate) const TX_COMMANDS_MAX: usize = 1 << 20;

/// Bytes of a permission's pattern.
pub(crate) const PATTERN_BYTES_MAX: usize = 4096;

/// Bytes of a compiled pattern, and of the memory that matching with it may take besides.
pub(crate) const PATTERN_PROGRAM_BYTES_MAX: usize = 1024 * 1024;

/// What a hash that is brought along may cost to check: more is refused when it is put.
pub(crate) const ARGON2_MEMORY_KIB_MAX: u32 = 64 * 1024;
pub(crate) const ARGON2_PASSES_MAX: u32 = 8;
pub(crate) const ARGON2_LANES_MAX: u32 = 8;

/// Bytes of a user's name: what a short string of AMQP holds.
pub(crate) const USER_NAME_BYTES_MAX: usize = 255;

/// Tags of a user (RabbitMQ's `MAX_USER_TAGS`), and the bytes of each.
pub(crate) const USER_TAGS_MAX: usize = 32;
pub(crate) const USER_TAG_BYTES_MAX: usize = 255;

/// Bytes of a vhost's name: what a short string of AMQP holds.
pub(crate) const VHOST_NAME_BYTES_MAX: usize = 255;

/// Bytes of a vhost's description and tags together.
pub(crate) const VHOST_TEXT_BYTES_MAX: usize = 16 * 1024;

/// Bytes of a parameter's name.
pub(crate) const PARAMETER_NAME_BYTES_MAX: usize = 1024;

/// Bytes of a parameter's value as JSON.
pub(crate) const PARAMETER_BYTES_MAX: usize = 1024 * 1024;

/// How long a client that failed to log in and cannot understand `connection.close` waits for the socket to close.
pub(crate) const LOGIN_FAILURE_DELAY: Duration = Duration::from_secs(3);

/// How long a connection waits for `connection.close-ok` before it drops the socket.
pub(crate) const CLOSE_OK_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a stop waits for the connections to close.
pub(crate) const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// The largest frame accepted before `connection.tune-ok` (RabbitMQ's `initial_frame_max`).
pub(crate) const INITIAL_FRAME_MAX: u32 = 8192;

/// The largest frame that the server proposes (RabbitMQ's default).
pub(crate) const FRAME_MAX: u32 = 131_072;

/// The number of channels that the server proposes (RabbitMQ's default).
pub(crate) const CHANNEL_MAX: u16 = 2047;

/// The largest expiration and message TTL in milliseconds: ten years (RabbitMQ's `?MAX_EXPIRY_TIMER`).
pub(crate) const EXPIRATION_MAX_MS: u64 = 315_360_000_000;

/// The longest `x-delay` in milliseconds, as of the delayed message plugin of RabbitMQ; a longer one is cut to it.
pub(crate) const DELAY_MAX_MS: u64 = u32::MAX as u64;

/// Bytes of a deduplication key that are remembered as they are; of a longer one its SHA-256 digest is.
pub(crate) const DEDUPLICATION_KEY_BYTES: usize = 256;

/// Messages that a start looks at in one read, where a queue needs more of them than their ids.
pub(crate) const RECOVERY_SCAN_MESSAGES: usize = 10_000;

/// How often free disk space and memory are looked at.
pub(crate) const ALARM_INTERVAL: Duration = Duration::from_secs(1);

const _: () = assert!(FRAME_MIN_SIZE <= INITIAL_FRAME_MAX);
const _: () = assert!(INITIAL_FRAME_MAX <= FRAME_MAX);
const _: () = assert!(READ_BUFFER_BYTES >= FRAME_MAX as usize);
const _: () = assert!(CONSUMER_WINDOW_BYTES >= WRITE_BUFFER_HIGH_BYTES);
const _: () = assert!(WRITE_BUFFER_HIGH_BYTES < WRITE_BUFFER_STOP_READING_BYTES);
const _: () = assert!(QUEUE_HEAD_MESSAGES >= QUEUE_LOAD_MESSAGES);
