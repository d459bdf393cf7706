//! One consumer: a connection that takes deliveries, acknowledges them and enters them in its queue's
//! ledger. Run by `workers`.

use std::sync::{Arc, PoisonError};

use amq_protocol::protocol::{AMQPClass, basic};
use tokio::sync::watch;

use crate::content::Content;
use crate::error::Error;
use crate::frames::{self, BODY, Frame, HEADER, METHOD, Method};
use crate::handshake;
use crate::latency::Latency;
use crate::ledger::{Order, Run};
use crate::link::{self, CHANNEL, CONSUMER_TAG, Link, Notice, Output};
use crate::shared::{Phase, Shared};
use crate::stamp::Stamp;

/// One read's worth: a few thousand small messages, or several large ones.
const INPUT_BYTES: usize = 256 * 1024;

/// A connected consumer.
#[derive(Debug)]
pub(crate) struct Consumer {
    id: u16,
    link: Link,
    /// `basic.consume` was sent: at once, or when the run drains.
    consuming: bool,
    intake: Intake,
}

/// What was delivered, and what follows from it.
#[derive(Debug)]
struct Intake {
    shared: Arc<Shared>,
    queue: usize,
    /// Whether the queue gets what a publisher publishes, by the publisher's index.
    fed_by: Vec<bool>,
    content: Content,
    /// Delivery tag and redelivered flag of the message being received.
    delivery: (u64, bool),
    /// Deliveries since the last ack.
    unacked: u16,
    /// Received since the ledger was last written.
    batch: u64,
    runs: Vec<Run>,
    /// Messages sent at the same time are measured together: (time, how many).
    same_age: (u64, u64),
    order: Order,
    measuring: bool,
    outcome: Outcome,
}

/// What a consumer has to report.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// From handing to the publisher's socket to reading from this one.
    pub(crate) latency: Latency,
    /// Received again without being marked as redelivered.
    pub(crate) duplicated: u64,
    /// Received after a later message of the same publisher and queue.
    pub(crate) reordered: u64,
    /// Marked as redelivered.
    pub(crate) redelivered: u64,
    /// Not a message this queue should hold: from another run, or from elsewhere.
    pub(crate) foreign: u64,
}

impl Consumer {
    /// Connects and sets the prefetch; starts consuming, unless the run drains.
    pub(crate) async fn connect(shared: Arc<Shared>, id: u16) -> Result<Self, Error> {
        let plan = &shared.plan;
        let mut link =
            handshake::connect(&plan.uri, &format!("leveret perf consumer {id}")).await?;
        link.input.grow(INPUT_BYTES);
        if plan.prefetch > 0 && !plan.auto_ack {
            let qos = basic::Qos { prefetch_count: plan.prefetch, global: false };
            let method = AMQPClass::Basic(basic::AMQPMethod::Qos(qos));
            link.call(CHANNEL, method, "basic.qos", |answer| {
                matches!(answer, AMQPClass::Basic(basic::AMQPMethod::QosOk(_)))
            })
            .await?;
        }
        let queue = plan.queue_index(id);
        let drain = plan.drain;
        let mut consumer = Self { id, link, consuming: false, intake: Intake::new(shared, queue) };
        if !drain {
            consumer.consume().await?;
        }
        Ok(consumer)
    }

    /// Takes deliveries until the phase is `Finished`.
    pub(crate) async fn run(mut self, mut phase: watch::Receiver<Phase>) -> Result<Outcome, Error> {
        loop {
            let now = *phase.borrow_and_update();
            if now == Phase::Finished {
                return Ok(self.finish().await);
            }
            if now == Phase::Draining && !self.consuming {
                self.consume().await?;
            }
            self.intake.measuring = now == Phase::Measuring;
            let taken = tokio::select! {
                biased;
                read = self.link.turn() => read.and_then(|_| self.take()),
                changed = phase.changed() => match changed {
                    Ok(()) => Ok(()),
                    Err(_) => return Ok(self.finish().await),
                },
            };
            if let Err(error) = taken {
                return Err(self.link.give_up(error).await);
            }
        }
    }

    async fn consume(&mut self) -> Result<(), Error> {
        let plan = &self.intake.shared.plan;
        let consume = basic::Consume {
            queue: plan.queue_of(self.id).into(),
            consumer_tag: CONSUMER_TAG.into(),
            no_ack: plan.auto_ack,
            ..Default::default()
        };
        let method = AMQPClass::Basic(basic::AMQPMethod::Consume(consume));
        self.link
            .call(CHANNEL, method, "basic.consume", |answer| {
                matches!(answer, AMQPClass::Basic(basic::AMQPMethod::ConsumeOk(_)))
            })
            .await?;
        self.consuming = true;
        self.take()
    }

