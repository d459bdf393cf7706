//! Random commands for the queue's state machine, and the same for the plainest queue that could be right: whatever is
//! paged out, read back, given back or dropped on the way, the two must agree on every delivery and every count.

mod reference;
mod store;
mod turns;
mod world;

use std::sync::Arc;

use amq_protocol::types::AMQPValue;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::retry::Schedule;
use super::rules::{DeadLetter, Keeps, Rules};
use super::state::Outcome;
use world::World;

/// One command, or something that happens in the store or to the clock.
#[derive(Clone, Debug)]
enum Step {
    Publish(Published),
    Consume(Wish),
    Cancel {
        consumer: Index,
    },
    CloseChannel {
        channel: u64,
    },
    Settle(Settled),
    /// A channel names the deliveries that were taken back from it.
    SettleLate {
        channel: u64,
        outcome: Outcome,
    },
    Get {
        channel: u64,
        no_ack: bool,
    },
    Purge,
    /// A consumer's connection has taken all its deliveries.
    WindowFreed {
        consumer: Index,
    },
    /// What was on its way to other queues has arrived; every so-manieth was refused there, none for 0.
    Arrive {
        refused: usize,
    },
    /// The store commits its oldest submissions.
    Commit {
        submissions: usize,
    },
    /// The store answers the read under way, with so many messages at most.
    Read {
        messages: usize,
    },
    ReadFails,
    /// Time passes.
    Pass {
        ms: u64,
    },
    /// Time passes until the queue wants to be told of it.
    PassToDeadline,
    /// A queue that has nothing to do loses its task, and gets another one.
    Rest,
    /// The broker stops and starts again.
    Restart {
        clean: bool,
    },
}

/// One batch of messages, as one connection sends it.
#[derive(Clone, Debug)]
struct Published {
    messages: Vec<Sent>,
    /// Ids that another connection has reserved just before, and whose messages come later.
    overtakes: usize,
    /// These are such messages: their ids were overtaken.
    late: bool,
}

/// One message.
#[derive(Clone, Copy, Debug)]
struct Sent {
    durable: bool,
    body: usize,
    priority: Option<u8>,
    expiration_ms: Option<u64>,
}

/// What a `basic.consume` asks for.
#[derive(Clone, Copy, Debug)]
struct Wish {
    channel: u64,
    no_ack: bool,
    exclusive: bool,
    priority: i64,
    prefetch: u16,
    timeout_ms: Option<u64>,
}

/// What a channel settles of what it has.
#[derive(Clone, Debug)]
struct Settled {
    channel: u64,
    /// Deliveries by their place among the unsettled, in the order in which the client names them.
    deliveries: Vec<Index>,
    /// Each stands for all before it too.
    multiple: bool,
    outcome: Outcome,
    by_transaction: bool,
}

const CHANNELS: std::ops::Range<u64> = 0..3;

fn rarely<T: Clone + std::fmt::Debug>(
    strategy: impl Strategy<Value = T>,
) -> impl Strategy<Value = Option<T>> {
    prop::option::weighted(0.25, strategy)
}

fn rules() -> impl Strategy<Value = Rules> {
    let keeps = prop_oneof![6 => Just(Keeps::ForClients), 1 => Just(Keeps::UntilDue)];
    let priorities = prop_oneof![2 => Just((0, 0)), 1 => (1..=3_u8, 0..=1_u8)];
    let schedule = Schedule::parse(&AMQPValue::LongString("3ms,9ms".into())).unwrap();
    let dead_letter = DeadLetter { exchange: "dead".into(), routing_key: None };
    (
        (any::<bool>(), any::<bool>()),
        keeps,
        priorities,
        rarely(0..60_u64),
        (rarely(0..12_u64), rarely(0..2500_u64)),
        prop::option::of(Just(dead_letter)),
        rarely(0..3_u32),
        rarely(1..60_u64),
        rarely(Just(Arc::new(schedule))),
    )
        .prop_map(
            |(
                (counts_acquired, single_active_consumer),
                keeps,
                priorities,
                ttl_ms,
                max,
                dead_letter,
                delivery_limit,
                consumer_timeout_ms,
                retry,
            )| {
                let (max_priority, default_priority) = priorities;
                let (max_length, max_length_bytes) = max;
                let limits = Rules { max_length, max_length_bytes, ttl_ms, ..Rules::default() };
                // Nobody can limit what a delayed exchange keeps.
                let limits = if keeps == Keeps::UntilDue { Rules::default() } else { limits };
                Rules {
                    counts_acquired,
                    single_active_consumer,
                    keeps,
                    dead_letter,
                    max_priority,
                    default_priority,
                    delivery_limit,
                    consumer_timeout_ms,
                    retry,
                    ..limits
                }
            },
        )
}

