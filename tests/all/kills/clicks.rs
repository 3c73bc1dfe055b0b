//! Operators: they click Deploy, follow what comes of it, and close by hand what nothing came of.

use super::ledger::{Click, Kind};
use super::world::{ANSWER_WITHIN, Moment, Operator, World, slug};
use raxx_console::domain::DeployId;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// How often a page asks again.
const POLL: Duration = Duration::from_millis(100);

/// Clicks on one site, again and again, until nobody shall click any more.
pub(super) async fn click_on(world: Arc<World>, operator: Operator, site: usize, mut random: fastrand::Rng) {
    for number in 0.. {
        if world.quiet.is_cancelled() {
            return;
        }
        let click = Click {
            operator: operator.name.clone(),
            site: slug(site),
            key: format!("{}-{number}", operator.name),
        };
        match clicked(&world, &operator, &click, &mut random).await {
            Some(id) => follow(&world, &operator, id, &mut random).await,
            None => tokio::time::sleep(Duration::from_millis(random.u64(200..800))).await,
        }
    }
}

/// Clicks once; a double click now and then. The deploy, unless the site is taken.
async fn clicked(world: &World, operator: &Operator, click: &Click, random: &mut fastrand::Rng) -> Option<DeployId> {
    world.ledger().keys.insert(click.key.clone(), click.clone());
    let (mut other_hand, is_double) = (random.fork(), random.u8(..4) == 0);
    let second = async {
        if is_double {
            answered(world, operator, click, &mut other_hand).await
        } else {
            None
        }
    };
    let (first, second) = tokio::join!(answered(world, operator, click, random), second);
    let mut told: Vec<DeployId> = [first, second].into_iter().flatten().collect();
    told.dedup();
    if told.len() > 1 {
        world.wrong(Kind::Doubled, format!("key {} made {told:?}", click.key));
    }
    told.pop()
}

async fn answered(world: &World, operator: &Operator, click: &Click, random: &mut fastrand::Rng) -> Option<DeployId> {
    let body = json!({ "site": click.site, "confirmation": click.site });
    let request = |door: &str| {
        let post = operator.http.post(format!("{door}/api/internal/deploys"));
        post.header("idempotency-key", &click.key).json(&body)
    };
    let response = world.insist(random, Moment::ClickSent, request).await;
    let status = response.status();
    if status == StatusCode::CONFLICT {
        world.ledger().refused += 1;
        return None;
    }
    // An answer that breaks off is none: whether the deploy is there, the same key finds out.
    let Ok(record) = response.json::<Value>().await else {
        return Box::pin(answered(world, operator, click, random)).await;
    };
    if !matches!(status, StatusCode::CREATED | StatusCode::OK) {
        world.wrong(Kind::Inconsistent, format!("a click was answered {status}: {record}"));
        return None;
    }
    let id: DeployId = record["id"].as_str().unwrap().parse().unwrap();
    world.ledger().deploys.insert(id, click.clone());
    world.tell(Moment::ClickAcknowledged);
    Some(id)
}

/// Follows the record as its page does, with the log's cursor, until the deploy has finished.
async fn follow(world: &World, operator: &Operator, id: DeployId, random: &mut fastrand::Rng) {
    let (mut text, mut after) = (String::new(), None::<String>);
    loop {
        let request = |door: &str| {
            let cursor = after.as_ref().map(|after| format!("?after={after}"));
            let path = format!("/api/internal/deploys/{id}{}", cursor.unwrap_or_default());
            operator.http.get(format!("{door}{path}")).timeout(ANSWER_WITHIN)
        };
        let answer = request(world.door(random)).send().await;
        if answer.as_ref().is_err_and(reqwest::Error::is_timeout) {
            // Whoever is killed hangs up. Asking again shall not hide a console that does not answer.
            world.wrong(
                Kind::Inconsistent,
                format!("whoever follows {id} had no answer for 20 s"),
            );
        }
        let status = answer.as_ref().ok().map(reqwest::Response::status);
        if let Ok(response) = answer
            && let Ok(record) = response.json::<Value>().await
        {
            match status {
                Some(StatusCode::OK) => {
                    text.push_str(record["log"]["text"].as_str().unwrap());
                    after = record["log"]["after"].as_str().map(str::to_owned);
                    match record["state"].as_str().unwrap() {
                        "succeeded" | "failed" | "cancelled" | "dispatch_failed" if record["log"]["text"] == "" => {
                            break;
                        }
                        "dispatch_unknown" => close_by_hand(world, operator, id, random).await,
                        _ => {}
                    }
                }
                Some(StatusCode::NOT_FOUND) => {
                    world.wrong(Kind::Lost, format!("{id} was acknowledged, and is answered 404"));
                    return;
                }
                _ => {}
            }
        }
        tokio::time::sleep(POLL).await;
    }
    let story = world.ledger().stories.get(&id).cloned().unwrap_or_default();
    let whole = story.log(story.sent.len());
    if text != whole {
        let kind = match text.len() {
            read if read < whole.len() => Kind::Lost,
            read if read > whole.len() => Kind::Doubled,
            _ => Kind::Inconsistent,
        };
        world.wrong(kind, format!("who followed the log of {id} has read {text:?}"));
    }
}

/// The console refuses while GitHub lists a run, or may still come to list one.
async fn close_by_hand(world: &World, operator: &Operator, id: DeployId, random: &mut fastrand::Rng) {
    let url = format!("{}/api/internal/deploys/{id}/override", world.door(random));
    let body = json!({ "state": "dispatch_failed", "reason": "GitHub shows no run of it" });
    let answer = operator.http.post(url).json(&body).timeout(ANSWER_WITHIN).send().await;
    if answer.is_ok_and(|response| response.status() == StatusCode::OK) {
        world.ledger().closed.insert(id);
    }
}
