//! The real binary, serving.

use super::{SECRET, binary};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

/// A console in a process of its own, which ends with this.
pub(crate) struct Process {
    child: Child,
    pub url: String,
}

static PORTS: AtomicU16 = AtomicU16::new(0);

/// A port below those that the system gives out by itself, so that it is free again for the next one.
pub(crate) fn port() -> u16 {
    let first = 10_000 + u16::try_from(std::process::id() % 90).unwrap() * 100;
    loop {
        let port = first + PORTS.fetch_add(1, Ordering::Relaxed);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

impl Process {
    /// Serves `sites` from `folder` at `port`, and waits until it answers.
    pub(crate) async fn start(folder: &Path, sites: &str, database: &str, github: &str, port: u16) -> Self {
        Self::start_as(Command::new(binary()), folder, sites, database, github, port).await
    }

    /// The same by a command that becomes the binary.
    pub(crate) async fn start_as(
        mut command: Command,
        folder: &Path,
        sites: &str,
        database: &str,
        github: &str,
        port: u16,
    ) -> Self {
        // A console in this process would have done so; this one is in another.
        let _installed = rustls::crypto::ring::default_provider().install_default();
        std::fs::write(folder.join("console.toml"), sites).unwrap();
        let child = command
            .current_dir(folder)
            .env_clear()
            .env("CONSOLE_CALLBACK_SECRET", SECRET)
            .env("GITHUB_DISPATCH_TOKEN", super::DISPATCH_TOKEN)
            .env("GITHUB_API_URL", github)
            .env("DATABASE_URL", database)
            .env("PORT", port.to_string())
            .env("RUST_LOG", "warn,sqlx::pool=error")
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let url = format!("http://127.0.0.1:{port}");
        let mut process = Self { child, url };
        let alive = format!("{}/healthz", process.url);
        while !reqwest::get(&alive).await.is_ok_and(|answer| answer.status() == 204) {
            assert!(process.child.try_wait().unwrap().is_none(), "it did not start");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        process
    }

    /// How many files it may have open.
    pub(crate) fn most_files(&self) -> u64 {
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", self.child.id())).unwrap();
        let row = limits.lines().find(|row| row.starts_with("Max open files")).unwrap();
        row.split_whitespace().nth(3).unwrap().parse().unwrap()
    }

    /// SIGKILL: no destructor, no handler, nothing.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM.
    pub(crate) fn ask_to_stop(&self) {
        self.signal("-TERM");
    }

    /// SIGSTOP: it hangs, and its connections stay open.
    pub(crate) fn hang(&self) {
        self.signal("-STOP");
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    /// Waits for its end.
    pub(crate) async fn ended(mut self) -> ExitStatus {
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

/// Runs a command of the binary on this database, and returns what it printed.
pub(crate) fn command(folder: &Path, database: &str, words: &[&str]) -> String {
    let output = Command::new(binary())
        .current_dir(folder)
        .env_clear()
        .env("DATABASE_URL", database)
        .args(words)
        .output()
        .unwrap();
    assert!(output.status.success(), "{words:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}
