//! Logs made whole: what did not arrive is a gap that is seen, and once the run has ended it is filled in from GitHub's
//! log, once, and nothing stands twice.

use crate::support::{Callback, Setup, TestConsole, playing};
use raxx_console::domain::SENDER_GAP;
use raxx_console::domain::gaps::{FILLED, STREAMED_AGAIN};
use raxx_console::server::clock;
use raxx_console::server::demo::stand_in::{Fault, Scenario};
use serde_json::{Value, json};

/// A job's log as GitHub keeps it.
fn job_log(lines: &[&str]) -> String {
    let timed = |line: &&str| format!("2026-01-01T00:00:00.1234567Z {line}\n");
    let (before, after) = (
        ["##[group]Run ./build", "##[endgroup]"],
        ["Post job cleanup.", "Cleaning up"],
    );
    before.iter().chain(lines).chain(&after).map(timed).collect()
}

struct Scene {
    console: TestConsole,
    callback: Callback,
}

impl Scene {
    async fn new() -> Self {
        let console = Setup::default().start().await;
        let callback = console.bound("docs").await;
        Self { console, callback }
    }

    async fn prints(&self, seq: i64, text: &str, truncated: bool) {
        let log = json!({ "text": text, "truncated": truncated });
        let answer = self.console.report(&self.callback.number(seq).with("log", log)).await;
        assert_eq!(answer.status(), 200);
    }

    /// The run ends, with this log.
    async fn ends(&self, lines: &[&str]) {
        let run_id = self.callback.body["run_id"].as_i64().unwrap();
        self.console.github.change_run(run_id, |run| {
            run.conclude("success", None);
            run.log = job_log(lines);
        });
        self.step(20).await;
        assert_eq!(self.console.read(self.callback.deploy).await["state"], "succeeded");
    }

    async fn step(&self, seconds: i64) {
        let now = clock::now().plus_millis(seconds * 1000);
        self.console.running.reconciler().step(now).await.unwrap();
    }

    /// Whether something was done about the log so many seconds from now.
    async fn fill(&self, seconds: i64) -> bool {
        let now = clock::now().plus_millis(seconds * 1000);
        self.console.running.reconciler().fill_logs(now).await.unwrap() > 0
    }

    async fn log(&self, after: &str) -> Value {
        let path = format!("/api/internal/deploys/{}?after={after}", self.callback.deploy);
        let answer = self.console.http.get(self.console.url(&path)).send().await.unwrap();
        answer.json::<Value>().await.unwrap()["log"].clone()
    }

    fn times_read(&self) -> usize {
        let asked = self.console.github.asked();
        asked.iter().filter(|asked| asked.path.ends_with("/logs")).count()
    }
}

#[tokio::test]
async fn a_gap_is_seen_then_filled_once_and_readers_begin_again() {
    let scene = Scene::new().await;
    scene.prints(1, "one\ntwo\n", false).await;
    scene.prints(2, "five\nsix\n", true).await;
    let live = scene.log("0").await;
    assert_eq!(live["text"], format!("one\ntwo\n{SENDER_GAP}five\nsix\n"));
    scene.ends(&["one", "two", "three", "four", "five", "six"]).await;
    assert!(!scene.fill(30).await, "the workflow may still send what it has");
    assert!(scene.fill(120).await);
    let whole = format!("one\ntwo\n{FILLED}three\nfour\n{STREAMED_AGAIN}five\nsix\n");
    assert_eq!(scene.log("0").await["text"], whole);
    let again = scene.log(live["after"].as_str().unwrap()).await;
    assert_eq!((&again["text"], &again["restarted"]), (&json!(whole), &json!(true)));
    let end = scene.log(again["after"].as_str().unwrap()).await;
    assert_eq!((&end["text"], &end["restarted"]), (&json!(""), &Value::Null));
    // What comes late is in it already.
    scene.console.report(&scene.callback.number(9).prints("six\n")).await;
    assert!(!scene.fill(600).await && !scene.fill(6_000).await);
    assert_eq!(
        (scene.log("0").await["text"].as_str().unwrap(), scene.times_read()),
        (whole.as_str(), 1)
    );
}

#[tokio::test]
async fn where_nothing_arrived_the_jobs_log_stands_and_where_all_did_nothing_changes() {
    let silent = Scene::new().await;
    silent.ends(&["one", "two"]).await;
    assert!(silent.fill(60).await);
    let text = silent.log("0").await["text"].as_str().unwrap().to_owned();
    assert_eq!(
        text,
        format!("{FILLED}##[group]Run ./build\n##[endgroup]\none\ntwo\nPost job cleanup.\nCleaning up\n")
    );

    let complete = Scene::new().await;
    complete.prints(1, "one\ntwo\n", false).await;
    let cursor = complete.log("0").await["after"].as_str().unwrap().to_owned();
    complete.ends(&["one", "two"]).await;
    assert!(complete.fill(120).await);
    let rest = complete.log(&cursor).await;
    assert_eq!((&rest["text"], &rest["restarted"]), (&json!(""), &Value::Null));
}

