//! Reading: one deploy, the board, history, and what stands around them.

use crate::support::{Callback, SITES, TestConsole, config_with, console, refused, stand_in};
use raxx_console::domain::Role;
use raxx_console::server::demo::stand_in::Scenario;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;

async fn get(console: &TestConsole, path: &str) -> reqwest::Response {
    console.http.get(console.url(path)).send().await.unwrap()
}

#[tokio::test]
async fn a_deploy_answers_with_every_key_of_the_contract() {
    let console = console().await;
    let callback = console.bound("docs").await;
    console.report(&callback.at("Build").prints("one\n")).await;
    let deploy = console.read(callback.deploy).await;
    for key in [
        "id",
        "site",
        "environment",
        "state",
        "active",
        "operator",
        "reason",
        "ref",
        "head_sha",
        "requested_at",
        "dispatched_at",
        "started_at",
        "finished_at",
        "last_heard_at",
        "run_id",
        "run_attempt",
        "run_url",
        "confirmed_by",
        "cancel_requested",
        "conclusion_conflict",
        "steps",
        "failure",
        "log",
    ] {
        assert!(deploy.get(key).is_some(), "{key} is missing");
    }
    assert_eq!(deploy["state"], "running");
    assert_eq!(deploy["steps"][0]["name"], "Build");
    assert_eq!(deploy["steps"][0]["status"], "running");
    assert!(deploy["steps"][0]["started_at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(
        deploy["log"],
        json!({ "text": "one\n", "after": "4", "truncated": false })
    );
    assert_eq!(deploy["confirmed_by"], "callback");
    assert!(deploy["run_url"].as_str().unwrap().contains("/actions/runs/"));
}

#[tokio::test]
async fn the_log_is_read_from_a_cursor_to_its_end() {
    let console = console().await;
    let callback = console.bound("docs").await;
    // 40 reports of 30 KiB: more than one answer holds, with characters of several bytes.
    let mut sent = String::new();
    for seq in 1..=40 {
        let text = format!("{seq:04} {}\n", "é€😀".repeat(3_400));
        sent.push_str(&text);
        assert_eq!(console.report(&callback.number(seq).prints(&text)).await.status(), 200);
    }
    let path = format!("/api/internal/deploys/{}", callback.deploy);
    let (mut read, mut after, mut answers) = (String::new(), "0".to_owned(), 0);
    loop {
        let piece: Value = get(&console, &format!("{path}?after={after}"))
            .await
            .json()
            .await
            .unwrap();
        let text = piece["log"]["text"].as_str().unwrap();
        assert!(text.len() <= 256 * 1024);
        assert_eq!(piece["log"]["truncated"], false);
        if text.is_empty() {
            break;
        }
        read.push_str(text);
        after = piece["log"]["after"].as_str().unwrap().to_owned();
        answers += 1;
    }
    assert!(
        read == sent && answers > 1,
        "{} of {} bytes in {answers} answers",
        read.len(),
        sent.len()
    );
    let tail: Value = get(&console, &path).await.json().await.unwrap();
    let text = tail["log"]["text"].as_str().unwrap();
    assert!(text.len() <= 64 * 1024 && sent.ends_with(text) && tail["log"]["truncated"] == true);
    assert_eq!(tail["log"]["after"], after);
}

#[tokio::test]
async fn a_cursor_that_was_never_given_out_is_400() {
    let console = console().await;
    let id = console.deploy("docs").await.deploy.id;
    for cursor in ["x", "-1", "99999999999999999999"] {
        let problem = refused(
            get(&console, &format!("/api/internal/deploys/{id}?after={cursor}")).await,
            400,
            "malformed",
        )
        .await;
        assert_eq!(problem["field"], "after");
    }
    refused(get(&console, "/api/internal/history?before=x").await, 400, "malformed").await;
}

#[tokio::test]
async fn an_unchanged_answer_is_304() {
    let console = console().await;
    let callback = console.bound("docs").await;
    for path in [
        format!("/api/internal/deploys/{}", callback.deploy),
        "/api/internal/board".to_owned(),
    ] {
        // The run's commit is learned in the background; only then does the picture hold still.
        console.until_commit(&callback).await;
        let first = get(&console, &path).await;
        let etag = first.headers()["etag"].to_str().unwrap().to_owned();
        assert!(etag.starts_with('"') && etag.ends_with('"'), "strong: {etag}");
        let again = console
            .http
            .get(console.url(&path))
            .header("if-none-match", &etag)
            .send()
            .await
            .unwrap();
        assert_eq!(again.status(), 304);
        assert_eq!(again.headers()["etag"], etag.as_str());
        assert!(again.bytes().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_changed_answer_is_given_anew() {
    let console = console().await;
    let callback = console.bound("docs").await;
    console.until_commit(&callback).await;
    let record = format!("/api/internal/deploys/{}", callback.deploy);
    for (path, seq, step) in [(record.as_str(), 1, "Build"), ("/api/internal/board", 2, "Upload")] {
        let etag = get(&console, path).await.headers()["etag"].clone();
        console.report(&callback.number(seq).at(step).prints(step)).await;
        let known = console.http.get(console.url(path)).header("if-none-match", etag);
        let changed = known.send().await.unwrap();
        assert_eq!(changed.status(), 200);
        assert_eq!(changed.headers()["content-type"], "application/json");
        assert!(changed.text().await.unwrap().contains(step), "{path}");
    }
}

#[tokio::test]
async fn unknown_things_are_404() {
    let console = console().await;
    for path in [
        "/api/internal/deploys/0199a8f0-0000-7000-8000-000000000000",
        "/api/internal/deploys/nonsense",
        "/api/internal/site?slug=nope",
        "/api/internal/nothing",
    ] {
        refused(get(&console, path).await, 404, "not-found").await;
    }
    refused(
        console
            .http
            .delete(console.url("/api/internal/deploys"))
            .send()
            .await
            .unwrap(),
        405,
        "method-not-allowed",
    )
    .await;
    let browser = console.person("vera", Role::Viewer).await;
    for page in [
        "/nothing",
        "/deploys/0199a8f0-0000-7000-8000-000000000000",
        "/deploys/x",
        "/sites/nope",
    ] {
        let response = browser.get(console.url(page)).send().await.unwrap();
        assert_eq!(response.status(), 404, "{page}");
        assert!(response.text().await.unwrap().contains("<h1>"), "{page}");
    }
}

#[tokio::test]
async fn the_board_holds_every_site_and_the_newest_deploy() {
    let console = console().await;
    console.github.set_scenario("deploy-docs.yml", Scenario::Refuse);
    let first = console.deploy("docs").await.deploy;
    console.until(first.id, "dispatch_failed").await;
    let second = console.deploy("docs").await.deploy;
    console.until(second.id, "dispatch_failed").await;
    let board: Value = get(&console, "/api/internal/board").await.json().await.unwrap();
    let tiles = board["tiles"].as_array().unwrap();
    assert_eq!(
        tiles
            .iter()
            .map(|tile| tile["site"]["slug"].as_str().unwrap())
            .collect::<Vec<_>>(),
        ["api-prod", "docs"]
    );
    assert_eq!(tiles[0]["latest"], Value::Null);
    assert_eq!(tiles[1]["latest"]["id"], json!(second.id));
    assert_eq!(tiles[1]["health"]["status"], "unwatched");
}

#[tokio::test]
async fn a_tile_shows_the_end_of_a_log_from_a_line_on() {
    let console = console().await;
    let callback = console.bound("docs").await;
    let tile_log = async || {
        let board: Value = get(&console, "/api/internal/board").await.json().await.unwrap();
        board["tiles"][1]["latest"]["log"].clone()
    };
    assert_eq!(tile_log().await["text"], "");
    console.report(&callback.number(1).prints("one\ntwo\n")).await;
    let short = tile_log().await;
    assert_eq!(
        (&short["text"], &short["truncated"]),
        (&json!("one\ntwo\n"), &json!(false))
    );
    let line = |seq: i64| format!("{seq:>4} {}\n", "\u{2713}".repeat(31));
    for seq in 2..=50 {
        console.report(&callback.number(seq).prints(&line(seq))).await;
    }
    let long = tile_log().await;
    // 4 KiB are 41 lines of 99 bytes, and a part of one that is left out.
    let expected: String = (10..=50).map(line).collect();
    assert_eq!((&long["text"], &long["truncated"]), (&json!(expected), &json!(true)));
    let record = console.read(callback.deploy).await;
    assert_eq!(long["after"], record["log"]["after"], "a reader goes on from there");
    console.report(&callback.number(51).says("success")).await;
    assert_eq!(tile_log().await["text"], "", "it has ended");
}

#[tokio::test]
async fn each_tile_shows_the_end_of_its_own_log() {
    let console = console().await;
    let lines = |site: &str, numbers: std::ops::RangeInclusive<usize>| -> String {
        numbers
            .map(|number| format!("{site:>8} {number:>4} {}\n", "x".repeat(85)))
            .collect()
    };
    // Both print 90 lines of 100 bytes, in pieces that begin at other places.
    for (site, in_one) in [("api-prod", 1), ("docs", 30)] {
        let callback = console.bound(site).await;
        for first in (1..=90).step_by(in_one) {
            let text = lines(site, first..=first + in_one - 1);
            let mut report = callback.number(i64::try_from(first).unwrap()).prints(&text);
            report.id = format!("{site}-{first}");
            assert_eq!(console.report(&report).await.status(), 200);
        }
    }
    let board: Value = get(&console, "/api/internal/board").await.json().await.unwrap();
    for (tile, site) in [(0, "api-prod"), (1, "docs")] {
        let log = &board["tiles"][tile]["latest"]["log"];
        assert_eq!(
            log["text"],
            lines(site, 51..=90),
            "4 KiB are 40 lines and a part of one"
        );
    }
}

#[tokio::test]
async fn history_is_paged_newest_first() {
    let console = console().await;
    console.github.set_scenario("deploy-docs.yml", Scenario::Refuse);
    let mut made = Vec::new();
    for _ in 0..27 {
        let deploy = console.deploy("docs").await.deploy;
        console.until(deploy.id, "dispatch_failed").await;
        made.push(json!(deploy.id));
    }
    made.reverse();
    for path in ["/api/internal/history?", "/api/internal/site?slug=docs&"] {
        let page = |answer: Value| {
            if answer.get("page").is_some() {
                answer["page"].clone()
            } else {
                answer
            }
        };
        let first = page(get(&console, path).await.json().await.unwrap());
        let cursor = first["next"].as_str().unwrap();
        let second = page(
            get(&console, &format!("{path}before={cursor}"))
                .await
                .json()
                .await
                .unwrap(),
        );
        let ids = |page: &Value| {
            page["deploys"]
                .as_array()
                .unwrap()
                .iter()
                .map(|deploy| deploy["id"].clone())
                .collect::<Vec<_>>()
        };
        assert_eq!([ids(&first), ids(&second)].concat(), made);
        assert_eq!((ids(&first).len(), second["next"].clone()), (25, Value::Null));
    }
}

#[tokio::test]
async fn the_process_and_its_database_can_be_probed() {
    let console = console().await;
    assert_eq!(get(&console, "/healthz").await.status(), 204);
    assert_eq!(get(&console, "/readyz").await.status(), 204);
}

impl TestConsole {
    async fn until_commit(&self, callback: &Callback) {
        for _ in 0..500 {
            if self.read(callback.deploy).await["head_sha"].is_string() {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        panic!("the commit was never learned");
    }
}

#[tokio::test]
async fn a_tile_says_how_its_site_is_and_since_when() {
    let (status, asked) = (Arc::new(AtomicU16::new(200)), Arc::new(AtomicUsize::new(0)));
    let (said, counted) = (status.clone(), asked.clone());
    let site = axum::Router::new().fallback(move || {
        counted.fetch_add(1, Ordering::SeqCst);
        std::future::ready(axum::http::StatusCode::from_u16(said.load(Ordering::SeqCst)).unwrap())
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let health = format!(
        "health_url = \"http://{}\"\nrepository =",
        listener.local_addr().unwrap()
    );
    tokio::spawn(async move { axum::serve(listener, site).await });
    let (data, github) = (tempfile::tempdir().unwrap(), stand_in(Scenario::Queued).await);
    let mut config = config_with(&data, &github.url(), &SITES.replacen("repository =", &health, 1));
    config.health_every = Duration::from_millis(50);
    let console = TestConsole::start(config, github, data).await;
    let tile = async |slug: &str| {
        let board: Value = get(&console, "/api/internal/board").await.json().await.unwrap();
        let tiles = board["tiles"].as_array().unwrap();
        tiles.iter().find(|tile| tile["site"]["slug"] == slug).unwrap()["health"].clone()
    };
    let until = async |status: &str| {
        let waited = tokio::time::timeout(Duration::from_secs(30), async {
            loop {
                let health = tile("api-prod").await;
                if health["status"] == status {
                    return health;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        waited.await.expect("it was never so")
    };
    let healthy = until("healthy").await;
    assert!(healthy["since"].is_string(), "{healthy}");
    // It is asked again, and nothing has changed.
    let before = asked.load(Ordering::SeqCst);
    while asked.load(Ordering::SeqCst) < before + 3 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(tile("api-prod").await, healthy);
    status.store(500, Ordering::SeqCst);
    let ill = until("unhealthy").await;
    assert!(ill["detail"].as_str().unwrap().contains("500"), "{ill}");
    assert!(ill["since"].as_str() > healthy["since"].as_str(), "{ill}");
    status.store(204, Ordering::SeqCst);
    assert_eq!(until("healthy").await["detail"], Value::Null);
    assert_eq!(tile("docs").await["status"], "unwatched");
}
