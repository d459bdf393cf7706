//! Groups, one behaviour at a time, and in a queue that does all of them at random.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

/// Positions as items, so that a mix-up shows.
type Test = Groups<u8, u64>;

/// Groups `a`, `b` and `c`, each held by `consumer` with one message unsettled and `waiting` parked,
/// whose positions go round the groups.
fn three_groups(consumer: u8, waiting: u64) -> Test {
    let mut groups = Test::default();
    for group in ["a", "b", "c"] {
        groups.delivered(group.as_bytes(), consumer);
    }
    for round in 1..=waiting {
        for (offset, group) in [(0, "a"), (1, "b"), (2, "c")] {
            let position = round * 10 + offset;
            groups.park(group.as_bytes(), position, position);
        }
    }
    groups
}

fn taken(groups: &mut Test, consumer: u8) -> Option<(String, u64)> {
    let taken = groups.take_for(consumer)?;
    assert_eq!(taken.item, taken.position);
    Some((String::from_utf8(taken.group.to_vec()).unwrap(), taken.position))
}

fn is_empty(groups: &Test) -> bool {
    groups.groups.is_empty() && groups.turns.is_empty() && groups.parked_len() == 0
}

#[test]
fn a_group_is_admitted_to_its_holder_alone_until_all_is_settled() {
    let mut groups = Test::default();
    assert!(groups.admits(b"a", 1) && groups.admits(b"a", 2));
    groups.delivered(b"a", 1);
    groups.delivered(b"a", 1);
    assert_eq!(groups.holder(b"a"), Some(1));
    assert!(groups.admits(b"a", 1) && !groups.admits(b"a", 2) && groups.admits(b"b", 2));
    assert_eq!(groups.settled(b"a", 1), Settled::Held);
    assert!(!groups.admits(b"a", 2));
    assert_eq!(groups.settled(b"a", 1), Settled::Free);
    assert!(groups.admits(b"a", 2));
    assert!(is_empty(&groups));
}

#[test]
fn what_is_new_does_not_overtake_what_waits() {
    let mut groups = Test::default();
    groups.delivered(b"a", 1);
    groups.park(b"a", 5, 5);
    assert!(!groups.admits(b"a", 1), "not even for the holder");
    assert_eq!(taken(&mut groups, 2), None);
    assert_eq!(taken(&mut groups, 1), Some(("a".to_owned(), 5)));
    assert!(groups.admits(b"a", 1));
}

#[test]
fn a_group_that_becomes_free_goes_to_any_consumer_with_what_waits() {
    let mut groups = three_groups(1, 1);
    assert_eq!(taken(&mut groups, 2), None);
    assert_eq!(groups.settled(b"b", 1), Settled::Runnable);
    assert_eq!(taken(&mut groups, 2), Some(("b".to_owned(), 11)));
    assert_eq!(groups.holder(b"b"), Some(2));
    assert_eq!(taken(&mut groups, 2), None);
    assert_eq!(groups.parked_len(), 2);
}

#[test]
fn groups_take_turns_whether_free_or_held() {
    let mut groups = three_groups(1, 3);
    for group in ["c", "a"] {
        assert_eq!(groups.settled(group.as_bytes(), 1), Settled::Runnable);
    }
    let order: Vec<_> = std::iter::from_fn(|| taken(&mut groups, 1)).collect();
    let order: Vec<_> = order.iter().map(|(group, position)| (group.as_str(), *position)).collect();
    let rounds = [10, 20, 30].map(|at| [("a", at), ("b", at + 1), ("c", at + 2)]);
    assert_eq!(order, rounds.concat());
}

#[test]
fn what_comes_back_is_the_next_of_its_group_again() {
    let mut groups = Test::default();
    groups.delivered(b"a", 1);
    groups.delivered(b"a", 1);
    groups.park(b"a", 3, 3);
    // The message at 1 comes back, the one at 2 does not.
    assert_eq!(groups.settled(b"a", 1), Settled::Held);
    groups.park(b"a", 1, 1);
    assert_eq!(taken(&mut groups, 2), None);
    assert_eq!(taken(&mut groups, 1), Some(("a".to_owned(), 1)));
    assert_eq!(taken(&mut groups, 1), Some(("a".to_owned(), 3)));
}

