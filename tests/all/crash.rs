//! kill -9 between each two steps of create and dispatch, then a start: the right state, and never a second POST.
//!
//! The process that is killed is this test binary once more: it takes the steps through the library, stops
//! after the one that it was told, says so, and waits for its end.

use crate::support::database::database_of;
use crate::support::{SITES, TestConsole, config, config_on, stand_in};
use raxx_console::domain::{AuditAction, Deploy, DeployId, Event};
use raxx_console::server::audit::Source;
use raxx_console::server::clock;
use raxx_console::server::demo::stand_in::Scenario;
use raxx_console::server::github::Github;
use raxx_console::server::store::{Intent, Store};
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use uuid::Uuid;

const PARKED: &str = "parked after its step";

/// Where the process is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Recorded,
    Claimed,
    Sending,
    Answered,
    Settled,
}

impl Step {
    fn parse(text: &str) -> Self {
        [
            Self::Recorded,
            Self::Claimed,
            Self::Sending,
            Self::Answered,
            Self::Settled,
        ]
        .into_iter()
        .find(|step| format!("{step:?}") == text)
        .unwrap()
    }
}

/// What is left behind when the process dies after `step`, and what the next one makes of it.
async fn killed_after(step: Step) -> (TestConsole, DeployId) {
    let data = tempfile::tempdir().unwrap();
    let github = stand_in(if step == Step::Sending {
        Scenario::Hold
    } else {
        Scenario::Queued
    })
    .await;
    let id = DeployId::from_uuid(Uuid::now_v7());
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["crash::the_process_that_is_killed", "--exact", "--nocapture"])
        .env("CRASH_STEP", format!("{step:?}"))
        .env("CRASH_DATABASE", database_of(data.path()))
        .env("CRASH_GITHUB", github.url())
        .env("CRASH_DEPLOY", id.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let parked = tokio::task::spawn_blocking(move || lines.map_while(Result::ok).any(|line| line.contains(PARKED)));
    assert!(parked.await.unwrap(), "the process ended before it was killed");
    if step == Step::Sending {
        assert_eq!(github.dispatched(1).await.len(), 1);
    }
    // SIGKILL: no destructor, no handler, nothing.
    child.kill().unwrap();
    child.wait().unwrap();
    let config = config(&data, &github.url());
    (TestConsole::start(config, github, data).await, id)
}

#[tokio::test]
async fn an_intent_that_was_not_claimed_is_dispatched_once() {
    let (console, id) = killed_after(Step::Recorded).await;
    console.until(id, "queued").await;
    assert_eq!(console.github.dispatches().len(), 1);
}

#[tokio::test]
async fn a_claim_that_may_have_been_sent_is_never_sent_again() {
    let (console, id) = killed_after(Step::Claimed).await;
    let record = console.until(id, "dispatch_unknown").await;
    assert!(
        record["notice"]
            .as_str()
            .unwrap()
            .contains("stopped while it was dispatching")
    );
    assert!(console.github.dispatches().is_empty());
}

#[tokio::test]
async fn a_call_that_was_cut_off_is_found_by_reading() {
    for step in [Step::Sending, Step::Answered] {
        let (console, id) = killed_after(step).await;
        let record = console.until(id, "queued").await;
        assert_eq!(record["run_id"], console.github.runs()[0].id, "{step:?}");
        assert_eq!(console.github.dispatches().len(), 1, "{step:?}");
    }
}

#[tokio::test]
async fn an_outcome_on_record_stays() {
    let (console, id) = killed_after(Step::Settled).await;
    console.until(id, "queued").await;
    assert_eq!(console.github.dispatches().len(), 1);
}

/// Not a test of its own: the other process of the tests above. Without their variables it has nothing to do.
#[tokio::test]
async fn the_process_that_is_killed() {
    let Ok(step) = std::env::var("CRASH_STEP") else { return };
    let variable = |name: &str| std::env::var(name).unwrap();
    let (step, id) = (Step::parse(&step), variable("CRASH_DEPLOY").parse().unwrap());
    // The database belongs to the parent.
    let database = variable("CRASH_DATABASE");
    let config = config_on(database.clone(), &variable("CRASH_GITHUB"), SITES);
    let store = Store::open(&database).await.unwrap();
    let site = config.sites.iter().find(|site| site.slug.as_str() == "docs").unwrap();
    let intent = Intent {
        deploy: Deploy::requested(id, site, "ada", clock::now()),
        idempotency_key: None,
        request_sha256: String::new(),
        entry: Source::command_line().does(AuditAction::DeployRequested),
    };
    store.record_intent(&intent, 100).await.unwrap();
    if step >= Step::Claimed {
        store.change(id, &Event::Claimed, clock::now()).await.unwrap();
    }
    if step == Step::Sending {
        say_parked();
    }
    if step >= Step::Sending {
        let event = Github::new(config.github.clone())
            .unwrap()
            .dispatch(site, &intent.deploy)
            .await;
        assert!(matches!(event, Event::Accepted(_)), "{event:?}");
        if step == Step::Settled {
            store.change(id, &event, clock::now()).await.unwrap();
        }
    }
    say_parked();
    std::future::pending::<()>().await;
}

fn say_parked() {
    println!("{PARKED}");
    std::io::stdout().flush().unwrap();
}
