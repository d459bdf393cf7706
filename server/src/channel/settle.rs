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

    /// Hands everything to the queues. `stored`: a transaction has told the store. A queue that is gone needs no settlement.
    pub(crate) async fn send(&mut self, stored: bool) {
        for Group { queue, channel, outcome, ranges } in self.groups.drain(..) {
            queue.send(Command::Settle { channel, ranges, outcome, stored }).await.ok();
        }
    }
}
