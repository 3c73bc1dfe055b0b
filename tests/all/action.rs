//! The composite action's scripts in real bash, against a real listener.

use crate::support::hook_listener::{Answer, HookListener};
use crate::support::{SECRET, repository, tools_are_there};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::process::Command;

const ID: &str = "0199a8f0-0000-7000-8000-000000000000";

pub(crate) fn script(name: &str) -> PathBuf {
    repository().join(".github/actions/notify-deploy-status").join(name)
}

/// A job's environment, and a script about to run in it.
pub(crate) struct Job {
    temp: TempDir,
    pub command: Command,
}

pub(crate) struct Ended {
    pub code: Option<i32>,
    pub stdout: Vec<u8>,
    pub stderr: String,
    temp: TempDir,
}

impl Job {
    pub(crate) fn new(name: &str, url: &str) -> Self {
        let temp = tempfile::tempdir().unwrap();
        let mut command = Command::new(script(name));
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("RUNNER_TEMP", temp.path());
        for (name, value) in [
            ("CONSOLE_DEPLOY_ID", ID),
            ("CONSOLE_URL", url),
            ("CONSOLE_CALLBACK_SECRET", SECRET),
            ("CONSOLE_STREAM_INTERVAL", "0.2"),
            ("GITHUB_RUN_ID", "17000000001"),
            ("GITHUB_RUN_ATTEMPT", "1"),
            ("GITHUB_JOB", "deploy"),
        ] {
            command.env(name, value);
        }
        command.stdin(Stdio::null()).kill_on_drop(true);
        Self { temp, command }
    }

    pub(crate) fn notify(url: &str, status: &str) -> Self {
        Self::new("notify.sh", url).set("STATUS", status)
    }

    pub(crate) fn stream(url: &str, command: &str) -> Self {
        let mut job = Self::new("stream.sh", url);
        job.command.args(["--step", "Build", "--", "bash", "-c", command]);
        job
    }

    pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Another script in the same job.
    fn then(ended: Ended, name: &str, url: &str) -> Self {
        let mut job = Self::new(name, url).set("RUNNER_TEMP", ended.temp.path().to_str().unwrap());
        job.temp = ended.temp;
        job
    }

    pub(crate) async fn run(mut self) -> Ended {
        tools_are_there().await;
        let output = tokio::time::timeout(Duration::from_secs(90), self.command.output())
            .await
            .expect("it hangs")
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        Ended {
            code: output.status.code(),
            stdout: output.stdout,
            stderr,
            temp: self.temp,
        }
    }
}

/// An address where nobody listens.
fn nobody() -> String {
    format!(
        "http://{}",
        std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
    )
}

#[tokio::test]
async fn each_status_arrives_as_the_contract_has_it() {
    for status in ["in_progress", "success", "failure", "cancelled"] {
        let console = HookListener::start([]).await;
        let ended = Job::notify(&format!("{}/", console.url), status)
            .set("STEP", "Release")
            .set("MESSAGE", "so it is \"said\"")
            .run()
            .await;
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
        let heard = &console.heard()[0];
        assert_eq!(heard.path, format!("/api/internal/deploys/{ID}/status"));
        assert!(heard.report["seq"].as_i64().unwrap() > 1_700_000_000_000_000);
        let mut report = heard.report.clone();
        report["seq"] = json!(1);
        let expected = json!({
            "schema": 1, "deploy_id": ID, "run_id": 17_000_000_001_i64, "run_attempt": 1, "job": "deploy", "seq": 1,
            "status": status, "step": "Release", "message": "so it is \"said\"",
        });
        assert_eq!(report, expected);
    }
}

#[tokio::test]
async fn a_status_that_does_not_exist_is_not_sent() {
    let console = HookListener::start([]).await;
    let ended = Job::notify(&console.url, "skipped").run().await;
    assert_eq!(ended.code, Some(0));
    assert!(ended.stderr.contains("::warning"), "{}", ended.stderr);
    assert!(console.heard().is_empty());
}

#[tokio::test]
async fn without_an_id_nothing_is_sent_and_the_command_is_the_command() {
    let console = HookListener::start([]).await;
    let ended = Job::notify(&console.url, "success")
        .set("CONSOLE_DEPLOY_ID", "")
        .run()
        .await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    assert!(String::from_utf8(ended.stdout).unwrap().contains("nobody to tell"));
    let ended = Job::stream(&console.url, "echo out; exit 3")
        .set("CONSOLE_DEPLOY_ID", "")
        .run()
        .await;
    assert_eq!((ended.code, ended.stdout.as_slice()), (Some(3), b"out\n".as_slice()));
    assert!(console.heard().is_empty());
}

