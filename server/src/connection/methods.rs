//! Methods by class: those of channel 0, and the hand-over of the others to `channel`.

use amq_protocol::protocol::AMQPClass;
use amq_protocol::protocol::channel::{AMQPMethod as ChannelMethod, OpenOk};
use amq_protocol::protocol::connection::{AMQPMethod, CloseOk, UpdateSecretOk};

use super::frames::Next;
use super::{ChannelId, Connection, Slot};
use crate::channel::Channel;
use crate::protocol::method::decode_method;
use crate::protocol::{Fault, ReplyCode};

impl Connection {
    /// A method on channel 0.
    pub(super) async fn connection_method(&mut self, payload: &[u8]) -> Result<Next, Fault> {
        let AMQPClass::Connection(method) = decode_method(payload)? else {
            return Err(unexpected());
        };
        match method {
            AMQPMethod::Close(close) => {
                tracing::debug!(
                    connection = self.id.0,
                    code = close.reply_code,
                    text = close.reply_text.as_str(),
                    "closed by the client"
                );
                self.send_gathered().await;
                self.close_everything().await;
                self.send(0, AMQPClass::Connection(AMQPMethod::CloseOk(CloseOk {})));
                Ok(Next::Closed)
            }
            AMQPMethod::UpdateSecret(_) => {
                // A password does not expire: as RabbitMQ's internal users, accepted and not needed.
                let ok = AMQPMethod::UpdateSecretOk(UpdateSecretOk {});
                self.send(0, AMQPClass::Connection(ok));
                Ok(Next::GoOn)
            }
            AMQPMethod::Start(_)
            | AMQPMethod::StartOk(_)
            | AMQPMethod::Secure(_)
            | AMQPMethod::SecureOk(_)
            | AMQPMethod::Tune(_)
            | AMQPMethod::TuneOk(_)
            | AMQPMethod::Open(_)
            | AMQPMethod::OpenOk(_)
            | AMQPMethod::CloseOk(_)
            | AMQPMethod::Blocked(_)
            | AMQPMethod::Unblocked(_)
            | AMQPMethod::UpdateSecretOk(_) => Err(unexpected()),
        }
    }

    /// `channel.open` of a number that is free. The limit is on how many are open, not on the number, as in RabbitMQ.
    pub(super) fn open_channel(&mut self, number: u16) -> Result<(), Fault> {
        let (open, max) = (self.channels.len(), self.channel_max);
        if max != 0 && open >= usize::from(max) {
            let text = format!(
                "number of channels opened ({open}) has reached the negotiated channel_max ({max})"
            );
            return Err(Fault::new(ReplyCode::NotAllowed, text));
        }
        let limit = self.access.user().limits.max_channels;
        let counted = self.admitted.open_channel(limit).map_err(|limit| {
            let text = format!(
                "number of channels opened for user '{}' has reached the maximum allowed user limit of {limit}",
                self.access.user_name()
            );
            Fault::new(ReplyCode::NotAllowed, text)
        })?;
        let id = ChannelId { serial: self.node.next_channel_serial(), number };
        self.channels.insert(number, Slot::Open(Box::new(Channel::new(id, counted))));
        self.send(number, AMQPClass::Channel(ChannelMethod::OpenOk(OpenOk {})));
        Ok(())
    }

    /// A method on an open channel, other than the hot ones.
    pub(super) async fn open_channel_method(
        &mut self,
        number: u16,
        method: AMQPClass,
    ) -> Result<(), Fault> {
        match method {
            AMQPClass::Basic(method) => self.basic_method(number, method).await,
            AMQPClass::Exchange(method) => self.exchange_method(number, method).await,
            AMQPClass::Queue(method) => self.queue_method(number, method).await,
            AMQPClass::Channel(method) => self.channel_method(number, method).await,
            AMQPClass::Confirm(method) => self.confirm_method(number, &method),
            AMQPClass::Tx(method) => self.tx_method(number, &method).await,
            AMQPClass::Access(method) => self.access_method(number, &method),
            AMQPClass::Connection(_) => {
                Err(Fault::new(ReplyCode::CommandInvalid, "unimplemented method"))
            }
        }
    }
}

fn unexpected() -> Fault {
    Fault::new(ReplyCode::ChannelError, "unexpected method in connection state running")
}
