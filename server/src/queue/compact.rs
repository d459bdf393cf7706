//! Messages that stay must not hold more memory than they are counted as: each is a slice of the read that it came in, and one
//! that stays would keep all of it. Called for what is new at the end of a batch, by [`super::lane`] and [`super::unacked`].

use std::collections::VecDeque;

use leveret_persistence::Message;

use super::entry::cost;

/// Copies the messages from place `from` on out of the reads that they came in, but for those that fill theirs. Such messages
/// came together and mostly leave together; to copy them all took 6 % of the instructions of scenario A of
/// `leveret perf`.
pub(super) fn compact<T>(
    items: &mut VecDeque<T>,
    from: usize,
    message: impl Fn(&T) -> Option<&Message>,
    message_mut: impl Fn(&mut T) -> Option<&mut Message>,
) {
    let mut at = from;
    while at < items.len() {
        let Some(first) = items.get(at).and_then(&message) else {
            at += 1;
            continue;
        };
        let of_the_read = |item| message(item).filter(|other| other.shares_with(first));
        let (count, counted) = items
            .range(at..)
            .map_while(of_the_read)
            .fold((0, 0), |(count, counted), message| (count + 1, counted + cost(message)));
        if counted < first.held_bytes() {
            for message in items.range_mut(at..at + count).filter_map(&message_mut) {
                *message = message.compact();
            }
        }
        at += count;
    }
}
