//! Promise: what an operator has set through the API is set after a SIGKILL right after the answer, and what was deleted is
//! gone, with all that belongs to it or with nothing of it (check 88).

use std::thread;

use leveret_tests::broker::Broker;
use leveret_tests::closed::channel_closed;
use leveret_tests::http::{Answer, Http};
use leveret_tests::login::Login;
use leveret_tests::{BasicProperties, Value, json, queue, table, text};

/// Something an operator sets.
struct Definition {
    /// Where it is put, and deleted.
    path: Vec<&'static str>,
    /// Where it is read.
    read: Vec<&'static str>,
    /// What of the answer is it; the rest may be statistics.
    part: &'static str,
    body: Value,
}

fn definition(path: &[&'static str], body: Value) -> Definition {
    Definition { path: path.to_vec(), read: path.to_vec(), part: "", body }
}

/// One of each kind. What needs another comes after it.
fn definitions() -> Vec<Definition> {
    let policy = json!({
        "pattern": "^q", "definition": { "max-length": 2 }, "priority": 3, "apply-to": "queues"
    });
    let limit = |path: &[&'static str], value: i32| Definition {
        read: path[..2].to_vec(),
        ..definition(path, json!({ "value": value }))
    };
    let vhost = json!({ "description": "d", "tags": ["t"], "default_queue_type": "quorum" });
    vec![
        Definition { part: "/metadata", ..definition(&["vhosts", "v/w"], vhost) },
        definition(&["users", "u"], json!({ "password": "secret", "tags": "monitoring,own" })),
        definition(
            &["permissions", "v/w", "u"],
            json!({ "configure": "c", "write": "w", "read": "" }),
        ),
        definition(
            &["topic-permissions", "v/w", "u"],
            json!({ "exchange": "amq.topic", "write": "^{username}", "read": "r" }),
        ),
        definition(&["policies", "v/w", "p"], policy.clone()),
        definition(&["operator-policies", "v/w", "o"], policy),
        limit(&["vhost-limits", "v/w", "max-queues"], 7),
        limit(&["vhost-limits", "v/w", "max-connections"], -1),
        limit(&["user-limits", "u", "max-channels"], 5),
        definition(&["global-parameters", "g"], json!({ "value": { "any": [1, "x", null] } })),
    ]
}

/// What the API shows of it; nothing where there is no such thing.
fn shown(http: &Http, definition: &Definition) -> Option<Value> {
    let answer = http.get(&definition.read);
    let found = if answer.status == 200 { answer.body.pointer(definition.part) } else { None };
    found.cloned()
}

fn kill_and_restart(broker: &mut Broker) {
    broker.kill();
    broker.restart();
}

#[test]
fn every_definition_survives_and_every_deletion_too() {
    let mut broker = Broker::leveret(&[]);
    let definitions = definitions();
    let mut before = Vec::new();
    for definition in &definitions {
        let (http, what) = (broker.http(), &definition.path);
        before.push(shown(&http, definition));
        let answer = http.put(what, &definition.body);
        assert!(matches!(answer.status, 201 | 204), "{what:?}: {answer:?}");
        let set = shown(&http, definition);
        assert_ne!(Some(&set), before.last(), "{what:?} can be seen");
        kill_and_restart(&mut broker);
        assert_eq!(shown(&broker.http(), definition), set, "{what:?} after a restart");
    }
    for (definition, before) in definitions.iter().zip(before).rev() {
        let what = &definition.path;
        assert_eq!(broker.http().delete(what), Answer::empty(204), "{what:?}");
        kill_and_restart(&mut broker);
        assert_eq!(shown(&broker.http(), definition), before, "{what:?} after its deletion");
    }
}

#[test]
fn what_was_set_counts_after_a_restart() {
    let mut broker = Broker::leveret(&[]);
    let http = broker.http();
    for definition in definitions() {
        http.put(&definition.path, &definition.body);
    }
    let all = json!({ "configure": ".*", "write": "", "read": ".*" });
    http.put(&["permissions", "v/w", "u"], &all);
    kill_and_restart(&mut broker);

    let login = Login { vhost: "v/w".into(), ..Login::plain("u", "secret") };
    let connection = login.open(broker.address()).unwrap();
    let limited: Vec<_> = (1..=5).map(|number| connection.open_channel(number)).collect();
    assert!(limited.iter().all(Result::is_ok));
    assert_eq!(connection.open_channel(6).unwrap_err().code, 530, "the user's limit");
    let connection = login.open(broker.address()).unwrap();
    let channel = connection.channel();
    channel.declare(queue::Declare { queue: "q1".into(), durable: true, ..Default::default() });
    channel.publish("", "q1", "m");
    let refused = "ACCESS_REFUSED - write access to exchange 'amq.default' in vhost 'v/w' refused for user 'u'";
    assert_eq!(channel.closed(), channel_closed(403, refused));
    let quorum = queue::Declare {
        queue: "q1".into(),
        durable: true,
        arguments: table([("x-queue-type", text("quorum"))]),
        ..Default::default()
    };
    connection.channel().call(quorum).expect("the default queue type");

    let channel = Login { vhost: "v/w".into(), ..Login::default() }.open(broker.address());
    let channel = channel.unwrap().channel();
    channel.confirm_select();
    channel.fill("q1", &["1", "2", "3"]);
    assert_eq!(channel.drain("q1"), ["2", "3"], "the policy");
    for number in 2..=7 {
        let queue = format!("q{number}");
        channel.declare(queue::Declare { queue: queue.into(), ..Default::default() });
    }
    let eighth = queue::Declare { queue: "q8".into(), ..Default::default() };
    assert_eq!(channel.call(eighth).unwrap_err().code, 406, "the vhost's limit");
}

/// The queues that are there when the broker comes up are under the policies that were there.
#[test]
fn a_policy_applies_to_the_queues_of_a_restarted_broker() {
    let mut broker = Broker::leveret(&[]);
    let channel = broker.channel();
    channel.declare(queue::Declare { queue: "q".into(), durable: true, ..Default::default() });
    let policy = json!({ "pattern": "^q$", "definition": { "max-length": 2 } });
    assert_eq!(broker.http().put(&["policies", "/", "p"], &policy), Answer::empty(201));
    kill_and_restart(&mut broker);
    let channel = broker.channel();
    channel.confirm_select();
    channel.fill("q", &["1", "2", "3"]);
    assert_eq!(channel.drain("q"), ["2", "3"]);
    let deleted = broker.http().delete(&["policies", "/", "p"]);
    assert_eq!(deleted, Answer::empty(204));
    kill_and_restart(&mut broker);
    let channel = broker.channel();
    channel.confirm_select();
    channel.fill("q", &["1", "2", "3"]);
    assert_eq!(channel.drain("q"), ["1", "2", "3"]);
}

/// How many queues the vhost has that is deleted while the broker is killed.
const QUEUES: usize = 20;

/// Makes a vhost with a policy, queues, a message in each, and a binding of each.
fn make_vhost(broker: &Broker, vhost: &str) {
    let http = broker.http();
    assert_eq!(http.put(&["vhosts", vhost], &json!({})), Answer::empty(201));
    let all = json!({ "configure": ".*", "write": ".*", "read": ".*" });
    http.put(&["permissions", vhost, "guest"], &all);
    let policy = json!({ "pattern": "", "definition": { "max-length": 5 } });
    http.put(&["policies", vhost, "p"], &policy);
    let login = Login { vhost: vhost.into(), ..Login::default() };
    let channel = login.open(broker.address()).unwrap().channel();
    channel.confirm_select();
    for number in 0..QUEUES {
        let queue = format!("q{number}");
        let declare =
            queue::Declare { queue: queue.as_str().into(), durable: true, ..Default::default() };
        channel.declare(declare);
        channel.bind(&queue, "amq.fanout", "");
    }
    let persistent = BasicProperties::default().with_delivery_mode(2);
    assert!(channel.publish_and_wait("amq.fanout", "", persistent, "m"));
}

/// The messages in each queue that exists.
fn messages(broker: &Broker, vhost: &str) -> Vec<u32> {
    let login = Login { vhost: vhost.into(), ..Login::default() };
    let connection = login.open(broker.address()).unwrap();
    let counts = |number| {
        let channel = connection.channel();
        let counts = channel.counts(&format!("q{number}"));
        counts.map(|(ready, _)| ready).ok()
    };
    (0..QUEUES).filter_map(counts).collect()
}

/// In the even rounds the broker is killed while it deletes, in the odd ones right after its answer.
#[test]
fn a_vhost_is_deleted_as_a_whole_or_not_at_all() {
    let mut broker = Broker::leveret(&[]);
    for round in 0..8 {
        let vhost = format!("v{round}");
        make_vhost(&broker, &vhost);
        let http = broker.http();
        let answer = if round % 2 == 0 {
            let name = vhost.clone();
            let deletion = thread::spawn(move || http.try_send("DELETE", &["vhosts", &name], ""));
            broker.kill();
            deletion.join().unwrap().ok()
        } else {
            let answer = http.delete(&["vhosts", &vhost]);
            broker.kill();
            Some(answer)
        };
        broker.restart();
        let http = broker.http();
        let there = http.get(&["vhosts", &vhost]).status == 200;
        if let Some(answer) = answer {
            assert_eq!((answer, there), (Answer::empty(204), false));
        }
        if there {
            assert_eq!(messages(&broker, &vhost), [1; QUEUES]);
            assert_eq!(http.get(&["policies", &vhost, "p"]).status, 200);
            assert_eq!(http.get(&["permissions", &vhost, "guest"]).status, 200);
        } else {
            assert_eq!(http.put(&["vhosts", &vhost], &json!({})), Answer::empty(201));
            let all = json!({ "configure": ".*", "write": ".*", "read": ".*" });
            http.put(&["permissions", &vhost, "guest"], &all);
            assert_eq!(messages(&broker, &vhost), [0; 0]);
            assert_eq!(http.get(&["policies", &vhost]).body, json!([]));
        }
    }
}
