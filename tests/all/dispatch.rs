//! Every answer that GitHub can give to a dispatch: the right state, and one POST.

use crate::support::database::database_of;
use crate::support::{Setup, TestConsole, console_with};
use raxx_console::server::demo::stand_in::Scenario;
use serde_json::{Value, json};

/// Deploys under `scenario`, and tells the record once it is in `state`.
async fn ends_in(scenario: Scenario, state: &str) -> (TestConsole, Value) {
    let console = console_with(scenario).await;
    let deploy = console.deploy("docs").await.deploy;
    let record = console.until(deploy.id, state).await;
    assert_eq!(console.github.dispatches().len(), 1, "one POST");
    (console, record)
}

fn reason(record: &Value) -> &str {
    record["failure"]["reason"].as_str().unwrap()
}

fn notice(record: &Value) -> &str {
    record["notice"].as_str().unwrap()
}

#[tokio::test]
async fn accepted_with_details_binds_the_run() {
    let (console, record) = ends_in(Scenario::Queued, "queued").await;
    let run = &console.github.runs()[0];
    assert_eq!(record["run_id"], json!(run.id));
    assert_eq!(record["confirmed_by"], "github");
    assert!(record["dispatched_at"].is_string());
    let dispatch = &console.github.dispatches()[0];
    assert_eq!(
        (dispatch.api_version.as_deref(), dispatch.return_run_details),
        (Some("2022-11-28"), true)
    );
}

#[tokio::test]
async fn the_newer_api_version_is_not_asked_for_details_and_gives_them() {
    let setup = Setup {
        scenario: Scenario::NewVersion,
        api_version: "2026-03-10",
        ..Setup::default()
    };
    let console = setup.start().await;
    let deploy = console.deploy("docs").await.deploy;
    let record = console.until(deploy.id, "queued").await;
    assert_eq!(record["run_id"], json!(console.github.runs()[0].id));
    assert_eq!(
        record["timeline"].as_array().unwrap().len(),
        3,
        "it was told, not looked for"
    );
    let dispatch = &console.github.dispatches()[0];
    assert_eq!(
        (dispatch.api_version.as_deref(), dispatch.return_run_details),
        (Some("2026-03-10"), false)
    );
    assert_eq!(console.github.dispatches().len(), 1);
    learns_the_commit(&console, &record).await;
}

#[tokio::test]
async fn accepted_without_details_is_found_by_its_title() {
    let (console, record) = ends_in(Scenario::NoDetails, "queued").await;
    assert_eq!(record["run_id"], json!(console.github.runs()[0].id));
    let story: Vec<&str> = record["timeline"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["state"].as_str().unwrap())
        .collect();
    assert_eq!(story, ["requested", "dispatching", "dispatch_unknown", "queued"]);
}

#[tokio::test]
async fn refusals_free_the_site_and_keep_githubs_words() {
    for (scenario, words) in [
        (Scenario::Refuse, "Unexpected inputs provided"),
        (Scenario::Refuse401, "Bad credentials"),
        (Scenario::Refuse403, "Resource not accessible"),
        (Scenario::Refuse403, "it wants the permission `actions=write`"),
        (Scenario::Refuse404, "Not Found"),
        (Scenario::Redirect, "307"),
    ] {
        let (console, record) = ends_in(scenario, "dispatch_failed").await;
        assert!(reason(&record).contains(words), "{scenario}: {}", reason(&record));
        assert_eq!(record["failure"]["step"], "dispatch");
        assert_eq!(record["active"], false);
        assert_eq!(console.create("docs").await.status(), 201);
    }
}

#[tokio::test]
async fn no_answer_is_unknown_and_the_site_stays_taken() {
    for (scenario, words) in [
        (Scenario::Refuse429, "429"),
        (Scenario::Error500, "500"),
        (Scenario::Error502, "502"),
    ] {
        let (console, record) = ends_in(scenario, "dispatch_unknown").await;
        assert!(notice(&record).contains(words), "{scenario}: {}", notice(&record));
        assert_eq!(console.create("docs").await.status(), 409);
        assert_eq!(console.github.dispatches().len(), 1, "never again");
    }
}

#[tokio::test]
async fn an_answer_that_was_lost_is_found_again() {
    for scenario in [
        Scenario::Drop,
        Scenario::Error500Accepted,
        Scenario::NotJson,
        Scenario::Huge,
    ] {
        let (console, record) = ends_in(scenario, "queued").await;
        let story: Vec<&str> = record["timeline"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["state"].as_str().unwrap())
            .collect();
        assert!(story.contains(&"dispatch_unknown"), "{scenario}: {story:?}");
        assert_eq!(record["run_id"], json!(console.github.runs()[0].id));
    }
}

#[tokio::test]
async fn an_answer_that_never_comes_is_not_waited_for() {
    let (_console, record) = ends_in(Scenario::Hang, "queued").await;
    let entry = &record["timeline"][2];
    assert_eq!(entry["state"], "dispatch_unknown");
    assert!(entry["note"].as_str().unwrap().contains("10 s"), "{entry}");
}

#[tokio::test]
async fn what_never_left_is_a_failure_and_not_a_riddle() {
    let console = console_with(Scenario::Queued).await;
    // A port that nobody listens on: bound, noted, and let go.
    let unused = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let mut config = crate::support::config(&console.data, &format!("http://{unused}"));
    config.database_url = database_of(&console.data.path().join("other"));
    let other = TestConsole::start(config, console.github, console.data).await;
    let deploy = other.deploy("docs").await.deploy;
    let record = other.until(deploy.id, "dispatch_failed").await;
    assert!(reason(&record).contains("nothing was sent"), "{}", reason(&record));
    assert_eq!(record["confirmed_by"], Value::Null);
}

#[tokio::test]
async fn the_commit_is_learned_from_the_run() {
    let (console, record) = ends_in(Scenario::Queued, "queued").await;
    learns_the_commit(&console, &record).await;
}

/// Waits until the run was read, and its commit with it.
async fn learns_the_commit(console: &TestConsole, record: &Value) {
    let id = serde_json::from_value(record["id"].clone()).unwrap();
    for _ in 0..500 {
        if console.read(id).await["head_sha"].is_string() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("the commit was never learned");
}

#[tokio::test]
async fn a_whole_run_reports_itself_through_the_real_action() {
    crate::support::tools_are_there().await;
    for (scenario, state) in [
        (Scenario::Succeed, "succeeded"),
        (Scenario::Fail, "failed"),
        (Scenario::Cancelled, "cancelled"),
    ] {
        let demo = crate::support::playing(scenario).await;
        let deploy = demo.deploy("docs").await.deploy;
        let record = demo.until(deploy.id, state).await;
        assert_eq!(record["confirmed_by"], "callback");
        assert!(
            record["log"]["text"].as_str().unwrap().contains("Checking out main"),
            "{record:#}"
        );
        if scenario == Scenario::Fail {
            assert_eq!(record["failure"]["step"], "Check the address");
            assert!(reason(&record).contains("still answers 503"), "{}", reason(&record));
        }
    }
}
