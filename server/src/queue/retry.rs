//! `x-retry-delays`: when a rejected message comes again, and when it has had all its chances. Called
//! by the queue: once to read the argument, then for each message that is rejected.

use std::time::Duration;

use amq_protocol::types::AMQPValue;

use super::arguments::integer_of;

/// Delays in one schedule.
pub(crate) const STEPS_MAX: usize = 64;

/// The longest delay, in milliseconds: 365 days.
pub(crate) const DELAY_MAX_MS: u64 = 365 * DAY_MS;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// The most of a delay by which it is made shorter or longer, so that what was rejected together
/// does not come back together: one part in so many.
const JITTER_PART: u64 = 10;

/// Bytes of a delay that an error quotes.
const QUOTED_BYTES_MAX: usize = 32;

/// Why a value is no schedule.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum RetryDelaysError {
    /// Neither a text nor an array.
    #[error("must be a text such as \"1s,10s,1m\" or an array of delays")]
    Type,
    /// No delay at all.
    #[error("has no delay")]
    Empty,
    /// More than [`STEPS_MAX`].
    #[error("has {0} delays, more than {STEPS_MAX}")]
    TooMany(usize),
    /// Not a number with a unit.
    #[error(
        "'{0}' is not a delay: a whole number, then ms, s, m, h, d or nothing for milliseconds"
    )]
    NotADelay(String),
    /// Not within 1 to [`DELAY_MAX_MS`].
    #[error("'{0}' is not between 1 ms and 365 d")]
    OutOfRange(String),
}

/// The delays before the first retry, the second, and so on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Schedule {
    delays_ms: Box<[u64]>,
}

impl Schedule {
    /// Reads the argument: a text of delays with commas between them, `1s,10s,1m,10m`, or an array
    /// whose values are such delays or integers, which are milliseconds.
    pub(crate) fn parse(value: &AMQPValue) -> Result<Self, RetryDelaysError> {
        let delays_ms: Box<[u64]> = match value {
            AMQPValue::LongString(text) => {
                let text = String::from_utf8_lossy(text.as_bytes());
                if text.trim().is_empty() {
                    return Err(RetryDelaysError::Empty);
                }
                check_len(text.split(',').count())?;
                text.split(',').map(delay_of_text).collect::<Result<_, _>>()?
            }
            AMQPValue::FieldArray(values) => {
                let values = values.as_slice();
                check_len(values.len())?;
                values.iter().map(delay_of_value).collect::<Result<_, _>>()?
            }
            _ => return Err(RetryDelaysError::Type),
        };
        Ok(Self { delays_ms })
    }

    /// The same from a policy: a text, or a list of texts and numbers.
    pub(crate) fn parse_json(value: &serde_json::Value) -> Result<Self, RetryDelaysError> {
        let one = |value: &serde_json::Value| match value {
            serde_json::Value::String(text) => Some(AMQPValue::LongString(text.as_str().into())),
            serde_json::Value::Number(number) => number.as_i64().map(AMQPValue::LongLongInt),
            _ => None,
        };
        let value = match value {
            serde_json::Value::Array(values) => {
                let values: Option<Vec<AMQPValue>> = values.iter().map(one).collect();
                values.map(|values| AMQPValue::FieldArray(values.into()))
            }
            other => one(other),
        };
        Self::parse(&value.ok_or(RetryDelaysError::Type)?)
    }

    /// How long a message that has been retried `retries` times waits for the next time: the delay,
    /// made up to a tenth shorter or longer by a `random` number. `None` when it has had them all.
    pub(crate) fn delay(&self, retries: u32, random: u64) -> Option<Duration> {
        let delay_ms = *self.delays_ms.get(usize::try_from(retries).ok()?)?;
        let jitter_ms = delay_ms / JITTER_PART;
        let delay_ms = delay_ms - jitter_ms + random % (2 * jitter_ms + 1);
        Some(Duration::from_millis(delay_ms))
    }
}

fn check_len(len: usize) -> Result<(), RetryDelaysError> {
    match len {
        0 => Err(RetryDelaysError::Empty),
        1..=STEPS_MAX => Ok(()),
        _ => Err(RetryDelaysError::TooMany(len)),
    }
}

fn delay_of_value(value: &AMQPValue) -> Result<u64, RetryDelaysError> {
    if let AMQPValue::LongString(text) = value {
        return delay_of_text(&String::from_utf8_lossy(text.as_bytes()));
    }
    let number = integer_of(value).ok_or(RetryDelaysError::Type)?;
    checked(u64::try_from(number).ok(), &number.to_string())
}

fn delay_of_text(text: &str) -> Result<u64, RetryDelaysError> {
    let text = text.trim();
    let unit_start = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(unit_start);
    let unit_ms = match unit.trim_start() {
        "" | "ms" => 1,
        "s" => 1000,
        "m" => 60 * 1000,
        "h" => 60 * 60 * 1000,
        "d" => DAY_MS,
        _ => 0,
    };
    if digits.is_empty() || unit_ms == 0 {
        return Err(RetryDelaysError::NotADelay(quoted(text)));
    }
    // What does not fit into an integer is out of range too.
    let delay_ms = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(unit_ms));
    checked(delay_ms, text)
}

