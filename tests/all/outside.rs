//! Runs that were started outside the console: seen on the tile and in history with whoever started them, and never
//! mistaken for one of ours, nor one of ours for one of theirs.

use crate::support::{Callback, Setup, TestConsole};
use raxx_console::domain::Timestamp;
use raxx_console::server::clock;
use raxx_console::server::demo::stand_in::{Fault, Scenario};
use serde_json::{Value, json};

const REPOSITORY: &str = "raxx/docs";
const WORKFLOW: &str = "deploy-docs.yml";

async fn console(scenario: Scenario) -> TestConsole {
    Setup {
        scenario,
        ..Setup::default()
    }
    .start()
    .await
}

fn by_hand(console: &TestConsole, by: &str) -> i64 {
    console.github.start_by_hand(REPOSITORY, WORKFLOW, by)
}

/// Lets the watch look as if so many seconds had passed.
async fn look(console: &TestConsole, seconds: i64) -> usize {
    let now: Timestamp = clock::now().plus_millis(seconds * 1000);
    console.running.outside().step(now).await
}

async fn json_of(console: &TestConsole, path: &str) -> Value {
    let answer = console.http.get(console.url(path)).send().await.unwrap();
    answer.json().await.unwrap()
}

/// What a site's tile says of runs from outside.
async fn on_tile_of(console: &TestConsole, slug: &str) -> Value {
    let board = json_of(console, "/api/internal/board").await;
    let tiles = board["tiles"].as_array().unwrap();
    tiles.iter().find(|tile| tile["site"]["slug"] == slug).unwrap()["outside"].clone()
}

/// What the tile of `docs` says of them.
async fn on_tile(console: &TestConsole) -> Value {
    on_tile_of(console, "docs").await
}

async fn in_history(console: &TestConsole) -> Vec<Value> {
    let page = json_of(console, "/api/internal/site?slug=docs").await;
    page["page"]["outside"].as_array().unwrap().clone()
}

#[tokio::test]
async fn one_that_is_under_way_is_on_the_tile_and_in_history_with_whoever_started_it() {
    let console = console(Scenario::Queued).await;
    assert_eq!(on_tile(&console).await, Value::Null);
    let run_id = by_hand(&console, "octocat");
    console.github.change_run(run_id, |run| run.status = "in_progress");
    look(&console, 61).await;
    let run = on_tile(&console).await;
    assert_eq!(
        (&run["state"], &run["started_by"]),
        (&json!("running"), &json!("octocat"))
    );
    assert_eq!(
        (&run["run_id"], &run["ref"], &run["sites"]),
        (&json!(run_id), &json!("main"), &json!(["docs"]))
    );
    assert!(run["run_url"].as_str().unwrap().ends_with(&run_id.to_string()));
    assert_eq!(in_history(&console).await, [run]);
    assert_eq!(
        json_of(&console, "/api/internal/history").await["deploys"],
        json!([]),
        "it is no deploy"
    );

    console.github.change_run(run_id, |run| run.conclude("failure", None));
    assert_eq!(look(&console, 62).await, 0, "not yet");
    assert_eq!(look(&console, 80).await, 1, "sooner while one is under way");
    assert_eq!(on_tile(&console).await["state"], "failed");
    // A deploy of ours is newer: the tile speaks of that.
    console.bound("docs").await;
    assert_eq!(on_tile(&console).await, Value::Null);
    assert_eq!(in_history(&console).await.len(), 1);
    assert_eq!(console.github.dispatches().len(), 1);
}

#[tokio::test]
async fn the_workflows_of_one_repository_are_told_apart() {
    let file = crate::support::SITES.replace("raxx/api", REPOSITORY);
    let setup = Setup {
        file,
        ..Setup::default()
    };
    let console = setup.start().await;
    let run_id = by_hand(&console, "octocat");
    look(&console, 61).await;
    let run = on_tile(&console).await;
    assert_eq!((&run["run_id"], &run["sites"]), (&json!(run_id), &json!(["docs"])));
    assert_eq!(in_history(&console).await, [run]);
    assert_eq!(on_tile_of(&console, "api-prod").await, Value::Null);
    let page = json_of(&console, "/api/internal/site?slug=api-prod").await;
    assert_eq!(page["page"]["outside"], json!([]));
}