fn sent() -> impl Strategy<Value = Sent> {
    let body = prop_oneof![30 => 0..400_usize, 1 => Just(300_000)];
    (any::<bool>(), body, rarely(0..6_u8), rarely(0..40_u64)).prop_map(
        |(durable, body, priority, expiration_ms)| Sent { durable, body, priority, expiration_ms },
    )
}

fn published() -> impl Strategy<Value = Published> {
    let few = vec(sent(), 1..12);
    // Enough to fill the head of the queue and one read of the store.
    let many =
        (sent(), 1..4000_usize).prop_map(|(sent, count)| vec![Sent { body: 1, ..sent }; count]);
    let messages = prop_oneof![40 => few, 1 => many];
    let overtakes = prop_oneof![3 => Just(0), 1 => 1..4_usize];
    (messages, overtakes, prop::bool::weighted(0.2))
        .prop_map(|(messages, overtakes, late)| Published { messages, overtakes, late })
}

fn wish() -> impl Strategy<Value = Wish> {
    let exclusive = prop::bool::weighted(0.1);
    (CHANNELS, any::<bool>(), exclusive, -1..=1_i64, 0..5_u16, rarely(1..60_u64)).prop_map(
        |(channel, no_ack, exclusive, priority, prefetch, timeout_ms)| Wish {
            channel,
            no_ack,
            exclusive,
            priority,
            prefetch,
            timeout_ms,
        },
    )
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        Just(Outcome::Ack),
        Just(Outcome::Requeue),
        Just(Outcome::RequeueFailed),
        Just(Outcome::Reject),
    ]
}

fn settled() -> impl Strategy<Value = Settled> {
    let deliveries = vec(any::<Index>(), 1..6);
    (CHANNELS, deliveries, any::<bool>(), outcome(), prop::bool::weighted(0.2)).prop_map(
        |(channel, deliveries, multiple, outcome, by_transaction)| Settled {
            channel,
            deliveries,
            multiple,
            outcome,
            by_transaction,
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let late = (CHANNELS, outcome());
    prop_oneof![
        10 => published().prop_map(Step::Publish),
        3 => wish().prop_map(Step::Consume),
        2 => any::<Index>().prop_map(|consumer| Step::Cancel { consumer }),
        1 => CHANNELS.prop_map(|channel| Step::CloseChannel { channel }),
        8 => settled().prop_map(Step::Settle),
        1 => late.prop_map(|(channel, outcome)| Step::SettleLate { channel, outcome }),
        6 => (CHANNELS, any::<bool>()).prop_map(|(channel, no_ack)| Step::Get { channel, no_ack }),
        1 => Just(Step::Purge),
        3 => any::<Index>().prop_map(|consumer| Step::WindowFreed { consumer }),
        4 => (0..4_usize).prop_map(|refused| Step::Arrive { refused }),
        6 => (1..4_usize).prop_map(|submissions| Step::Commit { submissions }),
        5 => prop_oneof![Just(usize::MAX), 1..8_usize].prop_map(|messages| Step::Read { messages }),
        1 => Just(Step::ReadFails),
        4 => prop_oneof![5 => 0..20_u64, 1 => Just(2000)].prop_map(|ms| Step::Pass { ms }),
        2 => Just(Step::PassToDeadline),
        2 => Just(Step::Rest),
        1 => any::<bool>().prop_map(|clean| Step::Restart { clean }),
    ]
}

proptest! {
    /// Commands come in batches, as the task takes them; after each the queue delivers.
    #[test]
    fn a_queue_is_its_messages_in_order_each_delivered_by_the_rules(
        rules in rules(),
        memory_limit in prop_oneof![Just(0), 0..4000_usize, Just(usize::MAX)],
        batches in vec(vec(step(), 1..5), 1..60),
    ) {
        let mut world = World::new(rules, memory_limit);
        for batch in batches {
            for step in batch {
                world.take(step);
            }
            world.deliver();
        }
        world.drain();
    }
}
