//! Reads `amqp://user:password@host:port/vhost` as RabbitMQ's URI specification has it. Called for
//! `--uri`.

use std::fmt;
use std::str::FromStr;

/// Where the broker is and who we are to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uri {
    /// User name, percent-decoded; `guest` if absent.
    pub user: String,
    /// Password, percent-decoded; `guest` if absent.
    pub password: String,
    /// Host name or address; an IPv6 address without its brackets.
    pub host: String,
    /// TCP port; 5672 if absent.
    pub port: u16,
    /// Virtual host, percent-decoded; `/` if absent or empty.
    pub vhost: String,
}

impl Uri {
    /// Host and port as one string, for messages to people and for name resolution.
    pub fn address(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl FromStr for Uri {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rest = match text.split_once("://") {
            Some(("amqp", rest)) => rest,
            Some(("amqps", _)) => {
                return Err("amqps is not supported: use a plain amqp:// listener".to_owned());
            }
            Some((scheme, _)) => return Err(format!("unknown scheme '{scheme}': use amqp://")),
            None => return Err("expected amqp://user:password@host:port/vhost".to_owned()),
        };
        let rest = rest.split(['?', '#']).next().unwrap_or(rest);
        let (authority, vhost) = rest.split_once('/').unwrap_or((rest, ""));
        let (credentials, host_and_port) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
        let (host, port) = split_port(host_and_port)?;
        Ok(Self {
            user: or_default(percent_decode(user)?, "guest"),
            password: or_default(percent_decode(password)?, "guest"),
            host: or_default(percent_decode(host)?, "127.0.0.1"),
            port,
            // `amqp://host/` names the vhost "" by the letter, and the default one by intent.
            vhost: or_default(percent_decode(vhost)?, "/"),
        })
    }
}

impl fmt::Display for Uri {
    /// Without the password: this goes into reports.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let vhost = self.vhost.replace('%', "%25").replace('/', "%2f");
        write!(f, "amqp://{}@{}/{vhost}", self.user, self.address())
    }
}

fn or_default(text: String, default: &str) -> String {
    if text.is_empty() { default.to_owned() } else { text }
}

fn split_port(text: &str) -> Result<(&str, u16), String> {
    let (host, port) = if let Some(v6) = text.strip_prefix('[') {
        let (host, rest) = v6.split_once(']').ok_or("an IPv6 address needs its closing ']'")?;
        (host, rest.strip_prefix(':'))
    } else {
        match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        }
    };
    match port {
        None => Ok((host, 5672)),
        Some(port) => match port.parse() {
            Ok(port) => Ok((host, port)),
            Err(_) => Err(format!("'{port}' is not a port number")),
        },
    }
}

fn percent_decode(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|d| char::from(d).to_digit(16));
        let decoded =
            digit().zip(digit()).and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
        bytes.push(decoded.ok_or_else(|| format!("'{text}': '%' needs two hexadecimal digits"))?);
    }
    String::from_utf8(bytes).map_err(|_| format!("'{text}' is not UTF-8 once decoded"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, user: &str, password: &str, host: &str, port: u16, vhost: &str) {
        let uri: Uri = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
        let parts = (uri.user.as_str(), uri.password.as_str(), uri.host.as_str());
        assert_eq!(parts, (user, password, host), "{text}");
        assert_eq!((uri.port, uri.vhost.as_str()), (port, vhost), "{text}");
    }

    #[test]
    fn parts_left_out_take_rabbitmqs_defaults() {
        check("amqp://", "guest", "guest", "127.0.0.1", 5672, "/");
        check("amqp://mq.example", "guest", "guest", "mq.example", 5672, "/");
        check("amqp://mq.example/", "guest", "guest", "mq.example", 5672, "/");
        check("amqp://joe@mq:5673/%2f", "joe", "guest", "mq", 5673, "/");
    }

    #[test]
    fn parts_are_percent_decoded() {
        check("amqp://a%40b:p%3aq@h:1/v%2Fw", "a@b", "p:q", "h", 1, "v/w");
        check("amqp://h/caf%C3%A9?heartbeat=0", "guest", "guest", "h", 5672, "caf\u{e9}");
    }

    #[test]
    fn an_ipv6_address_is_taken_out_of_its_brackets() {
        check("amqp://u:p@[::1]:5673/x", "u", "p", "::1", 5673, "x");
        let uri: Uri = "amqp://[::1]".parse().unwrap();
        assert_eq!(uri.address(), "[::1]:5672");
    }

    #[test]
    fn what_is_not_an_amqp_uri_is_refused() {
        for text in [
            "",
            "localhost",
            "http://h",
            "amqps://h",
            "amqp://h:port",
            "amqp://h/%2",
            "amqp://h/%ff",
            "amqp://[::1",
        ] {
            assert!(text.parse::<Uri>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_password_is_not_shown() {
        let uri: Uri = "amqp://joe:secret@h/a%2fb".parse().unwrap();
        assert_eq!(uri.to_string(), "amqp://joe@h:5672/a%2fb");
    }
}
