//! Promise: an alternate exchange takes what its exchange could not route.

use leveret_tests::broker::Broker;
use leveret_tests::client::Channel;
use leveret_tests::{exchange, table, text};

fn declare_with_alternate(channel: &Channel, name: &str, alternate: &str) {
    channel
        .call(exchange::Declare {
            exchange: name.into(),
            kind: "direct".into(),
            arguments: table([("alternate-exchange", text(alternate))]),
            ..Default::default()
        })
        .unwrap();
}

/// Check 25.
#[test]
fn it_takes_what_nothing_matched_and_only_that() {
    let broker = Broker::start();
    let channel = broker.channel();
    let (exchange, alternate) = (broker.name("x"), broker.name("alternate"));
    channel.declare_exchange(&alternate, "fanout");
    declare_with_alternate(&channel, &exchange, &alternate);
    let (matched, unmatched) = (channel.exclusive_queue(), channel.exclusive_queue());
    channel.bind(&matched, &exchange, "known");
    channel.bind(&unmatched, &alternate, "");

    channel.publish(&exchange, "known", "known");
    channel.publish(&exchange, "unknown", "unknown");
    assert_eq!(channel.get(&matched).unwrap().body, "known");
    assert_eq!(channel.get(&matched), None);
    let message = channel.get(&unmatched).unwrap();
    assert_eq!((message.exchange, message.routing_key), (exchange, "unknown".into()));
    assert_eq!(channel.get(&unmatched), None);
}

/// Check 25.
#[test]
fn a_mandatory_message_it_routes_is_not_returned() {
    let broker = Broker::start();
    let channel = broker.channel();
    channel.confirm_select();
    let (exchange, alternate) = (broker.name("x"), broker.name("alternate"));
    channel.declare_exchange(&alternate, "fanout");
    declare_with_alternate(&channel, &exchange, &alternate);
    let queue = channel.exclusive_queue();
    channel.bind(&queue, &alternate, "");

    channel.publish_mandatory(&exchange, "k", "routed");
    assert_eq!(channel.confirms(1, 1), [0; 0]);
    assert!(channel.unclaimed().is_empty(), "not returned");
    assert_eq!(channel.get(&queue).unwrap().body, "routed");
}

/// Check 25.
#[test]
fn without_it_the_message_is_unroutable() {
    let broker = Broker::start();
    let channel = broker.channel();
    let (exchange, alternate) = (broker.name("x"), broker.name("missing"));
    declare_with_alternate(&channel, &exchange, &alternate);
    channel.publish_mandatory(&exchange, "k", "nowhere");
    assert_eq!(channel.returned().body, "nowhere");
}

#[test]
fn alternates_may_form_a_ring() {
    let broker = Broker::start();
    let channel = broker.channel();
    let (one, two) = (broker.name("one"), broker.name("two"));
    declare_with_alternate(&channel, &one, &two);
    declare_with_alternate(&channel, &two, &one);
    channel.publish_mandatory(&one, "k", "nowhere");
    assert_eq!(channel.returned().body, "nowhere");
}
