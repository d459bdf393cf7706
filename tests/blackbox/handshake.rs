//! Promise: a client learns what it connected to, and a login is accepted or refused as RabbitMQ does it.

use std::time::Instant;

use amq_protocol::frame::AMQPFrame;
use leveret_tests::broker::Broker;
use leveret_tests::closed::{Closed, connection_closed};
use leveret_tests::login::Login;
use leveret_tests::wire::{PROTOCOL_HEADER, Received, Wire};
use leveret_tests::{AMQPClass, AMQPValue, FieldTable, connection};

/// Check 1.
#[test]
fn a_wrong_protocol_header_is_answered_with_the_one_spoken_and_a_close() {
    // RabbitMQ also speaks AMQP 1.0, and offers that to whom it does not know at all.
    let stranger: [u8; 8] = *b"AMQP\x03\x01\x00\x00";
    let table: [(&[u8; 8], [u8; 8]); 5] = [
        (b"AMQP\x00\x00\x09\x02", PROTOCOL_HEADER),
        (b"AMQP\x00\x00\x0a\x00", PROTOCOL_HEADER),
        (b"AMQP\x01\x01\x08\x00", stranger),
        (b"XXXX\x00\x00\x09\x01", stranger),
        (b"GET / HT", stranger),
    ];
    let broker = Broker::start();
    for (sent, from_rabbitmq) in table {
        let mut wire = Wire::connect(broker.address());
        wire.send_bytes(sent).unwrap();
        let expected = if broker.is_rabbitmq() { from_rabbitmq } else { PROTOCOL_HEADER };
        assert_eq!(wire.receive_bytes(8), expected, "sent {sent:?}");
        assert!(wire.receive_bytes(1).is_empty(), "the socket is closed");
    }
}

/// Check 1.
#[test]
fn the_header_of_amqp_0_9_is_taken_as_0_9_1() {
    let broker = Broker::start();
    let mut wire = Wire::connect(broker.address());
    wire.send_bytes(b"AMQP\x01\x01\x00\x09").unwrap();
    let (_, method) = wire.receive_method();
    assert!(matches!(method, AMQPClass::Connection(connection::AMQPMethod::Start(_))));
}

/// Check 2.
#[test]
fn start_announces_every_capability_and_the_mechanisms() {
    let broker = Broker::start();
    let start = Login::default().start(&mut Wire::connect(broker.address()));

    assert_eq!((start.version_major, start.version_minor), (0, 9));
    let mechanisms = start.mechanisms.to_string();
    assert!(mechanisms.split(' ').any(|name| name == "PLAIN"), "{mechanisms}");
    assert!(mechanisms.split(' ').any(|name| name == "AMQPLAIN"), "{mechanisms}");
    assert_eq!(start.locales.to_string(), "en_US");
    let capabilities = match start.server_properties.inner().get("capabilities") {
        Some(AMQPValue::FieldTable(capabilities)) => capabilities,
        other => panic!("capabilities are {other:?}"),
    };
    for name in [
        "authentication_failure_close",
        "basic.nack",
        "connection.blocked",
        "consumer_cancel_notify",
        "consumer_priorities",
        "direct_reply_to",
        "exchange_exchange_bindings",
        "per_consumer_qos",
        "publisher_confirms",
    ] {
        assert_eq!(capabilities.inner().get(name), Some(&AMQPValue::Boolean(true)), "{name}");
    }
    for name in ["product", "version", "platform", "information", "copyright"] {
        assert!(
            matches!(start.server_properties.inner().get(name), Some(AMQPValue::LongString(_))),
            "{name} in {:?}",
            start.server_properties
        );
    }
}

/// Check 3.
#[test]
fn a_wrong_password_is_refused_in_words_to_a_client_that_understands_them() {
    let broker = Broker::start();
    for (user, password) in [("guest", "wrong"), ("nobody", "guest"), ("", "")] {
        assert_eq!(
            Login::plain(user, password).open(broker.address()).unwrap_err(),
            connection_closed(
                403,
                "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. \
                 For details see the broker logfile."
            ),
            "{user}/{password}"
        );
    }
}

/// Check 3.
#[test]
fn a_wrong_password_closes_the_socket_of_a_client_that_announces_nothing() {
    let broker = Broker::start();
    let login = Login { capabilities: FieldTable::default(), ..Login::plain("guest", "wrong") };
    let before = Instant::now();
    assert_eq!(login.open(broker.address()).unwrap_err(), Closed::socket());
    // The delay makes guessing slow.
    assert!(before.elapsed().as_millis() >= 500, "closed after {:?}", before.elapsed());
}

#[test]
fn amqplain_logs_in() {
    let broker = Broker::start();
    // The body of a field table, without its length.
    let response = b"\x05LOGINS\x00\x00\x00\x05guest\x08PASSWORDS\x00\x00\x00\x05guest";
    let login =
        Login { mechanism: "AMQPLAIN".into(), response: response.to_vec(), ..Login::default() };
    login.open(broker.address()).unwrap().channel();
}

