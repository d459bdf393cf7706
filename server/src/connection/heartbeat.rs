//! Heartbeats of one connection (specification section 4.2.7): when to send one, and when the client is gone.
//! Pure: the task brings the time.

use std::time::{Duration, Instant};

/// What to do now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Beat {
    Nothing,
    /// Nothing was written for a while: send a heartbeat.
    Send,
    /// Two intervals without a byte from the client.
    Missed,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Heartbeat {
    interval: Duration,
    last_read: Instant,
    last_written: Instant,
}

impl Heartbeat {
    /// None if the interval is 0: then nothing is sent and nobody is missed.
    pub(super) fn new(interval_secs: u16, now: Instant) -> Option<Heartbeat> {
        let interval = Duration::from_secs(interval_secs.into());
        (interval_secs > 0).then_some(Heartbeat { interval, last_read: now, last_written: now })
    }

    /// How often to look: a heartbeat then goes out within the interval, as RabbitMQ's do.
    pub(super) fn period(&self) -> Duration {
        self.interval / 2
    }

    /// Something was read, or the broker chose not to read.
    pub(super) fn read(&mut self, now: Instant) {
        self.last_read = now;
    }

    pub(super) fn written(&mut self, now: Instant) {
        self.last_written = now;
    }

    /// To be asked every [`Heartbeat::period`].
    pub(super) fn beat(&self, now: Instant) -> Beat {
        if now.duration_since(self.last_read) > self.interval * 2 {
            Beat::Missed
        } else if now.duration_since(self.last_written) >= self.period() {
            Beat::Send
        } else {
            Beat::Nothing
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_client_is_missed_after_two_intervals_and_an_idle_one_gets_heartbeats() {
        let start = Instant::now();
        let at = |secs| start + Duration::from_secs(secs);
        let mut heartbeat = Heartbeat::new(10, start).unwrap();
        assert_eq!(heartbeat.beat(at(4)), Beat::Nothing);
        assert_eq!(heartbeat.beat(at(5)), Beat::Send);
        heartbeat.written(at(5));
        assert_eq!(heartbeat.beat(at(9)), Beat::Nothing);
        heartbeat.read(at(9));
        assert_eq!(heartbeat.beat(at(29)), Beat::Send);
        assert_eq!(heartbeat.beat(at(30)), Beat::Missed);
        assert!(Heartbeat::new(0, start).is_none());
    }
}
