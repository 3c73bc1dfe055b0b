//! Plays runs: each step is a real script, run by the composite action's own `stream.sh`, and the milestones
//! are told by its own `notify.sh`.

use super::plan::{PlannedStep, plan};
use super::routes::Ctx;
use super::state::{Run, RunStep};
use super::{Scenario, Shared, issuer};
use crate::domain::Timestamp;
use crate::server::clock;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{ChildStdout, Command};
use tokio::task::JoinHandle;

macro_rules! action_file {
    ($name:literal) => {
        (
            $name,
            include_str!(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/.github/actions/notify-deploy-status/",
                $name
            )),
        )
    };
}

/// The composite action, inside the binary.
const FILES: [(&str, &str); 3] = [
    action_file!("lib.sh"),
    action_file!("notify.sh"),
    action_file!("stream.sh"),
];
/// How many beats a slow run takes for each beat of another.
const SLOWLY: u32 = 10;
/// A played job's name.
const JOB: &str = "deploy";

/// The action's scripts in a folder of their own, and a runner's temporary folder beside them.
pub(super) struct Scripts {
    folder: tempfile::TempDir,
}

impl Scripts {
    pub(super) fn write() -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("raxx-console-action").tempdir()?;
        for (name, text) in FILES {
            let path = folder.path().join(name);
            std::fs::write(&path, text)?;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
        }
        Ok(Self { folder })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// Begins to play a run in the background, if this stand-in plays.
pub(super) fn begin(ctx: Ctx, run: Run) {
    let Ctx { shared, base } = ctx;
    if !shared.play || !run.is_played() {
        return;
    }
    let stop = shared.stop.clone();
    tokio::spawn(async move {
        // The commands die with the future that waits for them.
        let _ended = stop.run_until_cancelled(Player { shared, base, run }.play()).await;
    });
}

struct Player {
    shared: Arc<Shared>,
    base: String,
    run: Run,
}

impl Player {
    async fn play(self) {
        // A runner takes its time to pick the job up, and a dispatch is answered before it does.
        tokio::time::sleep(self.pace() * 3).await;
        if self.run.scenario == Scenario::Replaced {
            return self.be_replaced().await;
        }
        self.shared
            .state()
            .change_run(self.run.id, |run| run.status = "in_progress");
        self.notify("in_progress").await;
        let mut conclusion = "success";
        for (index, step) in plan(&self.run).into_iter().enumerate() {
            conclusion = self.play_step(index, &step).await;
            if index == 1 && self.vanishes().await {
                return;
            }
            if conclusion != "success" {
                break;
            }
        }
        self.notify(conclusion).await;
        self.shared.state().change_run(self.run.id, |run| {
            run.status = "completed";
            run.conclusion = Some(conclusion);
        });
    }

    /// A newer run takes the place of a pending one, which never began: nobody calls back.
    async fn be_replaced(&self) {
        let cancelled = self.run.cancel.cancelled();
        let _replaced_or_cancelled = tokio::time::timeout(self.pace() * 20, cancelled).await;
        let note = "Canceling since a higher priority waiting request for 'deploy' exists";
        self.shared
            .state()
            .change_run(self.run.id, |run| run.conclude("cancelled", Some(note)));
    }

    /// Whether the run ends here without a word: its runner dies, or it is deleted.
    async fn vanishes(&self) -> bool {
        match self.run.scenario {
            Scenario::Deleted => self.shared.state().runs.retain(|run| run.id != self.run.id),
            Scenario::DeadRunner => {
                // GitHub waits for a word of the runner before it gives it up.
                tokio::time::sleep(self.pace() * 50).await;
                let note = "The self-hosted runner lost communication with the server.";
                self.shared
                    .state()
                    .change_run(self.run.id, |run| run.conclude("failure", Some(note)));
            }
            _ => return false,
        }
        true
    }

