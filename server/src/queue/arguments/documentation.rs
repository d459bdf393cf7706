//! Holds the table of `docs/queue-arguments.md` to [`ARGUMENTS`]: every row in its order, and in each all that can be said
//! without prose. What an argument does is the last column, which is the page's own.

use super::{ARGUMENTS, Argument, Merge, On, Takes};

const PAGE: &str = include_str!("../../../../docs/queue-arguments.md");
const HEAD: &str =
    "| Argument | Values | Queues | Policy key | Together | |\n|---|---|---|---|---|---|\n";

/// The columns of an argument that follow from its row.
fn columns(argument: &Argument) -> String {
    let (key, together) = match argument.policy {
        Some((key, merge)) => (format!("`{key}`"), merged(merge)),
        None => (String::new(), ""),
    };
    let cells = [format!("`{}`", argument.name), values(argument), queues(argument.on), key];
    let cells = cells.iter().map(String::as_str).chain([together]);
    cells.fold(String::from("|"), |row, cell| match cell {
        "" => row + " |",
        cell => row + " " + cell + " |",
    })
}

fn values(argument: &Argument) -> String {
    match &argument.takes {
        Takes::Integer { min, max: Some((max, _)) } => format!("integer, {min} to {max}"),
        Takes::Integer { min, max: None } => format!("integer from {min}"),
        Takes::Boolean => "`true` or `false`".to_owned(),
        Takes::Text => "text".to_owned(),
        Takes::OneOf(known, _) => {
            known.iter().map(|text| format!("`{text}`")).collect::<Vec<_>>().join(", ")
        }
        Takes::QueueType => "`classic`, `quorum`".to_owned(),
        Takes::RetryDelays => "delays".to_owned(),
        Takes::GroupHeader => "text, `true` or `false`".to_owned(),
        Takes::Anything if argument.name == "x-queue-version" => "2".to_owned(),
        Takes::Anything => "anything".to_owned(),
    }
}

fn queues(on: On) -> String {
    let text = match on {
        On::Both => "both",
        On::Classic => "classic",
        On::Quorum => "quorum",
        On::Elsewhere => "neither",
        On::Ours => "both, Leveret's own",
    };
    text.to_owned()
}

fn merged(merge: Merge) -> &'static str {
    match merge {
        Merge::Min => "smaller",
        Merge::MinOrUnlimited => "smaller; a negative one, no limit, yields to any",
        Merge::Argument => "argument",
        Merge::ByType => "argument on classic queues, policy on quorum queues",
    }
}

#[test]
fn the_page_has_the_arguments_that_there_are() {
    let (_, table) = PAGE.split_once(HEAD).expect("the page has the table");
    let rows: Vec<&str> = table.lines().take_while(|line| !line.is_empty()).collect();
    for (row, argument) in rows.iter().zip(ARGUMENTS) {
        let columns = columns(argument);
        assert!(row.starts_with(&columns), "the page has\n{row}\nand the broker\n{columns}");
        let effect = row.strip_prefix(columns.as_str()).unwrap_or_default();
        assert!(effect.len() > " . |".len(), "{} is not explained", argument.name);
    }
    assert_eq!(rows.len(), ARGUMENTS.len());
}
