//! The queue entries of one block of message ids, as runs: which queue holds which of the block's
//! ids. Pure; the index keeps one of these per block, recovery and the block table read and write
//! them as text.

use std::fmt::Write as _;
use std::ops::RangeInclusive;

use crate::ids::{MessageId, QueueId};

/// Ids of a block: 2^10 of them.
pub(super) const BLOCK_SHIFT: u32 = 10;
/// How many ids a block has.
pub(super) const BLOCK_LEN: u16 = 1 << BLOCK_SHIFT;
/// Words of a bitmap over a block.
const BLOCK_WORDS: usize = BLOCK_LEN as usize / 64;

/// A block's number: the message id without its low bits.
pub(super) type BlockId = u64;

/// The block that a message belongs to.
pub(super) fn block_of(id: MessageId) -> BlockId {
    id >> BLOCK_SHIFT
}

/// A message's place in its block.
pub(super) fn place_of(id: MessageId) -> u16 {
    u16::try_from(id & u64::from(BLOCK_LEN - 1)).expect("ten bits fit into sixteen")
}

/// The id at a place of a block.
pub(super) fn id_at(block: BlockId, place: u16) -> MessageId {
    (block << BLOCK_SHIFT) + MessageId::from(place)
}

/// One queue's entries at neighbouring places. Eight bytes: a backlog in which thousands of queues
/// interleave has one run a message.
#[derive(Copy, Clone, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub(super) struct Run {
    /// The queue.
    pub(super) queue: QueueId,
    /// The first place.
    pub(super) first: u16,
    /// The last place, inclusive.
    pub(super) last: u16,
}

impl Run {
    /// How many entries it stands for.
    pub(super) fn len(self) -> u32 {
        u32::from(self.last - self.first) + 1
    }
}

/// All runs of a block, by queue and place. Runs of one queue neither overlap nor touch.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Runs(Vec<Run>);

impl Runs {
    /// Adds an entry; nothing happens if it is there already.
    pub(super) fn add(&mut self, queue: QueueId, place: u16) {
        let at = self.0.partition_point(|run| (run.queue, run.first) <= (queue, place));
        let follows = at
            .checked_sub(1)
            .and_then(|before| self.0.get_mut(before))
            .filter(|before| before.queue == queue && before.last + 1 >= place);
        let extended = match follows {
            Some(before) if before.last >= place => return,
            Some(before) => {
                before.last = place;
                true
            }
            None => false,
        };
        let next = self.0.get_mut(at).filter(|next| next.queue == queue && next.first == place + 1);
        match (next, extended) {
            (Some(next), true) => {
                let last = next.last;
                self.0.remove(at);
                if let Some(before) = self.0.get_mut(at - 1) {
                    before.last = last;
                }
            }
            (Some(next), false) => next.first = place,
            (None, true) => {}
            (None, false) => self.0.insert(at, Run { queue, first: place, last: place }),
        }
    }

    /// Removes a queue's entries at the given places; calls `removed` for each run of them.
    pub(super) fn remove(
        &mut self,
        queue: QueueId,
        places: RangeInclusive<u16>,
        mut removed: impl FnMut(Run),
    ) {
        let (first, last) = places.into_inner();
        let start = self.0.partition_point(|run| (run.queue, run.last) < (queue, first));
        let touched = self
            .0
            .iter()
            .skip(start)
            .take_while(|run| run.queue == queue && run.first <= last)
            .copied();
        let mut end = start;
        let mut kept: [Option<Run>; 2] = [None; 2];
        for run in touched {
            removed(Run { first: run.first.max(first), last: run.last.min(last), ..run });
            end += 1;
            // Only the first touched run can begin before the range and only the last end after.
            if run.first < first {
                kept[0] = Some(Run { last: first - 1, ..run });
            }
            if run.last > last {
                kept[1] = Some(Run { first: last + 1, ..run });
            }
        }
        if end > start {
            self.0.splice(start..end, kept.into_iter().flatten());
        }
    }