#[tokio::test]
async fn a_long_log_is_filled_in_to_the_letter() {
    let silent = Scene::new().await;
    let lines: Vec<String> = (0..5_000).map(|line| format!("{line} na\u{ef}ve \u{2713}")).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    silent.ends(&lines).await;
    assert!(silent.fill(60).await);
    let text = silent.log("0").await["text"].as_str().unwrap().to_owned();
    let printed = format!("{}\n", lines.join("\n"));
    assert!(
        printed.len() > 64 * 1024 && text.contains(&printed),
        "{} bytes",
        text.len()
    );
}

#[tokio::test]
async fn a_jobs_log_of_more_than_400_000_lines_or_16_mib_leaves_the_gaps() {
    let around = 5;
    let long = "x".repeat(100);
    for (line, lines, is_filled) in [
        ("y", 399_000, true),
        ("y", 400_000 - around + 1, false),
        (long.as_str(), 128_000, true),
        (long.as_str(), 131_000, false),
    ] {
        let scene = Scene::new().await;
        scene.prints(1, "one\n", false).await;
        scene.prints(2, "three\n", true).await;
        let mut job = vec![line; lines];
        job.extend(["one", "two", "three"]);
        scene.ends(&job).await;
        for second in [120, 240, 480] {
            scene.fill(second).await;
        }
        let text = scene.console.read(scene.callback.deploy).await["log"]["text"].clone();
        let is_seen = text.as_str().unwrap().contains("two\n");
        assert_eq!(is_seen, is_filled, "{lines} lines of {} bytes", line.len());
    }
}

#[tokio::test]
async fn secrets_in_the_jobs_log_are_masked() {
    let scene = Scene::new().await;
    let leak = format!("key={}", crate::support::SECRET);
    scene.ends(&["one", &leak]).await;
    assert!(scene.fill(60).await);
    let text = scene.log("0").await["text"].as_str().unwrap().to_owned();
    assert!(
        text.contains("key=***") && !text.contains(crate::support::SECRET),
        "{text}"
    );
}

#[tokio::test]
async fn when_github_cannot_be_asked_it_is_asked_again_and_what_is_gone_stays_a_gap() {
    let scene = Scene::new().await;
    scene.prints(1, "one\n", false).await;
    scene.prints(2, "three\n", true).await;
    scene.ends(&["one", "two", "three"]).await;
    scene.console.github.set_fault(Some(Fault::Error500));
    assert!(!scene.fill(120).await);
    scene.console.github.set_fault(None);
    assert!(!scene.fill(121).await, "not at once");
    assert!(scene.fill(140).await);
    assert!(scene.log("0").await["text"].as_str().unwrap().contains("two\n"));

    let gone = Scene::new().await;
    gone.prints(1, "one\n", false).await;
    gone.prints(2, "three\n", true).await;
    gone.ends(&[]).await;
    gone.console
        .github
        .delete_run(gone.callback.body["run_id"].as_i64().unwrap());
    for second in [120, 240, 480, 960, 1920] {
        gone.fill(second).await;
    }
    assert_eq!(gone.log("0").await["text"], format!("one\n{SENDER_GAP}three\n"));
}

#[tokio::test]
async fn a_played_run_whose_callbacks_are_all_lost_has_its_log_in_the_end() {
    let console = playing(Scenario::Silent).await;
    let deploy = console.deploy("docs").await.deploy;
    let finished = || console.github.runs().iter().all(|run| run.conclusion.is_some());
    console.github.dispatched(1).await;
    while !finished() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let reconciler = console.running.reconciler();
    reconciler.step(clock::now().plus_millis(60_000)).await.unwrap();
    reconciler.fill_logs(clock::now().plus_millis(120_000)).await.unwrap();
    let record = console.read(deploy.id).await;
    assert_eq!(record["state"], "succeeded");
    let text = record["log"]["text"].as_str().unwrap();
    assert!(text.starts_with(FILLED) && text.contains("Build finished"), "{text}");
}

#[tokio::test]
async fn one_log_is_filled_in_and_another_stays_as_it_is() {
    let scene = Scene::new().await;
    let other = scene.console.bound("api-prod").await;
    let mut report = other.prints("of another\n");
    report.id = "of-another".to_owned();
    assert_eq!(scene.console.report(&report).await.status(), 200);
    scene.prints(1, "one\n", false).await;
    scene.prints(2, "three\n", true).await;
    scene.ends(&["one", "two", "three"]).await;
    assert!(scene.fill(120).await);
    assert!(scene.log("0").await["text"].as_str().unwrap().contains("two\n"));
    let record = scene.console.read(other.deploy).await;
    assert_eq!(record["log"]["text"], "of another\n");
}
