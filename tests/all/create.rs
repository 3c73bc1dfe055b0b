//! `POST /api/internal/deploys`, row by row.

use crate::support::database::execute;
use crate::support::{Setup, TestConsole, console, console_with, refused};
use raxx_console::domain::{DeployRecord, Role};
use raxx_console::server::config::Limits;
use raxx_console::server::demo::stand_in::Scenario;
use reqwest::Response;
use serde_json::{Value, json};

const DEPLOYS: &str = "/api/internal/deploys";

async fn post(console: &TestConsole, body: Value) -> Response {
    console.post(DEPLOYS, &body).send().await.unwrap()
}

#[tokio::test]
async fn an_intent_is_answered_with_201_where_it_is_and_what_it_is() {
    let console = console().await;
    let body = json!({
        "site": "api-prod", "confirmation": "api-prod", "reason": "hotfix", "ref": "v1.2.3", "inputs": { "dry": "no" },
    });
    let response = post(&console, body).await;
    assert_eq!(response.status(), 201);
    let location = response.headers()["location"].to_str().unwrap().to_owned();
    let deploy: Value = response.json().await.unwrap();
    assert_eq!(location, format!("{DEPLOYS}/{}", deploy["id"].as_str().unwrap()));
    for (key, value) in [
        ("site", json!("api-prod")),
        ("environment", json!("production")),
        ("state", json!("requested")),
        ("active", json!(true)),
        ("operator", json!("ada")),
        ("reason", json!("hotfix")),
        ("ref", json!("v1.2.3")),
        ("inputs", json!({ "color": "green", "dry": "no" })),
    ] {
        assert_eq!(deploy[key], value, "{key}");
    }
    let again: Value = console
        .http
        .get(console.url(&location))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(again["id"], deploy["id"]);
}

#[tokio::test]
async fn what_was_asked_for_is_what_github_gets() {
    let console = console().await;
    let record: DeployRecord = post(
        &console,
        json!({ "site": "api-prod", "confirmation": "api-prod", "ref": "v2" }),
    )
    .await
    .json()
    .await
    .unwrap();
    let dispatches = console.github.dispatched(1).await;
    assert_eq!(dispatches.len(), 1);
    assert_eq!(
        (dispatches[0].workflow.as_str(), dispatches[0].git_ref.as_str()),
        ("deploy-api.yml", "v2")
    );
    let inputs = json!({ "color": "green", "console_deploy_id": record.deploy.id });
    assert_eq!(Value::Object(dispatches[0].inputs.clone()), inputs);
}

#[tokio::test]
async fn the_confirmation_must_be_the_slug_to_the_byte() {
    let console = console().await;
    for typed in [
        "",
        "api",
        "api-pro",
        "API-PROD",
        " api-prod",
        "api-prod ",
        "api-prod\n",
        "docs",
        "api\u{2011}prod",
    ] {
        let response = post(&console, json!({ "site": "api-prod", "confirmation": typed })).await;
        let problem = refused(response, 422, "confirmation-mismatch").await;
        assert_eq!(problem["field"], "confirmation");
    }
    assert!(console.github.dispatches().is_empty());
}

#[tokio::test]
async fn an_unknown_site_is_404() {
    let problem = refused(
        post(&console().await, json!({ "site": "nope", "confirmation": "nope" })).await,
        404,
        "not-found",
    )
    .await;
    assert_eq!(problem["field"], "site");
}

#[tokio::test]
async fn a_taken_site_is_409_and_names_its_deploy() {
    let console = console().await;
    let first = console.deploy("docs").await;
    let problem = refused(console.create("docs").await, 409, "already-active").await;
    assert_eq!(problem["deploy_id"], json!(first.deploy.id));
    assert_eq!(console.create("api-prod").await.status(), 201, "another site is free");
}