#[tokio::test]
async fn the_newest_of_each_workflow_is_shown() {
    // Two workflows in one repository, and two of one name.
    for (repository, workflow) in [(REPOSITORY, "deploy-api.yml"), ("raxx/api", WORKFLOW)] {
        let file = crate::support::SITES.replace("raxx/api", repository);
        let setup = Setup {
            file: file.replace("deploy-api.yml", workflow),
            ..Setup::default()
        };
        let console = setup.start().await;
        let start = |repository: &str, workflow: &str| {
            let id = console.github.start_by_hand(repository, workflow, "octocat");
            console.github.change_run(id, |run| run.conclude("success", None));
            id
        };
        start(REPOSITORY, WORKFLOW);
        let docs = start(REPOSITORY, WORKFLOW);
        let api = start(repository, workflow);
        look(&console, 61).await;
        assert_eq!(on_tile(&console).await["run_id"], docs);
        assert_eq!(on_tile_of(&console, "api-prod").await["run_id"], api);
        let page = json_of(&console, "/api/internal/site?slug=api-prod").await;
        assert_eq!(page["page"]["outside"].as_array().unwrap().len(), 1);
        assert_eq!(in_history(&console).await.len(), 2);
    }
}

#[tokio::test]
async fn one_that_is_run_again_is_under_way_again() {
    let console = console(Scenario::Queued).await;
    let (run_id, newer) = (by_hand(&console, "octocat"), by_hand(&console, "octocat"));
    for id in [run_id, newer] {
        console.github.change_run(id, |run| run.conclude("failure", None));
    }
    look(&console, 61).await;
    let before = on_tile(&console).await;
    assert_eq!((&before["run_id"], &before["attempt"]), (&json!(newer), &json!(1)));
    console.github.change_run(run_id, |run| run.run_again("hubot"));
    look(&console, 400).await;
    let run = on_tile(&console).await;
    assert_eq!((&run["run_id"], &run["attempt"]), (&json!(run_id), &json!(2)));
    assert_eq!((&run["state"], &run["started_by"]), (&json!("queued"), &json!("hubot")));
    console.github.change_run(run_id, |run| run.conclude("success", None));
    look(&console, 800).await;
    assert_eq!(on_tile(&console).await["run_id"], newer);
}

#[tokio::test]
async fn one_under_way_does_not_keep_an_operator_from_deploying() {
    let console = console(Scenario::Queued).await;
    by_hand(&console, "octocat");
    look(&console, 61).await;
    assert_eq!(console.create("docs").await.status(), 201);
    assert_eq!(on_tile(&console).await["state"], "queued", "and it is still said");
}

