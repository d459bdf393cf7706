//! Programs that Debian has and a machine may lack: installed where they are missing.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::command::run_logged;
use crate::paths;

/// Installs `package` unless there is a `program`.
///
/// # Errors
/// When apt-get fails; its output is in `packages-install.log` under `target/reference`.
pub(crate) fn install(program: &str, package: &str) -> Result<()> {
    let folders = ["/usr/bin", "/usr/sbin", "/bin", "/sbin", "/usr/local/bin"];
    if folders.iter().any(|folder| Path::new(folder).join(program).exists()) {
        return Ok(());
    }
    fs::create_dir_all(paths::reference())?;
    let log = paths::reference().join("packages-install.log");
    let apt_get = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        run_logged(command.env("DEBIAN_FRONTEND", "noninteractive").args(arguments), &log)
    };
    apt_get(&["update"])?;
    apt_get(&["install", "--yes", "--no-install-recommends", package])
}
