//! `POST /api/internal/deploys/{id}/status`, row by row.

use crate::support::{Callback, PREVIOUS_SECRET, SECRET, Setup, TestConsole, console, console_with, now, refused};
use raxx_console::domain::SENDER_GAP;
use raxx_console::server::config::Limits;
use raxx_console::server::demo::stand_in::Scenario;
use raxx_console::server::signature::Secret;
use serde_json::{Value, json};

fn secret() -> Secret {
    SECRET.parse().unwrap()
}

/// Sends it, and tells status, result and state.
async fn told(console: &TestConsole, callback: &Callback) -> (u16, Value, Value) {
    let response = console.report(callback).await;
    let status = response.status().as_u16();
    let body: Value = response.json().await.unwrap();
    (status, body["result"].clone(), body["state"].clone())
}

#[tokio::test]
async fn reports_move_the_deploy_to_its_end() {
    let console = console().await;
    let callback = console.bound("docs").await;
    assert_eq!(
        told(&console, &callback.at("Build")).await,
        (200, json!("applied"), json!("running"))
    );
    assert_eq!(
        told(&console, &callback.number(2).at("Release")).await,
        (200, json!("applied"), json!("running"))
    );
    let last = callback
        .number(3)
        .says("failure")
        .at("Release")
        .with("message", "no such slot");
    assert_eq!(told(&console, &last).await, (200, json!("applied"), json!("failed")));
    let deploy = console.read(callback.deploy).await;
    assert_eq!(
        deploy["failure"],
        json!({ "step": "Release", "reason": "no such slot" })
    );
    let steps: Vec<_> = deploy["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| (step["name"].clone(), step["status"].clone()))
        .collect();
    assert_eq!(
        steps,
        [
            (json!("Build"), json!("succeeded")),
            (json!("Release"), json!("failed"))
        ]
    );
    assert_eq!(deploy["active"], false);
    let story: Vec<_> = deploy["timeline"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["state"].as_str().unwrap())
        .collect();
    assert_eq!(story, ["requested", "dispatching", "queued", "running", "failed"]);
    assert_eq!(deploy["timeline"][4]["by"]["kind"], "workflow");
}

#[tokio::test]
async fn a_report_that_printed_nothing_takes_no_place_in_the_log() {
    let console = console().await;
    let callback = console.bound("docs").await;
    for (seq, text) in [(1, "one\n"), (2, ""), (3, ""), (4, "two\n")] {
        assert_eq!(told(&console, &callback.number(seq).prints(text)).await.0, 200, "{seq}");
    }
    assert_eq!(console.read(callback.deploy).await["log"]["text"], "one\ntwo\n");
}

#[tokio::test]
async fn a_retry_is_a_duplicate_and_changes_nothing() {
    let console = console().await;
    let callback = console.bound("docs").await.prints("once\n");
    assert_eq!(told(&console, &callback).await.1, "applied");
    assert_eq!(
        told(&console, &callback).await,
        (200, json!("duplicate"), json!("running"))
    );
    assert_eq!(console.read(callback.deploy).await["log"]["text"], "once\n");
}

#[tokio::test]
async fn one_id_is_not_for_two_bodies() {
    let console = console().await;
    let callback = console.bound("docs").await;
    console.report(&callback).await;
    refused(console.report(&callback.says("success")).await, 409, "conflict").await;
    assert_eq!(console.read(callback.deploy).await["state"], "running");
}

#[tokio::test]
async fn another_run_cannot_speak_for_the_deploy() {
    let console = console().await;
    let callback = console.bound("docs").await;
    let problem = refused(console.report(&callback.with("run_id", 4_711)).await, 409, "conflict").await;
    assert_eq!(problem["field"], "run_id");
    assert_eq!(console.read(callback.deploy).await["state"], "queued");
}

#[tokio::test]
async fn late_reports_are_stored_and_not_applied() {
    let console = console().await;
    let callback = console.bound("docs").await;
    assert_eq!(told(&console, &callback.number(5).at("Build")).await.1, "applied");
    assert_eq!(
        told(&console, &callback.number(4).at("Build")).await,
        (200, json!("stale"), json!("running"))
    );
    assert_eq!(told(&console, &callback.number(7).says("success")).await.2, "succeeded");
    let late = told(&console, &callback.number(8).says("in_progress").prints("tail\n")).await;
    assert_eq!(late, (202, json!("stored"), json!("succeeded")));
    let deploy = console.read(callback.deploy).await;
    assert_eq!(
        (deploy["log"]["text"].clone(), deploy["conclusion_conflict"].clone()),
        (json!("tail\n"), json!(false))
    );
    assert_eq!(told(&console, &callback.number(9).says("failure")).await.0, 202);
    let deploy = console.read(callback.deploy).await;
    assert_eq!(
        (deploy["state"].clone(), deploy["conclusion_conflict"].clone()),
        (json!("succeeded"), json!(true))
    );
}

#[tokio::test]
async fn any_order_ends_in_the_same_record() {
    let console = console().await;
    let mut records = Vec::new();
    for (site, order) in [("docs", [1, 2, 3, 4]), ("api-prod", [4, 2, 1, 3])] {
        let callback = console.bound(site).await;
        for seq in order {
            let report = match seq {
                4 => callback
                    .number(4)
                    .at("Release")
                    .says("failure")
                    .with("message", "it broke"),
                seq => callback.number(seq).at(if seq == 3 { "Release" } else { "Build" }),
            };
            let report = Callback {
                id: format!("{site}-{seq}"),
                ..report
            };
            assert!(console.report(&report).await.status().is_success());
        }
        let deploy = console.read(callback.deploy).await;
        records.push((deploy["state"].clone(), deploy["failure"].clone()));
    }
    assert_eq!(records[0], records[1]);
}

#[tokio::test]
async fn what_is_not_authentic_learns_nothing() {
    let console = console().await;
    let callback = console.bound("docs").await;
    let body = callback.body.to_string();
    let time = now().to_string();
    let good = secret().sign("d", &time, body.as_bytes());
    let other = Secret::generate().unwrap().sign("d", &time, body.as_bytes());
    let five = [good.as_str(); 5].join(" ");
    let long_id = "x".repeat(129);
    let long_signed = secret().sign(&long_id, &time, body.as_bytes());
    let mut details = Vec::new();
    for headers in [
        vec![],
        vec![("webhook-id", "d"), ("webhook-timestamp", &*time)],
        vec![
            ("webhook-id", "d"),
            ("webhook-timestamp", &*time),
            ("webhook-signature", ""),
        ],
        vec![
            ("webhook-id", "d"),
            ("webhook-timestamp", &*time),
            ("webhook-signature", &*other),
        ],
        vec![
            ("webhook-id", "e"),
            ("webhook-timestamp", &*time),
            ("webhook-signature", &*good),
        ],
        vec![
            ("webhook-id", "d"),
            ("webhook-timestamp", "soon"),
            ("webhook-signature", &*good),
        ],
        vec![
            ("webhook-id", "d"),
            ("webhook-timestamp", &*time),
            ("webhook-signature", &*five),
        ],
        vec![
            ("webhook-id", "d"),
            ("webhook-timestamp", &*time),
            ("webhook-signature", good.trim_start_matches("v1,")),
        ],
        vec![
            ("webhook-id", &*long_id),
            ("webhook-timestamp", &*time),
            ("webhook-signature", &*long_signed),
        ],
        vec![
            ("webhook-id", "d"),
            ("webhook-id", "d"),
            ("webhook-timestamp", &*time),
            ("webhook-signature", &*good),
        ],
    ] {
        let response = console.send_raw(callback.deploy, &headers, body.clone()).await;
        assert!(response.headers().contains_key("date"));
        details.push(refused(response, 401, "unauthenticated").await["detail"].clone());
    }
    for timestamp in [now() - 301, now() + 330, 0] {
        let response = console.send("d", timestamp, &secret(), &callback).await;
        details.push(refused(response, 401, "unauthenticated").await["detail"].clone());
    }
    // Forged for a deploy that does not exist: the same words.
    let nowhere = Callback::new("0199a8f0-0000-7000-8000-000000000000".parse().unwrap(), 1);
    details.push(
        refused(
            console.send("d", now(), &Secret::generate().unwrap(), &nowhere).await,
            401,
            "unauthenticated",
        )
        .await["detail"]
            .clone(),
    );
    details.dedup();
    assert_eq!(details.len(), 1, "one text for all");
    refused(console.report(&nowhere).await, 404, "not-found").await;
    assert_eq!(console.read(callback.deploy).await["state"], "queued");
}

#[tokio::test]
async fn the_previous_secret_still_counts() {
    let console = console().await;
    let callback = console.bound("docs").await;
    let response = console
        .send("rotated", now(), &PREVIOUS_SECRET.parse().unwrap(), &callback)
        .await;
    assert_eq!(response.status(), 200);
    let (time, body) = (now().to_string(), callback.number(2).body.to_string());
    let both = format!("v1,AAAA v2,xyz {}", secret().sign("both", &time, body.as_bytes()));
    let headers = [
        ("webhook-id", "both"),
        ("webhook-timestamp", &*time),
        ("webhook-signature", &*both),
    ];
    assert_eq!(
        console.send_raw(callback.deploy, &headers, body.clone()).await.status(),
        200
    );
}

#[tokio::test]
async fn malformed_reports_are_400_and_named() {
    let console = console().await;
    let good = console.bound("docs").await;
    let long = |length: usize| json!("x".repeat(length));
    for (key, value, field) in [
        ("schema", json!(2), Some("schema")),
        ("run_id", json!(0), Some("run_id")),
        ("run_attempt", json!(0), Some("run_attempt")),
        ("seq", json!(-1), Some("seq")),
        ("job", long(129), Some("job")),
        ("step", long(129), Some("step")),
        ("message", long(1025), Some("message")),
        (
            "log",
            json!({ "text": "x".repeat(32 * 1024 + 1), "truncated": false }),
            Some("log.text"),
        ),
        ("log", json!({ "text": "x" }), None),
        ("status", json!("done"), None),
        ("extra", json!(1), None),
        ("run_id", json!("7"), None),
    ] {
        let problem = refused(console.report(&good.with(key, value)).await, 400, "malformed").await;
        assert_eq!(problem.get("field").and_then(Value::as_str), field, "{problem}");
    }
    let mut other = good.with("deploy_id", json!("0199a8f0-0000-7000-8000-000000000000"));
    other.deploy = good.deploy;
    assert_eq!(
        refused(console.report(&other).await, 400, "malformed").await["field"],
        "deploy_id"
    );
    let time = now().to_string();
    let signature = secret().sign("raw", &time, b"not json");
    let headers = [
        ("webhook-id", "raw"),
        ("webhook-timestamp", &*time),
        ("webhook-signature", &*signature),
    ];
    refused(
        console.send_raw(good.deploy, &headers, "not json").await,
        400,
        "malformed",
    )
    .await;
}

#[tokio::test]
async fn the_bounds_themselves_are_taken() {
    let console = console().await;
    let callback = console.bound("docs").await;
    let full = callback
        .at(&"é".repeat(128))
        .with("message", "é".repeat(1024))
        .prints(&"x".repeat(32 * 1024));
    assert_eq!(console.report(&full).await.status(), 200);
}

#[tokio::test]
async fn an_oversized_body_is_413_before_anything_else() {
    let console = console().await;
    let callback = console.bound("docs").await;
    refused(
        console.report(&callback.with("message", "x".repeat(66_000))).await,
        413,
        "too-large",
    )
    .await;
    let endless = reqwest::Body::from("x".repeat(1_000_000));
    refused(
        console
            .send_raw(callback.deploy, &[("transfer-encoding", "chunked")], endless)
            .await,
        413,
        "too-large",
    )
    .await;
}

#[tokio::test]
async fn too_many_reports_are_429() {
    let limits = Limits {
        callbacks_a_minute: 2,
        ..Limits::default()
    };
    let console = Setup {
        limits,
        ..Setup::default()
    }
    .start()
    .await;
    let callback = console.bound("docs").await;
    assert_eq!(console.report(&callback.number(1)).await.status(), 200);
    assert_eq!(console.report(&callback.number(2)).await.status(), 200);
    let response = console.report(&callback.number(3)).await;
    assert!(response.headers().contains_key("retry-after"));
    refused(response, 429, "too-many-requests").await;
    // A retry of what is stored is still answered.
    assert_eq!(told(&console, &callback.number(2)).await.1, "duplicate");
}

#[tokio::test]
async fn a_busy_database_is_503_and_nothing_is_lost() {
    let console = console().await;
    let callback = console.bound("docs").await;
    let mut holder = crate::support::database::hold(&console.database()).await;
    let response = console.report(&callback).await;
    assert!(response.headers().contains_key("retry-after"));
    refused(response, 503, "unavailable").await;
    sqlx::query("ROLLBACK").execute(&mut holder).await.unwrap();
    assert_eq!(told(&console, &callback).await.1, "applied");
}

#[tokio::test]
async fn a_signed_report_binds_the_run_of_an_unknown_dispatch() {
    let console = console_with(Scenario::Error502).await;
    let deploy = console.deploy("docs").await.deploy;
    console.until(deploy.id, "dispatch_unknown").await;
    let callback = Callback::new(deploy.id, 99);
    assert_eq!(
        told(&console, &callback).await,
        (200, json!("applied"), json!("running"))
    );
    let record = console.read(deploy.id).await;
    assert_eq!(
        (record["run_id"].clone(), record["notice"].clone()),
        (json!(99), Value::Null)
    );
}

#[tokio::test]
async fn a_secret_that_is_split_over_reports_is_in_none_of_them() {
    let console = console().await;
    let callback = console.bound("docs").await;
    let (first, rest) = SECRET.split_at(12);
    let (second, third) = rest.split_at(12);
    let pieces = [
        format!("one\nkey={first}"),
        second.to_owned(),
        format!("{third}\ntwo\n"),
    ];
    let another = console.bound("api-prod").await;
    let mut report = another.prints("of another\n");
    report.id = "of-another".to_owned();
    assert_eq!(console.report(&report).await.status(), 200);
    let mut cursors = Vec::new();
    for (seq, piece) in (1..).zip(&pieces) {
        let answer = console.report(&callback.number(seq).prints(piece)).await;
        assert_eq!(answer.status(), 200);
        let log = console.read(callback.deploy).await["log"].clone();
        cursors.push(log["after"].as_str().unwrap().to_owned());
    }
    let log = console.read(callback.deploy).await["log"].clone();
    assert_eq!(log["text"], format!("one\nkey={}***\ntwo\n", "*".repeat(24)));
    assert_eq!(console.read(another.deploy).await["log"]["text"], "of another\n");
    // Who has read as far as that goes on where they were.
    let path = format!("/api/internal/deploys/{}?after={}", callback.deploy, cursors[1]);
    let next: Value = console
        .http
        .get(console.url(&path))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(
        (&next["log"]["text"], &next["log"]["restarted"]),
        (&json!("***\ntwo\n"), &Value::Null)
    );
    // What came between keeps a beginning and an end apart.
    let (begin, end) = SECRET.split_at(20);
    console.report(&callback.number(8).prints(begin)).await;
    let log = json!({ "text": end, "truncated": true });
    console.report(&callback.number(9).with("log", log)).await;
    let text = console.read(callback.deploy).await["log"]["text"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(text.ends_with(&format!("{begin}{SENDER_GAP}{end}")), "{text}");
}

#[tokio::test]
async fn secrets_and_nul_never_reach_the_record() {
    let console = console().await;
    let callback = console.bound("docs").await;
    let text = format!("a\u{0}b {SECRET} token-of-the-test \u{1b}[31mred\n");
    let report = callback
        .prints(&text)
        .with("message", format!("because {SECRET}"))
        .at("S\u{0}tep");
    assert_eq!(console.report(&report).await.status(), 200);
    let deploy = console.read(callback.deploy).await;
    assert_eq!(deploy["log"]["text"], "ab *** *** \u{1b}[31mred\n");
    assert_eq!(deploy["steps"][0]["name"], "Step");
    assert!(!deploy.to_string().contains("MfKQ"));
}

#[tokio::test]
async fn a_gap_in_the_log_is_seen() {
    let console = console().await;
    let callback = console.bound("docs").await;
    console
        .report(&callback.with("log", json!({ "text": "after\n", "truncated": true })))
        .await;
    let log = console.read(callback.deploy).await["log"]["text"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(log.starts_with('[') && log.ends_with("]\nafter\n"), "{log}");
}
