//! The commands beside `serve`, as whoever runs them sees them.

use crate::support::database::execute;
use crate::support::people::bearer;
use crate::support::{SITES, TestConsole, binary, console, refused};
use raxx_console::domain::Role;
use serde_json::{Value, json};
use std::process::{Command, Output};

/// Runs a command on the console's own database, while the console serves.
fn run(console: &TestConsole, arguments: &[&str]) -> Output {
    let file = console.data.path().join("console.toml");
    std::fs::write(&file, SITES).unwrap();
    Command::new(binary())
        .args(arguments)
        .env_clear()
        .env("DATABASE_URL", console.database())
        .env("CONSOLE_CONFIG", file)
        .env("CONSOLE_URL", "https://console.example.com")
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The refusal: one line, exit code 2.
fn refuses(console: &TestConsole, arguments: &[&str], words: &[&str]) {
    let output = run(console, arguments);
    let line = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{line}");
    assert!(
        words.iter().all(|word| line.contains(word)) && output.stdout.is_empty(),
        "{line}"
    );
}

#[tokio::test]
async fn a_token_is_printed_alone_listed_without_its_text_and_revoked() {
    let console = console().await;
    console.person("dora", Role::Deployer).await;
    let arguments = [
        "token",
        "create",
        "--operator",
        "dora",
        "--site",
        "docs",
        "--expires",
        "90d",
        "--name",
        "ci",
    ];
    let text = said(&run(&console, &arguments));
    let token = text.strip_suffix('\n').unwrap();
    assert!(
        token.starts_with("rxc_") && token.len() == 47 && !token.contains(char::is_whitespace),
        "{text}"
    );
    let script = bearer(token);
    assert_eq!(console.status(&script, "/api/internal/board").await, 200);
    let listed = said(&run(&console, &["token", "list"]));
    let line = listed.lines().find(|line| line.contains("\tci\t")).unwrap();
    assert!(
        line.contains("dora") && line.contains("docs") && !listed.contains(token),
        "{listed}"
    );
    let id = line.split('\t').next().unwrap();
    said(&run(&console, &["token", "revoke", id]));
    let response = script.get(console.url("/api/internal/board")).send().await.unwrap();
    let refusal = refused(response, 401, "not-signed-in").await;
    assert!(refusal["detail"].as_str().unwrap().contains("revoked"));
    refuses(&console, &["token", "revoke", id], &["revoked before"]);
    refuses(
        &console,
        &["token", "create", "--operator", "nobody"],
        &["no operator `nobody`"],
    );
    refuses(
        &console,
        &["token", "create", "--operator", "dora", "--site", "nope"],
        &["no site `nope`"],
    );
    refuses(
        &console,
        &["token", "create", "--operator", "dora", "--expires", "soon"],
        &["--expires"],
    );
}

#[tokio::test]
async fn operators_are_added_listed_changed_and_kept_out() {
    let console = console().await;
    let link = said(&run(&console, &["operator", "add", "dora", "--role", "viewer"]));
    let path = link.trim_end().strip_prefix("https://console.example.com").unwrap();
    let dora = crate::support::people::browser();
    let fields = [("password", crate::support::people::PASSWORD)];
    assert_eq!(console.form(&dora, path, &fields).await.status(), 303);
    let list = said(&run(&console, &["operator", "list"]));
    assert!(
        list.starts_with("ada\t") && list.contains("dora\tviewer\tpassword\n"),
        "{list}"
    );
    said(&run(&console, &["operator", "role", "dora", "admin"]));
    assert_eq!(console.status(&dora, "/people").await, 200, "at once");
    said(&run(&console, &["operator", "disable", "dora"]));
    assert_eq!(console.status(&dora, "/").await, 303);
    assert!(said(&run(&console, &["operator", "list"])).contains("disabled since"));
    said(&run(&console, &["operator", "enable", "dora"]));
    assert!(said(&run(&console, &["operator", "reset", "dora"])).contains("/set-up/"));
    refuses(&console, &["operator", "add", "DORA", "--role", "viewer"], &["already"]);
    refuses(&console, &["operator", "add", " x", "--role", "viewer"], &["name"]);
    refuses(
        &console,
        &["operator", "add", "x", "--role", "owner"],
        &["viewer, deployer or admin"],
    );
    refuses(&console, &["operator", "role", "nobody", "viewer"], &["no operator"]);
    said(&run(&console, &["operator", "role", "dora", "viewer"]));
    refuses(&console, &["operator", "disable", "ada"], &["last admin"]);
    refuses(&console, &["operator", "role", "ada", "deployer"], &["last admin"]);
}

#[tokio::test]
async fn that_a_token_was_used_is_noted_once_a_minute() {
    let console = console().await;
    let dora = console.person("dora", Role::Viewer).await;
    let body = json!({ "name": "ci", "sites": [], "days": 1 });
    let made = dora.post(console.url("/api/internal/tokens")).json(&body);
    let made: Value = made.send().await.unwrap().json().await.unwrap();
    let script = bearer(made["text"].as_str().unwrap());
    let used = async || {
        let account = dora.get(console.url("/api/internal/account")).send().await.unwrap();
        let account: Value = account.json().await.unwrap();
        assert_eq!(account["tokens"].as_array().unwrap().len(), 1, "one's own alone");
        account["tokens"][0]["last_used_at"].clone()
    };
    assert_eq!(used().await, Value::Null);
    assert_eq!(console.status(&script, "/api/internal/board").await, 200);
    let first = used().await;
    assert!(first.is_string(), "{first}");
    assert_eq!(console.status(&script, "/api/internal/board").await, 200);
    assert_eq!(used().await, first);
    let a_minute_passes = "UPDATE console_tokens SET last_used_at = last_used_at - 60000";
    execute(&console.database(), a_minute_passes).await;
    let before = used().await;
    assert_eq!(console.status(&script, "/api/internal/board").await, 200);
    assert_ne!(used().await, before);
    execute(&console.database(), a_minute_passes).await;
    let before = used().await;
    let ended = "UPDATE console_tokens SET expires_at = 1 WHERE name = 'ci'";
    execute(&console.database(), ended).await;
    assert_eq!(console.status(&script, "/api/internal/board").await, 401);
    assert_eq!(used().await, before, "it opened nothing");
}

#[tokio::test]
async fn nobody_revokes_somebody_elses_token() {
    let console = console().await;
    let dora = console.person("dora", Role::Viewer).await;
    let eve = console.person("eve", Role::Viewer).await;
    let body = json!({ "name": "ci", "sites": [], "days": 1 });
    let made = dora.post(console.url("/api/internal/tokens")).json(&body);
    let made: Value = made.send().await.unwrap().json().await.unwrap();
    let script = bearer(made["text"].as_str().unwrap());
    let account = dora.get(console.url("/api/internal/account")).send().await.unwrap();
    let account: Value = account.json().await.unwrap();
    let id = json!({ "id": account["tokens"][0]["id"] });
    for (who, status, opens) in [(&eve, 404, 200), (&dora, 200, 401)] {
        let revoke = who.post(console.url("/api/internal/tokens/revoke")).json(&id);
        assert_eq!(revoke.send().await.unwrap().status(), status);
        assert_eq!(console.status(&script, "/api/internal/board").await, opens);
    }
}