#[tokio::test]
async fn sixteen_clicks_at_once_make_one_deploy_and_one_dispatch() {
    let console = console().await;
    let clicks = (0..16).map(|_| {
        console
            .post(DEPLOYS, &json!({ "site": "docs", "confirmation": "docs" }))
            .send()
    });
    let mut waiting = tokio::task::JoinSet::new();
    clicks.for_each(|click| {
        waiting.spawn(click);
    });
    let mut statuses: Vec<u16> = waiting
        .join_all()
        .await
        .into_iter()
        .map(|answer| answer.unwrap().status().as_u16())
        .collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [vec![201], vec![409; 15]].concat());
    let history: Value = console
        .http
        .get(console.url("/api/internal/history"))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let deploys = history["deploys"].as_array().unwrap();
    assert_eq!(deploys.len(), 1);
    let id = serde_json::from_value(deploys[0]["id"].clone()).unwrap();
    console.until(id, "queued").await;
    assert_eq!(console.github.dispatches().len(), 1);
}

#[tokio::test]
async fn the_same_key_and_request_is_the_same_deploy() {
    let console = console().await;
    let body = json!({ "site": "docs", "confirmation": "docs" });
    let ask = || async {
        console
            .post(DEPLOYS, &body)
            .header("Idempotency-Key", "key-1")
            .send()
            .await
            .unwrap()
    };
    let first = ask().await;
    assert_eq!(first.status(), 201);
    let second = ask().await;
    assert_eq!(second.status(), 200);
    let (first, second): (Value, Value) = (first.json().await.unwrap(), second.json().await.unwrap());
    assert_eq!(first["id"], second["id"]);
}

#[tokio::test]
async fn a_key_is_its_operators_own() {
    let console = console().await;
    console.github.set_scenario("deploy-docs.yml", Scenario::Refuse);
    let dora = console.person("dora", Role::Admin).await;
    let mut made = Vec::new();
    for (who, key) in [(&console.http, "key-1"), (&dora, "key-1"), (&dora, "key-2")] {
        let body = json!({ "site": "docs", "confirmation": "docs" });
        let request = who
            .post(console.url(DEPLOYS))
            .header("Idempotency-Key", key)
            .json(&body);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 201, "{key}");
        let deploy: DeployRecord = response.json().await.unwrap();
        console.until(deploy.deploy.id, "dispatch_failed").await;
        made.push((deploy.deploy.id, deploy.deploy.operator.clone()));
    }
    let whose: Vec<&str> = made.iter().map(|(_, operator)| operator.as_str()).collect();
    assert_eq!(whose, ["ada", "dora", "dora"]);
    assert_ne!(made[1].0, made[2].0);
}

#[tokio::test]
async fn a_key_is_not_for_two_requests() {
    let console = console().await;
    let ask = |site: &'static str| {
        let body = json!({ "site": site, "confirmation": site });
        console.post(DEPLOYS, &body).header("Idempotency-Key", "key-1").send()
    };
    assert_eq!(ask("docs").await.unwrap().status(), 201);
    refused(ask("api-prod").await.unwrap(), 422, "invalid").await;
    let odd = console
        .post(DEPLOYS, &json!({ "site": "docs", "confirmation": "docs" }))
        .header("Idempotency-Key", "two words");
    refused(odd.send().await.unwrap(), 422, "invalid").await;
}

#[tokio::test]
async fn bad_fields_are_422_and_named() {
    let console = console().await;
    let long = "x".repeat(501);
    let many: Value = (0..30)
        .map(|n| (format!("k{n}"), json!("v")))
        .collect::<serde_json::Map<_, _>>()
        .into();
    for (key, value) in [
        ("reason", json!(long)),
        ("reason", json!("a\u{0}b")),
        ("ref", json!("")),
        ("ref", json!("a b")),
        ("ref", json!("-x")),
        ("inputs", json!({ "console_deploy_id": "forged" })),
        ("inputs", many),
    ] {
        let mut body = json!({ "site": "docs", "confirmation": "docs" });
        body[key] = value;
        assert_eq!(refused(post(&console, body).await, 422, "invalid").await["field"], key);
    }
}

