//! Logs are kept as long as, and as many as, `[retention]` says; the record stays, and says that its log was dropped.

use crate::support::{Callback, Setup, TestConsole, now};
use raxx_console::domain::{DeployId, Timestamp};
use raxx_console::server::clock;
use raxx_console::server::retention::{Retention, step};
use serde_json::{Value, json};

const DAY_MS: i64 = 86_400_000;

/// A deploy that has ended, with a log of so many bytes in many pieces.
async fn ended(console: &TestConsole, bytes: usize) -> DeployId {
    let callback = console.bound("docs").await;
    let line = format!("{}\n", "x".repeat(99));
    for (seq, _) in (1..).zip((0..bytes).step_by(20_000)) {
        let said = callback.number(seq).prints(&line.repeat(200));
        assert_eq!(send(console, said).await, 200);
    }
    assert_eq!(send(console, callback.number(9_999).says("success")).await, 200);
    callback.deploy
}

/// Sends it as a delivery of this deploy's own.
async fn send(console: &TestConsole, callback: Callback) -> u16 {
    let id = format!("{}-{}", callback.id, callback.deploy);
    let secret = crate::support::SECRET.parse().unwrap();
    console.send(&id, now(), &secret, &callback).await.status().as_u16()
}

async fn keep(console: &TestConsole, retention: Retention, later_ms: i64) -> usize {
    let now: Timestamp = clock::now().plus_millis(later_ms);
    step(console.running.store(), retention, now).await.unwrap()
}

async fn log(console: &TestConsole, id: DeployId, after: &str) -> Value {
    let path = format!("/api/internal/deploys/{id}?after={after}");
    let answer = console.http.get(console.url(&path)).send().await.unwrap();
    answer.json::<Value>().await.unwrap()["log"].clone()
}

fn is_dropped(log: &Value) -> bool {
    log["text"].as_str().unwrap().starts_with("[this log was dropped")
}

#[tokio::test]
async fn a_log_goes_when_it_is_old_and_its_record_stays() {
    let console = Setup::default().start().await;
    let old = ended(&console, 300_000).await;
    let before = console.read(old).await;
    let cursor = before["log"]["after"].as_str().unwrap().to_owned();
    let retention = Retention {
        age_ms: Some(90 * DAY_MS),
        total_bytes: None,
    };
    assert_eq!(keep(&console, retention, 89 * DAY_MS).await, 0);
    assert_eq!(
        log(&console, old, "0").await["text"].as_str().unwrap().len(),
        256 * 1024
    );
    let active = console.bound("docs").await;
    assert_eq!(send(&console, active.number(1).prints("still here\n")).await, 200);
    assert_eq!(keep(&console, retention, 91 * DAY_MS).await, 1);
    let whole = log(&console, old, "0").await;
    assert!(is_dropped(&whole), "{whole}");
    let again = log(&console, old, &cursor).await;
    assert_eq!((&again["text"], &again["restarted"]), (&whole["text"], &json!(true)));
    let end = log(&console, old, again["after"].as_str().unwrap()).await;
    assert_eq!(end["text"], "");
    let after = console.read(old).await;
    for key in ["state", "steps", "timeline", "operator", "finished_at"] {
        assert_eq!(after[key], before[key], "{key}");
    }
    assert_eq!(log(&console, active.deploy, "0").await["text"], "still here\n");
    assert_eq!(keep(&console, retention, 92 * DAY_MS).await, 0, "once");
    assert!(is_dropped(&log(&console, old, "0").await));
}

#[tokio::test]
async fn the_oldest_go_when_all_take_too_much() {
    let console = Setup::default().start().await;
    let (first, second, third) = (
        ended(&console, 400_000).await,
        ended(&console, 400_000).await,
        ended(&console, 400_000).await,
    );
    let retention = Retention {
        age_ms: None,
        total_bytes: Some(1024 * 1024),
    };
    assert_eq!(keep(&console, retention, 1_000).await, 1);
    let dropped = [first, second, third].map(async |id| is_dropped(&log(&console, id, "0").await));
    let mut found = Vec::new();
    for one in dropped {
        found.push(one.await);
    }
    assert_eq!(found, [true, false, false]);
    assert_eq!(
        keep(&console, Retention::default(), 1_000 * DAY_MS).await,
        0,
        "kept for ever unless told"
    );
}