    /// Runs one step to its end, or until the run is cancelled; its conclusion.
    async fn play_step(&self, index: usize, step: &PlannedStep) -> &'static str {
        self.begin_step(step.name);
        let script = step.script(self.pace());
        let mut command = self.command("stream.sh");
        command.args(["--step", step.name, "--", "bash", "-c", &script]);
        let cut_short = matches!(
            self.run.scenario,
            Scenario::Cancelled | Scenario::DeadRunner | Scenario::Deleted
        ) && index == 1;
        let Ok(mut child) = command.stdout(Stdio::piped()).spawn() else {
            return "failure";
        };
        let printed = self.keep_log(child.stdout.take(), step.name);
        let mut group = ProcessGroup(child.id());
        let conclusion = tokio::select! {
            ended = child.wait() => {
                group.0 = None;
                if ended.is_ok_and(|status| status.success()) { "success" } else { "failure" }
            }
            () = self.run.cancel.cancelled() => "cancelled",
            () = tokio::time::sleep(self.pace() * 4), if cut_short => "cancelled",
        };
        drop(group);
        // What it printed is read to its end, which comes with the process's.
        let _read = printed.await;
        if !(cut_short && self.run.scenario == Scenario::DeadRunner) {
            self.end_step(conclusion);
        }
        conclusion
    }

    /// Writes down what a step prints, as a runner does: each line with the moment that it came at.
    fn keep_log(&self, output: Option<ChildStdout>, step: &str) -> JoinHandle<()> {
        let (shared, id) = (self.shared.clone(), self.run.id);
        let write = move |line: &str| {
            let line = format!("{} {line}\n", clock::now());
            shared.state().change_run(id, |run| run.log.push_str(&line));
        };
        write(&format!("##[group]Run {step}"));
        write("##[endgroup]");
        tokio::spawn(async move {
            let Some(output) = output else { return };
            let mut lines = BufReader::new(output).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                write(&line);
            }
        })
    }

    fn begin_step(&self, name: &str) {
        self.shared.state().change_run(self.run.id, |run| {
            let (status, started_at) = ("in_progress", Some(clock::now()));
            run.steps.push(RunStep {
                name: name.to_owned(),
                status,
                conclusion: None,
                started_at,
                completed_at: None,
            });
        });
    }

    fn end_step(&self, conclusion: &'static str) {
        let now: Timestamp = clock::now();
        self.shared.state().change_run(self.run.id, |run| {
            if let Some(step) = run.steps.last_mut() {
                (step.status, step.conclusion, step.completed_at) = ("completed", Some(conclusion), Some(now));
            }
        });
    }

    async fn notify(&self, status: &str) {
        let mut command = self.command("notify.sh");
        command.env("STATUS", status);
        match command.output().await {
            Ok(output) if output.stderr.is_empty() => {}
            Ok(output) => {
                tracing::warn!(run = self.run.id, said = %String::from_utf8_lossy(&output.stderr), "notify.sh");
            }
            Err(error) => tracing::warn!(run = self.run.id, %error, "notify.sh does not start"),
        }
    }

    /// One of the action's scripts, in the environment that a job gives it.
    fn command(&self, script: &str) -> Command {
        let scripts = &self.shared.scripts;
        let deploy_id = if self.run.scenario == Scenario::Silent {
            ""
        } else {
            &self.run.deploy_id
        };
        let interval = (self.pace() * 2).clamp(Duration::from_millis(100), Duration::from_secs(2));
        let mut command = Command::new("bash");
        command
            .arg(scripts.path(script))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("RUNNER_TEMP", scripts.folder.path())
            .env("CONSOLE_DEPLOY_ID", deploy_id)
            .env("CONSOLE_URL", self.shared.console_url())
            .env("CONSOLE_CALLBACK_SECRET", &self.shared.callback_secret)
            .env("CONSOLE_STREAM_INTERVAL", interval.as_secs_f64().to_string())
            .env("GITHUB_RUN_ID", self.run.id.to_string())
            .env("GITHUB_RUN_ATTEMPT", self.run.attempt.to_string())
            .env("GITHUB_JOB", JOB)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // A group of its own, so that a step ends with everything that it started.
            .process_group(0);
        if self.shared.id_token {
            command
                .env(
                    "ACTIONS_ID_TOKEN_REQUEST_URL",
                    issuer::request_url(&self.base, self.run.id),
                )
                .env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", &self.run.request_token);
        }
        command
    }

    fn pace(&self) -> Duration {
        if self.run.scenario.is_slow() {
            self.shared.pace * SLOWLY
        } else {
            self.shared.pace
        }
    }
}

/// The processes of a step. Dropped before they have ended, it ends them all.
struct ProcessGroup(Option<u32>);

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        if let Some(id) = self.0 {
            // When it fails there is nothing left to end.
            let _ended = std::process::Command::new("bash")
                .args(["-c", "kill -KILL -- \"-$0\"", &id.to_string()])
                .status();
        }
    }
}
