//! Workflows: each run that GitHub starts reports as the action does, and sends each report until it is taken.

use super::ledger::{Kind, Piece, Post};
use super::world::{API_VERSIONS, Moment, World};
use crate::support::{SECRET, now};
use raxx_console::domain::{DeployId, State};
use raxx_console::server::clock;
use raxx_console::server::demo::stand_in::Dispatch;
use raxx_console::server::signature::Secret;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// Counts what arrives at GitHub, and plays the run of each deploy, until it is dropped.
pub(super) async fn play_runs(world: Arc<World>) {
    let (mut seen, mut runs) = (0, JoinSet::new());
    let http = Client::new();
    loop {
        let arrived = world.github.dispatched(seen + 1).await;
        for dispatch in &arrived[seen..] {
            let id = count(&world, dispatch);
            let is_first = world.posts()[&id].len() == 1;
            // A second run of one deploy is a fault, and counted. It says nothing: its callbacks would be refused.
            if is_first {
                let dice = world.dice(1_000_000 + world.posts().len() as u64);
                runs.spawn(play(world.clone(), http.clone(), id, dice));
            }
        }
        seen = arrived.len();
    }
}

fn count(world: &World, dispatch: &Dispatch) -> DeployId {
    let id: DeployId = dispatch.inputs["console_deploy_id"].as_str().unwrap().parse().unwrap();
    let version = dispatch.api_version.as_deref();
    let console = API_VERSIONS.iter().position(|known| version == Some(known)).unwrap();
    let mut posts = world.posts();
    let of_deploy = posts.entry(id).or_default();
    of_deploy.push(Post {
        console,
        at: clock::now(),
    });
    let many = of_deploy.len();
    drop(posts);
    if many > 1 {
        world.wrong(Kind::Doubled, format!("{id} was dispatched {many} times"));
    }
    world.tell(Moment::PostArrived);
    id
}

/// A run from its first report to its last.
async fn play(world: Arc<World>, http: Client, id: DeployId, mut random: fastrand::Rng) {
    let run = loop {
        let of_deploy = id.to_string();
        match world.github.runs().into_iter().find(|run| run.deploy_id == of_deploy) {
            Some(run) => break run.id,
            None => tokio::time::sleep(Duration::from_millis(1)).await,
        }
    };
    let reports = random.usize(3..7);
    for number in 1..=reports {
        tokio::time::sleep(Duration::from_millis(random.u64(5..200))).await;
        world.github.change_run(run, |run| run.status = "in_progress");
        let state = match (number == reports, random.bool()) {
            (false, _) => State::Running,
            (true, true) => State::Succeeded,
            (true, false) => State::Failed,
        };
        let piece = Arc::new(piece(id, number, state, &mut random));
        world.ledger().stories.entry(id).or_default().sent.push(piece.clone());
        if !report(&world, &http, id, run, number, &piece, &mut random).await {
            return;
        }
    }
    let conclusion = match world.ledger().stories[&id].state(reports) {
        Some(State::Succeeded) => "success",
        _ => "failure",
    };
    world.github.change_run(run, |run| run.conclude(conclusion, None));
}

fn piece(id: DeployId, number: usize, state: State, random: &mut fastrand::Rng) -> Piece {
    let lines = random.usize(1..30);
    Piece {
        delivery: format!("{id}-{number}"),
        text: (1..=lines)
            .map(|line| format!("{id} report {number}, line {line}: déploiement\n"))
            .collect(),
        state,
    }
}

/// Sends a report until it is acknowledged, under the same id with a fresh time, and now and then once more. Whether it
/// was taken.
async fn report(
    world: &World,
    http: &Client,
    id: DeployId,
    run: i64,
    number: usize,
    piece: &Piece,
    random: &mut fastrand::Rng,
) -> bool {
    let status = match piece.state {
        State::Succeeded => "success",
        State::Failed => "failure",
        _ => "in_progress",
    };
    let body = json!({
        "schema": 1, "deploy_id": id, "run_id": run, "run_attempt": 1, "job": "deploy", "seq": number,
        "status": status, "step": format!("Step {number}"), "log": { "text": piece.text, "truncated": false },
    })
    .to_string();
    let secret: Secret = SECRET.parse().unwrap();
    let request = |door: &str| {
        let timestamp = now().to_string();
        let signature = secret.sign(&piece.delivery, &timestamp, body.as_bytes());
        http.post(format!("{door}/api/internal/deploys/{id}/status"))
            .header("webhook-id", &piece.delivery)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signature)
            .body(body.clone())
    };
    let again = random.u8(..8) == 0;
    for repeated in 0..=u8::from(again) {
        let response = world.insist(random, Moment::ReportSent, request).await;
        let status = response.status();
        let answer = response.json::<Value>().await.unwrap_or_default();
        let is_duplicate = answer["result"] == "duplicate";
        if status != StatusCode::OK {
            world.wrong(
                Kind::Inconsistent,
                format!("{} was answered {status}: {answer}", piece.delivery),
            );
            return false;
        }
        if repeated > 0 && !is_duplicate && !answer.is_null() {
            world.wrong(Kind::Doubled, format!("{} was taken twice: {answer}", piece.delivery));
        }
        if repeated == 0 {
            world.ledger().stories.get_mut(&id).unwrap().acknowledged = number;
            world.tell(Moment::ReportAcknowledged);
        }
    }
    true
}
