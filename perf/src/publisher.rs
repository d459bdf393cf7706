//! One publisher: a connection that publishes as fast as its window, its rate and the socket allow,
//! and accounts for every message. Run by `workers`.

mod intake;

use std::sync::Arc;

use amq_protocol::protocol::{AMQPClass, confirm};
use tokio::io::Interest;
use tokio::sync::watch;

use self::intake::Intake;
pub(crate) use self::intake::Outcome;
use crate::error::Error;
use crate::handshake;
use crate::link::{self, CHANNEL, Link};
use crate::pacer::Pacer;
use crate::shared::{Phase, Shared};
use crate::stamp::Stamp;
use crate::template::{Message, Template};

/// Room for a burst of confirms.
const INPUT_BYTES: usize = 64 * 1024;

/// A connected publisher.
#[derive(Debug)]
pub(crate) struct Publisher {
    id: u16,
    link: Link,
    template: Template,
    batch: Batch,
    pacer: Option<Pacer>,
    /// `channel.close` was sent: its answer ends the work.
    closing: bool,
    intake: Intake,
}

/// The stamped messages at the beginning of the template, and how far they are written.
#[derive(Clone, Copy, Debug, Default)]
struct Batch {
    messages: u64,
    bytes: usize,
    written: usize,
}

/// What staging found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Staged {
    /// A batch or a method waits for the socket, or only the broker can make a difference.
    WaitForSocket,
    /// The rate allows nothing before this time.
    WaitUntil(u64),
}

impl Publisher {
    /// Connects, selects confirms and encodes the messages.
    pub(crate) async fn connect(shared: Arc<Shared>, id: u16) -> Result<Self, Error> {
        let plan = &shared.plan;
        let mut link =
            handshake::connect(&plan.uri, &format!("leveret perf publisher {id}")).await?;
        link.input.grow(INPUT_BYTES);
        if plan.confirms > 0 {
            let select = confirm::AMQPMethod::Select(confirm::Select { nowait: false });
            link.call(CHANNEL, AMQPClass::Confirm(select), "confirm.select", |answer| {
                matches!(answer, AMQPClass::Confirm(confirm::AMQPMethod::SelectOk(_)))
            })
            .await?;
        }
        let message = Message {
            exchange: &plan.exchange,
            routing_key: plan.publish_key(id),
            size: plan.size,
            persistent: plan.persistent,
            mandatory: plan.mandatory,
        };
        let limit = match plan.confirms {
            0 => usize::MAX,
            window => window as usize,
        };
        let template = Template::new(&message, link.frame_max, limit)?;
        Ok(Self {
            id,
            link,
            template,
            batch: Batch::default(),
            pacer: None,
            closing: false,
            intake: Intake::new(shared, id),
        })
    }

    /// Publishes from `Warmup` on, until its number of messages is reached or the phase is
    /// `Settling`; then waits for the confirms and for the broker to have taken everything.
    pub(crate) async fn run(mut self, mut phase: watch::Receiver<Phase>) -> Result<Outcome, Error> {
        loop {
            let now = *phase.borrow_and_update();
            if self.intake.closed || now == Phase::Finished {
                return Ok(self.finish().await);
            }
            self.intake.measuring = now == Phase::Measuring;
            let wake_us = match self.stage(now)? {
                Staged::WaitForSocket => None,
                Staged::WaitUntil(at_us) => Some(at_us),
            };
            let wake = self.intake.shared.clock.instant(wake_us.unwrap_or_default());
            let turned = tokio::select! {
                biased;
                turned = self.turn() => turned,
                changed = phase.changed() => match changed {
                    Ok(()) => Ok(()),
                    Err(_) => return Ok(self.finish().await),
                },
                () = tokio::time::sleep_until(wake.into()), if wake_us.is_some() => Ok(()),
            };
            if let Err(error) = turned {
                return Err(self.link.give_up(error).await);
            }
        }
    }

    /// Prepares the next batch, if the previous one is written and there is something to publish.
    fn stage(&mut self, phase: Phase) -> Result<Staged, Error> {
        let batch_is_written = self.batch.written == self.batch.bytes;
        if !batch_is_written || self.closing || phase < Phase::Warmup {
            return Ok(Staged::WaitForSocket);
        }
        let left = match self.intake.shared.plan.messages {
            _ if phase >= Phase::Settling => 0,
            Some(limit) => limit.saturating_sub(self.intake.next()),
            None => u64::MAX,
        };
        if left == 0 {
            if self.intake.outstanding() == 0 {
                self.closing = true;
                self.link.output.push(&link::channel_close())?;
            }
            return Ok(Staged::WaitForSocket);
        }
        let now_us = self.intake.shared.clock.now_us();
        let rate = self.intake.shared.plan.rate;
        if rate > 0 && self.pacer.is_none() {
            self.pacer = Some(Pacer::new(rate, now_us));
        }
        let allowed = left.min(self.intake.credit()).min(self.template.capacity() as u64);
        let due = self.pacer.as_mut().map_or(u64::MAX, |pacer| pacer.due(now_us));
        match (allowed.min(due), &self.pacer) {
            (0, Some(pacer)) if allowed > 0 => return Ok(Staged::WaitUntil(pacer.next_us())),
            (0, _) => {}
            (count, _) => self.fill_batch(count, now_us),
        }
        Ok(Staged::WaitForSocket)
    }

    /// Stamps the next `count` messages.
    fn fill_batch(&mut self, count: u64, now_us: u64) {
        let stamp = Stamp {
            run: self.intake.shared.plan.run_tag,
            publisher: self.id,
            seq: self.intake.next(),
            at_us: now_us,
        };
        self.batch =
            Batch { messages: count, bytes: self.template.stamp(count, stamp), written: 0 };
        self.intake.published(count, now_us);
        if let Some(pacer) = &mut self.pacer {
            pacer.sent(count);
        }
    }

    /// Waits for the socket, then writes and reads what it allows.
    async fn turn(&mut self) -> Result<(), Error> {
        let writing = self.batch.written < self.batch.bytes || !self.link.output.is_empty();
        let interest = match writing {
            true => Interest::READABLE | Interest::WRITABLE,
            false => Interest::READABLE,
        };
        let ready = self.link.stream.ready(interest).await?;
        if ready.is_writable() && writing {
            self.write()?;
        }
        if ready.is_readable() && self.link.try_read()? {
            let now_us = self.intake.shared.clock.now_us();
            while let Some(frame) = self.link.input.next()? {
                self.intake.on_frame(frame, &mut self.link.output, now_us)?;
            }
        }
        if writing {
            // Nothing else makes this task wait while the socket takes everything at once.
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Writes the batch, then other frames: these must not come between the frames of a message.
    fn write(&mut self) -> Result<(), Error> {
        while self.batch.written < self.batch.bytes {
            let rest = self.template.bytes(self.batch.written..self.batch.bytes);
            match link::would_block(self.link.stream.try_write(rest))? {
                Some(count) => self.batch.written += count,
                None => return Ok(()),
            }
        }
        let shared = &self.intake.shared;
        shared.published.add(self.batch.messages, shared.clock.now_us());
        self.batch = Batch::default();
        self.link.output.try_write(&self.link.stream)
    }

    async fn finish(self) -> Outcome {
        if self.intake.closed {
            // Everything is accounted for: a broker slow to say goodbye does not change the result.
            let _politeness = self.link.close().await;
        }
        self.intake.finish()
    }
}
