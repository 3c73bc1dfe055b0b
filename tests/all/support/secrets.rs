//! The logs of the whole test run, at trace level, must hold none of the secrets that it uses.
//!
//! Each test process writes both down; `scripts/unit` compares them once all tests are done.

use super::repository;
use raxx_console::server::telemetry;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{Mutex, Once};

static STARTED: Once = Once::new();

/// This process's file of that kind.
pub(crate) fn file(kind: &str) -> PathBuf {
    let folder = std::env::var_os("TEST_LOGS").map_or_else(|| repository().join("target/test-logs"), PathBuf::from);
    std::fs::create_dir_all(&folder).unwrap();
    folder.join(format!("{}.{kind}", std::process::id()))
}

/// Writes down all that any crate says, from now on.
pub(crate) fn watch_logs() {
    STARTED.call_once(|| {
        let log = File::create(file("log")).unwrap();
        tracing_subscriber::fmt()
            .with_env_filter(telemetry::filter("trace"))
            .with_ansi(false)
            .with_writer(Mutex::new(log))
            .init();
    });
}

/// Notes something that the server knows and must never say in its log.
pub(crate) fn keep_secret(text: &str) {
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(file("secrets"))
        .unwrap();
    // One write: tests run side by side, and a line must not be torn.
    file.write_all(format!("{text}\n").as_bytes()).unwrap();
}
