//! Resource alarms: when memory or disk run low, publishers are stopped until there is room again, as in RabbitMQ.

use std::path::{Path, PathBuf};

use tokio::sync::watch;
use tokio::time::{self, MissedTickBehavior};

use crate::limits::ALARM_INTERVAL;

/// Which resources are low.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Alarms {
    pub(crate) memory: bool,
    pub(crate) disk: bool,
}

impl Alarms {
    /// RabbitMQ's reason for `connection.blocked`; none if all is well.
    pub(crate) const fn reason(self) -> Option<&'static str> {
        match (self.memory, self.disk) {
            (false, false) => None,
            (true, false) => Some("low on memory"),
            (false, true) => Some("low on disk"),
            (true, true) => Some("low on memory & low on disk"),
        }
    }
}

/// Where the alarms go off.
#[derive(Clone, Debug)]
pub(crate) struct Thresholds {
    /// The directory whose file system is watched.
    pub(crate) data: PathBuf,
    /// Free disk space below which the alarm is on, in bytes.
    pub(crate) disk_free_bytes: u64,
    /// Resident memory above which the alarm is on, in bytes.
    pub(crate) memory_bytes: u64,
}

/// Watches for as long as anyone listens.
pub(crate) async fn watch(thresholds: Thresholds, alarms: watch::Sender<Alarms>) {
    let mut tick = time::interval(ALARM_INTERVAL);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !alarms.is_closed() {
        tick.tick().await;
        let now = look(&thresholds, *alarms.borrow());
        alarms.send_if_modified(|before| {
            let changed = *before != now;
            if changed {
                match now.reason() {
                    Some(reason) => tracing::warn!(reason, "publishers are blocked"),
                    None => tracing::info!("resources are sufficient again: publishers go on"),
                }
                *before = now;
            }
            changed
        });
    }
}

/// What cannot be read keeps its alarm as it was: a glitch neither stops nor starts publishers.
fn look(thresholds: &Thresholds, before: Alarms) -> Alarms {
    let disk = match rustix::fs::statvfs(&thresholds.data) {
        Ok(stat) => stat.f_bavail.saturating_mul(stat.f_frsize) < thresholds.disk_free_bytes,
        Err(error) => {
            tracing::error!(%error, "cannot read the free disk space");
            before.disk
        }
    };
    let memory = match resident_bytes() {
        Some(bytes) => bytes > thresholds.memory_bytes,
        None => before.memory,
    };
    Alarms { memory, disk }
}

/// The resident memory of this process. Read from `/proc`: none where there is no such thing.
fn resident_bytes() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages.saturating_mul(rustix::param::page_size() as u64))
}

/// The memory that this process may use: of its control group, or of one around it, if one sets a limit; else of the machine.
pub(crate) fn available_memory_bytes() -> Option<u64> {
    let info = std::fs::read_to_string("/proc/meminfo").ok()?;
    let total = info.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let total: u64 = total.trim().strip_suffix("kB")?.trim().parse().ok()?;
    let total = total.saturating_mul(1024);
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let limit = control_group_limit(Path::new("/sys/fs/cgroup"), &groups);
    Some(limit.map_or(total, |limit| limit.min(total)))
}

/// The lowest memory limit of the control groups that `/proc/self/cgroup` names, below where they are mounted. Lines are
/// `0::/path` of version 2 and `7:memory:/path` of version 1. Inside a container the path may be that of the host, and what is
/// mounted is the container's own group: so all the way up to the root of the mount is looked at, there or not.
fn control_group_limit(mounted: &Path, groups: &str) -> Option<u64> {
    let mut limits = Vec::new();
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':');
        let (Some(number), Some(controllers), Some(path)) =
            (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let (root, file) = if number == "0" && controllers.is_empty() {
            (mounted.to_owned(), "memory.max")
        } else if controllers.split(',').any(|controller| controller == "memory") {
            (mounted.join("memory"), "memory.limit_in_bytes")
        } else {
            continue;
        };
        let path = Path::new(path.trim_start_matches('/'));
        // Version 1 says no limit by a number that is more than any machine has, version 2 by "max".
        limits.extend(path.ancestors().filter_map(|group| {
            let text = std::fs::read_to_string(root.join(group).join(file)).ok()?;
            text.trim().parse::<u64>().ok()
        }));
    }
    limits.into_iter().min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_is_on_exactly_while_its_resource_is_low() {
        let with = |disk_free_bytes, memory_bytes| Thresholds {
            data: std::env::temp_dir(),
            disk_free_bytes,
            memory_bytes,
        };
        let table = [
            (with(0, u64::MAX), None),
            (with(u64::MAX, u64::MAX), Some("low on disk")),
            (with(0, 1), Some("low on memory")),
            (with(u64::MAX, 1), Some("low on memory & low on disk")),
        ];
        for (thresholds, reason) in table {
            assert_eq!(look(&thresholds, Alarms::default()).reason(), reason);
        }
    }

    #[test]
    fn the_lowest_limit_of_the_control_groups_around_the_process_counts() {
        let files: [(&str, &str); 6] = [
            ("memory.max", "max"),
            ("a/memory.max", "3000"),
            ("a/b/memory.max", "5000"),
            ("memory/memory.limit_in_bytes", "9223372036854771712"),
            ("memory/c/memory.limit_in_bytes", "7000"),
            ("d/memory.max", "none"),
        ];
        let mounted = tempfile::tempdir().unwrap();
        for (file, text) in files {
            let path = mounted.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, format!("{text}\n")).unwrap();
        }
        let no_limit = Some(9_223_372_036_854_771_712);
        let table = [
            ("0::/a/b\n", Some(3000)),
            ("0::/a\n", Some(3000)),
            ("0::/\n", None),
            ("0::/../elsewhere\n", None),
            ("12:cpu,cpuacct:/c\n7:memory:/c\n0::/\n", Some(7000)),
            ("7:memory:/docker/of-the-host\n", no_limit),
            ("0::/d\n", None),
            ("", None),
            ("nonsense\n1:2\n", None),
        ];
        for (groups, expected) in table {
            assert_eq!(control_group_limit(mounted.path(), groups), expected, "{groups}");
        }
    }
}
