//! SASL mechanisms: from a client's response to a name and a password.

use std::fmt;
use std::str::FromStr;

use amq_protocol::types::{AMQPValue, FieldTable, parsing::parse_field_table};

use crate::protocol::field_table;

/// The mechanisms that a client may choose from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Mechanism {
    /// RFC 4616: `authorization NUL name NUL password`.
    Plain,
    /// RabbitMQ's own: a field table without its length, with `LOGIN` and `PASSWORD`.
    AmqPlain,
}

impl Mechanism {
    /// In the order of `connection.start`.
    pub(crate) const NAMES: [&'static str; 2] = ["PLAIN", "AMQPLAIN"];
}

impl FromStr for Mechanism {
    type Err = ();

    fn from_str(name: &str) -> Result<Mechanism, ()> {
        match name {
            "PLAIN" => Ok(Mechanism::Plain),
            "AMQPLAIN" => Ok(Mechanism::AmqPlain),
            _ => Err(()),
        }
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Mechanism::Plain => "PLAIN",
            Mechanism::AmqPlain => "AMQPLAIN",
        })
    }
}

/// What a client says it is.
#[derive(Eq, PartialEq)]
pub(crate) struct Credentials {
    pub(crate) name: String,
    pub(crate) password: Vec<u8>,
}

/// Reads a response; the error says what is wrong with it.
pub(crate) fn credentials(
    mechanism: Mechanism,
    response: &[u8],
) -> Result<Credentials, &'static str> {
    match mechanism {
        Mechanism::Plain => plain(response),
        Mechanism::AmqPlain => amqplain(response),
    }
}

fn plain(response: &[u8]) -> Result<Credentials, &'static str> {
    let mut parts = response.split(|byte| *byte == 0);
    let (Some(_authorization), Some(name), Some(password), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err("expected three parts separated by NUL");
    };
    Ok(Credentials { name: utf8(name)?, password: password.to_vec() })
}

fn amqplain(response: &[u8]) -> Result<Credentials, &'static str> {
    field_table::check(response).map_err(|_| "not a field table")?;
    let length = u32::try_from(response.len()).map_err(|_| "too long")?;
    let table = [&length.to_be_bytes(), response].concat();
    let (_, table) = parse_field_table(&table[..]).map_err(|_| "not a field table")?;
    Ok(Credentials { name: utf8(&text(&table, "LOGIN")?)?, password: text(&table, "PASSWORD")? })
}

fn text(table: &FieldTable, name: &str) -> Result<Vec<u8>, &'static str> {
    match table.inner().get(name) {
        Some(AMQPValue::LongString(text)) => Ok(text.as_bytes().to_vec()),
        _ => Err("LOGIN and PASSWORD must be there, as long strings"),
    }
}

fn utf8(name: &[u8]) -> Result<String, &'static str> {
    String::from_utf8(name.to_vec()).map_err(|_| "the name is not UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_give_name_and_password() {
        let amqplain = b"\x05LOGINS\x00\x00\x00\x05guest\x08PASSWORDS\x00\x00\x00\x02pw";
        for (mechanism, response) in
            [(Mechanism::Plain, &b"\0guest\0pw"[..]), (Mechanism::AmqPlain, amqplain)]
        {
            let credentials = credentials(mechanism, response).ok().unwrap();
            assert_eq!((credentials.name.as_str(), &*credentials.password), ("guest", &b"pw"[..]));
        }
    }

    #[test]
    fn malformed_responses_are_refused() {
        for (mechanism, response) in [
            (Mechanism::Plain, &b"guest"[..]),
            (Mechanism::Plain, b"\0a\0b\0c"),
            (Mechanism::Plain, b"\0\xFF\0pw"),
            (Mechanism::AmqPlain, b"\x05LOGIN"),
            (Mechanism::AmqPlain, b"\x05LOGINS\x00\x00\x00\x05guest"),
        ] {
            assert!(credentials(mechanism, response).is_err(), "{response:?}");
        }
    }
}