fn checked(delay_ms: Option<u64>, text: &str) -> Result<u64, RetryDelaysError> {
    delay_ms
        .filter(|delay_ms| (1..=DELAY_MAX_MS).contains(delay_ms))
        .ok_or_else(|| RetryDelaysError::OutOfRange(quoted(text)))
}

fn quoted(text: &str) -> String {
    text.get(..text.floor_char_boundary(QUOTED_BYTES_MAX)).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::RetryDelaysError::{Empty, NotADelay, OutOfRange, TooMany, Type};
    use super::*;

    fn text(text: &str) -> AMQPValue {
        AMQPValue::LongString(text.into())
    }

    fn array(values: Vec<AMQPValue>) -> AMQPValue {
        AMQPValue::FieldArray(values.into())
    }

    #[test]
    fn delays_are_read_in_every_form() {
        let table: [(AMQPValue, &[u64]); 6] = [
            (text("1s,10s,1m,10m"), &[1_000, 10_000, 60_000, 600_000]),
            (text(" 5 , 5ms,2 h ,1d"), &[5, 5, 7_200_000, 86_400_000]),
            (text("365d"), &[DELAY_MAX_MS]),
            (array(vec![AMQPValue::LongInt(5), AMQPValue::LongLongInt(6)]), &[5, 6]),
            (array(vec![text("7s"), AMQPValue::ShortShortUInt(8)]), &[7_000, 8]),
            (array(vec![text("1"); STEPS_MAX]), &[1; STEPS_MAX]),
        ];
        for (value, delays_ms) in table {
            assert_eq!(*Schedule::parse(&value).unwrap().delays_ms, *delays_ms, "{value:?}");
        }
    }

    #[test]
    fn what_is_no_schedule_is_refused_for_what_is_wrong_with_it() {
        let not = |text: &str| NotADelay(text.to_owned());
        let out = |text: &str| OutOfRange(text.to_owned());
        let table = [
            (AMQPValue::LongInt(5), Type),
            (array(vec![AMQPValue::Boolean(true)]), Type),
            (text(""), Empty),
            (text("  "), Empty),
            (array(vec![]), Empty),
            (text(&"1,".repeat(64)), TooMany(65)),
            (array(vec![text("1"); 65]), TooMany(65)),
            (text("1s,,2s"), not("")),
            (text("1s,"), not("")),
            (text("soon"), not("soon")),
            (text("s"), not("s")),
            (text("-1s"), not("-1s")),
            (text("1.5s"), not("1.5s")),
            (text("1w"), not("1w")),
            (text("1S"), not("1S")),
            (text(&"é".repeat(100)), not(&"é".repeat(16))),
            (text("0"), out("0")),
            (text("366d"), out("366d")),
            (text("99999999999999999999d"), out("99999999999999999999d")),
            (text("18446744073709551615d"), out("18446744073709551615d")),
            (array(vec![AMQPValue::LongInt(-1)]), out("-1")),
            (array(vec![AMQPValue::LongInt(0)]), out("0")),
        ];
        for (value, error) in table {
            assert_eq!(Schedule::parse(&value), Err(error), "{value:?}");
        }
    }

    #[test]
    fn an_error_names_what_would_be_right() {
        assert_eq!(
            Schedule::parse(&text("1w")).unwrap_err().to_string(),
            "'1w' is not a delay: a whole number, then ms, s, m, h, d or nothing for milliseconds"
        );
    }

    #[test]
    fn each_retry_waits_for_its_step_and_after_the_last_there_is_none() {
        let schedule = Schedule::parse(&text("5,1s")).unwrap();
        // Delays of less than ten milliseconds are too short to vary.
        assert_eq!(schedule.delay(0, u64::MAX), Some(Duration::from_millis(5)));
        assert_eq!(schedule.delay(1, 100), Some(Duration::from_secs(1)));
        assert_eq!(schedule.delay(2, 0), None);
        assert_eq!(schedule.delay(u32::MAX, 0), None);
    }

    #[test]
    fn every_jitter_from_a_tenth_less_to_a_tenth_more_is_possible() {
        let schedule = Schedule::parse(&text("1s")).unwrap();
        for random in 0..=200 {
            assert_eq!(schedule.delay(0, random), Some(Duration::from_millis(900 + random)));
        }
    }

    proptest! {
        #[test]
        fn the_jitter_is_a_tenth_at_most(delay_ms in 1..=DELAY_MAX_MS, random in any::<u64>()) {
            let schedule = Schedule::parse(&text(&delay_ms.to_string())).unwrap();
            let waits = schedule.delay(0, random).unwrap().as_millis();
            let delay_ms = u128::from(delay_ms);
            prop_assert!(waits.abs_diff(delay_ms) <= delay_ms / 10, "{waits} of {delay_ms}");
        }

        #[test]
        fn any_text_is_a_schedule_or_an_error(noise in "[0-9smhd ,é-]{0,40}") {
            if let Ok(schedule) = Schedule::parse(&text(&noise)) {
                prop_assert!(schedule.delay(0, 0).is_some());
            }
        }
    }
}
