//! Logs are kept as long as, and as many as, `[retention]` says; the record stays, and says that its log was dropped.

use crate::support::database::{execute, number};
use crate::support::{Callback, Setup, TestConsole, now};
use raxx_console::domain::{Attempt, DeployId, Timestamp};
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

/// How many pieces of logs there are, and how many logs that are not swept away altogether.
async fn left(console: &TestConsole) -> (i64, i64) {
    let url = console.database();
    (
        number(&url, "SELECT COUNT(*) FROM console_log_chunks").await,
        number(&url, "SELECT COUNT(*) FROM console_deploys WHERE log_pruned = 1").await,
    )
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

#[tokio::test]
async fn what_is_dropped_is_swept_away_piece_by_piece_also_by_the_next_process() {
    let console = Setup::default().start().await;
    let callback = console.bound("docs").await;
    let pieces = 250;
    for seq in 1..=pieces {
        assert_eq!(send(&console, callback.number(seq).prints(&"x".repeat(100))).await, 200);
    }
    assert_eq!(send(&console, callback.number(pieces + 1).says("success")).await, 200);
    let id = callback.deploy;
    assert_eq!(left(&console).await, (pieces, 0));
    // One process drops it, and ends before it has swept.
    let attempt = Attempt { deploy: id, number: 1 };
    console.running.store().prune_log(attempt).await.unwrap();
    let (unswept, logs) = left(&console).await;
    assert!(unswept > 200 && logs == 1, "{unswept} pieces of {logs} logs");
    let whole = log(&console, id, "0").await;
    assert!(is_dropped(&whole), "{whole}");
    assert_eq!(log(&console, id, whole["after"].as_str().unwrap()).await["text"], "");
    assert_eq!(keep(&console, Retention::default(), 1_000).await, 0);
    assert_eq!(left(&console).await, (1, 0));
    assert!(is_dropped(&log(&console, id, "0").await));
}

#[tokio::test]
async fn at_most_500_go_in_one_look() {
    let console = Setup::default().start().await;
    ended(&console, 100).await;
    let others = "CREATE TABLE others AS WITH RECURSIVE numbers (number) AS \
                  (SELECT 1000 UNION ALL SELECT number + 1 FROM numbers WHERE number < 1500) \
                  SELECT d.*, number FROM console_deploys d, numbers";
    // SQLite and PostgreSQL write the same digits for a number.
    for sql in [
        others,
        "UPDATE others SET id = SUBSTR(id, 1, 32) || CAST(number AS TEXT)",
        "ALTER TABLE others DROP COLUMN number",
        "INSERT INTO console_deploys SELECT * FROM others",
        "DROP TABLE others",
    ] {
        execute(&console.database(), sql).await;
    }
    let retention = Retention {
        age_ms: Some(DAY_MS),
        total_bytes: None,
    };
    assert_eq!(keep(&console, retention, 2 * DAY_MS).await, 500);
    assert_eq!(keep(&console, retention, 2 * DAY_MS).await, 2);
    let none = Retention {
        age_ms: None,
        total_bytes: Some(0),
    };
    assert_eq!(keep(&console, none, 2 * DAY_MS).await, 0, "none goes twice");
}

#[tokio::test]
async fn a_sweep_that_is_cut_off_goes_on() {
    let console = Setup::default().start().await;
    let callback = console.bound("docs").await;
    let other = console.bound("api-prod").await;
    for report in [&callback, &other] {
        for seq in 1..=3 {
            let mut piece = report.number(seq).prints(&"x".repeat(100));
            piece.id = format!("{}-{seq}", report.deploy);
            assert_eq!(send(&console, piece).await, 200);
        }
    }
    let attempt = Attempt {
        deploy: callback.deploy,
        number: 1,
    };
    let store = console.running.store();
    store.prune_log(attempt).await.unwrap();
    assert_eq!(store.logs_to_sweep().await.unwrap(), [], "it is under way");
    let run_id = callback.body["run_id"].as_i64().unwrap();
    console.github.change_run(run_id, |run| run.conclude("success", None));
    console
        .running
        .reconciler()
        .step(clock::now().plus_millis(20_000))
        .await
        .unwrap();
    assert_eq!(store.logs_to_fill(0).await.unwrap().len(), 1);
    store.prune_log(attempt).await.unwrap();
    let dropped = log(&console, callback.deploy, "0").await;
    assert!(is_dropped(&dropped), "{dropped}");
    store.prune_log(attempt).await.unwrap();
    assert_eq!(log(&console, callback.deploy, "0").await, dropped, "once");
    assert!(store.logs_to_fill(0).await.unwrap().is_empty(), "it is not read again");
    assert!(store.sweep_log(attempt).await.unwrap());
    assert_eq!(store.logs_to_sweep().await.unwrap(), [attempt], "as far as it knows");
    assert_eq!(keep(&console, Retention::default(), 1_000).await, 0);
    assert_eq!(left(&console).await, (1 + 3, 0));
    assert_eq!(log(&console, other.deploy, "0").await["text"], "x".repeat(300));
}
