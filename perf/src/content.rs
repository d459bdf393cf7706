//! Follows a message with content (a delivery or a return) through its header and body frames, and
//! keeps only its stamp. Used by `consumer` and `publisher`.

use crate::error::Error;
use crate::frames;
use crate::stamp::Stamp;

/// Where in a message the stream is.
#[derive(Debug, Default)]
pub(crate) struct Content {
    expected: Expected,
    stamp: Option<Stamp>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Expected {
    #[default]
    Method,
    Header,
    /// This many bytes; `first` until some came.
    Body {
        left: u64,
        first: bool,
    },
}

impl Content {
    /// A method that is followed by content came.
    pub(crate) fn begin(&mut self) -> Result<(), Error> {
        if self.expected != Expected::Method {
            return Err(unexpected("a method inside a message"));
        }
        self.expected = Expected::Header;
        self.stamp = None;
        Ok(())
    }

    /// A header frame came. Returns whether the message is complete: it has no body.
    pub(crate) fn header(&mut self, payload: &[u8]) -> Result<bool, Error> {
        match (self.expected, frames::body_size(payload)) {
            (Expected::Header, Some(0)) => {
                self.expected = Expected::Method;
                Ok(true)
            }
            (Expected::Header, Some(left)) => {
                self.expected = Expected::Body { left, first: true };
                Ok(false)
            }
            _ => Err(unexpected("a content header")),
        }
    }

    /// A body frame came. Returns whether the message is complete.
    pub(crate) fn body(&mut self, payload: &[u8]) -> Result<bool, Error> {
        let Expected::Body { left, first } = self.expected else {
            return Err(unexpected("a content body"));
        };
        let Some(left) = left.checked_sub(payload.len() as u64) else {
            return Err(unexpected("more body than the header announced"));
        };
        if first {
            self.stamp = Stamp::decode(payload);
        }
        self.expected = match left {
            0 => Expected::Method,
            left => Expected::Body { left, first: false },
        };
        Ok(left == 0)
    }

    /// The stamp of the message that was just completed, if it has one.
    pub(crate) fn stamp(&self) -> Option<Stamp> {
        self.stamp
    }
}

fn unexpected(what: &str) -> Error {
    Error::Protocol(what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(size: u64) -> Vec<u8> {
        [&[0, 60, 0, 0][..], &size.to_be_bytes(), &[0, 0]].concat()
    }

    #[test]
    fn a_message_is_complete_when_its_body_is() {
        let stamp = Stamp { run: 1, publisher: 2, seq: 3, at_us: 4 };
        let mut content = Content::default();
        content.begin().unwrap();
        assert!(!content.header(&header(20)).unwrap());
        assert!(!content.body(&stamp.encode()).unwrap());
        assert!(content.body(&[0; 4]).unwrap());
        assert_eq!(content.stamp(), Some(stamp));
    }

    #[test]
    fn an_empty_message_has_no_stamp() {
        let mut content = Content::default();
        content.begin().unwrap();
        assert!(content.header(&header(0)).unwrap());
        assert_eq!(content.stamp(), None);
    }

    #[test]
    fn frames_out_of_place_are_refused() {
        assert!(Content::default().header(&header(1)).is_err());
        assert!(Content::default().body(&[1]).is_err());
        let mut content = Content::default();
        content.begin().unwrap();
        assert!(content.begin().is_err());
        content.header(&header(1)).unwrap();
        assert!(content.body(&[1, 2]).is_err());
    }
}
