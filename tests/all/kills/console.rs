//! The real binary: started, watched, killed.

use raxx_console::domain::Timestamp;
use raxx_console::server::clock;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::timeout;

/// How long a start may take on a machine that has much else to do.
const PATIENCE: Duration = Duration::from_mins(1);
/// How soon it is started once more when it did not start, as a supervisor would.
const AGAIN: Duration = Duration::from_millis(50);

/// How far a console has come, by its own log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    Starting,
    /// It has found what an earlier one left in the middle of a dispatch.
    Recovering,
    Listening,
    /// Its log has ended, and so has it.
    Ended,
}

/// One console on its own port, dead or alive.
pub(super) struct Console {
    pub number: usize,
    pub url: String,
    variables: Vec<(String, String)>,
    folder: PathBuf,
    life: Option<Life>,
    /// Since when it listens, and until when it did, each time.
    pub lives: Vec<(Timestamp, Option<Timestamp>)>,
    /// How long starts took.
    pub starts: Vec<Duration>,
}

struct Life {
    child: Child,
    stage: watch::Receiver<Stage>,
    began: Instant,
}

impl Console {
    /// A console that is still dead. `folder` has its `console.toml`.
    pub(super) fn new(number: usize, folder: &Path, variables: &[(&str, &str)]) -> Self {
        let port = free_port();
        let mut variables: Vec<_> = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        variables.push(("PORT".to_owned(), port.to_string()));
        Self {
            number,
            url: format!("http://127.0.0.1:{port}"),
            variables,
            folder: folder.to_owned(),
            life: None,
            lives: Vec::new(),
            starts: Vec::new(),
        }
    }

    pub(super) fn is_dead(&self) -> bool {
        self.life.is_none()
    }

    pub(super) fn stage(&self) -> Stage {
        self.life.as_ref().map_or(Stage::Ended, |life| *life.stage.borrow())
    }

    /// Starts the process, and waits for nothing.
    pub(super) fn spawn(&mut self) {
        let mut child = Command::new(binary())
            .current_dir(&self.folder)
            .env_clear()
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let (said, stage) = watch::channel(Stage::Starting);
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let log = self.folder.join(format!("console-{}.log", self.number));
        let mut log = OpenOptions::new().create(true).append(true).open(log).unwrap();
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                writeln!(log, "{line}").unwrap();
                let stage = if line.contains("found in dispatching") {
                    Stage::Recovering
                } else if line.contains("listening") {
                    Stage::Listening
                } else {
                    continue;
                };
                said.send_if_modified(|known| {
                    let is_later = stage > *known;
                    *known = stage.max(*known);
                    is_later
                });
            }
            said.send_replace(Stage::Ended);
        });
        let began = Instant::now();
        self.life = Some(Life { child, stage, began });
    }

    /// Waits until the process has come so far, or has ended. Returns how far it has come.
    pub(super) async fn until(&mut self, wanted: Stage) -> Stage {
        let life = self.life.as_mut().unwrap();
        let reached = timeout(PATIENCE, life.stage.wait_for(|stage| *stage >= wanted)).await;
        let stage = *reached
            .expect("a console neither starts nor ends")
            .expect("the watcher of its log is gone");
        let is_new = self.lives.last().is_none_or(|(_, until)| until.is_some());
        if stage == Stage::Listening && is_new {
            self.starts.push(life.began.elapsed());
            self.lives.push((clock::now(), None));
        }
        stage
    }

    /// Sees that it listens, and starts it again as often as that needs: its database may be starting, too.
    pub(super) async fn up(&mut self) {
        let begun = Instant::now();
        loop {
            if self.is_dead() {
                self.spawn();
            }
            if self.until(Stage::Listening).await == Stage::Listening {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "it does not start: see its log");
            self.kill().await;
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// SIGKILL: no destructor, no handler, nothing.
    pub(super) async fn kill(&mut self) {
        let Some(mut life) = self.life.take() else { return };
        // It may have ended by itself, when its database was away at its start.
        let _dead = life.child.kill().await;
        if let Some((_, until @ None)) = self.lives.last_mut() {
            *until = Some(clock::now());
        }
    }

    /// Whether it lived all the time from `from` to `to`.
    pub(super) fn lived(&self, from: Timestamp, to: Timestamp) -> bool {
        let is_whole = |(began, ended): &(Timestamp, Option<Timestamp>)| {
            *began <= from && ended.map_or_else(|| clock::now() >= to, |ended| ended >= to)
        };
        self.lives.iter().any(is_whole)
    }
}

/// The binary that is killed: that of this build, or `CONSOLE_BINARY`.
pub(super) fn binary() -> PathBuf {
    std::env::var_os("CONSOLE_BINARY").map_or_else(crate::support::binary, PathBuf::from)
}

/// Below the ports that the system gives to connections: it must be free again whenever the console comes back.
fn free_port() -> u16 {
    let mut random = fastrand::Rng::new();
    let mut ports = std::iter::repeat_with(move || random.u16(12_000..20_000)).take(100);
    ports
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("no free port")
}
