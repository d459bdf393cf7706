//! Promise: a fanout exchange gives every bound queue one copy, whatever the key.

use leveret_tests::broker::Broker;

/// Check 18.
#[test]
fn the_key_is_ignored_and_each_queue_gets_one_copy() {
    let broker = Broker::start();
    let channel = broker.channel();
    let exchange = broker.name("x");
    channel.declare_exchange(&exchange, "fanout");
    let (one, two) = (channel.exclusive_queue(), channel.exclusive_queue());
    channel.bind(&one, &exchange, "a");
    channel.bind(&one, &exchange, "b");
    channel.bind(&two, &exchange, "c");
    for key in ["a", "b", "", "anything"] {
        channel.publish(&exchange, key, key);
        for queue in [&one, &two] {
            assert_eq!(channel.get(queue).unwrap().body, key);
            assert_eq!(channel.get(queue), None);
        }
    }
}
