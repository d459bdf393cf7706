//! What a run found out, as JSON (the fields are the keys) and as text. Filled by `summary`, `idle`
//! and `run`; the exit status follows from it.

use serde::Serialize;

use crate::latency::Latency;

/// The result of a run. In JSON, what does not apply to a run is left out.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// What the broker calls itself, such as `RabbitMQ 4.3.6`.
    pub broker: String,
    /// Where it is, without the password.
    pub uri: String,
    /// The preset, if one was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scenario: Option<String>,
    /// What was run, in words.
    pub load: String,
    /// What ended the run early, if something did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How long was measured, in seconds.
    pub measured_s: f64,
    /// Handed to the socket by publishers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub published: Option<Rate>,
    /// Acknowledged by the broker to publishers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirmed: Option<Rate>,
    /// Received by consumers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivered: Option<Rate>,
    /// From handing a message to the socket to its `basic.ack`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirm_latency: Option<Percentiles>,
    /// From handing a message to the socket to reading it from the consumer's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_to_end_latency: Option<Percentiles>,
    /// What became of the messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verification: Option<Verification>,
    /// How long the broker blocked publishers (`connection.blocked`), in seconds, summed over them.
    #[serde(skip_serializing_if = "is_zero")]
    pub blocked_s: f64,
    /// CPU time of this tool for each message published or delivered, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_cpu_us: Option<f64>,
    /// CPU time of the broker for each message, in microseconds (`--broker-pid`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broker_cpu_us: Option<f64>,
    /// The most memory the broker held, in bytes (`--broker-pid`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broker_peak_memory: Option<u64>,
    /// What opening connections took (`--connections-only`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections: Option<Steps>,
    /// What declaring queues took (`--declare-only`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub declared: Option<Steps>,
    /// What binding queues took (`--declare-only`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bound: Option<Steps>,
    /// What deleting queues took (`--declare-only`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleted: Option<Steps>,
}

/// How many, and how fast.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Rate {
    /// Of the whole run, with its warm-up.
    pub total: u64,
    /// While measured.
    pub per_second: f64,
    /// While measured, in megabytes (10^6) of bodies.
    pub megabytes_per_second: f64,
}

/// A latency distribution, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Percentiles {
    /// Half of the messages took no longer.
    pub p50_ms: f64,
    /// 95 % took no longer.
    pub p95_ms: f64,
    /// 99 % took no longer.
    pub p99_ms: f64,
    /// 99.9 % took no longer.
    pub p999_ms: f64,
    /// None took longer.
    pub max_ms: f64,
}

/// A number of equal steps, one after the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Steps {
    /// How many succeeded.
    pub count: u64,
    /// How many a second.
    pub per_second: f64,
    /// How long each took, if that was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency: Option<Percentiles>,
}

/// What became of the messages.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Verification {
    /// Whether loss could be judged: the run came to its end, and the queues were consumed.
    pub complete: bool,
    /// Deliveries that were due, over all queues.
    pub expected: u64,
    /// Due and never delivered.
    pub lost: u64,
    /// Delivered more than once without being marked as redelivered.
    pub duplicated: u64,
    /// Delivered after a later message of the same publisher, queue and consumer.
    pub reordered: u64,
    /// Marked as redelivered.
    pub redelivered: u64,
    /// Not of this run, or not for the queue it was in.
    pub foreign: u64,
    /// Found in queues whose bindings do not match (`--bindings`).
    pub misrouted: u64,
    /// Refused by the broker with `basic.nack`.
    pub refused: u64,
    /// Returned by the broker as unroutable.
    pub returned: u64,
    /// Neither confirmed nor refused when the run ended.
    pub unconfirmed: u64,
    /// Where something was lost; at most ten.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub losses: Vec<Loss>,
}

/// Messages of one publisher that one queue did not deliver.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Loss {
    /// The queue.
    pub queue: String,
    /// The publisher's index.
    pub publisher: u16,
    /// How many.
    pub lost: u64,
    /// The first of them, by the publisher's message number from 0.
    pub first: Vec<u64>,
}

impl Report {
    /// The exit status: 0 all good, 1 messages lost, doubled, out of order or misrouted, 2 ended
    /// early.
    pub fn status(&self) -> u8 {
        match (&self.error, &self.verification) {
            (Some(_), _) => 2,
            (None, Some(found)) if found.is_wrong() => 1,
            (None, _) => 0,
        }
    }
}

impl Verification {
    /// Whether the broker broke a promise.
    pub fn is_wrong(&self) -> bool {
        self.lost + self.duplicated + self.reordered + self.misrouted > 0
    }
}

impl Percentiles {
    /// `None` if nothing was recorded.
    pub(crate) fn of(latency: &Latency) -> Option<Self> {
        // The histogram rounds the bounds of its classes up, so the maximum is no lower bound.
        let at = |quantile| millis(latency.quantile_us(quantile).min(latency.max_us()));
        (latency.count() > 0).then(|| Self {
            p50_ms: at(0.5),
            p95_ms: at(0.95),
            p99_ms: at(0.99),
            p999_ms: at(0.999),
            max_ms: millis(latency.max_us()),
        })
    }
}

fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

/// Three decimals: more would be noise.
pub(crate) fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

fn millis(us: u64) -> f64 {
    // At most ten minutes: exact.
    us as f64 / 1_000.0
}

/// Thousands with commas.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        let numbers = [0, 999, 1_000, 12_345, 1_234_567].map(grouped);
        assert_eq!(numbers, ["0", "999", "1,000", "12,345", "1,234,567"]);
    }

    #[test]
    fn the_status_tells_an_early_end_from_a_broken_promise() {
        let mut report = Report::default();
        assert_eq!(report.status(), 0);
        report.verification = Some(Verification { lost: 1, ..Verification::default() });
        assert_eq!(report.status(), 1);
        report.error = Some("closed".to_owned());
        assert_eq!(report.status(), 2);
    }

    #[test]
    fn what_does_not_apply_is_left_out_of_the_json() {
        let json = serde_json::to_value(Report::default()).unwrap();
        let keys: Vec<_> = json.as_object().unwrap().keys().cloned().collect();
        assert_eq!(keys, ["broker", "load", "measured_s", "uri"]);
    }
}
