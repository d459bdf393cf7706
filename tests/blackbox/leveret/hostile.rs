//! Promise: no bytes from a client can do more than end its own connection.

use amq_protocol::frame::AMQPFrame;
use leveret_tests::broker::Broker;
use leveret_tests::closed::Scope;
use leveret_tests::login::Login;
use leveret_tests::wire::{PROTOCOL_HEADER, Received, Wire, raw_frame};
use leveret_tests::{AMQPClass, connection};

const METHOD: u8 = 1;

/// Sends bytes on an open channel 1; the broker must end that connection and serve others.
fn ends_its_connection_only(broker: &Broker, what: &str, bytes: &[u8]) {
    let witness = broker.channel();
    let attacker = broker.connect();
    attacker.channel().send_bytes(bytes);
    let closed = attacker.closed();
    assert!(matches!(closed.scope, Scope::Connection | Scope::Socket), "{what}: {closed:?}");
    assert!(matches!(closed.code, 0 | 501..=505 | 540 | 541), "{what}: {closed:?}");
    witness.exclusive_queue();
}

/// `queue.declare` of a queue `q` with these octets as its arguments, length included.
fn declare_with_arguments(arguments: &[u8]) -> Vec<u8> {
    let mut payload = vec![0, 50, 0, 10, 0, 0, 1, b'q', 0];
    payload.extend(arguments);
    raw_frame(METHOD, 1, &payload)
}

fn field_table(fields: &[u8]) -> Vec<u8> {
    let mut table = u32::try_from(fields.len()).unwrap().to_be_bytes().to_vec();
    table.extend(fields);
    table
}

#[test]
fn broken_tables_are_refused() {
    let mut deep = Vec::new();
    for _ in 0..20_000 {
        let mut fields = b"\x01kF".to_vec();
        fields.extend(field_table(&deep));
        deep = fields;
        if deep.len() > 100_000 {
            break;
        }
    }
    let mut deep_list = Vec::new();
    for _ in 0..15_000 {
        let mut list = b"A".to_vec();
        list.extend(field_table(&deep_list));
        deep_list = list;
    }
    let mut with_list = b"\x01k".to_vec();
    with_list.extend(deep_list);
    let table: [(&str, Vec<u8>); 8] = [
        ("a table longer than its frame", vec![0xFF, 0xFF, 0xFF, 0xFF]),
        ("a table longer than its frame by one", vec![0, 0, 0, 5, 1, b'k', b't', 1]),
        ("an unknown type of field", field_table(b"\x01k?\x00")),
        ("a string longer than its table", field_table(b"\x01kS\xFF\xFF\xFF\xFFx")),
        ("a list longer than its table", field_table(b"\x01kA\x7F\xFF\xFF\xFF")),
        ("a name longer than its table", field_table(b"\xFFk")),
        ("tables in tables without end", field_table(&deep)),
        ("lists in lists without end", field_table(&with_list)),
    ];
    let broker = Broker::leveret(&[]);
    for (what, arguments) in table {
        ends_its_connection_only(&broker, what, &declare_with_arguments(&arguments));
    }
}

#[test]
fn names_that_are_not_utf_8_are_refused() {
    let broker = Broker::leveret(&[]);
    let payload = [0, 50, 0, 10, 0, 0, 2, 0xC3, 0x28, 0, 0, 0, 0, 0];
    ends_its_connection_only(&broker, "an invalid name", &raw_frame(METHOD, 1, &payload));
}

#[test]
fn frames_of_any_length_on_any_channel_are_survived() {
    let broker = Broker::leveret(&[]);
    for (what, header) in [
        ("the largest length", [METHOD, 0, 1, 0xFF, 0xFF, 0xFF, 0xFF, 0]),
        ("the largest length of a body", [3, 0, 1, 0xFF, 0xFF, 0xFF, 0xFF, 0]),
        ("an empty method", [METHOD, 0, 1, 0, 0, 0, 0, 0xCE]),
        ("an empty header", [2, 0, 1, 0, 0, 0, 0, 0xCE]),
        ("a method on the last channel", [METHOD, 0xFF, 0xFF, 0, 0, 0, 0, 0xCE]),
    ] {
        ends_its_connection_only(&broker, what, &header);
    }
}

/// Every prefix of a valid publish, and then the end of the socket.
#[test]
fn a_client_that_dies_in_the_middle_of_anything_is_forgotten() {
    let broker = Broker::leveret(&[]);
    let mut bytes = raw_frame(METHOD, 1, b"\0\x3c\0\x28\0\0\0\x01q\0");
    bytes.extend(raw_frame(2, 1, &[0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0]));
    bytes.extend(raw_frame(3, 1, b"abc"));
    for length in 0..bytes.len() {
        let attacker = broker.connect();
        attacker.channel().send_bytes(&bytes[..length]);
        drop(attacker);
    }
    broker.channel().exclusive_queue();
}

/// Octets from a fixed generator, after the header and after the login, so that a failure can be repeated.
#[test]
fn noise_ends_its_connection_only() {
    let broker = Broker::leveret(&[]);
    let witness = broker.channel();
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut noise = |length: usize| -> Vec<u8> {
        std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[0]
        })
        .take(length)
        .collect()
    };
    // All at once, since a refused handshake is answered late.
    let mut wires: Vec<Wire> = (0..200)
        .map(|round| {
            let mut wire = Wire::connect(broker.address());
            if round % 2 == 0 {
                let _refused = wire.send_bytes(&PROTOCOL_HEADER);
            }
            let _refused = wire.send_bytes(&noise(1 + round * 7));
            wire.shut_down_write();
            wire
        })
        .collect();
    wires.iter_mut().for_each(Wire::drain);
    for kind in [1, 2, 3, 8] {
        for _ in 0..50 {
            let attacker = broker.connect();
            attacker.channel().send_bytes(&raw_frame(kind, 1, &noise(40)));
            // It may have been a valid frame: then the connection is closed in the ordinary way.
            let close = connection::Close { reply_code: 200, ..Default::default() };
            let _closed_by_broker = attacker.control().call(close);
        }
    }
    witness.exclusive_queue();
}

#[test]
fn methods_in_the_wrong_state_of_the_handshake_are_refused() {
    let broker = Broker::leveret(&[]);
    let login = Login::default();
    let mut early = Wire::connect(broker.address());
    early.send_bytes(&PROTOCOL_HEADER).unwrap();
    early.receive_method();
    early.send_method(0, connection::Open { virtual_host: "/".into() });
    early.drain();

    let mut untuned = Wire::connect(broker.address());
    login.start(&mut untuned);
    untuned.receive_method();
    untuned.send_method(0, connection::Open { virtual_host: "/".into() });
    untuned.drain();

    let mut body = Wire::connect(broker.address());
    login.start(&mut body);
    body.receive_method();
    body.send(&AMQPFrame::Body(1, b"x".to_vec()));
    body.drain();

    let mut again = Wire::connect(broker.address());
    login.start(&mut again);
    login.tune(&mut again).unwrap();
    again.send_method(0, connection::Open { virtual_host: "/".into() });
    again.receive_method();
    again.send_method(0, connection::Open { virtual_host: "/".into() });
    match again.receive() {
        Received::Frame(AMQPFrame::Method(
            0,
            AMQPClass::Connection(connection::AMQPMethod::Close(close)),
        )) => assert!(matches!(close.reply_code, 503..=505), "{close:?}"),
        other => panic!("expected connection.close, got {other:?}"),
    }
    broker.channel().exclusive_queue();
}
