//! What a transactional channel keeps back until `tx.commit`: publishes with their routes, and settlements.

use super::publish::Routed;
use super::unacked::Unsettled;
use crate::limits::{TX_BYTES_MAX, TX_COMMANDS_MAX};
use crate::protocol::{Fault, ReplyCode};
use crate::queue::state::Outcome;

/// The commands of one transaction, in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct Tx {
    published: Vec<Routed>,
    settled: Vec<(Unsettled, Outcome)>,
    bytes: usize,
}

impl Tx {
    /// Keeps a publish.
    pub(crate) fn publish(&mut self, routed: Routed) -> Result<(), Fault> {
        self.bytes += routed.outgoing.message.size();
        self.published.push(routed.detached());
        self.check()
    }

    /// Keeps a settlement.
    pub(crate) fn settle(&mut self, unsettled: Unsettled, outcome: Outcome) {
        self.settled.push((unsettled, outcome));
    }

    /// Refuses with 406 when the transaction has become too large to keep.
    pub(crate) fn check(&self) -> Result<(), Fault> {
        let commands = self.published.len() + self.settled.len();
        if self.bytes <= TX_BYTES_MAX && commands <= TX_COMMANDS_MAX {
            return Ok(());
        }
        let text = format!(
            "transaction too large: at most {TX_BYTES_MAX} bytes and {TX_COMMANDS_MAX} commands"
        );
        Err(Fault::new(ReplyCode::PreconditionFailed, text))
    }

    /// Everything, to be committed; the next transaction starts empty.
    pub(crate) fn take(&mut self) -> (Vec<Routed>, Vec<(Unsettled, Outcome)>) {
        self.bytes = 0;
        (std::mem::take(&mut self.published), std::mem::take(&mut self.settled))
    }

    /// Drops the publishes and gives the settlements back as unsettled.
    pub(crate) fn take_settled(&mut self) -> Vec<Unsettled> {
        let (_, settled) = self.take();
        settled.into_iter().map(|(unsettled, _)| unsettled).collect()
    }
}