#[tokio::test]
async fn settings_that_cannot_work_are_a_warning() {
    let console = HookListener::start([]).await;
    for (name, value) in [
        ("CONSOLE_CALLBACK_SECRET", "whsec_short"),
        ("CONSOLE_CALLBACK_SECRET", ""),
        ("CONSOLE_DEPLOY_ID", "../../x"),
        ("CONSOLE_URL", "console"),
    ] {
        let ended = Job::notify(&console.url, "success").set(name, value).run().await;
        assert_eq!(ended.code, Some(0), "{name}");
        assert!(ended.stderr.contains("::warning"), "{name}: {}", ended.stderr);
    }
    assert!(console.heard().is_empty());
}

#[tokio::test]
async fn a_console_that_is_down_fails_nothing() {
    let began = Instant::now();
    let ended = Job::notify(&nobody(), "failure")
        .set("CONSOLE_NOTIFY_BUDGET", "4")
        .run()
        .await;
    assert_eq!(ended.code, Some(0));
    assert!(ended.stderr.contains("::warning"), "{}", ended.stderr);
    assert!(began.elapsed() < Duration::from_secs(20));
    let ended = Job::stream(&nobody(), "echo out; exit 5")
        .set("CONSOLE_STREAM_GRACE", "1")
        .run()
        .await;
    assert_eq!((ended.code, ended.stdout.as_slice()), (Some(5), b"out\n".as_slice()));
}

#[tokio::test]
async fn a_console_that_never_answers_is_given_up_in_time() {
    let console = HookListener::start([Answer::Never, Answer::Never, Answer::Never]).await;
    let ended = Job::notify(&console.url, "success")
        .set("CONSOLE_NOTIFY_BUDGET", "3")
        .run()
        .await;
    assert_eq!(ended.code, Some(0));
    assert!(ended.stderr.contains("within 3 s"), "{}", ended.stderr);
    assert_eq!(console.heard().len(), 1);
}

#[tokio::test]
async fn refusals_are_not_repeated() {
    for status in [400, 401, 404, 409] {
        let console = HookListener::start([Answer::Status(status)]).await;
        let ended = Job::notify(&console.url, "success").run().await;
        assert_eq!((ended.code, console.heard().len()), (Some(0), 1), "{status}");
        assert!(
            ended.stderr.contains("::warning") && ended.stderr.contains(&status.to_string()),
            "{}",
            ended.stderr
        );
    }
}

#[tokio::test]
async fn not_now_is_tried_again_signed_afresh_under_the_same_id() {
    for answer in [Answer::Status(503), Answer::RetryAfter(429, 2), Answer::Status(500)] {
        let console = HookListener::start([answer]).await;
        let ended = Job::notify(&console.url, "success").run().await;
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
        let heard = console.heard();
        assert_eq!(heard.len(), 2);
        assert_eq!((&heard[0].id, &heard[0].report), (&heard[1].id, &heard[1].report));
        assert_ne!(
            (&heard[0].timestamp, &heard[0].signature),
            (&heard[1].timestamp, &heard[1].signature)
        );
    }
}

#[tokio::test]
async fn too_large_is_sent_once_more_without_the_log() {
    let console = HookListener::start([Answer::Status(413)]).await;
    let log = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(log.path(), "a line\n").unwrap();
    let ended = Job::notify(&console.url, "success")
        .set("LOG_FILE", log.path().to_str().unwrap())
        .run()
        .await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let heard = console.heard();
    assert_eq!(heard[0].report["log"]["text"], "a line\n");
    assert_eq!(heard[1].report["log"]["truncated"], true);
    assert!(!heard[1].report["log"]["text"].as_str().unwrap().contains("a line"));
    assert_ne!(heard[0].id, heard[1].id, "another body is another delivery");
}

#[tokio::test]
async fn the_exit_code_is_the_commands_own() {
    let console = HookListener::start([]).await;
    for (command, code) in [
        ("exit 0", 0),
        ("exit 1", 1),
        ("exit 7", 7),
        ("kill -KILL $$", 137),
        ("kill -TERM $$", 143),
    ] {
        assert_eq!(
            Job::stream(&console.url, command).run().await.code,
            Some(code),
            "{command}"
        );
    }
    let refused = HookListener::start([Answer::Status(401)]).await;
    assert_eq!(Job::stream(&refused.url, "echo x; exit 9").run().await.code, Some(9));
}

#[tokio::test]
async fn a_signal_reaches_the_command() {
    let console = HookListener::start([]).await;
    let mut job = Job::stream(
        &console.url,
        "trap 'echo told; exit 42' TERM; echo ready; while :; do sleep 0.1; done",
    );
    let mut child = job.command.stdout(Stdio::piped()).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut ready = [0; 6];
    tokio::io::AsyncReadExt::read_exact(&mut stdout, &mut ready)
        .await
        .unwrap();
    let pid = child.id().unwrap().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .await
            .unwrap()
            .success()
    );
    assert_eq!(child.wait().await.unwrap().code(), Some(42));
}

