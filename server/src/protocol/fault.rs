//! What went wrong, in the form the peer is told: the fields of `channel.close` and
//! `connection.close` (specification sections 1.5.2.5 and 1.4.2.10). Made wherever a rule is
//! broken, sent by the connection.

use super::reply_code::ReplyCode;
use super::wire::SHORT_STRING_MAX;
use amq_protocol::types::ShortString;
use std::borrow::Cow;
use std::fmt;

/// What a fault closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reach {
    /// Its channel, with `channel.close`; the connection goes on.
    Channel,
    /// The whole connection, with `connection.close` on channel 0.
    Connection,
}

/// A broken rule of the protocol or of the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What it closes. From the code, unless [`into_connection`](Self::into_connection) has widened
    /// it.
    pub reach: Reach,
    /// The reply code.
    pub code: ReplyCode,
    /// What RabbitMQ calls the explanation: the part of the reply text after the name. Empty for
    /// none.
    pub explanation: Cow<'static, str>,
    /// The class of the method that failed; 0 when it was none.
    pub class_id: u16,
    /// The method that failed; 0 when it was none.
    pub method_id: u16,
}

impl Fault {
    /// A fault of no particular method, which closes what its code closes.
    #[must_use]
    pub fn new(code: ReplyCode, explanation: impl Into<Cow<'static, str>>) -> Self {
        Self {
            reach: code.reach(),
            code,
            explanation: explanation.into(),
            class_id: 0,
            method_id: 0,
        }
    }

    /// 541 without an explanation: RabbitMQ's answer to whatever it did not foresee.
    #[must_use]
    pub fn internal_error() -> Self {
        Self::new(ReplyCode::InternalError, "")
    }

    /// 501, RabbitMQ's answer to a name in a method that is not UTF-8.
    #[must_use]
    pub fn malformed_utf8() -> Self {
        Self::new(ReplyCode::FrameError, "Malformed UTF-8 in shortstr")
    }

    /// The same fault, naming the method that failed.
    #[must_use]
    pub fn with_method(mut self, (class_id, method_id): (u16, u16)) -> Self {
        self.class_id = class_id;
        self.method_id = method_id;
        self
    }

    /// The same fault, closing the connection: whatever goes wrong on channel 0 does.
    #[must_use]
    pub fn into_connection(mut self) -> Self {
        self.reach = Reach::Connection;
        self
    }

    /// The reply text as it goes on the wire: `NAME - explanation`, or the name alone when there is
    /// no explanation. A text that does not fit in a short string ends in three dots, as RabbitMQ's
    /// does.
    #[must_use]
    pub fn reply_text(&self) -> ShortString {
        const ELLIPSIS: &str = "...";
        let mut text = self.to_string();
        if text.len() > SHORT_STRING_MAX {
            text.truncate(text.floor_char_boundary(SHORT_STRING_MAX - ELLIPSIS.len()));
            text.push_str(ELLIPSIS);
        }
        ShortString::from(text)
    }
}

impl fmt::Display for Fault {
    /// The whole reply text, uncut: for the log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code.name())?;
        if self.explanation.is_empty() {
            return Ok(());
        }
        write!(f, " - {}", self.explanation)
    }
}

impl std::error::Error for Fault {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_reach_follows_the_code_until_widened() {
        let soft = Fault::new(ReplyCode::NotFound, "no queue 'q' in vhost '/'");
        assert_eq!(soft.reach, Reach::Channel);
        assert_eq!(soft.into_connection().reach, Reach::Connection);
        assert_eq!(Fault::new(ReplyCode::NotAllowed, "x").reach, Reach::Connection);
    }

    #[test]
    fn the_reply_text_is_the_name_and_the_explanation() {
        let table = [
            (
                Fault::new(ReplyCode::NotFound, "no queue 'q' in vhost '/'"),
                "NOT_FOUND - no queue 'q' in vhost '/'",
            ),
            (Fault::internal_error(), "INTERNAL_ERROR"),
            (Fault::malformed_utf8(), "FRAME_ERROR - Malformed UTF-8 in shortstr"),
        ];
        for (fault, text) in table {
            assert_eq!(fault.reply_text().as_str(), text);
        }
    }

    #[test]
    fn the_method_that_failed_is_named() {
        let fault = Fault::new(ReplyCode::NotFound, "x").with_method((50, 10));
        assert_eq!((fault.class_id, fault.method_id), (50, 10));
    }

    proptest! {
        #[test]
        fn a_reply_text_always_fits_and_is_cut_only_when_it_must_be(explanation in "\\PC{0,300}") {
            let fault = Fault::new(ReplyCode::NotFound, explanation);
            let whole = fault.to_string();
            let text = fault.reply_text();
            prop_assert!(text.as_str().len() <= SHORT_STRING_MAX);
            if whole.len() <= SHORT_STRING_MAX {
                prop_assert_eq!(text.as_str(), whole);
            } else {
                let kept = text.as_str().strip_suffix("...").expect("three dots");
                prop_assert!(whole.starts_with(kept));
                // A character has at most four bytes, so that much at most is lost at the cut.
                prop_assert!(kept.len() >= SHORT_STRING_MAX - 3 - 3);
            }
        }
    }
}
