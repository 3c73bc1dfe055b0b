//! GitHub has the last word: whatever is lost on the way, a deploy ends finished, or honestly lost or unknown, within
//! two minutes, and GitHub was asked once to start it. Time is simulated; no test waits for it.

use crate::support::{Callback, Setup, TestConsole, config, refused};
use raxx_console::domain::{DeployId, Event, Timestamp};
use raxx_console::server::demo::stand_in::{Fault, Run, RunStep, Scenario};
use raxx_console::server::{clock, run};
use serde_json::{Value, json};
use std::time::Duration;

/// Two sites of one workflow, that are lost after a minute.
const SITES: &str = r#"
[[site]]
slug = "docs"
name = "Docs"
environment = "staging"
url = "https://docs.example.com"
repository = "raxx/docs"
workflow = "deploy-docs.yml"
silent_after = "1m"

[[site]]
slug = "docs-eu"
name = "Docs in Europe"
environment = "staging"
url = "https://docs.example.eu"
repository = "raxx/docs"
workflow = "deploy-docs.yml"
silent_after = "1m"
"#;

/// A console whose reconciler a test leads through time.
struct Scene {
    console: TestConsole,
    began: Timestamp,
}

impl Scene {
    async fn new(scenario: Scenario) -> Self {
        let setup = Setup {
            scenario,
            file: SITES.to_owned(),
            ..Setup::default()
        };
        Self {
            console: setup.start().await,
            began: clock::now(),
        }
    }

    /// A deploy of `docs` that is bound to its run.
    async fn bound(scenario: Scenario) -> (Self, Callback) {
        let scene = Self::new(scenario).await;
        let callback = scene.console.bound("docs").await;
        (scene, callback)
    }

    /// The run of a deploy that was bound.
    fn change_run(&self, callback: &Callback, change: impl FnOnce(&mut Run)) {
        self.console.github.change_run(run_id(callback), change);
    }

    async fn step(&self, second: i64) -> usize {
        let now = self.began.plus_millis(second * 1000);
        self.console.running.reconciler().step(now).await.unwrap()
    }

    /// Lets the seconds from `from` to `to` pass, one by one.
    async fn pass(&self, from: i64, to: i64) {
        for second in from..=to {
            self.step(second).await;
        }
    }

    async fn read(&self, id: DeployId) -> Value {
        self.console.read(id).await
    }

    /// How often GitHub was read at a path that ends so, and how often it could answer "unchanged".
    fn reads(&self, end: &str) -> (usize, usize) {
        let asked = self.console.github.asked();
        let reads = asked
            .iter()
            .filter(|asked| asked.method == "GET" && asked.path.ends_with(end));
        let statuses: Vec<u16> = reads.map(|asked| asked.status).collect();
        (statuses.len(), statuses.iter().filter(|status| **status == 304).count())
    }

    fn one_post(&self) {
        assert_eq!(self.console.github.dispatches().len(), 1, "GitHub was asked once");
    }
}

fn run_id(callback: &Callback) -> i64 {
    callback.body["run_id"].as_i64().unwrap()
}

fn step(name: &str, status: &'static str, conclusion: Option<&'static str>, second: i64) -> RunStep {
    let at = Timestamp::from_millis(1_700_000_000_000 + second * 1000);
    RunStep {
        name: name.to_owned(),
        status,
        conclusion,
        started_at: (status != "queued").then_some(at),
        completed_at: conclusion.map(|_| at.plus_millis(900)),
    }
}

fn works(run: &mut Run) {
    run.status = "in_progress";
    run.steps = vec![
        step("Set up job", "completed", Some("success"), 0),
        step("Build", "in_progress", None, 1),
        step("Release", "queued", None, 2),
    ];
}