#[test]
fn a_holder_that_is_gone_frees_its_groups_and_no_others() {
    let mut groups = three_groups(1, 1);
    groups.delivered(b"d", 2);
    let freed: Vec<_> = groups.holder_gone(1).iter().map(|key| key.to_vec()).collect();
    assert_eq!(freed, [b"a", b"b", b"c"]);
    assert_eq!((groups.holder(b"a"), groups.holder(b"d")), (None, Some(2)));
    // What it settles afterwards is not the next holder's.
    assert_eq!(taken(&mut groups, 3), Some(("a".to_owned(), 10)));
    assert_eq!(groups.settled(b"a", 1), Settled::Held);
    assert_eq!(groups.holder(b"a"), Some(3));
    assert_eq!(groups.holder_gone(9), [] as [GroupKey; 0]);
}

#[test]
fn it_is_full_at_its_bound_and_what_comes_back_has_room() {
    let mut groups = Test::default();
    groups.delivered(b"a", 1);
    for position in 1..=PARKED_MAX as u64 {
        assert!(!groups.is_full());
        groups.park(b"a", position, position);
    }
    assert!(groups.is_full());
    groups.settled(b"a", 1);
    groups.park(b"a", 0, 0);
    assert_eq!((groups.parked_len(), groups.is_full()), (PARKED_MAX + 1, true));
    assert_eq!(taken(&mut groups, 2), Some(("a".to_owned(), 0)));
}

#[test]
fn all_that_waits_is_drained_in_the_order_of_the_queue_and_holders_stay() {
    let mut groups = three_groups(1, 2);
    groups.settled(b"c", 1);
    let drained: Vec<_> = groups.drain_parked().collect();
    assert_eq!(drained, [10, 11, 12, 20, 21, 22].map(|position| (position, position)));
    assert_eq!((groups.parked_len(), taken(&mut groups, 1)), (0, None));
    assert_eq!((groups.holder(b"a"), groups.holder(b"c")), (Some(1), None));
    assert_eq!(groups.settled(b"a", 1), Settled::Free);
    groups.settled(b"b", 1);
    assert!(is_empty(&groups));
}

/// A queue that keeps to the rules of the module, beside a list of everything that happened.
#[derive(Default)]
struct Queue {
    groups: Test,
    next_position: u64,
    /// Messages that were never looked at, oldest first.
    head: BTreeSet<(u64, u8)>,
    /// All messages that are in no consumer's hands, in the head or parked.
    waiting: BTreeSet<(u64, u8)>,
    /// What consumers have: consumer, group, position.
    unsettled: Vec<(u8, u8, u64)>,
    acked: BTreeSet<u64>,
}

impl Queue {
    fn publish(&mut self, group: u8) {
        self.head.insert((self.next_position, group));
        self.waiting.insert((self.next_position, group));
        self.next_position += 1;
    }

    /// Gives `consumer` one message, if there is one that it may have.
    fn serve(&mut self, consumer: u8) -> bool {
        if let Some(taken) = self.groups.take_for(consumer) {
            assert_eq!(taken.item, taken.position);
            self.deliver(consumer, taken.group[0], taken.position);
            return true;
        }
        while let Some((position, group)) = self.head.pop_first() {
            if self.groups.admits(&[group], consumer) {
                self.groups.delivered(&[group], consumer);
                self.deliver(consumer, group, position);
                return true;
            }
            self.groups.park(&[group], position, position);
        }
        false
    }

    fn deliver(&mut self, consumer: u8, group: u8, position: u64) {
        let holders = self.unsettled.iter().filter(|(_, other, _)| *other == group);
        assert!(holders.clone().all(|(holder, ..)| *holder == consumer), "two holders of {group}");
        let oldest = self.waiting.iter().find(|(_, other)| *other == group);
        assert_eq!(oldest, Some(&(position, group)), "out of order");
        self.waiting.remove(&(position, group));
        self.unsettled.push((consumer, group, position));
    }

