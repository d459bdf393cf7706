//! What arrived from one queue, message by message: finds what is lost, doubled or out of order.
//! Filled by the queue's consumers, read at the end by `run`.

use std::collections::BTreeMap;

use crate::seqset::SeqSet;

/// Consecutive numbers of one publisher, received by one consumer in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) publisher: u16,
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// All of them were marked as redelivered.
    pub(crate) redelivered: bool,
}

/// Everything received from one queue so far.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    received: BTreeMap<u16, SeqSet>,
}

/// The publisher's side of the account.
#[derive(Debug, Default)]
pub(crate) struct Account {
    /// How many it published: the numbers below this.
    pub(crate) published: u64,
    /// Those that need not arrive: refused with `basic.nack` or returned.
    pub(crate) excused: SeqSet,
}

impl Ledger {
    /// Adds a run. Returns how many of its messages had not been received before.
    pub(crate) fn add(&mut self, run: Run) -> u64 {
        self.received.entry(run.publisher).or_default().insert(run.start..run.end, |_| ())
    }

    /// How many messages of `publisher` should have arrived and did not.
    pub(crate) fn lost(&self, publisher: u16, account: &Account) -> u64 {
        let empty = SeqSet::default();
        let received = self.received.get(&publisher).unwrap_or(&empty);
        let missing = received.missing(account.published);
        let lost = missing.filter(|number| !account.excused.contains(*number)).count();
        lost as u64 + received.skipped()
    }

    /// Whether nothing of `publisher` is awaited any more. Cheap while much is.
    pub(crate) fn is_complete(&self, publisher: u16, account: &Account) -> bool {
        let received = self.received.get(&publisher).map_or(0, SeqSet::len);
        received + account.excused.len() >= account.published && self.lost(publisher, account) == 0
    }

    /// The first numbers of `publisher` that are lost.
    pub(crate) fn first_lost(&self, publisher: u16, account: &Account) -> Vec<u64> {
        let empty = SeqSet::default();
        let received = self.received.get(&publisher).unwrap_or(&empty);
        let missing = received.missing(account.published);
        missing.filter(|number| !account.excused.contains(*number)).take(5).collect()
    }
}

/// The order one consumer sees: within a queue, a publisher's messages come in the order in which
/// they were published, unless they are redelivered.
#[derive(Debug, Default)]
pub(crate) struct Order {
    /// One past the highest number seen, per publisher.
    next: BTreeMap<u16, u64>,
}

impl Order {
    /// Notes a run of which `fresh` messages are new. Returns how many came out of order.
    pub(crate) fn note(&mut self, run: Run, fresh: u64) -> u64 {
        let next = self.next.entry(run.publisher).or_default();
        let late = next.saturating_sub(run.start).min(fresh);
        *next = run.end.max(*next);
        if run.redelivered { 0 } else { late }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(start: u64, end: u64) -> Run {
        Run { publisher: 0, start, end, redelivered: false }
    }

    fn account(published: u64) -> Account {
        Account { published, ..Account::default() }
    }

    #[test]
    fn what_did_not_arrive_is_lost() {
        let mut ledger = Ledger::default();
        ledger.add(run(0, 5));
        ledger.add(run(7, 10));
        assert_eq!(ledger.lost(0, &account(12)), 4);
        assert_eq!(ledger.first_lost(0, &account(12)), [5, 6, 10, 11]);
        assert_eq!(ledger.lost(1, &account(3)), 3);
    }

    #[test]
    fn what_the_broker_refused_is_not_lost() {
        let mut ledger = Ledger::default();
        ledger.add(run(0, 5));
        let mut account = account(7);
        account.excused.insert(4..6, |_| ());
        assert!(!ledger.is_complete(0, &account));
        account.excused.insert(6..7, |_| ());
        assert!(ledger.is_complete(0, &account));
    }

    #[test]
    fn what_arrives_again_is_not_fresh() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.add(run(0, 5)), 5);
        assert_eq!(ledger.add(run(3, 8)), 3);
    }

    #[test]
    fn a_lower_number_after_a_higher_one_is_out_of_order() {
        let mut order = Order::default();
        assert_eq!(order.note(run(0, 5), 5), 0);
        assert_eq!(order.note(run(8, 10), 2), 0);
        assert_eq!(order.note(run(6, 7), 1), 1);
        assert_eq!(order.note(Run { redelivered: true, ..run(5, 6) }, 1), 0);
        assert_eq!(order.note(run(9, 10), 0), 0, "doubled, not out of order");
    }
}
