//! Promise: a broker that cannot run says why, in words and with its exit status, and harms nothing.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use leveret_tests::broker::{Broker, serve_to_end};
use leveret_tests::queue;
use tempfile::TempDir;

/// The file of the store in the data directory.
const DATABASE: &str = "leveret.db";

/// Runs a broker that must refuse to start, and gives what it wrote to standard error.
fn refusal(data: &Path, listen: &str) -> String {
    let output = serve_to_end(data, listen);
    assert!(!output.status.success(), "it started, and ended with {}", output.status);
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_second_broker_on_the_same_data_is_refused() {
    let broker = Broker::leveret(&[]);
    let message = refusal(&broker.data_dir(), "127.0.0.1:0");
    assert!(message.contains(&broker.data_dir().display().to_string()), "{message}");
    // The first one does not even notice.
    broker.channel().exclusive_queue();
}

#[test]
fn a_taken_port_is_refused() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let data = TempDir::new().unwrap();
    let message = refusal(data.path(), &address);
    assert!(message.contains(&address), "{message}");
}

#[test]
fn data_of_a_newer_version_is_refused_and_left_alone() {
    let mut broker = Broker::leveret(&[]);
    let declare = queue::Declare { queue: "q".into(), durable: true, ..Default::default() };
    broker.channel().declare(declare);
    broker.stop();
    let known = user_version(&broker);
    set_user_version(&broker, 9999);

    let message = refusal(&broker.data_dir(), "127.0.0.1:0");
    assert!(message.contains("newer"), "{message}");
    assert_eq!(user_version(&broker), 9999, "the refused data was changed");

    set_user_version(&broker, known);
    broker.restart();
    broker.channel().counts("q").unwrap();
}

#[test]
fn a_directory_that_holds_something_else_is_refused() {
    let data = TempDir::new().unwrap();
    let text = b"certainly not a database, and longer than the header of one ".repeat(100);
    fs::write(data.path().join(DATABASE), &text).unwrap();
    let message = refusal(data.path(), "127.0.0.1:0");
    assert!(message.contains(&data.path().display().to_string()), "{message}");
    assert!(fs::read(data.path().join(DATABASE)).unwrap() == text, "it was changed");
}

/// Other programs may look at the data at any time.
#[test]
fn the_database_can_be_read_while_the_broker_runs() {
    let broker = Broker::leveret(&[]);
    let channel = broker.channel();
    channel.declare(queue::Declare { queue: "q".into(), durable: true, ..Default::default() });
    let tables = "SELECT count(*) FROM sqlite_schema WHERE type = 'table'";
    let count: i64 = open(&broker).query_row(tables, [], |row| row.get(0)).unwrap();
    assert!(count > 0);
    channel.counts("q").unwrap();
}

fn open(broker: &Broker) -> rusqlite::Connection {
    rusqlite::Connection::open(broker.data_dir().join(DATABASE)).unwrap()
}

fn user_version(broker: &Broker) -> i64 {
    open(broker).pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
}

fn set_user_version(broker: &Broker, version: i64) {
    open(broker).pragma_update(None, "user_version", version).unwrap();
}
