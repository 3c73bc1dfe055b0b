//! Re-runs on GitHub are attempts of the same deploy: each with its own state, story and log, and the first one's result
//! stays as it was. While one runs, the site is taken.

use crate::support::{Callback, Setup, TestConsole, refused};
use raxx_console::domain::{DeployId, Timestamp};
use raxx_console::server::clock;
use raxx_console::server::demo::stand_in::{Fault, Scenario};
use serde_json::{Value, json};

/// A deploy that failed, on the run's own word.
async fn failed() -> (TestConsole, Callback) {
    let console = Setup::default().start().await;
    let callback = console.bound("docs").await;
    console.report(&callback.number(1).prints("first\n")).await;
    let said = callback
        .number(2)
        .says("failure")
        .at("Build")
        .with("message", "no disk");
    assert_eq!(console.report(&said).await.status(), 200);
    (console, callback)
}

fn run_id(callback: &Callback) -> i64 {
    callback.body["run_id"].as_i64().unwrap()
}

async fn attempt(console: &TestConsole, id: DeployId, number: i64) -> Value {
    let path = format!("/api/internal/deploys/{id}?attempt={number}");
    console
        .http
        .get(console.url(&path))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap()
}

async fn tile(console: &TestConsole) -> Value {
    let board = console
        .http
        .get(console.url("/api/internal/board"))
        .send()
        .await
        .unwrap();
    let board: Value = board.json().await.unwrap();
    let tiles = board["tiles"].as_array().unwrap();
    tiles.iter().find(|tile| tile["site"]["slug"] == "docs").unwrap()["latest"].clone()
}

async fn step(console: &TestConsole, later_ms: i64) {
    let now: Timestamp = clock::now().plus_millis(later_ms);
    console.running.reconciler().step(now).await.unwrap();
}

/// What of an attempt must never change once it is finished.
fn result(record: &Value) -> Value {
    let keys = [
        "state",
        "failure",
        "steps",
        "finished_at",
        "confirmed_by",
        "conclusion_conflict",
        "log",
        "timeline",
    ];
    keys.iter().map(|key| record[*key].clone()).collect()
}

#[tokio::test]
async fn a_rerun_that_reports_is_an_attempt_of_its_own() {
    let (console, callback) = failed().await;
    let before = result(&console.read(callback.deploy).await);
    let again = callback.with("run_attempt", 2);
    let answer = console.report(&again.number(3).at("Build").prints("second\n")).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(
        answer.json::<Value>().await.unwrap(),
        json!({ "result": "applied", "state": "running" })
    );

    let first = console.read(callback.deploy).await;
    assert_eq!(result(&first), before);
    assert_eq!(
        (&first["reruns"][0]["attempt"], &first["reruns"][0]["state"]),
        (&json!(2), &json!("running"))
    );
    let second = attempt(&console, callback.deploy, 2).await;
    assert_eq!(
        (&second["state"], &second["active"], &second["run_attempt"]),
        (&json!("running"), &json!(true), &json!(2))
    );
    assert_eq!(second["log"]["text"], "second\n");
    assert_eq!(second["operator"], "ada", "whose intent it was stays");
    let shown = tile(&console).await;
    assert_eq!(
        (&shown["run_attempt"], &shown["log"]["text"]),
        (&json!(2), &json!("second\n")),
        "the tile shows what is under way"
    );

    let refusal = refused(console.create("docs").await, 409, "already-active").await;
    assert_eq!(refusal["deploy_id"], json!(callback.deploy));
    assert_eq!(console.report(&again.number(4).says("success")).await.status(), 200);
    assert_eq!(attempt(&console, callback.deploy, 2).await["state"], "succeeded");
    assert_eq!(result(&console.read(callback.deploy).await), before);
    assert_eq!(
        tile(&console).await["state"],
        "succeeded",
        "the newest attempt of the newest deploy"
    );
    assert_eq!(console.create("docs").await.status(), 201, "the site is free again");
}

#[tokio::test]
async fn a_late_word_of_the_first_attempt_is_the_first_ones() {
    let console = Setup::default().start().await;
    let callback = console.bound("docs").await;
    console.report(&callback.with("run_attempt", 2).number(9)).await;
    assert_eq!(console.report(&callback.number(4).says("failure")).await.status(), 200);
    assert_eq!(console.read(callback.deploy).await["state"], "failed");
    assert_eq!(attempt(&console, callback.deploy, 2).await["state"], "running");
}

#[tokio::test]
async fn a_hint_is_enough_to_find_a_rerun_of_a_deploy_that_was_done_with() {
    let (console, callback) = failed().await;
    console
        .github
        .change_run(run_id(&callback), |run| run.conclude("failure", None));
    step(&console, 20_000).await;
    console
        .github
        .change_run(run_id(&callback), |run| run.run_again("octocat"));
    step(&console, 600_000).await;
    assert_eq!(
        console.read(callback.deploy).await["reruns"],
        json!([]),
        "nobody asks for ever"
    );

    console.running.reconciler().look_now(callback.deploy);
    step(&console, 601_000).await;
    step(&console, 602_000).await;
    let rerun = attempt(&console, callback.deploy, 2).await;
    assert_eq!(
        (&rerun["state"], &rerun["rerun_by"]),
        (&json!("queued"), &json!("octocat"))
    );
    console
        .github
        .change_run(run_id(&callback), |run| run.conclude("success", None));
    step(&console, 700_000).await;
    let rerun = attempt(&console, callback.deploy, 2).await;
    assert_eq!(
        (&rerun["state"], &rerun["confirmed_by"]),
        (&json!("succeeded"), &json!("github"))
    );
    assert_eq!(console.read(callback.deploy).await["state"], "failed");
    assert_eq!(console.github.dispatches().len(), 1);
}

