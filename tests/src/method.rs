//! Each method a client sends, as the enum the codec wants, and each request paired with the one reply it has.

use amq_protocol::protocol::{
    AMQPClass, access, basic, channel, confirm, connection, exchange, queue, tx,
};

/// A method that can be put into a frame.
pub trait Method {
    /// The method inside its class.
    fn into_class(self) -> AMQPClass;
}

/// A method the broker answers.
pub trait Request: Method {
    /// The answer.
    type Reply;
    /// The reply in `method`, if it is one to this request.
    fn reply(method: &AMQPClass) -> Option<Self::Reply>;
}

macro_rules! methods {
    ($($class:ident $module:ident: $($method:ident)*;)*) => {$($(
        impl Method for $module::$method {
            fn into_class(self) -> AMQPClass {
                AMQPClass::$class($module::AMQPMethod::$method(self))
            }
        }
    )*)*};
}

macro_rules! requests {
    ($($class:ident $module:ident: $($method:ident => $reply:ident),*;)*) => {$($(
        impl Request for $module::$method {
            type Reply = $module::$reply;
            fn reply(method: &AMQPClass) -> Option<Self::Reply> {
                match method {
                    AMQPClass::$class($module::AMQPMethod::$reply(reply)) => Some(reply.clone()),
                    _ => None,
                }
            }
        }
    )*)*};
}

methods! {
    Access access: Request;
    Basic basic: Ack Cancel CancelOk Consume Deliver Get Nack Publish Qos Recover RecoverAsync Reject;
    Channel channel: Close CloseOk Flow FlowOk Open OpenOk;
    Confirm confirm: Select;
    Connection connection: Close CloseOk Open SecureOk StartOk Tune TuneOk UpdateSecret;
    Exchange exchange: Bind Declare Delete Unbind;
    Queue queue: Bind Declare DeclareOk Delete Purge Unbind;
    Tx tx: Commit Rollback Select;
}

requests! {
    Access access: Request => RequestOk;
    Basic basic: Cancel => CancelOk, Consume => ConsumeOk, Qos => QosOk, Recover => RecoverOk;
    Channel channel: Close => CloseOk, Flow => FlowOk, Open => OpenOk;
    Confirm confirm: Select => SelectOk;
    Connection connection: Close => CloseOk, Open => OpenOk, UpdateSecret => UpdateSecretOk;
    Exchange exchange: Bind => BindOk, Declare => DeclareOk, Delete => DeleteOk, Unbind => UnbindOk;
    Queue queue: Bind => BindOk, Declare => DeclareOk, Delete => DeleteOk, Purge => PurgeOk, Unbind => UnbindOk;
    Tx tx: Commit => CommitOk, Rollback => RollbackOk, Select => SelectOk;
}
