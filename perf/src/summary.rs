//! Turns the outcome of a load into its report. Called by `run`.

use std::time::Duration;

use crate::latency::Latency;
use crate::ledger::Account;
use crate::load::{Outcome, Snapshot, feeding};
use crate::plan::Plan;
use crate::process;
use crate::report::{Loss, Percentiles, Rate, Report, Verification, rounded};
use crate::shared::Meter;

/// How many places of loss a report names.
const LOSSES_NAMED: usize = 10;

/// Adds everything that publishers and consumers found out to `report`.
pub(crate) fn fill(report: &mut Report, outcome: &Outcome) {
    let plan = &outcome.shared.plan;
    fill_rates(report, outcome);
    let mut confirm = Latency::new();
    let mut end_to_end = Latency::new();
    outcome.publishers.iter().for_each(|publisher| confirm.merge(&publisher.latency));
    outcome.consumers.iter().for_each(|consumer| end_to_end.merge(&consumer.latency));
    report.confirm_latency = Percentiles::of(&confirm);
    report.end_to_end_latency = Percentiles::of(&end_to_end);
    let blocked_us: u64 = outcome.publishers.iter().map(|publisher| publisher.blocked_us).sum();
    report.blocked_s = Duration::from_micros(blocked_us).as_secs_f64();
    report.broker_peak_memory = plan.broker_pid.and_then(process::peak_memory);
    report.verification = Some(verify(outcome));
    report.error = outcome.error.as_ref().map(ToString::to_string);
}

fn fill_rates(report: &mut Report, outcome: &Outcome) {
    let shared = &outcome.shared;
    let plan = &shared.plan;
    let Some(began) = outcome.began else { return };
    let ended = outcome.ended.unwrap_or(outcome.finished);
    report.measured_s = seconds(began.at_us, ended.at_us);
    // With a number of messages to do, the rate is that number over the time it took. With a
    // duration, it is what was counted while it lasted.
    let rate =
        |meter: &Meter, counted: fn(&Snapshot) -> u64, from: &Snapshot, to_the_last: bool| {
            let (count, elapsed) = if to_the_last {
                (meter.count() - counted(from), seconds(from.at_us, meter.last_us()))
            } else {
                (counted(&ended) - counted(from), seconds(from.at_us, ended.at_us))
            };
            let per_second = per_second(count, elapsed);
            let megabytes_per_second = rounded(per_second * plan.size as f64 / 1e6);
            Rate { total: meter.count(), per_second, megabytes_per_second }
        };
    let limited = plan.messages.is_some();
    if plan.publishers > 0 {
        report.published = Some(rate(&shared.published, |s| s.published, &began, limited));
        if plan.confirms > 0 {
            report.confirmed = Some(rate(&shared.confirmed, |s| s.confirmed, &began, limited));
        }
    }
    if plan.consumers > 0 {
        let delivered = |s: &Snapshot| s.delivered;
        report.delivered = match outcome.drain_began {
            Some(began) if plan.drain => Some(rate(&shared.delivered, delivered, &began, true)),
            _ => Some(rate(&shared.delivered, delivered, &began, limited)),
        };
    }
    fill_cpu(report, plan, &began, if limited { &outcome.finished } else { &ended });
}

fn fill_cpu(report: &mut Report, plan: &Plan, began: &Snapshot, ended: &Snapshot) {
    let published = ended.published - began.published;
    let delivered = ended.delivered - began.delivered;
    let each = |from: Option<Duration>, to: Option<Duration>, count: u64| {
        let spent = to?.checked_sub(from?)?;
        (count > 0).then(|| rounded(spent.as_secs_f64() * 1e6 / count as f64))
    };
    report.tool_cpu_us = each(began.own_cpu, ended.own_cpu, published + delivered);
    // A message passed on through several queues is one message to a publisher.
    let messages = if plan.publishers > 0 { published } else { delivered };
    report.broker_cpu_us = each(began.broker_cpu, ended.broker_cpu, messages);
}

fn verify(outcome: &Outcome) -> Verification {
    let plan = &outcome.shared.plan;
    let mut found = Verification {
        complete: outcome.error.is_none() && plan.publishers > 0 && plan.consumers > 0,
        ..Verification::default()
    };
    for publisher in &outcome.publishers {
        found.refused += publisher.refused;
        found.returned += publisher.returned;
        found.unconfirmed += publisher.unconfirmed;
    }
    for consumer in &outcome.consumers {
        found.duplicated += consumer.duplicated;
        found.reordered += consumer.reordered;
        found.redelivered += consumer.redelivered;
        found.foreign += consumer.foreign;
    }
    if !found.complete {
        return found;
    }
    for (position, ledger) in outcome.shared.ledgers.iter().enumerate() {
        let Ok(ledger) = ledger.lock() else { continue };
        for publisher in feeding(plan, position, &outcome.publishers) {
            let account: &Account = &publisher.account;
            found.expected += account.published.saturating_sub(account.excused.len());
            let lost = ledger.lost(publisher.id, account);
            found.lost += lost;
            if lost > 0 && found.losses.len() < LOSSES_NAMED {
                found.losses.push(Loss {
                    queue: plan.queues.get(position).cloned().unwrap_or_default(),
                    publisher: publisher.id,
                    lost,
                    first: ledger.first_lost(publisher.id, account),
                });
            }
        }
    }
    found
}

fn seconds(from_us: u64, to_us: u64) -> f64 {
    Duration::from_micros(to_us.saturating_sub(from_us)).as_secs_f64()
}

/// 0 where no time passed.
pub(crate) fn per_second(count: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { count as f64 / seconds } else { 0.0 }
}