#[tokio::test]
async fn each_attempt_ends_as_github_says_of_it_though_no_callback_came() {
    let console = Setup::default().start().await;
    let callback = console.bound("docs").await;
    console.github.change_run(run_id(&callback), |run| {
        run.conclude("failure", Some("the disk is full"));
        run.run_again("octocat");
        run.conclude("cancelled", Some("not again"));
        run.run_again("hubot");
    });
    for second in [20, 22, 24] {
        step(&console, second * 1000).await;
    }
    let first = console.read(callback.deploy).await;
    assert_eq!(
        (&first["state"], &first["failure"]["reason"]),
        (&json!("failed"), &json!("the disk is full"))
    );
    let second = attempt(&console, callback.deploy, 2).await;
    assert_eq!(
        (&second["state"], &second["rerun_by"]),
        (&json!("cancelled"), &json!("octocat"))
    );
    let third = attempt(&console, callback.deploy, 3).await;
    assert_eq!(
        (&third["state"], &third["rerun_by"]),
        (&json!("queued"), &json!("hubot"))
    );
    assert_eq!(console.github.dispatches().len(), 1);
}

#[tokio::test]
async fn a_rerun_can_be_cancelled_and_when_it_is_lost_closed_by_hand() {
    let (console, callback) = failed().await;
    console.github.change_run(run_id(&callback), |run| {
        run.conclude("failure", None);
        run.run_again("octocat");
    });
    console.report(&callback.with("run_attempt", 2).number(3)).await;
    let path = format!("/api/internal/deploys/{}/cancel", callback.deploy);
    let answer: Value = console
        .post(&path, &json!({}))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(
        (&answer["run_attempt"], &answer["cancel_requested"]),
        (&json!(2), &json!(true))
    );
    step(&console, 60_000).await;
    assert_eq!(attempt(&console, callback.deploy, 2).await["state"], "cancelled");

    console
        .github
        .change_run(run_id(&callback), |run| run.run_again("octocat"));
    console.report(&callback.with("run_attempt", 3).number(4)).await;
    console.github.set_fault(Some(Fault::Error500));
    // The site's `silent_after` is ten minutes.
    for minute in 1..=12 {
        step(&console, minute * 60_000).await;
    }
    assert_eq!(attempt(&console, callback.deploy, 3).await["state"], "lost");
    let path = format!("/api/internal/deploys/{}/override", callback.deploy);
    let body = json!({ "state": "succeeded", "reason": "the site answers" });
    assert_eq!(console.post(&path, &body).send().await.unwrap().status(), 200);
    let third = attempt(&console, callback.deploy, 3).await;
    assert_eq!(
        (&third["state"], &third["confirmed_by"]),
        (&json!("succeeded"), &json!("operator"))
    );
    assert_eq!(console.read(callback.deploy).await["state"], "failed");
    assert_eq!(console.create("docs").await.status(), 201);
}

#[tokio::test]
async fn whoever_means_another_attempt_than_the_present_one_is_told() {
    let (console, callback) = failed().await;
    console.report(&callback.with("run_attempt", 2).number(3)).await;
    let path = format!("/api/internal/deploys/{}/cancel", callback.deploy);
    let ask = |attempt: i64| console.post(&path, &json!({ "attempt": attempt })).send();
    let refusal = refused(ask(1).await.unwrap(), 409, "not-now").await;
    assert!(refusal["detail"].as_str().unwrap().contains("attempt 2"), "{refusal}");
    assert_eq!(attempt(&console, callback.deploy, 2).await["cancel_requested"], false);
    assert_eq!(ask(2).await.unwrap().status(), 200);
}

#[tokio::test]
async fn an_attempt_that_cannot_be_is_believed_of_nobody() {
    let (console, callback) = failed().await;
    refused(
        console.report(&callback.with("run_attempt", 1_001).number(3)).await,
        400,
        "malformed",
    )
    .await;
    console
        .github
        .change_run(run_id(&callback), |run| run.attempt = i64::MAX);
    step(&console, 60_000).await;
    assert_eq!(console.read(callback.deploy).await["reruns"], json!([]));
}

#[tokio::test]
async fn a_rerun_tells_which_run_a_dispatch_without_an_answer_became() {
    let console = Setup {
        scenario: Scenario::NoDetails,
        ..Setup::default()
    };
    let console = console.start().await;
    console.github.set_fault(Some(Fault::Error500));
    let deploy = console.deploy("docs").await.deploy;
    console.until(deploy.id, "dispatch_unknown").await;
    let run = console.github.runs()[0].id;
    let again = Callback::new(deploy.id, run).with("run_attempt", 2);
    assert_eq!(console.report(&again).await.status(), 200);
    let first = console.read(deploy.id).await;
    assert_eq!(
        (&first["state"], &first["run_id"], &first["run_attempt"]),
        (&json!("queued"), &json!(run), &json!(1))
    );
    assert_eq!(attempt(&console, deploy.id, 2).await["state"], "running");
}

#[tokio::test]
async fn an_attempt_that_is_not_there_is_not_found() {
    let (console, callback) = failed().await;
    for number in ["2", "0", "-1"] {
        let path = format!("/api/internal/deploys/{}?attempt={number}", callback.deploy);
        refused(
            console.http.get(console.url(&path)).send().await.unwrap(),
            404,
            "not-found",
        )
        .await;
    }
}