    /// Whether a queue has an entry at a place.
    pub(super) fn holds(&self, queue: QueueId, place: u16) -> bool {
        let at = self.0.partition_point(|run| (run.queue, run.last) < (queue, place));
        self.0.get(at).is_some_and(|run| run.queue == queue && run.first <= place)
    }

    /// Whether no queue holds any of the block's messages.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The runs, by queue and place.
    pub(super) fn iter(&self) -> impl Iterator<Item = Run> + '_ {
        self.0.iter().copied()
    }

    /// Gives back memory that a block which gets no more entries does not need.
    pub(super) fn shrink(&mut self) {
        self.0.shrink_to_fit();
    }

    /// How many places some queue holds, and the ranges between them that none does.
    pub(super) fn unheld(&self) -> (u16, Vec<RangeInclusive<u16>>) {
        let mut words = [0_u64; BLOCK_WORDS];
        for run in self.iter() {
            for place in run.first..=run.last {
                if let Some(word) = words.get_mut(usize::from(place / 64)) {
                    *word |= 1 << (place % 64);
                }
            }
        }
        let is_held = |place: &u16| {
            words.get(usize::from(place / 64)).is_some_and(|word| word >> (place % 64) & 1 == 1)
        };
        let (mut held, mut gaps, mut gap_start) = (0, Vec::new(), None);
        for place in 0..BLOCK_LEN {
            match (is_held(&place), gap_start) {
                (true, None) => held += 1,
                (true, Some(start)) => {
                    held += 1;
                    gaps.push(start..=place - 1);
                    gap_start = None;
                }
                (false, None) => gap_start = Some(place),
                (false, Some(_)) => {}
            }
        }
        gaps.extend(gap_start.map(|start| start..=BLOCK_LEN - 1));
        (held, gaps)
    }

    /// The runs as JSON, `[[queue,first,last],...]` with places counted from the block's start.
    pub(super) fn to_json(&self) -> String {
        let mut text = String::with_capacity(2 + self.0.len() * 16);
        text.push('[');
        for run in self.iter() {
            let comma = if text.len() > 1 { "," } else { "" };
            write!(text, "{comma}[{},{},{}]", run.queue, run.first, run.last)
                .expect("writing to a string does not fail");
        }
        text.push(']');
        text
    }

    /// Reads what [`Runs::to_json`] wrote; `None` if it is anything else.
    pub(super) fn from_json(text: &str) -> Option<Self> {
        let mut runs = Vec::with_capacity(text.len() / 12);
        for [queue, first, last] in triples(text)? {
            let run = Run {
                queue: QueueId(queue.try_into().ok()?),
                first: first.try_into().ok()?,
                last: last.try_into().ok()?,
            };
            if run.first > run.last || run.last >= BLOCK_LEN {
                return None;
            }
            runs.push(run);
        }
        runs.is_sorted().then_some(Self(runs))
    }
}

/// The triples of numbers in `[[a,b,c],...]`, without spaces; `None` if it is anything else.
pub(super) fn triples(text: &str) -> Option<Vec<[u64; 3]>> {
    let inner = text.strip_prefix('[')?.strip_suffix(']')?;
    if inner.is_empty() {
        return Some(Vec::new());
    }
    let inner = inner.strip_prefix('[')?.strip_suffix(']')?;
    let mut triples = Vec::with_capacity(inner.len() / 10);
    let mut bytes = inner.bytes();
    loop {
        let (a, b) = (number(&mut bytes, b',')?, number(&mut bytes, b',')?);
        let mut c: u64 = 0;
        // The last number of a triple ends at a bracket or at the end of the text.
        let more = loop {
            match bytes.next() {
                Some(digit @ b'0'..=b'9') => c = append_digit(c, digit)?,
                Some(b']') => break true,
                Some(_) => return None,
                None => break false,
            }
        };
        triples.push([a, b, c]);
        if !more {
            return Some(triples);
        }
        if (bytes.next(), bytes.next()) != (Some(b','), Some(b'[')) {
            return None;
        }
    }
}

