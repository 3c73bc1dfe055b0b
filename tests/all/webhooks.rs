//! GitHub's webhooks: only GitHub's own are taken, each once, and all that one does is to make the console look.

use crate::support::database::{database_of, execute, number};
use crate::support::{Setup, TestConsole, WEBHOOK_SECRET, refused, repository};
use hmac::{Hmac, KeyInit, Mac};
use raxx_console::server::demo::stand_in::{Fault, Scenario};
use raxx_console::server::store::{Hint, Store};
use raxx_console::server::webhooks::WebhookSecret;
use reqwest::Response;
use serde_json::{Value, json};
use sha2::Sha256;

pub(crate) const PATH: &str = "/api/internal/github/webhooks";

pub(crate) fn sign(body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(WEBHOOK_SECRET.as_bytes()).unwrap();
    mac.update(body.as_bytes());
    let tag = mac.finalize().into_bytes();
    let hex: String = tag.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256={hex}")
}

/// GitHub's own examples of an event's payloads.
fn examples(event: &str) -> Vec<Value> {
    let path = repository().join("node_modules/@octokit/webhooks-examples/api.github.com/index.json");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{error}: run `make setup`"));
    let all: Vec<Value> = serde_json::from_str(&text).unwrap();
    let of_event = all.into_iter().find(|entry| entry["name"] == event).unwrap();
    of_event["examples"].as_array().unwrap().clone()
}

/// The first example of an event, made to speak of a run of ours.
fn about(event: &str, run_id: i64) -> Value {
    let mut payload = examples(event)[0].clone();
    let key = if event == "workflow_run" { "id" } else { "run_id" };
    payload[event][key] = json!(run_id);
    payload["repository"]["full_name"] = json!("Raxx/Docs");
    payload
}

async fn deliver(console: &TestConsole, event: &str, delivery: &str, payload: &Value) -> Response {
    let body = payload.to_string();
    let request = console.http.post(console.url(PATH)).header("x-github-event", event);
    let request = request
        .header("x-hub-signature-256", sign(&body))
        .header("x-github-delivery", delivery);
    request.body(body).send().await.unwrap()
}

async fn result(response: Response) -> String {
    let (status, body) = (response.status(), response.json::<Value>().await.unwrap());
    assert_eq!(status, 202, "{body}");
    body["result"].as_str().unwrap().to_owned()
}

#[test]
fn the_published_vector_holds() {
    let secret = WebhookSecret::new(WEBHOOK_SECRET.into());
    let signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    assert!(secret.signed(b"Hello, World!", signature));
    assert!(!secret.signed(b"Hello, World?", signature));
    assert!(!secret.signed(b"Hello, World!", &signature["sha256=".len()..]));
    assert!(!secret.signed(b"Hello, World!", &signature[..signature.len() - 2]));
    assert!(!secret.signed(b"Hello, World!", "sha256="));
}

#[tokio::test]
async fn a_hint_makes_the_console_look_at_once() {
    for event in ["workflow_run", "workflow_job"] {
        let console = Setup {
            scenario: Scenario::Queued,
            ..Setup::default()
        };
        let console = console.start().await;
        let callback = console.bound("docs").await;
        let run_id = callback.body["run_id"].as_i64().unwrap();
        // The callbacks are lost; without the hint, it would be asked about much later.
        console.github.change_run(run_id, |run| run.conclude("success", None));
        assert_eq!(
            result(deliver(&console, event, "d-1", &about(event, run_id)).await).await,
            "looking"
        );
        let record = console.until(callback.deploy, "succeeded").await;
        assert_eq!(record["confirmed_by"], "github");
        // Whoever takes a hint looks after that, so it is looked at once.
        let waiting = "SELECT COUNT(*) FROM console_hints WHERE kind = 'deploy'";
        assert_eq!(number(&console.database(), waiting).await, 0);
    }
}

#[tokio::test]
async fn a_hint_is_no_evidence() {
    let console = Setup::default().start().await;
    let callback = console.bound("docs").await;
    let run_id = callback.body["run_id"].as_i64().unwrap();
    let mut payload = about("workflow_run", run_id);
    payload["workflow_run"]["status"] = json!("completed");
    payload["workflow_run"]["conclusion"] = json!("success");
    assert_eq!(
        result(deliver(&console, "workflow_run", "d-1", &payload).await).await,
        "looking"
    );
    console.until_asked("/jobs").await;
    assert_eq!(
        console.read(callback.deploy).await["state"],
        "queued",
        "the API says otherwise"
    );
}

#[tokio::test]
async fn a_hint_finds_the_run_of_a_dispatch_that_was_not_answered() {
    let console = Setup {
        scenario: Scenario::Drop,
        ..Setup::default()
    };
    let console = console.start().await;
    let deploy = console.deploy("docs").await.deploy;
    console.github.dispatched(1).await;
    let run_id = console.github.runs()[0].id;
    let payload = about("workflow_run", run_id);
    // Before the dispatcher knows that no answer comes, there is nothing to look for.
    console.until(deploy.id, "queued").await;
    assert_eq!(
        result(deliver(&console, "workflow_run", "d-1", &payload).await).await,
        "looking"
    );
    assert_eq!(console.github.dispatches().len(), 1);
}

