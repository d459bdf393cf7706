//! How the broker ended a channel or a connection. Every refusal in AMQP 0-9-1 is one of these.

/// What the broker closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// `channel.close`: the connection goes on.
    Channel,
    /// `connection.close`.
    Connection,
    /// The socket, without a word; code and text are empty.
    Socket,
}

/// A closed channel, connection or socket, with the reason the broker gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// What was closed.
    pub scope: Scope,
    /// The reply code, 0 for a socket.
    pub code: u16,
    /// The reply text, whole.
    pub text: String,
}

impl Closed {
    /// The end of a TCP connection that no `connection.close` announced.
    pub fn socket() -> Self {
        Self { scope: Scope::Socket, code: 0, text: String::new() }
    }
}

/// A `channel.close` to compare with.
pub fn channel_closed(code: u16, text: impl Into<String>) -> Closed {
    Closed { scope: Scope::Channel, code, text: text.into() }
}

/// A `connection.close` to compare with.
pub fn connection_closed(code: u16, text: impl Into<String>) -> Closed {
    Closed { scope: Scope::Connection, code, text: text.into() }
}
