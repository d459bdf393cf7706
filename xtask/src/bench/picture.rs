//! The results as a picture: SVG with bars on a logarithmic scale, a value at each bar, and how many times better Leveret
//! is. Colours follow the reader's preference for light or dark.

use std::fmt::Write as _;

use super::figures::Figure;
use super::results::{Measured, Session};
use super::subject::Subject;

const WIDTH: f64 = 960.0;
/// Where bars begin, and the longest they get; what is left is for their values.
const BARS_AT: f64 = 300.0;
const BAR_MAX: f64 = 410.0;
/// Characters of a title that fit beside the bars.
const TITLE_LEN_MAX: usize = 41;
const BAR_HEIGHT: f64 = 15.0;
const GROUP_GAP: f64 = 14.0;

const STYLE: &str = "\
text { font: 13px system-ui, sans-serif; fill: #1f2328; }
.page { fill: #ffffff; }
.head { font-size: 15px; font-weight: 600; }
.name { font-weight: 600; }
.soft { fill: #59636e; font-size: 12px; }
.grid { stroke: #d1d9e0; stroke-width: 1; }
.leveret { fill: #0f766e; }
.rabbitmq { fill: #d97706; }
.relay { fill: #9aa4ae; }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc; }
.page { fill: #0d1117; }
.soft { fill: #9198a1; }
.grid { stroke: #30363d; }
.leveret { fill: #2dd4bf; }
.rabbitmq { fill: #f59e0b; }
.relay { fill: #656c76; }
}
";

/// A part of the picture with a scale of its own.
struct Panel {
    title: &'static str,
    /// Row, figure, and what the bars say beside the row's own title.
    groups: &'static [(&'static str, &'static str, &'static str)],
}

const PANELS: [Panel; 4] = [
    Panel {
        title: "Messages a second, logarithmic (longer is better)",
        groups: &[
            ("A", "delivered/s", ""),
            ("B", "delivered/s", ""),
            ("C", "delivered/s", ""),
            ("D", "delivered/s", ""),
            ("E", "published/s", "written"),
            ("E", "delivered/s", "drained"),
            ("F", "delivered/s", "deliveries"),
            ("G", "delivered/s", ""),
            ("K", "confirmed/s", ""),
        ],
    },
    Panel {
        title: "Milliseconds, logarithmic (shorter is better)",
        groups: &[
            ("H", "confirm p50 ms", "to the confirm, median"),
            ("H", "confirm p99 ms", "to the confirm, 99 %"),
            ("H", "end to end p50 ms", "to the consumer, median"),
            ("H", "end to end p99 ms", "to the consumer, 99 %"),
        ],
    },
    Panel {
        title: "Microseconds of the broker's CPU for a message, logarithmic (shorter is better)",
        groups: &[
            ("A", "broker CPU us/message", ""),
            ("B", "broker CPU us/message", ""),
            ("C", "broker CPU us/message", ""),
            ("D", "broker CPU us/message", ""),
            ("F", "broker CPU us/message", "a publish and ten deliveries"),
        ],
    },
    Panel {
        title: "Connections and declarations a second, logarithmic (longer is better)",
        groups: &[
            ("I", "connections/s", "opened"),
            ("J", "declared/s", "queues declared"),
            ("J", "bound/s", "bindings"),
        ],
    },
];

/// Draws what was measured; a panel of which nothing was measured is left out.
pub(super) fn draw(session: &Session) -> String {
    let mut body = String::new();
    let mut y = 30.0;
    text(&mut body, 20.0, y, "head", "Leveret, RabbitMQ, and a relay that only copies bytes");
    y += 20.0;
    text(&mut body, 20.0, y, "soft", &session.headline());
    y += 16.0;
    for panel in &PANELS {
        let groups: Vec<Group<'_>> =
            panel.groups.iter().filter_map(|group| Group::of(group, session)).collect();
        if !groups.is_empty() {
            y = draw_panel(&mut body, y, panel.title, &groups);
        }
    }
    let height = y + 10.0;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-label=\"Benchmark results\">\n<style>\n{STYLE}</style>\n\
         <rect class=\"page\" width=\"{WIDTH}\" height=\"{height}\" rx=\"8\"/>\n{body}</svg>\n"
    )
}

/// The bars of one figure of one row.
struct Group<'a> {
    measured: &'a Measured,
    figure: &'static Figure,
    note: &'static str,
    bars: Vec<(Subject, f64)>,
}

impl<'a> Group<'a> {
    fn of((row, figure, note): &(&str, &str, &'static str), session: &'a Session) -> Option<Self> {
        let measured = session.measured.iter().find(|measured| measured.row.name == *row)?;
        let figure = Figure::named(figure)?;
        let value = |subject: Subject| Some((subject, measured.median(figure, subject)?));
        let bars: Vec<_> = measured
            .reports
            .iter()
            .filter_map(|(subject, _)| value(*subject))
            // A logarithmic scale has no place for nothing.
            .filter(|(_, value)| *value > 0.0)
            .collect();
        (!bars.is_empty()).then_some(Self { measured, figure, note, bars })
    }

    /// What it takes: the bars, or beside them its name and the lines of its title.
    fn height(&self) -> f64 {
        let rows = self.bars.len().max(1 + lines(&self.measured.row.title).len());
        rows as f64 * BAR_HEIGHT + GROUP_GAP
    }
}

/// Draws a panel from `y` on, and returns where it ends.
fn draw_panel(body: &mut String, mut y: f64, title: &str, groups: &[Group<'_>]) -> f64 {
    let values = || groups.iter().flat_map(|group| &group.bars).map(|(_, value)| value.log10());
    let low = values().fold(f64::MAX, f64::min).floor();
    let high = values().fold(f64::MIN, f64::max).ceil().max(low + 1.0);
    let length = |value: f64| BAR_MAX * (value.log10() - low) / (high - low);
    y += 24.0;
    text(body, 20.0, y, "head", title);
    y += 22.0;
    let inside: f64 = groups.iter().map(Group::height).sum();
    let mut power = low;
    while power <= high {
        let (value, x) = (10_f64.powf(power), BARS_AT + length(10_f64.powf(power)));
        let (top, bottom) = (y, y + inside);
        let _infallible = writeln!(
            body,
            "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{top:.1}\" y2=\"{bottom:.1}\"/>"
        );
        text(body, x + 3.0, y + 2.0, "soft", &short(value));
        power += 1.0;
    }
    y += GROUP_GAP;
    for group in groups {
        draw_group(body, y, group, length);
        y += group.height();
    }
    y
}

fn draw_group(body: &mut String, y: f64, group: &Group<'_>, length: impl Fn(f64) -> f64) {
    let (row, note) = (&group.measured.row, group.note);
    let name = format!("{}{}{note}", row.name, if note.is_empty() { "" } else { ": " });
    text(body, 20.0, y + 12.0, "name", &name);
    for (index, line) in lines(&row.title).iter().enumerate() {
        text(body, 20.0, y + 12.0 + (index as f64 + 1.0) * BAR_HEIGHT, "soft", line);
    }
    for (index, (subject, value)) in group.bars.iter().enumerate() {
        let (class, top) = (class(*subject), y + index as f64 * BAR_HEIGHT);
        // A bar at the very beginning of the scale still has to be seen.
        let width = length(*value).max(2.0);
        let _infallible = writeln!(
            body,
            "<rect class=\"{class}\" x=\"{BARS_AT}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{:.1}\"/>",
            BAR_HEIGHT - 2.0
        );
        let label = format!("{} {}{}", subject.name(), short(*value), advantage(group, *subject));
        text(body, BARS_AT + width + 6.0, top + 11.0, "", &label);
    }
}

/// A title in lines that fit beside the bars.
fn lines(title: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in title.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.len() + 1 + word.len() <= TITLE_LEN_MAX => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// At Leveret's bar, how it compares with RabbitMQ's.
fn advantage(group: &Group<'_>, subject: Subject) -> String {
    let value =
        |wanted| group.bars.iter().find(|(known, _)| *known == wanted).map(|(_, value)| *value);
    match (subject, value(Subject::Leveret), value(Subject::Rabbitmq)) {
        (Subject::Leveret, Some(ours), Some(theirs)) => {
            format!(" ({:.1}x RabbitMQ)", group.figure.ratio(ours, theirs))
        }
        _ => String::new(),
    }
}

fn class(subject: Subject) -> &'static str {
    match subject {
        Subject::Leveret | Subject::LeveretOneCore | Subject::LeveretTwoCores => "leveret",
        Subject::Rabbitmq => "rabbitmq",
        Subject::Relay => "relay",
    }
}

/// A number in three digits, with k and M.
fn short(value: f64) -> String {
    let (scaled, unit) = match value {
        1e6.. => (value / 1e6, " M"),
        1e3.. => (value / 1e3, " k"),
        _ => (value, ""),
    };
    let text = match scaled {
        100.0.. => format!("{scaled:.0}"),
        10.0.. => format!("{scaled:.1}"),
        _ => format!("{scaled:.2}"),
    };
    let text = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => &text,
    };
    format!("{text}{unit}")
}

/// Adds a line of text. None of what is shown has to be escaped but these.
fn text(body: &mut String, x: f64, y: f64, class: &str, words: &str) {
    let words = words.replace('&', "&amp;").replace('<', "&lt;");
    let _infallible =
        writeln!(body, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{words}</text>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_and_a_unit() {
        let numbers = [0.37, 5.6, 41.25, 153_000.0, 1_590_000.0, 15.5e6, 1_000.0];
        let shown = numbers.map(short);
        assert_eq!(shown, ["0.37", "5.6", "41.2", "153 k", "1.59 M", "15.5 M", "1 k"]);
    }

    #[test]
    fn only_what_was_measured_is_drawn() {
        let mut row =
            Measured::new(super::super::rows::scenario('A').unwrap(), &[Subject::Leveret]);
        let report = serde_json::json!({ "delivered": { "per_second": 1_500_000.0 } });
        row.reports[0].1.push(Some(report));
        let session =
            Session { rabbitmq: None, runs: 1, duration_s: 8, warmup_s: 2, measured: vec![row] };
        let picture = draw(&session);
        assert_eq!(picture.matches("class=\"leveret\"").count(), 1);
        assert!(picture.contains("Leveret 1.5 M"));
        assert!(!picture.contains("Milliseconds"));
    }
}