#[tokio::test]
async fn nothing_is_left_behind_when_it_is_killed() {
    let mut job = Job::stream(&nobody(), "echo ready; sleep 5").set("CONSOLE_STREAM_GRACE", "1");
    let mut child = job.command.stdout(Stdio::piped()).spawn().unwrap();
    let mut ready = [0; 6];
    let mut stdout = child.stdout.take().unwrap();
    tokio::io::AsyncReadExt::read_exact(&mut stdout, &mut ready)
        .await
        .unwrap();
    // The script alone: what it had started is left to itself, and the command with it.
    child.kill().await.unwrap();
    let left = || {
        let folders = std::fs::read_dir(job.temp.path()).unwrap();
        folders.filter(|entry| entry.as_ref().unwrap().path().is_dir()).count()
    };
    let waited = tokio::time::timeout(Duration::from_secs(30), async {
        while left() > 0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    assert!(
        waited.await.is_ok(),
        "its folder, with the secret in it, is still there"
    );
}

#[tokio::test]
async fn output_passes_through_unchanged_and_live() {
    let console = HookListener::start([]).await;
    // Every byte value, no newline at the end, and both streams.
    let bytes = r#"for i in {0..255}; do printf "\\x$(printf %02x "$i")"; done; printf err >&2"#;
    let ended = Job::stream(&console.url, bytes).run().await;
    assert_eq!(ended.stdout, (0..=255).collect::<Vec<u8>>());
    assert_eq!(ended.stderr, "err");
    let text = console.log();
    assert!(text.contains("ABC") && text.contains('\u{fffd}') && !text.contains('\0'));
    assert_eq!(console.heard()[0].report["step"], "Build");
}

#[tokio::test]
async fn a_megabyte_arrives_or_says_what_is_missing() {
    let console = HookListener::start([]).await;
    let ended = Job::stream(&console.url, "seq -f 'line %010g of a long log' 1 36000")
        .run()
        .await;
    assert_eq!(ended.stdout.len(), 36_000 * 30);
    let (log, heard) = (console.log(), console.heard());
    assert!(log.ends_with("line 0000036000 of a long log\n"), "the end is there");
    let gaps = heard
        .iter()
        .filter(|heard| heard.report["log"]["truncated"] == true)
        .count();
    assert!(
        gaps > 0 || log.len() == ended.stdout.len(),
        "{} bytes and no gap",
        log.len()
    );
    let mut numbers: Vec<i64> = heard
        .iter()
        .map(|heard| heard.report["seq"].as_i64().unwrap())
        .collect();
    let sent = numbers.clone();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(sent, numbers, "each number is higher than the one before");
}

#[tokio::test]
async fn a_megabyte_of_every_byte_passes_through_and_the_console_takes_it() {
    let console = crate::support::console().await;
    let callback = console.bound("docs").await;
    let folder = tempfile::tempdir().unwrap();
    let every: Vec<u8> = (0..=255).cycle().take(1024 * 1024).collect();
    let file = folder.path().join("output");
    std::fs::write(&file, &every).unwrap();
    let job = Job::stream(&console.url(""), &format!("cat {}", file.display()));
    let ended = job.set("CONSOLE_DEPLOY_ID", &callback.deploy.to_string()).run().await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    assert!(ended.stdout == every, "byte for byte");
    let record = console.read(callback.deploy).await;
    let log = record["log"]["text"].as_str().unwrap();
    assert!(log.contains("ABCDEFG") && !log.contains('\0'), "{} bytes", log.len());
    assert_eq!(record["steps"][0]["name"], "Build");
}

#[tokio::test]
async fn masked_values_are_not_sent() {
    let console = HookListener::start([]).await;
    let command = format!("echo 'the key is hunter2'; echo '::add-mask::s3cret'; echo 'and s3cret too'; echo {SECRET}");
    let ended = Job::stream(&console.url, &command)
        .set("CONSOLE_MASK", "hunter2\nother")
        .run()
        .await;
    assert!(
        String::from_utf8(ended.stdout).unwrap().contains("hunter2"),
        "GitHub masks its own log"
    );
    let log = console.log();
    assert!(log.contains("the key is ***") && log.contains("and *** too"), "{log}");
    assert!(
        !log.contains("hunter2") && !log.contains("s3cret") && !log.contains("whsec"),
        "{log}"
    );
}

#[tokio::test]
async fn github_is_told_what_to_mask_where_it_is_github() {
    let console = HookListener::start([]).await;
    let masked = |job: Job| job.set("CONSOLE_MASK", "internal-host\n100%").run();
    let elsewhere = masked(Job::stream(&console.url, "echo to internal-host")).await;
    assert_eq!(elsewhere.stderr, "", "anywhere else it would be the leak");
    let there = Job::stream(&console.url, "echo to internal-host").set("GITHUB_ACTIONS", "true");
    let there = masked(there).await;
    assert!(
        there.stderr.contains("::add-mask::internal-host\n::add-mask::100%25\n"),
        "{}",
        there.stderr
    );
    assert!(console.log().contains("to ***\n"));
}

#[tokio::test]
async fn a_failed_step_is_named_with_its_last_words() {
    let console = HookListener::start([]).await;
    let failing = "echo fine; echo 'Error: no such slot' >&2; echo 'see the docs' >&2; exit 7";
    let ended = Job::stream(&console.url, failing).run().await;
    assert_eq!(ended.code, Some(7));
    let last = Job::then(ended, "notify.sh", &console.url)
        .set("STATUS", "failure")
        .run()
        .await;
    assert_eq!(last.code, Some(0));
    let report = console.heard().last().unwrap().report.clone();
    assert_eq!(
        (&report["status"], &report["step"]),
        (&json!("failure"), &json!("Build"))
    );
    assert_eq!(report["message"], "Error: no such slot (exit code 7)");
}

#[tokio::test]
async fn a_failed_step_is_found_in_the_steps_context() {
    let console = HookListener::start([]).await;
    let steps = json!({ "check": { "outcome": "success" }, "upload": { "outcome": "failure" }, "publish": { "outcome": "skipped" } });
    Job::notify(&console.url, "failure")
        .set("STEPS", &steps.to_string())
        .run()
        .await;
    assert_eq!(console.heard()[0].report["step"], "upload");
    Job::notify(&console.url, "success")
        .set("STEPS", &steps.to_string())
        .run()
        .await;
    assert_eq!(console.heard()[1].report["step"], Value::Null);
}

#[tokio::test]
async fn a_step_that_says_nothing_is_on_record_at_once() {
    let console = HookListener::start([]).await;
    let mut job = Job::stream(&console.url, "sleep 60");
    let mut child = job.command.spawn().unwrap();
    let first = console.first().await;
    assert_eq!(
        (&first.report["step"], &first.report["status"]),
        (&json!("Build"), &json!("in_progress"))
    );
    child.kill().await.unwrap();
}

/// Every process's arguments and environment, as /proc shows them, of this test's descendants.
pub(crate) fn seen_in_proc() -> String {
    let mut seen = String::new();
    for entry in std::fs::read_dir("/proc").unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        if name.parse::<u32>().is_err() || name == std::process::id().to_string() {
            continue;
        }
        for file in ["cmdline", "environ"] {
            let bytes = std::fs::read(entry.path().join(file)).unwrap_or_default();
            seen.push_str(&String::from_utf8_lossy(&bytes));
            seen.push('\n');
        }
    }
    seen
}

#[tokio::test]
async fn the_key_shows_in_no_argument_and_no_environment() {
    // A secret of its own, so that what other tests do at the same time is not seen.
    let secret = "whsec_dGhpcyBrZXkgbXVzdCBiZSBzZWVuIG5vd2hlcmU=";
    let hex = "74686973206b6579206d757374206265207365656e206e6f7768657265";
    for name in ["notify.sh", "stream.sh"] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut job = Job::new(name, &url)
            .set("CONSOLE_CALLBACK_SECRET", secret)
            .set("STATUS", "success");
        if name == "stream.sh" {
            job.command.args(["--step", "Build", "--", "sleep", "60"]);
        }
        let mut child = job.command.spawn().unwrap();
        // The call is under way: accepted, and never answered.
        let _held = tokio::time::timeout(Duration::from_secs(30), listener.accept())
            .await
            .unwrap()
            .unwrap();
        let seen = seen_in_proc();
        assert!(seen.contains("webhook-signature"), "the call itself is seen");
        for secret in [
            secret,
            secret.trim_start_matches("whsec_"),
            hex,
            "this key must be seen nowhere",
        ] {
            assert!(!seen.contains(secret), "{name} shows {secret}");
        }
        child.kill().await.unwrap();
    }
}

#[tokio::test]
async fn the_signature_agrees_with_the_standards_vector() {
    tools_are_there().await;
    let body = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(body.path(), r#"{"test": 2432232314}"#).unwrap();
    let sign = format!(
        "source {}; console_secret={SECRET}; console_key_blocks; console_sign msg_p5jXN8AQM9LWM0D4loKWxJek 1614265330 {}",
        script("lib.sh").display(),
        body.path().display()
    );
    let output = Command::new("bash").args(["-c", &sign]).output().await.unwrap();
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    );
}

#[tokio::test]
async fn shellcheck_finds_nothing() {
    tools_are_there().await;
    let scripts = ["lib.sh", "notify.sh", "stream.sh"].map(script);
    let output = Command::new("shellcheck")
        .current_dir(repository())
        .args(scripts)
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