    /// Takes every whole message that was read, and sends the acks that are due.
    fn take(&mut self) -> Result<(), Error> {
        let now_us = self.intake.shared.clock.now_us();
        while let Some(frame) = self.link.input.next()? {
            self.intake.on_frame(frame, &mut self.link.output, now_us)?;
        }
        self.intake.enter(now_us);
        if !self.link.output.is_empty() {
            self.link.output.try_write(&self.link.stream)?;
        }
        Ok(())
    }

    /// Acknowledges the rest, so that a queue that is kept holds nothing twice.
    async fn finish(mut self) -> Outcome {
        if self.intake.unacked > 0 {
            frames::push_ack(self.link.output.bytes_mut(), self.intake.delivery.0, true);
        }
        // Everything is accounted for: a broker slow to say goodbye does not change the result.
        let _politeness = self.link.close().await;
        self.intake.outcome
    }
}

impl Intake {
    fn new(shared: Arc<Shared>, queue: usize) -> Self {
        let plan = &shared.plan;
        Self {
            fed_by: (0..plan.publishers).map(|publisher| plan.feeds(publisher, queue)).collect(),
            shared,
            queue,
            content: Content::default(),
            delivery: (0, false),
            unacked: 0,
            batch: 0,
            runs: Vec::new(),
            same_age: (0, 0),
            order: Order::default(),
            measuring: false,
            outcome: Outcome {
                latency: Latency::new(),
                duplicated: 0,
                reordered: 0,
                redelivered: 0,
                foreign: 0,
            },
        }
    }

    fn on_frame(
        &mut self,
        frame: Frame<'_>,
        output: &mut Output,
        now_us: u64,
    ) -> Result<(), Error> {
        let complete = match frame.kind {
            METHOD => match frames::method(frame.payload) {
                Some(Method::Deliver { tag, redelivered }) => {
                    self.delivery = (tag, redelivered);
                    return self.content.begin();
                }
                _ => return self.on_notice(link::interpret(frame, output)?),
            },
            HEADER => self.content.header(frame.payload)?,
            BODY => self.content.body(frame.payload)?,
            _ => return self.on_notice(link::interpret(frame, output)?),
        };
        if complete {
            self.on_delivery(output, now_us);
        }
        Ok(())
    }

    fn on_notice(&mut self, notice: Notice) -> Result<(), Error> {
        match notice {
            Notice::Cancelled => {
                let queue = self.shared.plan.queues.get(self.queue).cloned();
                Err(Error::Cancelled(queue.unwrap_or_default()))
            }
            Notice::Answer(method) => Err(Error::Protocol(format!("{method:?} to a consumer"))),
            Notice::Blocked | Notice::Unblocked | Notice::Nothing => Ok(()),
        }
    }

    /// A message is complete.
    fn on_delivery(&mut self, output: &mut Output, now_us: u64) {
        let (tag, redelivered) = self.delivery;
        self.batch += 1;
        self.outcome.redelivered += u64::from(redelivered);
        let plan = &self.shared.plan;
        if !plan.auto_ack {
            self.unacked += 1;
            if self.unacked >= plan.ack_every {
                frames::push_ack(output.bytes_mut(), tag, plan.ack_every > 1);
                self.unacked = 0;
            }
        }
        let expected = |stamp: &Stamp| {
            stamp.run == plan.run_tag
                && self.fed_by.get(usize::from(stamp.publisher)).is_some_and(|fed| *fed)
        };
        let Some(stamp) = self.content.stamp().filter(expected) else {
            self.outcome.foreign += 1;
            return;
        };
        if self.same_age.0 != stamp.at_us {
            self.record_age(now_us);
            self.same_age = (stamp.at_us, 0);
        }
        self.same_age.1 += 1;
        let next =
            Run { publisher: stamp.publisher, start: stamp.seq, end: stamp.seq + 1, redelivered };
        match self.runs.last_mut() {
            Some(run)
                if Run { start: next.start, end: next.end, ..*run } == next
                    && run.end == next.start =>
            {
                run.end = next.end;
            }
            _ => self.runs.push(next),
        }
    }

    fn record_age(&mut self, now_us: u64) {
        let (at_us, count) = std::mem::take(&mut self.same_age);
        if self.measuring && count > 0 {
            self.outcome.latency.record(now_us.saturating_sub(at_us), count);
        }
    }

    /// Enters what was received into the ledger.
    fn enter(&mut self, now_us: u64) {
        self.record_age(now_us);
        if let Some(ledger) = self.shared.ledgers.get(self.queue).filter(|_| !self.runs.is_empty())
        {
            // A panic elsewhere must not hide what arrived here.
            let mut ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
            for run in self.runs.drain(..) {
                let fresh = ledger.add(run);
                self.outcome.reordered += self.order.note(run, fresh);
                if !run.redelivered {
                    self.outcome.duplicated += run.end - run.start - fresh;
                }
            }
        }
        self.shared.delivered.add(std::mem::take(&mut self.batch), now_us);
    }
}