#[tokio::test]
async fn bodies_that_cannot_be_read_are_refused_with_the_reason() {
    let console = console().await;
    let problem = refused(
        post(&console, json!({ "site": "docs", "confirmation": "docs", "reff": "x" })).await,
        422,
        "invalid",
    )
    .await;
    assert!(problem["detail"].as_str().unwrap().contains("reff"), "{problem}");
    let problem = refused(post(&console, json!({ "site": "docs" })).await, 422, "invalid").await;
    assert!(
        problem["detail"].as_str().unwrap().contains("confirmation"),
        "{problem}"
    );
    refused(
        post(&console, json!({ "site": 7, "confirmation": "docs" })).await,
        422,
        "invalid",
    )
    .await;
    let raw = |body: String| {
        console
            .http
            .post(console.url(DEPLOYS))
            .header("content-type", "application/json")
            .body(body)
    };
    refused(raw("{".to_owned()).send().await.unwrap(), 400, "malformed").await;
    refused(
        raw(format!("\"{}\"", "x".repeat(70_000))).send().await.unwrap(),
        413,
        "too-large",
    )
    .await;
    let form = console
        .http
        .post(console.url(DEPLOYS))
        .header("content-type", "text/plain")
        .body("{}");
    refused(form.send().await.unwrap(), 415, "unsupported-media-type").await;
}

#[tokio::test]
async fn too_many_in_a_minute_is_429() {
    let limits = Limits {
        deploys_a_minute: 1,
        ..Limits::default()
    };
    let console = Setup {
        limits,
        ..Setup::default()
    }
    .start()
    .await;
    console.deploy("docs").await;
    let response = console.create("api-prod").await;
    assert_eq!(response.headers()["retry-after"], "60");
    refused(response, 429, "too-many-requests").await;
    // Each operator has a minute of their own, and it goes by.
    let dora = console.person("dora", Role::Admin).await;
    let as_dora = |site: &str| {
        let body = json!({ "site": site, "confirmation": site });
        dora.post(console.url(DEPLOYS)).json(&body).send()
    };
    assert_eq!(as_dora("api-prod").await.unwrap().status(), 201);
    let a_minute_passes =
        "UPDATE console_deploys SET requested_at = requested_at - 60000, active = 0, state = 'failed'";
    execute(&console.database(), a_minute_passes).await;
    assert_eq!(console.create("docs").await.status(), 201);
    refused(console.create("api-prod").await, 429, "too-many-requests").await;
}

#[tokio::test]
async fn a_page_of_another_site_cannot_deploy() {
    let console = console().await;
    let body = json!({ "site": "docs", "confirmation": "docs" });
    let foreign = console
        .post(DEPLOYS, &body)
        .header("Sec-Fetch-Site", "cross-site")
        .header("Origin", "https://evil.example");
    refused(foreign.send().await.unwrap(), 403, "forbidden").await;
    assert!(console.github.dispatches().is_empty());
    let proxied = console
        .post(DEPLOYS, &json!({ "site": "api-prod", "confirmation": "api-prod" }))
        .header("Origin", "https://console.example.com");
    assert_eq!(
        proxied.send().await.unwrap().status(),
        201,
        "CONSOLE_URL is the console too"
    );
    let own = console.post(DEPLOYS, &body).header("Sec-Fetch-Site", "same-origin");
    assert_eq!(own.send().await.unwrap().status(), 201);
}

#[tokio::test]
async fn the_dispatch_outlives_the_client() {
    let console = console_with(Scenario::Hold).await;
    // The answer comes while GitHub still holds the call: the client does not wait for it.
    let deploy = console.deploy("docs").await.deploy;
    console.until(deploy.id, "dispatching").await;
    drop(console.http.clone());
    console.github.dispatched(1).await;
    console.github.release();
    console.until(deploy.id, "queued").await;
}

#[tokio::test]
async fn a_finished_deploy_frees_its_site() {
    let console = console_with(Scenario::Refuse).await;
    let deploy = console.deploy("docs").await.deploy;
    console.until(deploy.id, "dispatch_failed").await;
    assert_eq!(console.create("docs").await.status(), 201);
}
