//! The audit trail tells what was done, and betrays whoever changes it.

use crate::support::database::execute;
use crate::support::people::{PASSWORD, browser};
use crate::support::{TestConsole, binary, console};
use raxx_console::domain::Role;
use raxx_console::server::audit::{Verdict, verify};
use serde_json::{Value, json};

async fn sql(console: &TestConsole, statement: &'static str) {
    execute(&console.database(), statement).await;
}

/// The whole trail, as an admin's export has it.
async fn trail(console: &TestConsole) -> Vec<Value> {
    let response = console
        .http
        .get(console.url("/api/internal/audit.jsonl"))
        .send()
        .await
        .unwrap();
    assert_eq!(response.headers()["content-type"], "application/jsonl");
    let text = response.text().await.unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn what_is_done_is_written_down_with_who_and_from_where() {
    let console = console().await;
    let dora = console.person("dora", Role::Viewer).await;
    console.sign_in(&browser(), "dora", "wrong").await;
    let body = json!({ "site": "docs", "confirmation": "docs" });
    dora.post(console.url("/api/internal/deploys"))
        .json(&body)
        .send()
        .await
        .unwrap();
    console.deploy("docs").await;
    dora.post(console.url("/api/internal/tokens"))
        .json(&json!({ "name": "ci", "sites": [] }))
        .send()
        .await
        .unwrap();
    assert_eq!(console.status(&dora, "/audit").await, 403);
    let elsewhere = browser();
    console.sign_in(&elsewhere, "dora", PASSWORD).await;
    console.form(&dora, "/sign-out", &[]).await;
    let end = elsewhere
        .post(console.url("/api/internal/sessions/end"))
        .json(&json!({}));
    assert_eq!(end.send().await.unwrap().status(), 200);
    let trail = trail(&console).await;
    let numbers: Vec<i64> = trail.iter().map(|row| row["seq"].as_i64().unwrap()).collect();
    assert_eq!(numbers, (1..=i64::try_from(trail.len()).unwrap()).collect::<Vec<_>>());
    let row = |action: &str| {
        trail
            .iter()
            .rfind(|row| row["action"] == action)
            .unwrap_or_else(|| panic!("no {action}"))
    };
    assert_eq!(row("sign_in_failed")["subject"], "dora");
    assert_eq!(row("sign_in_failed")["address"], "127.0.0.1");
    let refused = row("deploy_refused");
    assert_eq!(
        (&refused["actor"]["name"], &refused["detail"]["status"]),
        (&json!("dora"), &json!("403"))
    );
    let requested = row("deploy_requested");
    assert_eq!(
        (&requested["actor"]["kind"], &requested["subject"]),
        (&json!("token"), &json!("docs"))
    );
    let access = row("access_refused");
    assert_eq!(
        (&access["actor"]["name"], &access["subject"]),
        (&json!("dora"), &json!("/audit"))
    );
    assert_eq!(row("token_created")["detail"]["name"], "ci");
    for action in ["signed_out", "session_ended"] {
        assert_eq!(row(action)["actor"], json!({ "kind": "operator", "name": "dora" }));
    }
    let whole = trail.iter().map(Value::to_string).collect::<String>();
    assert!(
        !whole.contains(PASSWORD) && !whole.contains("wrong"),
        "what was typed as a password is not kept"
    );
}

#[tokio::test]
async fn filters_find_and_pages_follow() {
    let console = console().await;
    for site in ["nope"; 105].into_iter().chain(["other"]) {
        console
            .http
            .post(console.url("/api/internal/deploys"))
            .json(&json!({ "site": site, "confirmation": "" }))
            .send()
            .await
            .unwrap();
    }
    let get = async |query: &str| {
        let response = console
            .http
            .get(console.url(&format!("/api/internal/audit?{query}")))
            .send()
            .await
            .unwrap();
        response.json::<Value>().await.unwrap()
    };
    let first = get("action=deploy_refused&subject=nope").await;
    assert_eq!(first["rows"].as_array().unwrap().len(), 100);
    let rest = get(&format!("action=deploy_refused&subject=nope&before={}", first["next"])).await;
    assert_eq!(
        (rest["rows"].as_array().unwrap().len(), &rest["next"]),
        (5, &Value::Null)
    );
    let other = get("subject=other").await;
    assert_eq!(
        (other["rows"].as_array().unwrap().len(), &other["next"]),
        (1, &Value::Null)
    );
    assert_eq!(get("actor=nobody-of-that-name").await["rows"], json!([]));
}

#[tokio::test]
async fn a_row_that_was_changed_removed_or_moved_is_named() {
    for (statement, seq) in [
        ("UPDATE console_audit SET subject = 'somebody else' WHERE seq = 2", 2),
        ("UPDATE console_audit SET at = at + 1 WHERE seq = 3", 3),
        ("UPDATE console_audit SET actor_kind = 'nobody' WHERE seq = 1", 1),
        ("DELETE FROM console_audit WHERE seq = 2", 2),
        ("DELETE FROM console_audit WHERE seq >= 3", 3),
        ("UPDATE console_audit SET previous_hash = hash WHERE seq = 3", 3),
        // Two rows that change places: each has the other's number.
        (
            "UPDATE console_audit SET seq = CASE seq WHEN 2 THEN -2 ELSE -3 END WHERE seq IN (2, 3)",
            0,
        ),
    ] {
        let console = console().await;
        console.person("dora", Role::Viewer).await;
        let store = console.running.store();
        assert!(matches!(
            verify(store).await.unwrap(),
            Verdict::Intact { rows: 4.., .. }
        ));
        sql(&console, statement).await;
        let seq = if seq == 0 {
            sql(
                &console,
                "UPDATE console_audit SET seq = CASE seq WHEN -2 THEN 3 ELSE 2 END WHERE seq < 0",
            )
            .await;
            2
        } else {
            seq
        };
        match verify(store).await.unwrap() {
            Verdict::Broken { seq: found, .. } => assert_eq!(found, seq, "{statement}"),
            intact @ Verdict::Intact { .. } => panic!("{statement}: {intact:?}"),
        }
    }
}

#[tokio::test]
async fn the_command_says_which_row_and_exits_with_1() {
    let console = console().await;
    let verify = || {
        let output = std::process::Command::new(binary())
            .args(["audit", "verify"])
            .env("DATABASE_URL", console.database())
            .output();
        let output = output.unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, said) = verify();
    assert!(code == Some(0) && said.contains("each as it was written"), "{said}");
    sql(&console, "UPDATE console_audit SET detail = '{}' WHERE seq = 2").await;
    let (code, said) = verify();
    assert!(code == Some(1) && said.contains("Row 2"), "{said}");
}