/// Check 65. RabbitMQ takes the empty response for credentials.
#[test]
fn a_client_that_waits_to_be_asked_for_its_credentials_is_asked() {
    let broker = Broker::start();
    let login = Login { response: Vec::new(), ..Login::default() };
    if broker.is_rabbitmq() {
        login.open(broker.address()).unwrap_err();
        return;
    }
    let mut wire = Wire::connect(broker.address());
    login.start(&mut wire);
    let (_, asked) = wire.receive_method();
    assert!(matches!(asked, AMQPClass::Connection(connection::AMQPMethod::Secure(_))), "{asked:?}");
    wire.send_method(0, connection::SecureOk { response: "\0guest\0guest".into() });
    login.tune(&mut wire).unwrap();
    wire.send_method(0, connection::Open { virtual_host: "/".into() });
    let (_, opened) = wire.receive_method();
    assert!(
        matches!(opened, AMQPClass::Connection(connection::AMQPMethod::OpenOk(_))),
        "{opened:?}"
    );
}

#[test]
fn an_unknown_mechanism_is_refused() {
    let broker = Broker::start();
    let login = Login { mechanism: "NTLM".into(), ..Login::default() };
    let closed = login.open(broker.address()).unwrap_err();
    // RabbitMQ drops the socket without a word; to say why is kinder.
    let in_words =
        connection_closed(503, "COMMAND_INVALID - unknown authentication mechanism 'NTLM'");
    assert!(
        closed == Closed::socket() || (closed == in_words && !broker.is_rabbitmq()),
        "{closed:?}"
    );
}

/// Check 4.
#[test]
fn an_unknown_vhost_is_refused() {
    let broker = Broker::start();
    let login = Login { vhost: "nope".into(), ..Login::default() };
    assert_eq!(
        login.open(broker.address()).unwrap_err(),
        connection_closed(530, "NOT_ALLOWED - vhost nope not found")
    );
}

/// How a tune-ok outside the broker's limits ends: RabbitMQ drops the socket, Leveret says why first.
fn refused_tune(broker: &Broker, text: String) -> Closed {
    if broker.is_rabbitmq() { Closed::socket() } else { connection_closed(530, text) }
}

/// Check 5.
#[test]
fn limits_above_those_of_the_broker_are_refused() {
    let broker = Broker::start();
    let offered = {
        let mut wire = Wire::connect(broker.address());
        Login::default().start(&mut wire);
        Login::default().tune(&mut wire).unwrap()
    };
    assert_eq!(offered.channel_max, 2047);
    assert_eq!(offered.frame_max, 131_072);
    assert_eq!(offered.heartbeat, 60);

    let table = [
        (Login { channel_max: Some(4000), ..Login::default() }, "channel_max = 4000", "2047"),
        (Login { channel_max: Some(0), ..Login::default() }, "channel_max = 0", "2047"),
        (Login { frame_max: Some(200_000), ..Login::default() }, "frame_max = 200000", "131072"),
        (Login { frame_max: Some(0), ..Login::default() }, "frame_max = 0", "131072"),
    ];
    for (login, asked, limit) in table {
        let text = format!(
            "NOT_ALLOWED - negotiated {asked} is higher than the maximum allowed value ({limit})"
        );
        assert_eq!(
            login.open(broker.address()).unwrap_err(),
            refused_tune(&broker, text),
            "{asked}"
        );
    }
}

/// Check 5.
#[test]
fn a_frame_max_below_the_minimum_is_refused() {
    let broker = Broker::start();
    let login = Login { frame_max: Some(4096), ..Login::default() };
    assert_eq!(
        login.open(broker.address()).unwrap_err(),
        refused_tune(
            &broker,
            "NOT_ALLOWED - negotiated frame_max = 4096 is lower than the minimum allowed value (8192)"
                .into()
        )
    );
}

/// Check 65. A password does not expire, so that any secret will do.
#[test]
fn update_secret_is_answered_and_the_connection_goes_on() {
    let broker = Broker::start();
    let connection = broker.connect();
    let channel = connection.channel();
    let update = connection::UpdateSecret { new_secret: "new".into(), reason: "expiry".into() };
    connection.control().call(update).unwrap();
    channel.exclusive_queue();
}

/// Check 11.
#[test]
fn both_sides_may_close_at_once() {
    let broker = Broker::start();
    let connection = broker.connect();
    let control = connection.control();
    // The broker closes because of the first method and the client because of the second, in one packet.
    control.send(leveret_tests::queue::Purge::default());
    control.send(connection::Close { reply_code: 200, ..Default::default() });
    let closed = connection.closed();
    assert!(matches!(closed.code, 503..=505), "{closed:?}");
}

#[test]
fn close_is_answered_with_close_ok_and_then_the_socket_ends() {
    let broker = Broker::start();
    let mut wire = Wire::connect(broker.address());
    Login::default().start(&mut wire);
    Login::default().tune(&mut wire).unwrap();
    wire.send_method(0, connection::Open { virtual_host: "/".into() });
    wire.receive_method();
    wire.send_method(0, connection::Close { reply_code: 200, ..Default::default() });
    assert_eq!(
        wire.receive(),
        Received::Frame(AMQPFrame::Method(
            0,
            AMQPClass::Connection(connection::AMQPMethod::CloseOk(connection::CloseOk {}))
        ))
    );
    // RabbitMQ leaves it to the client to close first.
    wire.shut_down_write();
    assert_eq!(wire.receive(), Received::End);
}
