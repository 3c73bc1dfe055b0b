//! Stepping in: cancel a deploy, or close by hand one that nobody else can tell the end of.

use crate::support::database::number;
use crate::support::{Callback, Setup, TestConsole, console_with, refused};
use raxx_console::domain::{AuditAction, AuditFilter, Deploy, DeployId, Event, Role};
use raxx_console::server::audit::Source;
use raxx_console::server::clock;
use raxx_console::server::config::parse_file;
use raxx_console::server::demo::stand_in::{Fault, Scenario};
use raxx_console::server::store::Intent;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use uuid::Uuid;

/// Without grace, so that what comes after it can be tested.
const SITES: &str = r#"
[[site]]
slug = "docs"
name = "Docs"
environment = "staging"
url = "https://docs.example.com"
repository = "raxx/docs"
workflow = "deploy-docs.yml"
grace = "0s"
"#;

async fn cancel(console: &TestConsole, id: DeployId, body: Value) -> Response {
    console
        .post(&format!("/api/internal/deploys/{id}/cancel"), &body)
        .send()
        .await
        .unwrap()
}

async fn close(console: &TestConsole, id: DeployId, state: &str, reason: &str) -> Response {
    let body = json!({ "state": state, "reason": reason });
    console
        .post(&format!("/api/internal/deploys/{id}/override"), &body)
        .send()
        .await
        .unwrap()
}

/// How often GitHub was asked to stop a run.
fn cancels(console: &TestConsole, call: &str) -> usize {
    let asked = console.github.asked();
    asked
        .iter()
        .filter(|asked| asked.method == "POST" && asked.path.ends_with(call))
        .count()
}

/// Has GitHub asked, as if this long had passed.
async fn later(console: &TestConsole, seconds: i64) {
    let now = clock::now().plus_millis(seconds * 1000);
    console.running.reconciler().step(now).await.unwrap();
}

/// A deploy that was silent for too long while GitHub could not be read.
async fn lost(console: &TestConsole) -> Callback {
    console.github.set_fault(Some(Fault::Error500));
    let callback = console.bound("docs").await;
    later(console, 3_600).await;
    assert_eq!(console.read(callback.deploy).await["state"], "lost");
    console.github.set_fault(None);
    callback
}

#[tokio::test]
async fn a_run_is_cancelled_on_evidence_alone() {
    let console = console_with(Scenario::Deaf).await;
    let id = console.bound("docs").await.deploy;
    // A script may send nothing at all.
    let path = console.url(&format!("/api/internal/deploys/{id}/cancel"));
    let record: Value = console.http.post(path).send().await.unwrap().json().await.unwrap();
    assert_eq!(
        (&record["state"], &record["cancel_requested"]),
        (&json!("queued"), &json!(true))
    );
    assert!(record["cancel_sent_at"].is_string());
    assert_eq!(cancels(&console, "/cancel"), 1);
    // Asked again, it is the same wish.
    assert_eq!(cancel(&console, id, json!({})).await.status(), 200);
    assert_eq!(cancels(&console, "/cancel"), 1);
    let notes: Vec<String> = record["timeline"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["note"].to_string())
        .collect();
    assert!(
        notes.ends_with(&[
            "\"asked to cancel\"".to_owned(),
            "\"takes the cancellation\"".to_owned()
        ]),
        "{notes:?}"
    );
    let run = console.github.runs()[0].id;
    console.github.change_run(run, |run| run.conclude("cancelled", None));
    later(&console, 20).await;
    let record = console.read(id).await;
    assert_eq!(
        (&record["state"], &record["confirmed_by"]),
        (&json!("cancelled"), &json!("github"))
    );
    refused(cancel(&console, id, json!({})).await, 409, "not-now").await;
    assert_eq!(console.github.dispatches().len(), 1);
    let on_trail = "SELECT COUNT(*) FROM console_audit WHERE action = 'cancel_requested'";
    assert_eq!(number(&console.database(), on_trail).await, 1, "what had an effect");
}

#[tokio::test]
async fn force_is_offered_after_a_minute_without_effect() {
    let console = console_with(Scenario::Deaf).await;
    let id = console.bound("docs").await.deploy;
    refused(cancel(&console, id, json!({ "force": true })).await, 409, "not-now").await;
    assert_eq!(cancel(&console, id, json!({})).await.status(), 200);
    let problem = refused(cancel(&console, id, json!({ "force": true })).await, 409, "not-now").await;
    let wait = problem["retry_after"].as_u64().unwrap();
    assert!((50..=61).contains(&wait), "{problem:#}");
    assert_eq!(cancels(&console, "/force-cancel"), 0);

    // Another one, that GitHub was asked to cancel a minute ago.
    let console = console_with(Scenario::Deaf).await;
    let id = console.bound("docs").await.deploy;
    let then = clock::now().plus_millis(-61_000);
    let wish = Event::CancelRequested {
        operator: "ada".to_owned(),
        force: false,
    };
    for event in [wish, Event::CancelSent] {
        console.running.store().change(id, &event, then).await.unwrap();
    }
    let record: Value = cancel(&console, id, json!({ "force": true }))
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(
        (&record["state"], &record["cancel_forced"]),
        (&json!("queued"), &json!(true))
    );
    assert_eq!(cancels(&console, "/force-cancel"), 1);
    let record = console.until(id, "cancelled").await;
    assert_eq!(record["confirmed_by"], "github");
}

