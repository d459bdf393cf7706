//! Promise: `x-random` and `x-local-random` give each message to one of their queues, whatever its routing key.

use leveret_tests::broker::Broker;
use leveret_tests::closed::channel_closed;
use leveret_tests::{queue, table};

#[test]
fn each_message_goes_to_one_queue_and_every_queue_has_a_share() {
    let broker = Broker::start();
    for kind in ["x-random", "x-local-random"] {
        let channel = broker.channel();
        channel.confirm_select();
        let exchange = broker.name("x");
        channel.exchange_with(&exchange, kind, table([])).unwrap();
        channel.publish_mandatory(&exchange, "k", "nowhere");
        assert_eq!(channel.returned().body, "nowhere");
        let queues: Vec<String> = (0..3).map(|_| channel.exclusive_queue()).collect();
        for queue in &queues {
            channel.bind(queue, &exchange, "");
        }
        for _ in 0..300 {
            channel.publish(&exchange, "the same key", "m");
        }
        assert_eq!(channel.confirms(1, 301), [0; 0]);
        let shares: Vec<usize> = queues.iter().map(|queue| channel.drain(queue).len()).collect();
        assert_eq!(shares.iter().sum::<usize>(), 300, "{kind}: {shares:?}");
        // Five standard deviations below the mean: once in millions of runs.
        assert!(shares.iter().all(|share| *share > 60), "{kind}: {shares:?}");
    }
}

#[test]
fn a_binding_key_has_no_meaning_or_is_refused() {
    let broker = Broker::start();
    let channel = broker.channel();
    let queue = channel.exclusive_queue();
    let random = broker.name("x");
    channel.exchange_with(&random, "x-random", table([])).unwrap();
    channel.bind(&queue, &random, "key");
    channel.publish(&random, "another", "m");
    assert_eq!(channel.get(&queue).unwrap().body, "m");

    let local = broker.name("local");
    channel.declare_exchange(&local, "x-local-random");
    let bind = queue::Bind {
        queue: queue.as_str().into(),
        exchange: local.as_str().into(),
        routing_key: "key".into(),
        ..Default::default()
    };
    assert_eq!(
        channel.call(bind).unwrap_err(),
        channel_closed(406, "PRECONDITION_FAILED - Non empty binding 'key' key not permitted")
    );
    broker.channel().delete_exchange(&local);
}
