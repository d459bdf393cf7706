//! Classes `channel`, `confirm` and `tx` (specification sections 1.5 and 1.9, RabbitMQ's confirms), and RabbitMQ's `access.request`.

use amq_protocol::protocol::channel::{AMQPMethod as ChannelMethod, CloseOk, FlowOk};
use amq_protocol::protocol::confirm::{AMQPMethod as ConfirmMethod, SelectOk};
use amq_protocol::protocol::tx::{self as tx_class, AMQPMethod as TxMethod};
use amq_protocol::protocol::{AMQPClass, access};
use leveret_persistence::Change;

use super::Mode;
use super::basic::encode_no_route;
use super::confirms::Confirms;
use super::exchange::unimplemented;
use super::publish::{Routed, due, outgoing};
use super::tx::Tx;
use crate::clock;
use crate::connection::Connection;
use crate::protocol::{Fault, ReplyCode};
use crate::queue::state::Outcome;
use crate::storage::awaited;
use crate::vhost::admission::admit;
use crate::vhost::dispatch::{Verdict, dispatch};
use crate::vhost::refusals;
use crate::vhost::relay::batch_of;

impl Connection {
    /// Carries out a method of class `channel` on an open channel.
    pub(crate) async fn channel_method(
        &mut self,
        number: u16,
        method: ChannelMethod,
    ) -> Result<(), Fault> {
        match method {
            ChannelMethod::Open(_) => {
                Err(Fault::new(ReplyCode::ChannelError, "second 'channel.open' seen"))
            }
            ChannelMethod::Flow(flow) if flow.active => {
                let ok = FlowOk { active: true };
                self.send(number, AMQPClass::Channel(ChannelMethod::FlowOk(ok)));
                Ok(())
            }
            ChannelMethod::Flow(_) => Err(Fault::new(ReplyCode::NotImplemented, "active=false")),
            ChannelMethod::Close(_) => {
                self.close_channel(number).await;
                self.send(number, AMQPClass::Channel(ChannelMethod::CloseOk(CloseOk {})));
                Ok(())
            }
            ChannelMethod::CloseOk(_) => Ok(()),
            ChannelMethod::OpenOk(_) | ChannelMethod::FlowOk(_) => Err(unimplemented()),
        }
    }

    /// `access.request` of old clients: granted, as RabbitMQ does; permissions are checked where they are used.
    pub(crate) fn access_method(
        &mut self,
        number: u16,
        method: &access::AMQPMethod,
    ) -> Result<(), Fault> {
        match method {
            access::AMQPMethod::Request(_) => {
                let ok = access::AMQPMethod::RequestOk(access::RequestOk {});
                self.send(number, AMQPClass::Access(ok));
                Ok(())
            }
            access::AMQPMethod::RequestOk(_) => Err(unimplemented()),
        }
    }

    /// Carries out `confirm.select`.
    pub(crate) fn confirm_method(
        &mut self,
        number: u16,
        method: &ConfirmMethod,
    ) -> Result<(), Fault> {
        let ConfirmMethod::Select(select) = method else {
            return Err(unimplemented());
        };
        if let Some(channel) = self.channel(number) {
            match channel.mode {
                Mode::Plain => channel.mode = Mode::Confirm(Confirms::default()),
                Mode::Confirm(_) => {}
                Mode::Tx(_) => return Err(refused("cannot switch from tx to confirm mode")),
            }
        }
        let ok = ConfirmMethod::SelectOk(SelectOk {});
        self.reply(number, select.nowait, AMQPClass::Confirm(ok));
        Ok(())
    }

    /// Carries out a method of class `tx`.
    pub(crate) async fn tx_method(&mut self, number: u16, method: &TxMethod) -> Result<(), Fault> {
        let ok = match method {
            TxMethod::Select(_) => {
                self.tx_select(number)?;
                TxMethod::SelectOk(tx_class::SelectOk {})
            }
            TxMethod::Commit(_) => {
                self.tx_commit(number).await?;
                TxMethod::CommitOk(tx_class::CommitOk {})
            }
            TxMethod::Rollback(_) => {
                self.tx_rollback(number)?;
                TxMethod::RollbackOk(tx_class::RollbackOk {})
            }
            TxMethod::SelectOk(_) | TxMethod::CommitOk(_) | TxMethod::RollbackOk(_) => {
                return Err(unimplemented());
            }
        };
        self.send(number, AMQPClass::Tx(ok));
        Ok(())
    }

    fn tx_select(&mut self, number: u16) -> Result<(), Fault> {
        let Some(channel) = self.channel(number) else {
            return Ok(());
        };
        match channel.mode {
            Mode::Plain => channel.mode = Mode::Tx(Tx::default()),
            Mode::Tx(_) => {}
            Mode::Confirm(_) => return Err(refused("cannot switch from confirm to tx mode")),
        }
        Ok(())
    }

    /// Everything of the transaction in one store batch, over all its queues; then the queues hear of it.
    async fn tx_commit(&mut self, number: u16) -> Result<(), Fault> {
        let (mut published, settled) = self.tx(number)?.take();
        let storage = self.node.storage.clone();
        // What is rejected may have to go elsewhere, which its queue sees to.
        let gone = settled.iter().filter(|(_, outcome)| *outcome == Outcome::Ack);
        let settles = gone.map(|(unsettled, _)| Change::Settle {
            queue: unsettled.queue.id,
            ids: vec![unsettled.id..=unsettled.id],
        });
        let settles = settles.collect::<Vec<_>>();
        let (out, frame_max) = (self.out.buffer(), self.frame_max);
        for routed in published.iter().filter(|routed| routed.returned) {
            encode_no_route(out, number, &routed.outgoing.message, frame_max);
        }
        storage.committer.room().await;
        let mut admission = admit(&self.vhost, outgoing(&mut published), clock::now_ms()).await;
        let is_partial = published.iter().any(|r| r.outgoing.verdict == Verdict::Refused);
        let mut batch = batch_of(&mut admission);
        batch.changes.extend(settles);
        let (batch, written) = awaited(batch);
        let dead = std::mem::take(&mut admission.dead);
        let count = published.len() + dead.len();
        let published = published.into_iter().filter(Routed::is_due);
        let messages = due(&self.vhost, published).chain(dead);
        dispatch(&storage, count, messages, batch).await;
        drop(admission);
        let written = written.await;
        let Some(channel) = self.channel(number) else {
            return Ok(());
        };
        let counted = settled.iter().filter(|(unsettled, _)| unsettled.counted).count();
        channel.limit.release(super::queue::count(counted));
        let id = channel.id;
        for (unsettled, outcome) in settled {
            self.settlements.add(id, unsettled, outcome);
        }
        self.settlements.send(true).await;
        self.channel_freed(number).await;
        match written {
            Ok(Ok(_)) if is_partial => Err(refused("partial tx completion")),
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(refusals::store_failed()),
        }
    }

    fn tx_rollback(&mut self, number: u16) -> Result<(), Fault> {
        let settled = self.tx(number)?.take_settled();
        if let Some(channel) = self.channel(number) {
            for unsettled in settled {
                channel.outstanding.put_back(unsettled);
            }
        }
        Ok(())
    }

    fn tx(&mut self, number: u16) -> Result<&mut Tx, Fault> {
        match self.channel(number).map(|channel| &mut channel.mode) {
            Some(Mode::Tx(tx)) => Ok(tx),
            _ => Err(refused("channel is not transactional")),
        }
    }
}

fn refused(text: &'static str) -> Fault {
    Fault::new(ReplyCode::PreconditionFailed, text)
}