    /// Settles the delivery at `index`, counted from the oldest.
    fn settle(&mut self, index: usize, requeue: bool) {
        let (consumer, group, position) = self.unsettled.remove(index);
        let is_held = self.unsettled.iter().any(|(_, other, _)| *other == group);
        let is_parked = self.waiting.difference(&self.head).any(|(_, other)| *other == group);
        let expected = match (is_held, is_parked) {
            (true, _) => Settled::Held,
            (false, true) => Settled::Runnable,
            (false, false) => Settled::Free,
        };
        assert_eq!(self.groups.settled(&[group], consumer), expected);
        if requeue {
            self.groups.park(&[group], position, position);
            self.waiting.insert((position, group));
        } else {
            self.acked.insert(position);
        }
    }

    fn close(&mut self, consumer: u8) {
        let (back, kept): (Vec<_>, Vec<_>) =
            self.unsettled.drain(..).partition(|(holder, ..)| *holder == consumer);
        self.unsettled = kept;
        let held: BTreeSet<_> = back.iter().map(|(_, group, _)| *group).collect();
        let freed: Vec<_> = self.groups.holder_gone(consumer).iter().map(|key| key[0]).collect();
        assert_eq!(freed, held.into_iter().collect::<Vec<_>>());
        for (_, group, position) in back {
            self.groups.park(&[group], position, position);
            self.waiting.insert((position, group));
        }
    }

    fn check(&self) {
        assert_eq!(self.groups.parked_len(), self.waiting.len() - self.head.len());
        for group in 0..GROUPS {
            let holder = self.unsettled.iter().find(|(_, other, _)| *other == group);
            assert_eq!(self.groups.holder(&[group]), holder.map(|(holder, ..)| *holder));
        }
    }
}

const GROUPS: u8 = 4;
const CONSUMERS: u8 = 3;

#[derive(Clone, Debug)]
enum Step {
    Publish { group: u8 },
    Serve { consumer: u8 },
    Settle { delivery: Index, requeue: bool },
    Close { consumer: u8 },
}

fn step() -> impl Strategy<Value = Step> {
    let settle = (any::<Index>(), prop::bool::weighted(0.3));
    prop_oneof![
        8 => (0..GROUPS).prop_map(|group| Step::Publish { group }),
        8 => (0..CONSUMERS).prop_map(|consumer| Step::Serve { consumer }),
        5 => settle.prop_map(|(delivery, requeue)| Step::Settle { delivery, requeue }),
        1 => (0..CONSUMERS).prop_map(|consumer| Step::Close { consumer }),
    ]
}

proptest! {
    #[test]
    fn a_group_has_one_holder_its_messages_keep_their_order_and_none_is_lost(
        steps in vec(step(), 1..200),
    ) {
        let mut queue = Queue::default();
        for step in steps {
            match step {
                Step::Publish { group } => queue.publish(group),
                Step::Serve { consumer } => {
                    queue.serve(consumer);
                }
                Step::Settle { .. } if queue.unsettled.is_empty() => {}
                Step::Settle { delivery, requeue } => {
                    queue.settle(delivery.index(queue.unsettled.len()), requeue);
                }
                Step::Close { consumer } => queue.close(consumer),
            }
            queue.check();
        }
        // Consumers that take and acknowledge whatever they may have come to the end of it.
        while !(queue.waiting.is_empty() && queue.unsettled.is_empty()) {
            let served = (0..CONSUMERS).filter(|consumer| queue.serve(*consumer)).count();
            prop_assert!(served > 0 || !queue.unsettled.is_empty(), "nobody may have what waits");
            while !queue.unsettled.is_empty() {
                queue.settle(0, false);
            }
            queue.check();
        }
        prop_assert_eq!(queue.acked.len() as u64, queue.next_position);
        prop_assert!(is_empty(&queue.groups));
    }
}
