//! What is said to GitHub is on record, and what GitHub would not know is found there.

use crate::support::{SECRET, repository};
use raxx_console::server::demo::stand_in::{Scenario, StandIn, StandInOptions};
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const TOKEN: &str = "token-that-stays-out-of-the-record";

/// A stand-in that never answers a dispatch, and writes its record into `folder`.
async fn stand_in(folder: &Path) -> StandIn {
    // No console in this process may have said so yet.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let options = StandInOptions {
        addr: ([127, 0, 0, 1], 0).into(),
        console_url: String::new(),
        callback_secret: SECRET.to_owned(),
        pace: Duration::from_millis(10),
        id_token: false,
        play: false,
        default_scenario: Scenario::Hang,
        record: Some(folder.join("1.exchanges")),
    };
    StandIn::start(options).await.unwrap()
}

fn as_the_client_would(request: RequestBuilder) -> RequestBuilder {
    request
        .bearer_auth(TOKEN)
        .header("accept", "application/vnd.github+json")
        .header("user-agent", "test")
        .header("x-github-api-version", "2022-11-28")
        .timeout(Duration::from_millis(500))
}

/// Waits until as many exchanges are on record, and reads them.
async fn on_record(folder: &Path, count: usize) -> Vec<Value> {
    for _ in 0..500 {
        let text = std::fs::read_to_string(folder.join("1.exchanges")).unwrap_or_default();
        if text.lines().count() >= count {
            assert!(!text.contains(TOKEN));
            return text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("never {count} exchanges on record");
}

/// What `scripts/openapi.mjs` says of the record.
fn verdict(folder: &Path) -> (bool, String) {
    let mut node = Command::new("node");
    node.current_dir(repository())
        .args(["scripts/openapi.mjs", "--partial"]);
    let output = node.arg(folder).output().unwrap();
    let words = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(words).unwrap())
}

#[tokio::test]
async fn what_github_describes_is_let_through_answered_or_not() {
    let folder = tempfile::tempdir().unwrap();
    let github = stand_in(folder.path()).await;
    let (http, api) = (Client::new(), format!("{}/repos/raxx/docs", github.url()));
    let dispatch = http.post(format!("{api}/actions/workflows/deploy.yml/dispatches"));
    let dispatch = as_the_client_would(dispatch).json(&json!({ "ref": "main", "inputs": { "color": "green" } }));
    assert!(dispatch.send().await.unwrap_err().is_timeout());
    let run = as_the_client_would(http.get(format!("{api}/actions/runs/{}", github.runs()[0].id)));
    assert_eq!(run.send().await.unwrap().status(), 200);
    let exchanges = on_record(folder.path(), 2).await;
    let answered = exchanges.iter().filter(|exchange| exchange["answer"].is_object());
    assert_eq!(
        answered.count(),
        1,
        "the dispatch had no answer, and is on record all the same"
    );
    let (is_well, words) = verdict(folder.path());
    assert!(is_well, "{words}");
    assert_eq!(words.trim(), "2 requests, 2 operations, all as GitHub describes them");
}

#[tokio::test]
async fn what_github_would_not_know_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let github = stand_in(folder.path()).await;
    let (http, api) = (Client::new(), format!("{}/repos/raxx/docs", github.url()));
    let dispatch = http.post(format!("{api}/actions/workflows/deploy.yml/dispatches"));
    let runs = format!("{api}/actions/workflows/deploy.yml/runs");
    for request in [
        dispatch.json(&json!({ "ref": "main", "input": {} })),
        http.get(format!("{runs}?perpage=100")),
        http.get(format!("{runs}?per_page=many")),
        http.get(format!("{api}/action/runs/1")),
    ] {
        as_the_client_would(request).send().await.unwrap();
    }
    on_record(folder.path(), 4).await;
    let (is_well, words) = verdict(folder.path());
    assert!(!is_well, "{words}");
    for found in [
        "must NOT have additional properties: input",
        "unknown query parameter perpage",
        r#"query parameter per_page: "many" must be integer"#,
        "GET /repos/raxx/docs/action/runs/1: no operation",
        "4 things are not as GitHub describes them, in 4 requests",
    ] {
        assert!(words.contains(found), "{found}: {words}");
    }
}