fn number(bytes: &mut impl Iterator<Item = u8>, end: u8) -> Option<u64> {
    let mut value = 0;
    loop {
        match bytes.next()? {
            digit @ b'0'..=b'9' => value = append_digit(value, digit)?,
            byte => return (byte == end).then_some(value),
        }
    }
}

fn append_digit(value: u64, digit: u8) -> Option<u64> {
    value.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Add(u32, u16),
        Remove(u32, u16, u16),
    }

    fn step() -> impl Strategy<Value = Step> {
        // Few places, so that runs grow together, split and vanish.
        let place = prop_oneof![0..24_u16, 1000..BLOCK_LEN];
        prop_oneof![
            3 => (0..3_u32, place.clone()).prop_map(|(queue, place)| Step::Add(queue, place)),
            1 => (0..3_u32, place.clone(), place).prop_map(|(queue, a, b)| Step::Remove(queue, a.min(b), a.max(b))),
        ]
    }

    proptest! {
        #[test]
        fn runs_hold_what_a_plain_set_holds(steps in prop::collection::vec(step(), 0..200)) {
            let (mut runs, mut model) = (Runs::default(), BTreeSet::new());
            for step in steps {
                match step {
                    Step::Add(queue, place) => {
                        runs.add(QueueId(queue), place);
                        model.insert((queue, place));
                    }
                    Step::Remove(queue, first, last) => {
                        let before = model.len();
                        model.retain(|(q, place)| *q != queue || *place < first || *place > last);
                        let mut removed = 0;
                        runs.remove(QueueId(queue), first..=last, |run| removed += run.len());
                        prop_assert_eq!(removed as usize, before - model.len());
                    }
                }
                let listed: BTreeSet<(u32, u16)> = runs
                    .iter()
                    .flat_map(|run| (run.first..=run.last).map(move |place| (run.queue.0, place)))
                    .collect();
                prop_assert_eq!(&listed, &model);
                for pair in runs.0.windows(2) {
                    prop_assert!(pair[0].queue < pair[1].queue || pair[0].last + 1 < pair[1].first);
                }
            }
            prop_assert_eq!(Runs::from_json(&runs.to_json()), Some(runs.clone()));
            let places: BTreeSet<u16> = model.iter().map(|(_, place)| *place).collect();
            let (held, gaps) = runs.unheld();
            prop_assert_eq!(usize::from(held), places.len());
            let unheld: Vec<u16> = gaps.into_iter().flatten().collect();
            let expected: Vec<u16> = (0..BLOCK_LEN).filter(|place| !places.contains(place)).collect();
            prop_assert_eq!(unheld, expected);
        }

        #[test]
        fn reading_any_text_does_not_panic(text in "[\\[\\],0-9 -]{0,40}") {
            let _ = Runs::from_json(&text);
        }
    }

    #[test]
    fn text_that_is_not_a_list_of_runs_is_refused() {
        for text in [
            "",
            "[",
            "[]]",
            "[[1,2]]",
            "[[1,2,3,4]]",
            "[[1,2,3],]",
            "[[1,2,x]]",
            "[[1,5,4]]",
            "[[1,0,1024]]",
            "[[4294967296,0,0]]",
            "[[1,0,0] ,[2,0,0]]",
            "[[2,0,0],[1,0,0]]",
            "[[99999999999999999999,0,0]]",
        ] {
            assert_eq!(Runs::from_json(text), None, "{text}");
        }
        assert_eq!(Runs::from_json("[]"), Some(Runs::default()));
    }

    #[test]
    fn ids_split_into_block_and_place() {
        for id in [0, 1, 1023, 1024, 5_000_000, u64::MAX >> 1] {
            assert_eq!(id_at(block_of(id), place_of(id)), id);
        }
    }
}
