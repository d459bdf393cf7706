//! A report as text for people. Called by `run`.

use std::fmt::{self, Write};

use crate::report::{Percentiles, Rate, Report, Steps, grouped};

/// The report, a fact a line.
pub(crate) fn render(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a String does not fail.
    let _infallible = write_report(&mut text, report);
    text
}

fn write_report(out: &mut String, report: &Report) -> fmt::Result {
    let scenario = report.scenario.as_ref().map(|name| format!(", scenario {name}"));
    writeln!(out, "{} at {}{}", report.broker, report.uri, scenario.unwrap_or_default())?;
    writeln!(out, "{}", report.load)?;
    if report.measured_s > 0.0 {
        writeln!(out, "measured    {:.1} s", report.measured_s)?;
    }
    write_rate(out, "published", report.published)?;
    write_rate(out, "confirmed", report.confirmed)?;
    write_rate(out, "delivered", report.delivered)?;
    write_steps(out, "connected", report.connections)?;
    write_steps(out, "declared", report.declared)?;
    write_steps(out, "bound", report.bound)?;
    write_steps(out, "deleted", report.deleted)?;
    let latencies = [
        ("confirm", report.confirm_latency),
        ("end to end", report.end_to_end_latency),
        ("declare", report.declared.and_then(|steps| steps.latency)),
        ("bind", report.bound.and_then(|steps| steps.latency)),
    ];
    if latencies.iter().any(|(_, latency)| latency.is_some()) {
        let heads = ["p50", "p95", "p99", "p99.9", "max"];
        write!(out, "latency ms ")?;
        heads.iter().try_for_each(|head| write!(out, "{head:>10}"))?;
        writeln!(out)?;
    }
    for (name, latency) in latencies {
        write_latency(out, name, latency)?;
    }
    write_processes(out, report)?;
    if report.blocked_s > 0.0 {
        writeln!(out, "blocked     {:.1} s by the broker (connection.blocked)", report.blocked_s)?;
    }
    write_verification(out, report)?;
    if let Some(error) = &report.error {
        writeln!(out, "ended early: {error}")?;
    }
    Ok(())
}

fn write_rate(out: &mut String, name: &str, rate: Option<Rate>) -> fmt::Result {
    let Some(rate) = rate else { return Ok(()) };
    let per_second = whole(rate.per_second);
    let total = grouped(rate.total);
    let megabytes = rate.megabytes_per_second;
    writeln!(out, "{name:<11} {per_second:>12}/s {megabytes:>10.1} MB/s   {total:>14} in all")
}

fn write_steps(out: &mut String, name: &str, steps: Option<Steps>) -> fmt::Result {
    let Some(steps) = steps else { return Ok(()) };
    let (count, per_second) = (grouped(steps.count), whole(steps.per_second));
    writeln!(out, "{name:<11} {per_second:>12}/s {count:>14} in all")
}

fn write_latency(out: &mut String, name: &str, latency: Option<Percentiles>) -> fmt::Result {
    let Some(p) = latency else { return Ok(()) };
    write!(out, "{name:<11}")?;
    for value in [p.p50_ms, p.p95_ms, p.p99_ms, p.p999_ms, p.max_ms] {
        let decimals = if value < 10.0 { 3 } else { 1 };
        write!(out, "{value:>10.decimals$}")?;
    }
    writeln!(out)
}

fn write_processes(out: &mut String, report: &Report) -> fmt::Result {
    if let Some(us) = report.tool_cpu_us {
        writeln!(out, "CPU         {us:.3} us of this tool for a message published or delivered")?;
    }
    if let Some(us) = report.broker_cpu_us {
        writeln!(out, "CPU         {us:.3} us of the broker for a message")?;
    }
    if let Some(bytes) = report.broker_peak_memory {
        writeln!(out, "memory      {} MB of the broker at its peak", bytes / 1_000_000)?;
    }
    Ok(())
}

fn write_verification(out: &mut String, report: &Report) -> fmt::Result {
    let Some(found) = &report.verification else {
        return Ok(());
    };
    let expected = grouped(found.expected);
    if !found.complete {
        writeln!(out, "verified    no: {}", why_not_verified(report))?;
    } else if found.is_wrong() {
        writeln!(out, "verified    WRONG: of {expected} deliveries due")?;
    } else {
        writeln!(out, "verified    {expected} deliveries due: none lost, doubled or out of order")?;
    }
    let counts = [
        ("lost", found.lost),
        ("delivered twice", found.duplicated),
        ("out of order", found.reordered),
        ("routed to a queue that does not match", found.misrouted),
        ("marked as redelivered", found.redelivered),
        ("not of this run", found.foreign),
        ("refused (basic.nack)", found.refused),
        ("returned (basic.return)", found.returned),
        ("never confirmed", found.unconfirmed),
    ];
    for (what, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
        writeln!(out, "            {} {what}", grouped(count))?;
    }
    for loss in &found.losses {
        let first: Vec<String> = loss.first.iter().map(u64::to_string).collect();
        let (queue, publisher, lost) = (&loss.queue, loss.publisher, grouped(loss.lost));
        let first = first.join(", ");
        writeln!(
            out,
            "            queue {queue}, publisher {publisher}: {lost} lost, first {first}"
        )?;
    }
    Ok(())
}

fn why_not_verified(report: &Report) -> &'static str {
    match (&report.error, report.published) {
        (Some(_), _) => "the run did not come to its end",
        (None, None) => "nothing was published",
        (None, Some(_)) => "nothing was consumed",
    }
}

/// A rate without its fraction.
#[expect(
    clippy::cast_possible_truncation,
    reason = "rates are far below 2^64, and rounded on purpose"
)]
fn whole(rate: f64) -> String {
    grouped(rate.round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Loss, Verification};

    #[test]
    fn a_report_reads_as_text() {
        let latency =
            Percentiles { p50_ms: 1.5, p95_ms: 2.0, p99_ms: 3.25, p999_ms: 12.5, max_ms: 40.0 };
        let report = Report {
            broker: "Leveret 0.1.0".to_owned(),
            uri: "amqp://guest@127.0.0.1:5672/%2f".to_owned(),
            scenario: Some("C".to_owned()),
            load: "1 publisher".to_owned(),
            measured_s: 10.0,
            published: Some(Rate {
                total: 1_200_000,
                per_second: 100_000.4,
                megabytes_per_second: 102.4,
            }),
            confirm_latency: Some(latency),
            verification: Some(Verification {
                complete: true,
                expected: 1_200_000,
                lost: 2,
                losses: vec![Loss {
                    queue: "q".to_owned(),
                    publisher: 0,
                    lost: 2,
                    first: vec![7, 9],
                }],
                ..Verification::default()
            }),
            ..Report::default()
        };
        let expected = "\
Leveret 0.1.0 at amqp://guest@127.0.0.1:5672/%2f, scenario C
1 publisher
measured    10.0 s
published        100,000/s      102.4 MB/s        1,200,000 in all
latency ms        p50       p95       p99     p99.9       max
confirm         1.500     2.000     3.250      12.5      40.0
verified    WRONG: of 1,200,000 deliveries due
            2 lost
            queue q, publisher 0: 2 lost, first 7, 9
";
        assert_eq!(render(&report), expected);
    }
}
