//! Every reply code a broker sends: number, name, and what it closes. One table, read by
//! [`Fault`](super::Fault) and by `basic.return`. Specification section 1.1; 311, 312 and 313 close
//! nothing on their own but count as soft.

use super::fault::Reach;

macro_rules! reply_codes {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $name:literal, $reach:ident;)*) => {
        /// Why the broker closes a channel or a connection, or returns a message. `reply-success`
        /// (200) is not here: it is the peer's word for "no error", and a broker never starts a
        /// close with it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ReplyCode {
            $($(#[$doc])* $variant,)*
        }

        impl ReplyCode {
            /// Every code, in the order of its number.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The number on the wire.
            #[must_use]
            pub const fn number(self) -> u16 {
                match self {
                    $(Self::$variant => $number,)*
                }
            }

            /// RabbitMQ's name, the first word of every reply text.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// What an error with this code closes: a soft one its channel, a hard one the
            /// connection.
            #[must_use]
            pub const fn reach(self) -> Reach {
                match self {
                    $(Self::$variant => Reach::$reach,)*
                }
            }
        }
    };
}

reply_codes! {
    /// The message is too large for what it was sent to.
    ContentTooLarge = 311, "CONTENT_TOO_LARGE", Channel;
    /// A mandatory message reached no queue; the code of `basic.return`.
    NoRoute = 312, "NO_ROUTE", Channel;
    /// An immediate message had no consumer to go to.
    NoConsumers = 313, "NO_CONSUMERS", Channel;
    /// An operator or a shutdown closes the connection.
    ConnectionForced = 320, "CONNECTION_FORCED", Connection;
    /// The client asked for a vhost that cannot be opened.
    InvalidPath = 402, "INVALID_PATH", Connection;
    /// The user may not do this.
    AccessRefused = 403, "ACCESS_REFUSED", Channel;
    /// No such queue, exchange or vhost.
    NotFound = 404, "NOT_FOUND", Channel;
    /// Another connection has the queue for itself.
    ResourceLocked = 405, "RESOURCE_LOCKED", Channel;
    /// The request contradicts what is there.
    PreconditionFailed = 406, "PRECONDITION_FAILED", Channel;
    /// The bytes are not a frame.
    FrameError = 501, "FRAME_ERROR", Connection;
    /// The frame is whole and its contents are not.
    SyntaxError = 502, "SYNTAX_ERROR", Connection;
    /// A method that may not be sent, or not now.
    CommandInvalid = 503, "COMMAND_INVALID", Connection;
    /// The channel is in a state where this may not happen.
    ChannelError = 504, "CHANNEL_ERROR", Connection;
    /// A frame that does not continue what came before it.
    UnexpectedFrame = 505, "UNEXPECTED_FRAME", Connection;
    /// The broker has no resources left for this.
    ResourceError = 506, "RESOURCE_ERROR", Connection;
    /// The request breaks a rule or a limit.
    NotAllowed = 530, "NOT_ALLOWED", Connection;
    /// AMQP has it and this broker, like RabbitMQ, does not.
    NotImplemented = 540, "NOT_IMPLEMENTED", Connection;
    /// Our defect, or a class or method that nobody knows.
    InternalError = 541, "INTERNAL_ERROR", Connection;
}

#[cfg(test)]
mod tests {
    use super::*;
    use amq_protocol::protocol::AMQPErrorKind;

    #[test]
    fn the_table_agrees_with_amq_protocol() {
        for code in ReplyCode::ALL {
            let theirs =
                AMQPErrorKind::from_id(code.number()).expect("amq-protocol knows the code");
            let reach = match theirs {
                AMQPErrorKind::Soft(_) => Reach::Channel,
                AMQPErrorKind::Hard(_) => Reach::Connection,
            };
            assert_eq!(code.reach(), reach, "{}", code.name());
            let name = theirs.to_string().replace('-', "_");
            assert!(name.ends_with(code.name()), "{name} is not {}", code.name());
        }
    }

    #[test]
    fn no_code_of_amq_protocol_is_missing() {
        let known: Vec<u16> = ReplyCode::ALL.iter().map(|code| code.number()).collect();
        let theirs: Vec<u16> =
            (0..1000).filter(|id| AMQPErrorKind::from_id(*id).is_some()).collect();
        assert_eq!(known, theirs);
    }
}
