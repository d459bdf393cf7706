//! CPU time and memory of a process, from Linux's `/proc`; nothing elsewhere. Read by `load` for this
//! process and the broker's.

use std::fs;
use std::time::Duration;

/// The unit of `/proc/*/stat`: fixed at 100 a second in Linux's interface to programs.
const TICK: Duration = Duration::from_millis(10);

/// User and system time of the process `pid`, or of this one.
pub(crate) fn cpu_time(pid: Option<u32>) -> Option<Duration> {
    let stat = fs::read_to_string(path(pid, "stat")).ok()?;
    // The second field, the program's name, may contain anything, so count from its end.
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut times = after_name.split_whitespace().skip(11).map(str::parse::<u32>);
    let (user, system) = (times.next()?.ok()?, times.next()?.ok()?);
    Some(TICK * user.saturating_add(system))
}

/// The most memory the process `pid` held resident at any time, in bytes.
pub(crate) fn peak_memory(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(path(Some(pid), "status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

fn path(pid: Option<u32>, file: &str) -> String {
    match pid {
        Some(pid) => format!("/proc/{pid}/{file}"),
        None => format!("/proc/self/{file}"),
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_used_memory_and_time() {
        assert!(peak_memory(std::process::id()).is_some_and(|bytes| bytes > 100_000));
        assert!(cpu_time(None).is_some());
    }
}
