//! Random commands for the queue's state machine, and the same for the plainest queue that could be right: whatever is
//! paged out, read back, given back or dropped on the way, the two must agree on every delivery and every count.

mod reference;
mod store;
mod world;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::state::{Outcome, Rules};
use world::World;

/// One command, or something that happens in the store.
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
    Get {
        channel: u64,
        no_ack: bool,
    },
    Purge,
    /// A consumer's connection has taken all its deliveries.
    WindowFreed {
        consumer: Index,
    },
    /// The store commits its oldest submissions.
    Commit {
        submissions: usize,
    },
    /// The store answers the read under way.
    Read,
    ReadFails,
    /// The broker stops and starts again.
    Restart {
        clean: bool,
    },
}

/// One batch of messages, as one connection sends it.
#[derive(Clone, Debug)]
struct Published {
    /// Whether each is persistent, and the size of its body.
    messages: Vec<(bool, usize)>,
    /// Ids that another connection has reserved just before, and whose messages come later.
    overtakes: usize,
    /// These are such messages: their ids were overtaken.
    late: bool,
}

/// What a `basic.consume` asks for.
#[derive(Clone, Copy, Debug)]
struct Wish {
    channel: u64,
    no_ack: bool,
    exclusive: bool,
    priority: i64,
    prefetch: u16,
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

fn published() -> impl Strategy<Value = Published> {
    let size = prop_oneof![30 => 0..400_usize, 1 => Just(300_000)];
    let few = vec((any::<bool>(), size), 1..12);
    // Enough to fill the head of the queue and one read of the store.
    let many =
        (any::<bool>(), 1..4000_usize).prop_map(|(durable, count)| vec![(durable, 1); count]);
    let messages = prop_oneof![40 => few, 1 => many];
    let overtakes = prop_oneof![3 => Just(0), 1 => 1..4_usize];
    (messages, overtakes, prop::bool::weighted(0.2))
        .prop_map(|(messages, overtakes, late)| Published { messages, overtakes, late })
}

fn wish() -> impl Strategy<Value = Wish> {
    let exclusive = prop::bool::weighted(0.1);
    (CHANNELS, any::<bool>(), exclusive, -1..=1_i64, 0..5_u16).prop_map(
        |(channel, no_ack, exclusive, priority, prefetch)| Wish {
            channel,
            no_ack,
            exclusive,
            priority,
            prefetch,
        },
    )
}

fn settled() -> impl Strategy<Value = Settled> {
    let outcome = prop_oneof![2 => Just(Outcome::Ack), 2 => Just(Outcome::Requeue), 1 => Just(Outcome::Reject)];
    let deliveries = vec(any::<Index>(), 1..6);
    (CHANNELS, deliveries, any::<bool>(), outcome, prop::bool::weighted(0.2)).prop_map(
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
    prop_oneof![
        10 => published().prop_map(Step::Publish),
        3 => wish().prop_map(Step::Consume),
        2 => any::<Index>().prop_map(|consumer| Step::Cancel { consumer }),
        1 => CHANNELS.prop_map(|channel| Step::CloseChannel { channel }),
        8 => settled().prop_map(Step::Settle),
        6 => (CHANNELS, any::<bool>()).prop_map(|(channel, no_ack)| Step::Get { channel, no_ack }),
        1 => Just(Step::Purge),
        3 => any::<Index>().prop_map(|consumer| Step::WindowFreed { consumer }),
        6 => (1..4_usize).prop_map(|submissions| Step::Commit { submissions }),
        5 => Just(Step::Read),
        1 => Just(Step::ReadFails),
        1 => any::<bool>().prop_map(|clean| Step::Restart { clean }),
    ]
}

proptest! {
    /// Commands come in batches, as the task takes them; after each the queue delivers.
    #[test]
    fn a_queue_is_its_messages_in_order_each_delivered_by_the_rules(
        single_active_consumer in any::<bool>(),
        memory_limit in prop_oneof![Just(0), 0..4000_usize, Just(usize::MAX)],
        batches in vec(vec(step(), 1..5), 1..60),
    ) {
        let rules = Rules { single_active_consumer, ..Rules::default() };
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