#[tokio::test]
async fn what_has_not_left_is_cancelled_at_once_and_never_leaves() {
    let console = console_with(Scenario::Queued).await;
    let sites = parse_file(crate::support::SITES, "console.toml").unwrap().sites;
    let id = DeployId::from_uuid(Uuid::now_v7());
    // Not through the API, which wakes the dispatcher.
    let intent = Intent {
        deploy: Deploy::requested(id, &sites[1], "ada", clock::now()),
        idempotency_key: None,
        request_sha256: String::new(),
        entry: Source::command_line().does(AuditAction::DeployRequested),
    };
    console.running.store().record_intent(&intent, 100).await.unwrap();
    let record: Value = cancel(&console, id, json!({})).await.json().await.unwrap();
    assert_eq!(
        (&record["state"], &record["confirmed_by"]),
        (&json!("cancelled"), &json!("operator"))
    );
    assert!(console.github.dispatches().is_empty());
    assert_eq!(console.create("docs").await.status(), 201);
    assert_eq!(console.github.dispatched(1).await.len(), 1, "the next one only");
}

#[tokio::test]
async fn githubs_409_is_explained() {
    let console = console_with(Scenario::CancelRefused).await;
    let id = console.bound("docs").await.deploy;
    let problem = refused(cancel(&console, id, json!({})).await, 409, "not-now").await;
    assert!(
        problem["detail"].as_str().unwrap().contains("has not yet queued"),
        "{problem:#}"
    );
    let run = console.github.runs()[0].id;
    console.github.change_run(run, |run| run.conclude("success", None));
    // GitHub's next word is looked for at once.
    console.until(id, "succeeded").await;
}

#[tokio::test]
async fn a_wish_that_did_not_reach_github_is_taken_there_again() {
    let console = console_with(Scenario::Error500Accepted).await;
    console.github.set_fault(Some(Fault::Error500));
    let id = console.deploy("docs").await.deploy.id;
    console.until(id, "dispatch_unknown").await;
    let record: Value = cancel(&console, id, json!({})).await.json().await.unwrap();
    assert_eq!(
        (&record["cancel_requested"], &record["cancel_sent_at"]),
        (&json!(true), &Value::Null)
    );
    assert_eq!(cancels(&console, "/cancel"), 0, "no run is known");
    console.github.set_fault(None);
    later(&console, 100).await;
    assert_eq!(cancels(&console, "/cancel"), 1);
    later(&console, 120).await;
    assert_eq!(console.read(id).await["state"], "cancelled");
    assert_eq!(console.github.dispatches().len(), 1);
}

#[tokio::test]
async fn a_lost_deploy_is_closed_by_hand_with_a_reason() {
    for state in ["succeeded", "failed", "cancelled"] {
        let console = console_with(Scenario::Queued).await;
        let id = lost(&console).await.deploy;
        for reason in ["", "  ", &"x".repeat(501)] {
            let problem = refused(close(&console, id, state, reason).await, 422, "invalid").await;
            assert_eq!(problem["field"], "reason");
        }
        let problem = refused(close(&console, id, "dispatch_failed", "seen").await, 409, "not-now").await;
        assert!(
            problem["detail"]
                .as_str()
                .unwrap()
                .contains("succeeded or failed or cancelled")
        );
        let response = close(&console, id, state, "the release is live").await;
        assert_eq!(response.status(), 200);
        let record: Value = response.json().await.unwrap();
        assert_eq!(
            (&record["state"], &record["confirmed_by"]),
            (&json!(state), &json!("operator"))
        );
        let entry = record["timeline"].as_array().unwrap().last().unwrap();
        assert_eq!(entry["by"], json!({ "kind": "operator", "name": "ada" }));
        assert_eq!(entry["note"], "closed by hand: the release is live");
        assert_eq!(console.create("docs").await.status(), 201, "the site is free");
        refused(close(&console, id, state, "again").await, 409, "not-now").await;
    }
}

