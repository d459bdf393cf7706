//! What is measured: the table of loads. [`super::measure`] runs them; `leveret perf --help` explains their options.

use anyhow::{Result, bail};

/// One load, measured against each subject.
#[derive(Clone, Debug)]
pub(super) struct Row {
    /// What it is called: a scenario's letter, or a few words.
    pub(super) name: String,
    /// What it is.
    pub(super) title: String,
    /// The options of `leveret perf`.
    pub(super) load: Vec<String>,
    /// It runs for a time, and not until a number of messages has gone through.
    pub(super) timed: bool,
    /// What is different against the relay.
    pub(super) relay: Relay,
    /// What is there beside the load.
    pub(super) beside: Vec<Beside>,
    /// The row that it should be as fast as.
    pub(super) base: Option<&'static str>,
}

/// What the relay can do of a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relay {
    /// All of it.
    Same,
    /// It, with these options besides: it has nothing to drain.
    With(&'static [&'static str]),
    /// Nothing that would be a limit of anything.
    No,
}

/// What a broker has to carry while it is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beside {
    /// So many empty durable queues.
    Queues(u32),
    /// So many connections with a channel each.
    Connections(u32),
}

/// The scenario with this letter.
///
/// # Errors
/// When there is none.
pub(super) fn scenario(letter: char) -> Result<Row> {
    let letter = letter.to_ascii_uppercase();
    let title = match letter {
        'A' => "16 B transient, auto-ack",
        'B' => "1 KiB transient, auto-ack",
        'C' => "1 KiB persistent, 1,000 confirms outstanding, acked",
        'D' => "16 B persistent, 1,000 confirms outstanding, acked",
        'E' => "a million of 1 KiB persistent into one queue, then drained",
        'F' => "fan-out to 10 durable queues, 1 KiB persistent",
        'G' => "topic exchange with 10,000 bindings, 16 B",
        'H' => "2,000/s of 1 KiB persistent, confirmed",
        'I' => "5,000 idle connections",
        'J' => "declare and bind 10,000 durable queues",
        'K' => "1 KiB persistent, one confirm outstanding",
        _ => bail!("there is no scenario {letter}"),
    };
    let plain = row(&letter.to_string(), title, &format!("--scenario {letter}"));
    Ok(match letter {
        'E' => Row {
            timed: false,
            relay: Relay::With(&["--drain=false", "--consumers", "0"]),
            ..plain
        },
        'I' => Row { relay: Relay::No, ..plain },
        'J' => Row { timed: false, relay: Relay::No, ..plain },
        _ => plain,
    })
}

/// Loads that should be as fast as their base.
pub(super) fn flat() -> Vec<Row> {
    const TEN: &str = "--publishers 10 --consumers 10";
    let like = |base, name: &str, title: &str, load: &str| Row {
        base: Some(base),
        ..row(name, title, load)
    };
    vec![
        row("A", "16 B transient, auto-ack", "--scenario A"),
        like(
            "A",
            "A, 10 queues",
            "10 publishers, 10 consumers",
            &format!("--scenario A --queues 10 {TEN}"),
        ),
        like("A", "A, one queue", "10 publishers, 10 consumers", &format!("--scenario A {TEN}")),
        Row {
            beside: vec![Beside::Queues(10_000), Beside::Connections(5_000)],
            ..like(
                "A",
                "A, much idle",
                "beside 10,000 idle queues and 5,000 idle connections",
                "--scenario A",
            )
        },
        row("C", "1 KiB persistent, confirmed, acked", "--scenario C"),
        like(
            "C",
            "C, 10 queues",
            "10 publishers, 10 consumers",
            &format!("--scenario C --queues 10 {TEN}"),
        ),
        like("C", "C, one queue", "10 publishers, 10 consumers", &format!("--scenario C {TEN}")),
        row("G", "topic exchange with 10,000 bindings", "--scenario G"),
        like(
            "G",
            "G, 100,000",
            "topic exchange with 100,000 bindings",
            "--scenario G --bindings 100000",
        ),
    ]
}

/// A backlog of `messages`.
pub(super) fn backlog(messages: u64) -> Row {
    let title = format!("{messages} of 1 KiB persistent into one queue, then drained");
    let load = format!("--scenario E --messages {messages}");
    Row { timed: false, relay: Relay::No, ..row("backlog", &title, &load) }
}

fn row(name: &str, title: &str, load: &str) -> Row {
    Row {
        name: name.to_owned(),
        title: title.to_owned(),
        load: load.split_whitespace().map(str::to_owned).collect(),
        timed: true,
        relay: Relay::Same,
        beside: Vec::new(),
        base: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scenarios_go_by_letters_of_either_case_and_others_are_refused() {
        let names: String = "abCK".chars().map(|letter| scenario(letter).unwrap().name).collect();
        assert_eq!(names, "ABCK");
        assert!(scenario('L').is_err());
    }

    #[test]
    fn what_is_to_stay_flat_has_its_base_before_it() {
        let rows = flat();
        for (index, row) in rows.iter().enumerate() {
            if let Some(base) = row.base {
                assert!(rows[..index].iter().any(|before| before.name == base), "{row:?}");
            }
        }
    }
}