#[tokio::test]
async fn a_delivery_is_taken_once() {
    let console = Setup::default().start().await;
    let callback = console.bound("docs").await;
    let payload = about("workflow_run", callback.body["run_id"].as_i64().unwrap());
    assert_eq!(
        result(deliver(&console, "workflow_run", "d-1", &payload).await).await,
        "looking"
    );
    assert_eq!(
        result(deliver(&console, "workflow_run", "d-1", &payload).await).await,
        "duplicate"
    );
    assert_eq!(
        result(deliver(&console, "workflow_run", "d-2", &payload).await).await,
        "looking"
    );
    assert_eq!(
        result(deliver(&console, "workflow_run", "d-1", &payload).await).await,
        "duplicate"
    );
    // GitHub sends none again after three days; they are forgotten after a week.
    let kept = async || number(&console.database(), "SELECT COUNT(*) FROM console_webhooks").await;
    let days_pass = async |days: i64| {
        let sql = format!(
            "UPDATE console_webhooks SET received_at = received_at - {}",
            days * 86_400_000
        );
        execute(&console.database(), sql).await;
    };
    days_pass(6).await;
    result(deliver(&console, "workflow_run", "d-3", &payload).await).await;
    assert_eq!(kept().await, 3);
    days_pass(2).await;
    result(deliver(&console, "workflow_run", "d-4", &payload).await).await;
    assert_eq!(kept().await, 2);
}

#[tokio::test]
async fn what_is_about_nothing_of_ours_is_ignored() {
    let console = Setup::default().start().await;
    let callback = console.bound("docs").await;
    let run_id = callback.body["run_id"].as_i64().unwrap();
    for event in ["workflow_run", "workflow_job"] {
        for (index, example) in examples(event).iter().enumerate() {
            let delivery = format!("{event}-{index}");
            assert_eq!(
                result(deliver(&console, event, &delivery, example).await).await,
                "ignored"
            );
        }
        let mut elsewhere = about(event, run_id);
        elsewhere["repository"]["full_name"] = json!("raxx/other");
        assert_eq!(
            result(deliver(&console, event, &format!("{event}-elsewhere"), &elsewhere).await).await,
            "ignored"
        );
    }
    for event in ["ping", "push", "deployment_status"] {
        assert_eq!(
            result(deliver(&console, event, "other", &examples(event)[0]).await).await,
            "ignored"
        );
    }
}

#[tokio::test]
async fn what_github_did_not_sign_is_refused() {
    let console = Setup::default().start().await;
    let body = about("workflow_run", 1).to_string();
    let post = |headers: Vec<(&'static str, String)>, body: String| {
        let request = console
            .http
            .post(console.url(PATH))
            .header("x-github-event", "workflow_run");
        let request = headers
            .into_iter()
            .fold(request, |request, (name, value)| request.header(name, value));
        request.header("x-github-delivery", "d").body(body).send()
    };
    let good = sign(&body);
    let signature = |value: &str| vec![("x-hub-signature-256", value.to_owned())];
    for headers in [
        vec![],
        signature("sha256=00"),
        signature(&sign("other")),
        signature(&good.replace("sha256=", "sha1=")),
        [signature(&good), signature(&good)].concat(),
    ] {
        refused(post(headers, body.clone()).await.unwrap(), 401, "unauthenticated").await;
    }
    let form = format!("payload={body}");
    refused(post(signature(&sign(&form)), form).await.unwrap(), 400, "malformed").await;
    let large = "x".repeat(1024 * 1024 + 1);
    refused(post(signature(&sign(&large)), large).await.unwrap(), 413, "too-large").await;
}

#[tokio::test]
async fn without_a_secret_none_are_taken() {
    let (data, github) = (
        tempfile::tempdir().unwrap(),
        crate::support::stand_in(Scenario::Queued).await,
    );
    let mut config = crate::support::config(&data, &github.url());
    config.webhook_secret = None;
    let console = TestConsole::start(config, github, data).await;
    let response = deliver(&console, "workflow_run", "d-1", &about("workflow_run", 1)).await;
    let refusal = refused(response, 404, "not-found").await;
    assert!(refusal["detail"].as_str().unwrap().contains("GITHUB_WEBHOOK_SECRET"));
}

#[tokio::test]
async fn a_hint_waits_once_and_is_taken_once_by_whoever_it_is_for() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&database_of(folder.path())).await.unwrap();
    for subject in ["one", "one", "other"] {
        store.leave_hint(Hint::Deploy, subject).await.unwrap();
    }
    store.leave_hint(Hint::Repository, "raxx/docs").await.unwrap();
    let mut taken = store.take_hints(Hint::Deploy).await.unwrap();
    taken.sort();
    assert_eq!(taken, ["one", "other"]);
    assert_eq!(store.take_hints(Hint::Deploy).await.unwrap(), [""; 0]);
    assert_eq!(store.take_hints(Hint::Repository).await.unwrap(), ["raxx/docs"]);
}

#[tokio::test]
async fn a_run_can_be_that_of_its_own_deploy_and_of_those_whose_run_is_not_known() {
    let console = Setup::default().start().await;
    let bound = console.bound("docs").await;
    let run_id = bound.body["run_id"].as_i64().unwrap();
    let found = async |run_id: i64| {
        let found = console.running.store().deploys_of_run(run_id).await.unwrap();
        found.iter().map(|deploy| deploy.id).collect::<Vec<_>>()
    };
    assert_eq!(found(run_id).await, [bound.deploy]);
    assert_eq!(found(run_id + 1).await, []);
    console.github.set_fault(Some(Fault::Error500));
    console.github.set_scenario("deploy-api.yml", Scenario::Error500);
    let unknown = console.deploy("api-prod").await.deploy.id;
    console.until(unknown, "dispatch_unknown").await;
    assert_eq!(found(run_id).await, [bound.deploy, unknown]);
    assert_eq!(found(run_id + 1).await, [unknown]);
}