#[tokio::test]
async fn only_what_nobody_else_can_tell_is_closed_by_hand() {
    let console = console_with(Scenario::Queued).await;
    let id = console.bound("docs").await.deploy;
    for state in ["succeeded", "failed", "cancelled", "dispatch_failed", "running"] {
        refused(close(&console, id, state, "seen").await, 409, "not-now").await;
    }
    let unknown = DeployId::from_uuid(Uuid::now_v7());
    refused(close(&console, unknown, "failed", "seen").await, 404, "not-found").await;
    let path = format!("/api/internal/deploys/{id}/override");
    for body in [
        json!({ "state": "gone", "reason": "x" }),
        json!({ "state": "failed" }),
        json!([]),
    ] {
        let response = console.post(&path, &body).send().await.unwrap();
        assert!(
            response.status().is_client_error() && response.status() != 409,
            "{}",
            response.status()
        );
    }
    let body = json!({ "state": "failed", "reason": "x", "resaon": "y" });
    assert!(
        console
            .post(&path, &body)
            .send()
            .await
            .unwrap()
            .status()
            .is_client_error()
    );
    let foreign = console
        .post(&path, &json!({}))
        .header("sec-fetch-site", "cross-site")
        .send()
        .await
        .unwrap();
    refused(foreign, 403, "forbidden").await;
}

#[tokio::test]
async fn an_unknown_dispatch_is_closed_only_after_its_grace_and_with_no_run_listed() {
    let console = console_with(Scenario::Error500).await;
    let id = console.deploy("docs").await.deploy.id;
    console.until(id, "dispatch_unknown").await;
    let problem = refused(close(&console, id, "dispatch_failed", "no run").await, 409, "not-now").await;
    assert!(
        (110..=121).contains(&problem["retry_after"].as_u64().unwrap()),
        "{problem:#}"
    );
    assert!(
        problem["detail"].as_str().unwrap().contains("from 20"),
        "it says when: {problem:#}"
    );

    let setup = |scenario| Setup {
        scenario,
        file: SITES.to_owned(),
        ..Setup::default()
    };
    let console = setup(Scenario::Error500).start().await;
    let id = console.deploy("docs").await.deploy.id;
    console.until(id, "dispatch_unknown").await;
    console.github.set_fault(Some(Fault::Error500));
    let problem = refused(close(&console, id, "dispatch_failed", "no run").await, 409, "not-now").await;
    assert!(
        problem["detail"].as_str().unwrap().contains("Nobody can say"),
        "{problem:#}"
    );
    console.github.set_fault(None);
    let response = close(&console, id, "dispatch_failed", "GitHub lists none").await;
    let record: Value = response.json().await.unwrap();
    assert_eq!(
        (&record["state"], &record["failure"]["reason"]),
        (&json!("dispatch_failed"), &json!("GitHub lists none"))
    );
    assert_eq!(console.github.dispatches().len(), 1);

    let console = setup(Scenario::Error500Accepted).start().await;
    console.github.set_fault(Some(Fault::Error500));
    let id = console.deploy("docs").await.deploy.id;
    console.until(id, "dispatch_unknown").await;
    console.github.set_fault(None);
    let problem = refused(close(&console, id, "dispatch_failed", "no run").await, 409, "not-now").await;
    let run = console.github.runs()[0].id;
    assert!(
        problem["detail"].as_str().unwrap().contains(&run.to_string()),
        "{problem:#}"
    );
    assert_eq!(console.read(id).await["run_id"], run);
}

#[tokio::test]
async fn stepping_in_takes_the_right_to_deploy_and_is_written_down() {
    let console = console_with(Scenario::Deaf).await;
    let callback = lost(&console).await;
    let path = |what: &str| console.url(&format!("/api/internal/deploys/{}/{what}", callback.deploy));
    let closed = json!({ "state": "failed", "reason": "seen" });
    let viewer = console.person("vera", Role::Viewer).await;
    let deployer = console.person("otto", Role::Deployer).await;
    for (client, what, body) in [
        (&viewer, "cancel", json!({})),
        (&viewer, "override", closed.clone()),
        (&deployer, "override", closed.clone()),
    ] {
        let response = client
            .request(Method::POST, path(what))
            .json(&body)
            .send()
            .await
            .unwrap();
        refused(response, 403, "not-allowed").await;
    }
    let response = deployer
        .request(Method::POST, path("cancel"))
        .json(&json!({}))
        .send()
        .await;
    assert_eq!(response.unwrap().status(), 200, "whoever may deploy may stop");
    let admin = console.person("alma", Role::Admin).await;
    let response = admin.request(Method::POST, path("override")).json(&closed).send().await;
    assert_eq!(response.unwrap().status(), 200);
    let rows = console
        .running
        .store()
        .audit_page(&AuditFilter::default(), 10)
        .await
        .unwrap();
    let told = |action| {
        rows.iter()
            .find(|row| row.action == action)
            .expect("it is written down")
    };
    let cancelled = told(AuditAction::CancelRequested);
    assert_eq!(cancelled.detail["deploy"], callback.deploy.to_string());
    assert_eq!(cancelled.subject.as_deref(), Some("docs"));
    assert_eq!(told(AuditAction::DeployClosed).detail["state"], "failed");
}