#[tokio::test]
async fn ours_is_none_of_them_whether_its_run_is_known_or_not() {
    let bound = console(Scenario::Queued).await;
    bound.bound("docs").await;
    look(&bound, 61).await;
    assert_eq!(in_history(&bound).await, Vec::<Value>::new());

    let unbound = console(Scenario::Error500Accepted).await;
    // It is listed, and yet nobody has told the console that it is its own.
    unbound.github.set_fault(Some(Fault::Error500));
    let deploy = unbound.deploy("docs").await.deploy;
    unbound.until(deploy.id, "dispatch_unknown").await;
    unbound.github.set_fault(None);
    look(&unbound, 61).await;
    assert_eq!(in_history(&unbound).await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_copied_id_is_not_taken_for_ours() {
    let console = console(Scenario::NoDetails).await;
    console.github.set_fault(Some(Fault::Error500));
    let deploy = console.deploy("docs").await.deploy;
    console.until(deploy.id, "dispatch_unknown").await;
    let ours = console.github.runs()[0].id;
    // Somebody starts one by hand, later, and gives it the deploy's id; and there is one from long before.
    let (theirs, older) = (by_hand(&console, "octocat"), by_hand(&console, "hubot"));
    let later = clock::now().plus_millis(30_000);
    for (id, at) in [(theirs, later), (older, later.plus_millis(-86_000_000))] {
        console.github.change_run(id, |run| {
            run.deploy_id = deploy.id.to_string();
            run.created_at = at;
        });
    }
    console.github.set_fault(None);
    console.running.reconciler().look_now(deploy.id);
    let record = console.until(deploy.id, "queued").await;
    assert_eq!(record["run_id"], json!(ours));
    look(&console, 700).await;
    let listed: Vec<Value> = in_history(&console)
        .await
        .iter()
        .map(|run| run["run_id"].clone())
        .collect();
    assert_eq!(listed, [json!(theirs), json!(older)], "both are from outside");
    // And neither can speak for it.
    let callback = Callback::new(deploy.id, theirs);
    assert_eq!(console.report(&callback).await.status(), 409);
}

#[tokio::test]
async fn a_run_of_a_deploy_that_was_closed_as_never_dispatched_is_none_from_outside() {
    let console = console(Scenario::Error500Accepted).await;
    console.github.set_fault(Some(Fault::Error500));
    let deploy = console.deploy("docs").await.deploy;
    console.until(deploy.id, "dispatch_unknown").await;
    let closed = raxx_console::domain::Event::Overridden {
        operator: "ada".to_owned(),
        state: raxx_console::domain::State::DispatchFailed,
        reason: "nothing is listed".to_owned(),
    };
    let store = console.running.store();
    store.change(deploy.id, &closed, clock::now()).await.unwrap();
    // And then GitHub lists it after all.
    console.github.set_fault(None);
    look(&console, 700).await;
    assert_eq!(in_history(&console).await, Vec::<Value>::new());
    let record = console.read(deploy.id).await;
    assert_eq!(
        (&record["state"], &record["conclusion_conflict"]),
        (&json!("dispatch_failed"), &json!(true))
    );
    let run = console.github.runs()[0].id;
    assert_eq!(
        record["timeline"].as_array().unwrap().last().unwrap()["note"],
        format!("run {run}")
    );
}

#[tokio::test]
async fn a_rerun_of_ours_is_found_in_the_list() {
    let console = console(Scenario::Queued).await;
    let callback = console.bound("docs").await;
    console.report(&callback.says("failure")).await;
    let run_id = callback.body["run_id"].as_i64().unwrap();
    console.github.change_run(run_id, |run| run.conclude("failure", None));
    let reconcile = async |seconds: i64| {
        let now = clock::now().plus_millis(seconds * 1000);
        console.running.reconciler().step(now).await.unwrap();
    };
    reconcile(30).await;
    console.github.change_run(run_id, |run| run.run_again("octocat"));
    look(&console, 700).await;
    reconcile(701).await;
    let record = console.read(callback.deploy).await;
    assert_eq!(
        (&record["state"], &record["reruns"][0]["attempt"]),
        (&json!("failed"), &json!(2))
    );
    assert_eq!(in_history(&console).await, Vec::<Value>::new());
}

#[tokio::test]
async fn one_that_is_not_listed_any_more_is_followed_and_a_deleted_one_forgotten() {
    let console = console(Scenario::Queued).await;
    let (followed, deleted) = (by_hand(&console, "octocat"), by_hand(&console, "octocat"));
    look(&console, 61).await;
    assert_eq!(in_history(&console).await.len(), 2);
    console.github.change_run(followed, |run| {
        run.hidden = true;
        run.conclude("success", None);
    });
    console.github.delete_run(deleted);
    look(&console, 80).await;
    let left = in_history(&console).await;
    assert_eq!((left.len(), &left[0]["state"]), (1, &json!("succeeded")));
}

#[tokio::test]
async fn history_is_one_row_of_pages() {
    let console = console(Scenario::Queued).await;
    let begun = clock::now();
    // Ours first: the console may look at any time, and GitHub lists thirty.
    console.bound("docs").await;
    for number in 0..29 {
        let id = by_hand(&console, "octocat");
        console
            .github
            .change_run(id, |run| run.created_at = begun.plus_millis(-60_000 * (number + 1)));
    }
    look(&console, 61).await;
    let (mut path, mut seen) = ("/api/internal/history".to_owned(), Vec::new());
    for _ in 0..3 {
        let page = json_of(&console, &path).await;
        let entries = page["deploys"]
            .as_array()
            .unwrap()
            .iter()
            .chain(page["outside"].as_array().unwrap());
        let ids: Vec<String> = entries.map(|entry| entry["id"].as_str().unwrap().to_owned()).collect();
        assert!(ids.len() <= 25);
        seen.extend(ids);
        match page["next"].as_str() {
            Some(next) => path = format!("/api/internal/history?before={next}"),
            None => break,
        }
    }
    let mut sorted = seen.clone();
    sorted.sort_by(|a, b| b.cmp(a));
    sorted.dedup();
    assert_eq!((seen.len(), &seen), (30, &sorted), "each once, newest first");
}

#[tokio::test]
async fn an_unchanged_list_costs_nothing_and_a_failure_is_waited_out() {
    let console = console(Scenario::Queued).await;
    by_hand(&console, "octocat");
    look(&console, 61).await;
    look(&console, 80).await;
    let asked = console.github.asked();
    let lists: Vec<u16> = asked
        .iter()
        .filter(|asked| asked.path.ends_with("deploy-docs.yml/runs"))
        .map(|asked| asked.status)
        .collect();
    assert_eq!(lists.last(), Some(&304), "{lists:?}");
    console.github.set_fault(Some(Fault::Error500));
    look(&console, 200).await;
    assert_eq!(look(&console, 220).await, 0);
    console.github.set_fault(None);
    assert_eq!(look(&console, 400).await, 2, "both workflows");
}
