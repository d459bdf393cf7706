//! What the broker says to a publisher, and what follows from it for the account of its messages.
//! Owned by `publisher`.

use std::sync::Arc;

use amq_protocol::protocol::{AMQPClass, channel};

use crate::confirms::Confirms;
use crate::content::Content;
use crate::error::Error;
use crate::frames::{self, BODY, Frame, HEADER, METHOD, Method};
use crate::latency::Latency;
use crate::ledger::Account;
use crate::link::{self, Notice, Output};
use crate::shared::Shared;

/// One publisher's view of what the broker took, refused and returned.
#[derive(Debug)]
pub(super) struct Intake {
    pub(super) shared: Arc<Shared>,
    /// Latencies count.
    pub(super) measuring: bool,
    /// The broker has closed the channel at our request: it has taken everything.
    pub(super) closed: bool,
    confirms: Option<Confirms>,
    content: Content,
    blocked_since_us: Option<u64>,
    outcome: Outcome,
}

/// What a publisher has to report.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) id: u16,
    pub(crate) account: Account,
    /// From handing to the socket to `basic.ack`.
    pub(crate) latency: Latency,
    /// `basic.nack`.
    pub(crate) refused: u64,
    /// `basic.return`.
    pub(crate) returned: u64,
    /// Published with confirms on, and neither confirmed nor refused at the end.
    pub(crate) unconfirmed: u64,
    /// How long the broker had blocked the connection.
    pub(crate) blocked_us: u64,
}

impl Intake {
    pub(super) fn new(shared: Arc<Shared>, id: u16) -> Self {
        let window = shared.plan.confirms;
        Self {
            shared,
            measuring: false,
            closed: false,
            confirms: (window > 0).then(|| Confirms::new(window)),
            content: Content::default(),
            blocked_since_us: None,
            outcome: Outcome {
                id,
                account: Account::default(),
                latency: Latency::new(),
                refused: 0,
                returned: 0,
                unconfirmed: 0,
                blocked_us: 0,
            },
        }
    }

    /// The next message's number.
    pub(super) fn next(&self) -> u64 {
        self.outcome.account.published
    }

    /// How many messages may be published now.
    pub(super) fn credit(&self) -> u64 {
        match &self.confirms {
            _ if self.blocked_since_us.is_some() => 0,
            Some(confirms) => confirms.credit(),
            None => u64::MAX,
        }
    }

    /// How many messages wait for their confirm.
    pub(super) fn outstanding(&self) -> u64 {
        self.confirms.as_ref().map_or(0, Confirms::outstanding)
    }

    /// Notes that the next `count` messages are on their way.
    pub(super) fn published(&mut self, count: u64, now_us: u64) {
        self.outcome.account.published += count;
        if let Some(confirms) = &mut self.confirms {
            confirms.sent(count, now_us);
        }
    }

    /// The account as it stands.
    pub(super) fn finish(mut self) -> Outcome {
        self.unblock();
        self.outcome.unconfirmed = self.outstanding();
        self.outcome
    }

    /// Takes a frame. `output` gets what must be answered at once.
    pub(super) fn on_frame(
        &mut self,
        frame: Frame<'_>,
        output: &mut Output,
        now_us: u64,
    ) -> Result<(), Error> {
        let complete = match frame.kind {
            METHOD => match frames::method(frame.payload) {
                Some(Method::Ack { tag, multiple }) => {
                    let count = self.settle(tag, multiple, now_us, false)?;
                    self.shared.confirmed.add(count, now_us);
                    return Ok(());
                }
                Some(Method::Nack { tag, multiple }) => {
                    self.outcome.refused += self.settle(tag, multiple, now_us, true)?;
                    return Ok(());
                }
                Some(Method::Return) => {
                    self.content.begin()?;
                    return Ok(());
                }
                Some(Method::Deliver { .. } | Method::Other) | None => {
                    return self.on_notice(link::interpret(frame, output)?, now_us);
                }
            },
            HEADER => self.content.header(frame.payload)?,
            BODY => self.content.body(frame.payload)?,
            _ => return self.on_notice(link::interpret(frame, output)?, now_us),
        };
        if complete {
            self.on_return();
        }
        Ok(())
    }

    /// A confirm or its refusal.
    fn settle(&mut self, tag: u64, multiple: bool, now_us: u64, nack: bool) -> Result<u64, Error> {
        let Some(confirms) = &mut self.confirms else {
            return Err(Error::Protocol("a confirm on a channel without confirms".to_owned()));
        };
        let latency = (self.measuring && !nack).then_some(&mut self.outcome.latency);
        let excused = &mut self.outcome.account.excused;
        confirms.settle(tag, multiple, now_us, latency, |range| {
            if nack {
                excused.insert(range, |_| ());
            }
        })
    }

    /// A returned message was matched by no queue, so none is expected to deliver it.
    fn on_return(&mut self) {
        self.outcome.returned += 1;
        if let Some(stamp) = self.content.stamp().filter(|stamp| stamp.seq < self.next()) {
            self.outcome.account.excused.insert(stamp.seq..stamp.seq + 1, |_| ());
        }
    }

    fn on_notice(&mut self, notice: Notice, now_us: u64) -> Result<(), Error> {
        match notice {
            Notice::Blocked => self.blocked_since_us = self.blocked_since_us.or(Some(now_us)),
            Notice::Unblocked => self.unblock(),
            Notice::Answer(AMQPClass::Channel(channel::AMQPMethod::CloseOk(_))) => {
                self.closed = true
            }
            Notice::Answer(method) => {
                return Err(Error::Protocol(format!("{method:?} to a publisher")));
            }
            Notice::Cancelled | Notice::Nothing => {}
        }
        Ok(())
    }

    fn unblock(&mut self) {
        if let Some(since) = self.blocked_since_us.take() {
            self.outcome.blocked_us += self.shared.clock.now_us().saturating_sub(since);
        }
    }
}
