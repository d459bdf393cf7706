//! Settlements on their way to the queues, gathered over one read of the socket: one command a queue, in runs.

use std::sync::Arc;

use super::unacked::Unsettled;
use crate::connection::ChannelId;
use crate::queue::state::Outcome;
use crate::queue::unacked::DeliveryRange;
use crate::queue::{Command, Queue};

/// Gathered settlements, in the order in which they came for each queue.
#[derive(Debug, Default)]
pub(crate) struct Settlements {
    groups: Vec<Group>,
}

#[derive(Debug)]
struct Group {
    queue: Arc<Queue>,
    channel: ChannelId,
    outcome: Outcome,
    ranges: Vec<DeliveryRange>,
}

impl Settlements {
    pub(crate) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Adds one settlement.
    pub(crate) fn add(&mut self, channel: ChannelId, unsettled: Unsettled, outcome: Outcome) {
        let Unsettled { queue, number, .. } = unsettled;
        // The last group of the queue: an older one may have another outcome, and order counts.
        let group = self
            .groups
            .iter_mut()
            .rev()
            .find(|group| Arc::ptr_eq(&group.queue, &queue) && group.channel == channel);
        match group.filter(|group| group.outcome == outcome) {
            Some(group) => match group.ranges.last_mut() {
                Some(range) if range.last.checked_add(1) == Some(number) => range.last = number,
                _ => group.ranges.push(DeliveryRange { first: number, last: number }),
            },
            None => {
                let ranges = vec![DeliveryRange { first: number, last: number }];
                self.groups.push(Group { queue, channel, outcome, ranges });
            }
        }
    }

    /// The channels that have settled something, each once.
    pub(crate) fn channels(&self) -> Vec<ChannelId> {
        let mut channels: Vec<ChannelId> = Vec::new();
        for group in &self.groups {
            if !channels.contains(&group.channel) {
                channels.push(group.channel);
            }
        }
        channels
    }

    /// Hands everything to the queues. `stored`: a transaction has told the store. A queue that is gone needs no settlement.
    pub(crate) async fn send(&mut self, stored: bool) {
        for Group { queue, channel, outcome, ranges } in self.groups.drain(..) {
            queue.send(Command::Settle { channel, ranges, outcome, stored }).await.ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::Receiver;

    const CHANNEL: ChannelId = ChannelId { serial: 1, number: 1 };

    fn add(settlements: &mut Settlements, queue: &Arc<Queue>, number: u64, outcome: Outcome) {
        let queue = Arc::clone(queue);
        let unsettled = Unsettled { tag: 1, queue, number, id: 1, counted: true };
        settlements.add(CHANNEL, unsettled, outcome);
    }

    /// What a queue was sent: outcomes and the runs settled with them.
    fn sent(receiver: &Receiver) -> Vec<(Outcome, Vec<(u64, u64)>)> {
        let mut commands = Vec::new();
        receiver.take(&mut commands, usize::MAX);
        let settled = commands.into_iter().map(|command| match command {
            Command::Settle { channel: CHANNEL, ranges, outcome, stored: false } => {
                (outcome, ranges.iter().map(|range| (range.first, range.last)).collect())
            }
            other => panic!("{other:?}"),
        });
        settled.collect()
    }

    #[tokio::test]
    async fn one_queue_is_told_in_runs_and_in_the_order_of_the_client() {
        use Outcome::{Ack, Reject, Requeue};
        // What the client settles, and what the queue is told.
        for (settled, expected) in [
            (vec![(0, Ack), (1, Ack), (2, Ack)], vec![(Ack, vec![(0, 2)])]),
            (vec![(2, Ack), (1, Ack), (0, Ack)], vec![(Ack, vec![(2, 2), (1, 1), (0, 0)])]),
            (vec![(0, Ack), (1, Ack), (5, Ack), (6, Ack)], vec![(Ack, vec![(0, 1), (5, 6)])]),
            (
                vec![(0, Ack), (1, Requeue), (2, Requeue), (3, Ack), (4, Reject)],
                vec![
                    (Ack, vec![(0, 0)]),
                    (Requeue, vec![(1, 2)]),
                    (Ack, vec![(3, 3)]),
                    (Reject, vec![(4, 4)]),
                ],
            ),
        ] {
            let (queue, _ordered, feedback) = Queue::detached(1);
            let mut settlements = Settlements::default();
            for (number, outcome) in &settled {
                add(&mut settlements, &queue, *number, *outcome);
            }
            settlements.send(false).await;
            assert!(settlements.is_empty());
            assert_eq!(sent(&feedback), expected, "{settled:?}");
        }
    }

    #[tokio::test]
    async fn queues_that_take_turns_get_one_command_each() {
        let (first, _first_ordered, to_first) = Queue::detached(1);
        let (second, _second_ordered, to_second) = Queue::detached(2);
        let mut settlements = Settlements::default();
        for number in 0..4 {
            add(&mut settlements, &first, number, Outcome::Ack);
            add(&mut settlements, &second, number, Outcome::Requeue);
        }
        settlements.send(false).await;
        assert_eq!(sent(&to_first), [(Outcome::Ack, vec![(0, 3)])]);
        assert_eq!(sent(&to_second), [(Outcome::Requeue, vec![(0, 3)])]);
    }

    #[tokio::test]
    async fn channels_are_told_apart() {
        let (queue, _ordered, feedback) = Queue::detached(1);
        let mut settlements = Settlements::default();
        for serial in [1, 2, 1] {
            let channel = ChannelId { serial, number: 1 };
            let queue = Arc::clone(&queue);
            let unsettled = Unsettled { tag: 1, queue, number: 0, id: 1, counted: true };
            settlements.add(channel, unsettled, Outcome::Ack);
        }
        settlements.send(false).await;
        let mut commands = Vec::new();
        feedback.take(&mut commands, usize::MAX);
        let channels = commands.into_iter().map(|command| match command {
            Command::Settle { channel, .. } => channel.serial,
            other => panic!("{other:?}"),
        });
        assert_eq!(channels.collect::<Vec<_>>(), [1, 2]);
    }

    #[tokio::test]
    async fn a_queue_that_is_gone_is_passed_over() {
        let (gone, ..) = Queue::detached(1);
        let (queue, _ordered, feedback) = Queue::detached(2);
        let mut settlements = Settlements::default();
        add(&mut settlements, &gone, 0, Outcome::Ack);
        add(&mut settlements, &queue, 0, Outcome::Ack);
        settlements.send(false).await;
        assert_eq!(sent(&feedback), [(Outcome::Ack, vec![(0, 0)])]);
    }
}
