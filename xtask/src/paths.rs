//! Where things are: the workspace, cargo's target directory, and what xtask keeps in it between runs.

use std::path::{Path, PathBuf};

/// The root of the workspace.
pub(crate) fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Cargo's target directory.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| workspace().join("target"), |directory| workspace().join(directory))
}

/// What is installed once and kept: the reference RabbitMQ, the Python environment, logs of their installation.
pub(crate) fn reference() -> PathBuf {
    target().join("reference")
}

/// The release build of the broker.
pub(crate) fn leveret() -> PathBuf {
    target().join("release/leveret")
}