fn notice(record: &Value) -> &str {
    record["notice"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn all_callbacks_lost_and_the_record_is_whole() {
    let (scene, callback) = Scene::bound(Scenario::Queued).await;
    scene.change_run(&callback, works);
    scene.pass(1, 40).await;
    let record = scene.read(callback.deploy).await;
    assert_eq!(
        (&record["state"], &record["confirmed_by"]),
        (&json!("running"), &json!("github"))
    );
    assert_eq!(
        record["steps"].as_array().unwrap().len(),
        2,
        "what has not begun is no step yet: {record:#}"
    );
    scene.change_run(&callback, |run| {
        for (index, step_of) in run.steps.iter_mut().enumerate() {
            *step_of = step(
                &step_of.name,
                "completed",
                Some("success"),
                i64::try_from(index).unwrap(),
            );
        }
        run.conclude("success", None);
    });
    scene.pass(41, 110).await;
    let record = scene.read(callback.deploy).await;
    assert_eq!(
        (&record["state"], &record["confirmed_by"]),
        (&json!("succeeded"), &json!("github"))
    );
    assert_eq!(
        record["steps"][2],
        json!({
            "name": "Release", "status": "succeeded",
            "started_at": "2023-11-14T22:13:22Z", "finished_at": "2023-11-14T22:13:22.9Z",
        })
    );
    assert_eq!(record["steps"].as_array().unwrap().len(), 3);
    assert!(record["head_sha"].is_string());
    scene.one_post();
    // GitHub has said how it ended: there is nothing to ask any more.
    let reads = scene.reads("");
    scene.pass(111, 400).await;
    assert_eq!(scene.reads(""), reads);
}

#[tokio::test]
async fn callbacks_only_and_github_never_answers() {
    for fault in [Fault::Error500, Fault::Drop, Fault::RateLimited(600)] {
        let scene = Scene::new(Scenario::Queued).await;
        scene.console.github.set_fault(Some(fault));
        let callback = scene.console.bound("docs").await;
        scene.pass(1, 50).await;
        assert_eq!(scene.console.report(&callback.at("Build")).await.status(), 200);
        let done = callback.number(2).says("success");
        assert_eq!(scene.console.report(&done).await.status(), 200);
        scene.pass(51, 120).await;
        let record = scene.read(callback.deploy).await;
        assert_eq!(
            (&record["state"], &record["confirmed_by"]),
            (&json!("succeeded"), &json!("callback"))
        );
        assert_eq!(record["conclusion_conflict"], false);
        scene.one_post();
    }
}

#[tokio::test]
async fn both_disagree_and_whoever_came_first_is_kept() {
    let (scene, callback) = Scene::bound(Scenario::Queued).await;
    scene.console.report(&callback.says("success")).await;
    scene.change_run(&callback, |run| {
        run.conclude("failure", Some("The job was not acquired by a runner"));
    });
    scene.pass(1, 120).await;
    let record = scene.read(callback.deploy).await;
    assert_eq!(
        (&record["state"], &record["conclusion_conflict"]),
        (&json!("succeeded"), &json!(true))
    );

    let (scene, callback) = Scene::bound(Scenario::Queued).await;
    scene.change_run(&callback, |run| run.conclude("failure", None));
    scene.pass(1, 120).await;
    assert_eq!(scene.console.report(&callback.says("success")).await.status(), 202);
    let record = scene.read(callback.deploy).await;
    assert_eq!(
        (&record["state"], &record["conclusion_conflict"]),
        (&json!("failed"), &json!(true))
    );
    scene.one_post();
}

#[tokio::test]
async fn a_run_that_is_replaced_while_pending() {
    let (scene, callback) = Scene::bound(Scenario::Replaced).await;
    scene.console.github.set_scenario("deploy-docs.yml", Scenario::Queued);
    let other = scene.console.bound("docs-eu").await;
    // It need not be under way: one that waits for its approval holds the group too.
    scene.change_run(&other, |run| run.status = "waiting");
    scene.pass(1, 20).await;
    let record = scene.read(callback.deploy).await;
    let holder = json!({ "run_id": run_id(&other), "url": scene.read(other.deploy).await["run_url"] });
    assert_eq!(record["blocked_by"], json!({ "kind": "concurrency", "holder": holder }));
    assert_eq!(record["state"], "queued");
    let note = "Canceling since a higher priority waiting request for 'deploy' exists";
    scene.change_run(&callback, |run| run.conclude("cancelled", Some(note)));
    scene.pass(21, 100).await;
    let record = scene.read(callback.deploy).await;
    assert_eq!(
        (&record["state"], &record["confirmed_by"]),
        (&json!("cancelled"), &json!("github"))
    );
    assert_eq!((notice(&record), &record["blocked_by"]), (note, &Value::Null));
    assert_eq!(scene.console.github.dispatches().len(), 2, "one for each deploy");
}

#[tokio::test]
async fn a_runner_that_dies_in_the_middle_of_a_step() {
    let (scene, callback) = Scene::bound(Scenario::Queued).await;
    scene.console.report(&callback.at("Build")).await;
    scene.change_run(&callback, works);
    scene.pass(1, 60).await;
    assert_eq!(
        scene.read(callback.deploy).await["state"],
        "running",
        "GitHub says that it runs"
    );
    let note = "The self-hosted runner lost communication with the server.";
    scene.change_run(&callback, |run| run.conclude("failure", Some(note)));
    scene.pass(61, 120).await;
    let record = scene.read(callback.deploy).await;
    assert_eq!(record["state"], "failed");
    assert_eq!(record["failure"], json!({ "step": "Build", "reason": note }));
    assert_eq!(record["steps"][1]["status"], "failed");
    scene.one_post();
}

#[tokio::test]
async fn a_failure_that_nobody_reported_has_its_step_and_the_logs_last_words() {
    let (scene, callback) = Scene::bound(Scenario::Queued).await;
    scene.change_run(&callback, |run| {
        works(run);
        run.steps[1] = step("Build", "completed", Some("failure"), 1);
        run.log = "2026-01-01T00:00:00.0000000Z ##[group]Run make\n\
                   2026-01-01T00:00:01.0000000Z ##[error]key is missing\n\
                   2026-01-01T00:00:02.0000000Z ##[error]Process completed with exit code 2.\n"
            .to_owned();
        run.conclude("failure", Some("Process completed with exit code 2."));
    });
    scene.pass(1, 20).await;
    let record = scene.read(callback.deploy).await;
    assert_eq!(
        record["failure"],
        json!({ "step": "Build", "reason": "key is missing" })
    );
}

#[tokio::test]
async fn last_words_are_looked_for_in_64_mib_of_log_and_no_more() {
    let line = format!("2026-01-01T00:00:00.0000000Z {}\n", "x".repeat(1024));
    for (mib, reason) in [(63, "key is missing"), (65, "exit code 2")] {
        let (scene, callback) = Scene::bound(Scenario::Queued).await;
        scene.change_run(&callback, |run| {
            works(run);
            run.steps[1] = step("Build", "completed", Some("failure"), 1);
            run.log = line.repeat(mib * 1024 * 1024 / line.len());
            run.log
                .push_str("2026-01-01T00:00:01.0000000Z ##[error]key is missing\n");
            run.conclude("failure", Some("Process completed with exit code 2."));
        });
        scene.pass(1, 20).await;
        let failure = scene.read(callback.deploy).await["failure"].clone();
        assert!(
            failure["reason"].as_str().unwrap().contains(reason),
            "{mib} MiB: {failure}"
        );
    }
}

#[tokio::test]
async fn other_conclusions_are_failures_in_words() {
    for (conclusion, words) in [
        ("startup_failure", "workflow file"),
        ("timed_out", "longer"),
        ("skipped", "nothing was deployed"),
        ("neutral", "`neutral`"),
    ] {
        let (scene, callback) = Scene::bound(Scenario::Queued).await;
        scene.change_run(&callback, |run| {
            run.conclude(conclusion, None);
        });
        scene.pass(1, 20).await;
        let record = scene.read(callback.deploy).await;
        assert_eq!(record["state"], "failed");
        let reason = record["failure"]["reason"].as_str().unwrap();
        assert!(reason.contains(words), "{conclusion}: {reason}");
    }
}

#[tokio::test]
async fn a_run_that_is_deleted_is_lost_and_keeps_its_site() {
    let (scene, callback) = Scene::bound(Scenario::Queued).await;
    scene.console.github.delete_run(run_id(&callback));
    scene.pass(1, 55).await;
    assert_eq!(
        scene.read(callback.deploy).await["state"],
        "queued",
        "not before the site's time is over"
    );
    scene.pass(56, 75).await;
    let record = scene.read(callback.deploy).await;
    assert_eq!((&record["state"], &record["active"]), (&json!("lost"), &json!(true)));
    assert!(
        notice(&record).contains("Nothing was heard for 1m") && notice(&record).contains("404"),
        "{record:#}"
    );
    let said = record["timeline"].as_array().unwrap().last().unwrap()["note"].clone();
    assert_eq!(said, record["notice"]);
    refused(scene.console.create("docs").await, 409, "already-active").await;
    // Later evidence finishes it all the same.
    assert_eq!(scene.console.report(&callback.says("success")).await.status(), 200);
    assert_eq!(scene.read(callback.deploy).await["state"], "succeeded");
    scene.one_post();
}

#[tokio::test]
async fn a_lost_deploy_is_finished_by_githubs_later_word() {
    let (scene, callback) = Scene::bound(Scenario::Queued).await;
    scene.console.github.set_fault(Some(Fault::Drop));
    scene.pass(1, 80).await;
    assert_eq!(scene.read(callback.deploy).await["state"], "lost");
    scene.console.github.set_fault(None);
    scene.change_run(&callback, works);
    scene.pass(81, 150).await;
    let record = scene.read(callback.deploy).await;
    assert_eq!(record["state"], "lost", "rank only rises");
    assert!(notice(&record).contains("not ended"), "{record:#}");
    scene.change_run(&callback, |run| run.conclude("success", None));
    scene.pass(151, 220).await;
    assert_eq!(scene.read(callback.deploy).await["state"], "succeeded");
}

#[tokio::test]
async fn an_approval_is_waited_for_and_named() {
    let (scene, callback) = Scene::bound(Scenario::Approval).await;
    scene.pass(1, 120).await;
    let record = scene.read(callback.deploy).await;
    let blocked_by = json!({
        "kind": "approval",
        "environments": [{ "name": "production", "reviewers": ["grace", "operations"] }],
    });
    assert_eq!(
        (&record["state"], &record["blocked_by"]),
        (&json!("queued"), &blocked_by)
    );
    let board: Value = scene
        .console
        .http
        .get(scene.console.url("/api/internal/board"))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(board["tiles"][0]["latest"]["blocked_by"], blocked_by);
    scene.change_run(&callback, works);
    scene.pass(121, 190).await;
    let record = scene.read(callback.deploy).await;
    assert_eq!(
        (&record["state"], &record["blocked_by"]),
        (&json!("running"), &Value::Null)
    );
    scene.one_post();
}

#[tokio::test]
async fn no_runner_takes_it_and_it_says_since_when() {
    let (scene, callback) = Scene::bound(Scenario::Queued).await;
    scene.pass(1, 120).await;
    let record = scene.read(callback.deploy).await;
    let since = scene.console.github.runs()[0].created_at;
    assert_eq!(record["blocked_by"], json!({ "kind": "no_runner", "since": since }));
    assert_eq!(record["state"], "queued", "GitHub says that it waits: it is not lost");
    scene.one_post();
}

#[tokio::test]
async fn an_answer_of_500_after_accepting_is_found_even_when_the_list_comes_late() {
    let scene = Scene::new(Scenario::Error500Accepted).await;
    scene.console.github.set_fault(Some(Fault::Error500));
    let id = scene.console.deploy("docs").await.deploy.id;
    scene.console.until(id, "dispatch_unknown").await;
    let run = scene.console.github.runs()[0].id;
    scene.console.github.change_run(run, |run| run.hidden = true);
    scene.console.github.set_fault(None);
    scene.pass(1, 40).await;
    assert_eq!(
        scene.read(id).await["state"],
        "dispatch_unknown",
        "GitHub lists no run yet"
    );
    scene.console.github.change_run(run, |run| {
        run.hidden = false;
        works(run);
    });
    scene.pass(41, 110).await;
    let record = scene.read(id).await;
    assert_eq!((&record["state"], &record["run_id"]), (&json!("running"), &json!(run)));
    scene.one_post();
}

#[tokio::test]
async fn a_rate_limit_is_obeyed_until_its_reset() {
    for (fault, seconds) in [(Fault::RateLimited(90), 90), (Fault::SecondaryLimit(70), 70)] {
        let (scene, callback) = Scene::bound(Scenario::Queued).await;
        scene.step(0).await;
        scene.change_run(&callback, |run| run.conclude("success", None));
        scene.console.github.set_fault(Some(fault));
        scene.pass(1, 20).await;
        let refused = scene.reads("").0;
        scene.console.github.set_fault(None);
        scene.pass(21, seconds - 2).await;
        assert_eq!(
            scene.reads("").0,
            refused,
            "{fault:?}: nothing is asked before its time"
        );
        let record = scene.read(callback.deploy).await;
        assert_eq!(
            record["state"], "lost",
            "nothing was heard for a minute, and GitHub may not be asked"
        );
        assert!(notice(&record).contains("rate limit"), "{record:#}");
        scene.pass(seconds - 1, 120).await;
        assert_eq!(scene.read(callback.deploy).await["state"], "succeeded", "{fault:?}");
        scene.one_post();
    }
}

#[tokio::test]
async fn the_budget_is_one_for_the_whole_console() {
    let (scene, callback) = Scene::bound(Scenario::Queued).await;
    scene.step(0).await;
    scene
        .console
        .github
        .set_scenario("deploy-docs.yml", Scenario::RateLimited);
    let id = scene.console.deploy("docs-eu").await.deploy.id;
    let record = scene.console.until(id, "dispatch_failed").await;
    let reason = record["failure"]["reason"].as_str().unwrap();
    assert!(
        reason.contains("rate limit exceeded") && reason.contains("may be asked again at 20"),
        "{reason}"
    );
    let reads = scene.reads("").0;
    scene.change_run(&callback, works);
    scene.pass(1, 110).await;
    assert_eq!(scene.reads("").0, reads, "what a dispatch learned holds for reading");
    scene.pass(111, 190).await;
    assert!(scene.reads("").0 > reads);
}

#[tokio::test]
async fn a_quiet_deploy_is_asked_about_ever_more_rarely_and_conditionally() {
    let (scene, callback) = Scene::bound(Scenario::Queued).await;
    let path = format!("/actions/runs/{}", run_id(&callback));
    let mut asked_at = Vec::new();
    for second in 0..200 {
        let before = scene.reads(&path).0;
        scene.step(second).await;
        if scene.reads(&path).0 > before {
            asked_at.push(second);
        }
    }
    let waits: Vec<i64> = asked_at.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(waits.ends_with(&[30, 60, 60]), "{asked_at:?}");
    let (reads, unchanged) = scene.reads(&path);
    assert_eq!(
        reads - unchanged,
        1,
        "after the first all are conditional, and cost nothing"
    );
    // A word that comes by itself begins the waits anew: this one was heard five seconds after the last question.
    let last = *asked_at.last().unwrap();
    let report = serde_json::from_value(callback.body.clone()).unwrap();
    let heard_at = scene.began.plus_millis((last + 5) * 1000);
    let store = scene.console.running.store();
    store
        .change(callback.deploy, &Event::Reported(report), heard_at)
        .await
        .unwrap();
    let before = scene.reads(&path).0;
    scene.pass(last + 5, last + 19).await;
    assert_eq!(scene.reads(&path).0, before);
    scene.step(last + 20).await;
    assert_eq!(scene.reads(&path).0, before + 1);
}

#[tokio::test]
async fn slow_answers_hold_nothing_else_up() {
    let (scene, callback) = Scene::bound(Scenario::Queued).await;
    scene.step(0).await;
    scene
        .console
        .github
        .set_fault(Some(Fault::Slow(Duration::from_secs(11))));
    let reconciler = scene.console.running.reconciler().clone();
    let now = scene.began.plus_millis(70_000);
    let slow = tokio::spawn(async move { reconciler.step(now).await });
    let building = callback.at("Build");
    assert_eq!(scene.console.report(&building).await.status(), 200);
    assert_eq!(scene.read(callback.deploy).await["steps"][0]["name"], "Build");
    assert!(!slow.is_finished());
    assert_eq!(slow.await.unwrap().unwrap(), 1);
    let record = scene.read(callback.deploy).await;
    assert_eq!(
        record["state"], "lost",
        "ten seconds without an answer are no answer: {record:#}"
    );
    scene.one_post();
}

#[tokio::test]
async fn a_start_settles_everything_that_was_active() {
    let (scene, callback) = Scene::bound(Scenario::Queued).await;
    scene.step(0).await;
    let TestConsole {
        running,
        github,
        http,
        data,
    } = scene.console;
    running.stop().await;
    github.change_run(run_id(&callback), |run| run.conclude("success", None));
    let running = run::start(config(&data, &github.url()), None).await.unwrap();
    let console = TestConsole {
        running,
        github,
        http,
        data,
    };
    // The first step or the one after it, whichever of the two is ours; not when it would have been due.
    console.running.reconciler().step(clock::now()).await.unwrap();
    let record = console.read(callback.deploy).await;
    assert_eq!(
        (&record["state"], &record["confirmed_by"]),
        (&json!("succeeded"), &json!("github"))
    );
    assert_eq!(console.github.dispatches().len(), 1);
}

/// What goes wrong once a deploy is in a state.
#[derive(Debug, Clone, Copy)]
enum Trouble {
    Deleted,
    Cancelled,
    Replaced,
    DeadRunner,
    RunAgain,
    Failed,
    Succeeded,
    Read(Fault),
}

#[tokio::test]
async fn from_every_active_state_every_fault_ends_within_two_minutes() {
    let troubles = [
        Trouble::Deleted,
        Trouble::Cancelled,
        Trouble::Replaced,
        Trouble::DeadRunner,
        Trouble::RunAgain,
        Trouble::Failed,
        Trouble::Succeeded,
        Trouble::Read(Fault::Unauthorized),
        Trouble::Read(Fault::Error500),
        Trouble::Read(Fault::Drop),
        Trouble::Read(Fault::RateLimited(300)),
        Trouble::Read(Fault::SecondaryLimit(300)),
    ];
    for trouble in troubles {
        for state in ["dispatch_unknown", "queued", "running", "lost"] {
            let (scene, id) = in_state(state).await;
            let github = &scene.console.github;
            let run = github.runs()[0].id;
            github.set_fault(None);
            match trouble {
                Trouble::Deleted => github.delete_run(run),
                Trouble::Cancelled => github.change_run(run, |run| run.conclude("cancelled", None)),
                Trouble::Replaced => github.change_run(run, |run| {
                    run.status = "pending";
                    run.conclude(
                        "cancelled",
                        Some("Canceling since a higher priority waiting request exists"),
                    );
                }),
                Trouble::DeadRunner => github.change_run(run, |run| {
                    works(run);
                    run.conclude(
                        "failure",
                        Some("The self-hosted runner lost communication with the server."),
                    );
                }),
                // And nobody reports on the second attempt either.
                Trouble::RunAgain => github.change_run(run, |run| {
                    run.conclude("failure", None);
                    run.run_again("octocat");
                    run.conclude("success", None);
                }),
                Trouble::Failed => github.change_run(run, |run| run.conclude("failure", None)),
                Trouble::Succeeded => github.change_run(run, |run| run.conclude("success", None)),
                Trouble::Read(fault) => github.set_fault(Some(fault)),
            }
            for second in (62..=182).step_by(4) {
                scene.step(second).await;
            }
            let ended = match (trouble, state) {
                (Trouble::Cancelled | Trouble::Replaced, _) => "cancelled",
                (Trouble::Failed | Trouble::DeadRunner | Trouble::RunAgain, _) => "failed",
                (Trouble::Succeeded, _) => "succeeded",
                (_, "dispatch_unknown") => "dispatch_unknown",
                _ => "lost",
            };
            let record = scene.read(id).await;
            assert_eq!(record["state"], ended, "{trouble:?} in {state}");
            if matches!(trouble, Trouble::RunAgain) {
                assert_eq!(record["reruns"][0]["state"], "succeeded", "in {state}");
            }
            scene.one_post();
        }
    }
}

/// A deploy in an active state, at second 61 at the latest; GitHub cannot be read.
async fn in_state(state: &str) -> (Scene, DeployId) {
    let scenario = if state == "dispatch_unknown" {
        Scenario::Error500Accepted
    } else {
        Scenario::Queued
    };
    let scene = Scene::new(scenario).await;
    scene.console.github.set_fault(Some(Fault::Error500));
    if state == "dispatch_unknown" {
        let id = scene.console.deploy("docs").await.deploy.id;
        scene.console.until(id, state).await;
        return (scene, id);
    }
    let callback = scene.console.bound("docs").await;
    match state {
        "running" => assert_eq!(scene.console.report(&callback).await.status(), 200),
        "lost" => scene.pass(55, 61).await,
        _ => {}
    }
    assert_eq!(scene.read(callback.deploy).await["state"], state);
    (scene, callback.deploy)
}
