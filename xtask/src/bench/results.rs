//! What a session of measurements found out, as text and as JSON.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::figures::{FIGURES, Figure};
use super::rows::Row;
use super::subject::Subject;

/// All that was measured in one go.
#[derive(Debug)]
pub(super) struct Session {
    /// The version of RabbitMQ, if it took part.
    pub(super) rabbitmq: Option<String>,
    /// Runs of each row.
    pub(super) runs: u32,
    /// Seconds measured in each.
    pub(super) duration_s: u32,
    /// Seconds before these.
    pub(super) warmup_s: u32,
    /// The rows that are done.
    pub(super) measured: Vec<Measured>,
}

/// A row, and the reports of its runs against each subject. A subject that cannot do the load has none.
#[derive(Debug)]
pub(super) struct Measured {
    /// The load.
    pub(super) row: Row,
    /// In the order in which they are shown: the first is compared with the others.
    pub(super) reports: Vec<(Subject, Reports)>,
}

/// Of the runs against one subject.
#[derive(Debug, Default)]
pub(super) struct Reports(Vec<Value>);

impl Reports {
    /// Adds what a run reported, if it could be done.
    pub(super) fn push(&mut self, report: Option<Value>) {
        self.0.extend(report);
    }
}

impl Measured {
    /// Nothing measured yet.
    pub(super) fn new(row: Row, subjects: &[Subject]) -> Self {
        let reports = subjects.iter().map(|subject| (*subject, Reports::default())).collect();
        Self { row, reports }
    }

    /// The median of a figure for a subject.
    pub(super) fn median(&self, figure: &Figure, subject: Subject) -> Option<f64> {
        let (_, Reports(reports)) = self.reports.iter().find(|(known, _)| *known == subject)?;
        figure.median(reports)
    }

    /// A table: a line a figure, a column a subject, and then how many times better the first is than each other, or than
    /// the row that it should be as fast as.
    pub(super) fn text(&self, session: &Session) -> String {
        let base =
            session.measured.iter().find(|base| Some(base.row.name.as_str()) == self.row.base);
        let mut text = format!("{}: {}\n{:<24}", self.row.name, self.row.title, "");
        for (subject, _) in &self.reports {
            let _infallible = write!(text, "{:>14}", subject.name());
        }
        for (subject, _) in self.reports.iter().skip(1) {
            let _infallible = write!(text, "{:>14}", format!("x {}", subject.name()));
        }
        if let Some(base) = base {
            let _infallible = write!(text, "{:>14}", format!("x {}", base.row.name));
        }
        for figure in &FIGURES {
            text.push_str(&self.line(figure, base).unwrap_or_default());
        }
        text
    }

    fn line(&self, figure: &Figure, base: Option<&Self>) -> Option<String> {
        let (first, _) = self.reports.first()?;
        let ours = self.median(figure, *first)?;
        let mut line = format!("\n  {:<22}", figure.name);
        let mut ratios = String::new();
        for (index, (subject, _)) in self.reports.iter().enumerate() {
            let theirs = self.median(figure, *subject);
            let value = theirs.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"));
            let _infallible = write!(line, "{value:>14}");
            if index > 0 {
                ratios.push_str(&ratio(figure, ours, theirs));
            }
        }
        if let Some(base) = base {
            ratios.push_str(&ratio(figure, ours, base.median(figure, *first)));
        }
        Some(line + &ratios)
    }

    fn json(&self) -> Value {
        let subject = |(subject, _): &(Subject, Reports)| {
            let figures: Map<String, Value> = FIGURES
                .iter()
                .filter_map(|figure| {
                    let value = self.median(figure, *subject)?;
                    Some((figure.name.to_owned(), json!((value * 1e3).round() / 1e3)))
                })
                .collect();
            (subject.name().to_owned(), Value::Object(figures))
        };
        json!({
            "row": self.row.name,
            "title": self.row.title,
            "load": self.row.load.join(" "),
            "medians": self.reports.iter().map(subject).collect::<Map<_, _>>(),
        })
    }
}

fn ratio(figure: &Figure, ours: f64, theirs: Option<f64>) -> String {
    let text =
        theirs.map_or_else(|| "-".to_owned(), |value| format!("{:.2}", figure.ratio(ours, value)));
    format!("{text:>14}")
}

impl Session {
    /// What was compared, and how.
    pub(super) fn headline(&self) -> String {
        let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
        let rabbitmq = match &self.rabbitmq {
            Some(version) => format!(", RabbitMQ {version}"),
            None => String::new(),
        };
        format!(
            "Leveret {}{rabbitmq}: medians of {} runs, {} s each after {} s, broker and load on {cores} cores",
            env!("CARGO_PKG_VERSION"),
            self.runs,
            self.duration_s,
            self.warmup_s
        )
    }

    /// All of it.
    pub(super) fn json(&self) -> Value {
        let rows: Vec<Value> = self.measured.iter().map(Measured::json).collect();
        json!({ "session": self.headline(), "rows": rows })
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows;
    use super::*;

    /// Row A, with a run of each of these rates for Leveret and for RabbitMQ.
    fn measured(ours: f64, theirs: f64) -> Measured {
        let subjects = [Subject::Leveret, Subject::Rabbitmq, Subject::Relay];
        let mut measured = Measured::new(rows::scenario('A').unwrap(), &subjects);
        for (index, rate) in [ours, theirs].into_iter().enumerate() {
            let report = json!({ "delivered": { "per_second": rate } });
            measured.reports[index].1.push(Some(report));
        }
        measured.reports[2].1.push(None);
        measured
    }

    fn session(measured: Vec<Measured>) -> Session {
        Session { rabbitmq: None, runs: 1, duration_s: 8, warmup_s: 2, measured }
    }

    #[test]
    fn a_line_has_the_medians_and_the_ratios_and_a_dash_for_what_is_not_there() {
        let text = measured(1_000.0, 400.0).text(&session(Vec::new()));
        let line: Vec<_> = text.lines().last().unwrap().split_whitespace().collect();
        assert_eq!(line, ["delivered/s", "1000.00", "400.00", "-", "2.50", "-"]);
    }

    #[test]
    fn a_row_is_compared_with_its_base() {
        let mut row = measured(500.0, 400.0);
        row.row.base = Some("A");
        let text = row.text(&session(vec![measured(1_000.0, 1.0)]));
        assert!(text.ends_with(" 0.50"), "{text}");
    }

    #[test]
    fn the_json_has_every_median_by_row_and_subject() {
        let json = session(vec![measured(1_000.0, 400.0)]).json();
        assert_eq!(json.pointer("/rows/0/medians/RabbitMQ/delivered~1s"), Some(&json!(400.0)));
        assert_eq!(json.pointer("/rows/0/row"), Some(&json!("A")));
    }
}
