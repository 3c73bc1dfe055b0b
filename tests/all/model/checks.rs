//! What must hold after every step, whatever it was.

use super::drive::{Driver, stands};
use super::picture::{Picture, Row};
use super::reference::{Attempt, Model, Told, is_finished, rank};
use super::world::SITES;
use raxx_console::domain::{Board, Deploy, DeployPage, DeployRecord, Timestamp};
use raxx_console::server::demo::stand_in::{Dispatch, Run};
use std::collections::{BTreeMap, BTreeSet};

/// What may still change of a finished attempt: that something disagrees, what GitHub knows better, and its log.
const LATE: [&str; 9] = [
    "version",
    "conclusion_conflict",
    "log_bytes",
    "concluded_at",
    "listed_steps",
    "failure",
    "head_sha",
    "run_url",
    "rerun_by",
];
/// The same, by a callback.
const LATE_BY_CALLBACK: [&str; 3] = ["version", "conclusion_conflict", "log_bytes"];

/// Whether the record is what the model says; if not, in which.
pub(super) fn agree(model: &Model, picture: &Picture) -> Result<(), String> {
    let same = |what: &str, expected: String, found: String| {
        if expected == found {
            return Ok(());
        }
        Err(format!("{what}: expected {expected}, and it is {found}"))
    };
    same(
        "how many deploys",
        model.deploys.len().to_string(),
        picture.deploys.len().to_string(),
    )?;
    let reruns = model.deploys.iter().map(|deploy| deploy.attempts.len() - 1);
    same(
        "how many re-runs",
        reruns.sum::<usize>().to_string(),
        picture.attempts.len().to_string(),
    )?;
    for deploy in &model.deploys {
        for (number, attempt) in &deploy.attempts {
            let what = format!("attempt {number} of {}", deploy.id);
            let row = picture
                .attempt(&deploy.id, *number)
                .ok_or_else(|| format!("{what} is not on record"))?;
            same(&what, expected(attempt, deploy.run), found(row))?;
            same(
                &format!("the log of {what}"),
                attempt.log.clone(),
                picture.log(&deploy.id, *number),
            )?;
            same(
                &format!("the length of the log of {what}"),
                attempt.log.len().to_string(),
                row["log_bytes"].clone(),
            )?;
        }
    }
    let taken = model
        .deliveries
        .iter()
        .map(|(id, (deploy, _))| (id.as_str(), model.deploys[*deploy].id.as_str()));
    let stored = picture
        .deliveries
        .iter()
        .map(|row| (row["id"].as_str(), row["deploy_id"].as_str()));
    same(
        "which callbacks are on record",
        format!("{:?}", taken.collect::<BTreeSet<_>>()),
        format!("{:?}", stored.collect::<BTreeSet<_>>()),
    )?;
    let mut audit = model.audit.clone();
    audit.sort_unstable();
    same(
        "the audit trail",
        format!("{audit:?}"),
        format!("{:?}", picture.actions()),
    )
}

fn expected(attempt: &Attempt, run: Option<i64>) -> String {
    let flag = |flag: bool| usize::from(flag).to_string();
    let columns = [
        ("state", Some(attempt.state.to_owned())),
        ("active", Some(flag(attempt.is_active()))),
        ("confirmed_by", attempt.by.map(str::to_owned)),
        ("run_id", run.map(|run| run.to_string())),
        ("conclusion_conflict", Some(flag(attempt.conflict))),
        ("cancel_requested", Some(flag(attempt.cancel_requested))),
        ("cancel_forced", Some(flag(attempt.cancel_forced))),
        ("cancel_sent_at", attempt.cancel_sent_at.map(|at| at.to_string())),
    ];
    columns
        .map(|(name, value)| format!("{name}={}", value.unwrap_or_default()))
        .join(" ")
}

fn found(row: &Row) -> String {
    let columns = [
        "state",
        "active",
        "confirmed_by",
        "run_id",
        "conclusion_conflict",
        "cancel_requested",
        "cancel_forced",
        "cancel_sent_at",
    ];
    columns
        .map(|name| format!("{name}={}", row.get(name).map_or("", String::as_str)))
        .join(" ")
}

/// How the record may move from one picture to the next.
pub(super) fn history_of_rows(before: &Picture, after: &Picture, by_callback: bool) {
    for (before, after) in [
        (&before.events, &after.events),
        (&before.deliveries, &after.deliveries),
        (&before.log, &after.log),
        (&before.audit, &after.audit),
    ] {
        let kept = before.iter().all(|row| after.contains(row));
        assert!(kept, "a row that is only ever added was changed or dropped");
    }
    for row in &before.deploys {
        moves(
            row,
            after.attempt(&row["id"], 1).expect("a deploy is gone"),
            by_callback,
        );
    }
    for row in &before.attempts {
        let now = after.attempt(&row["deploy_id"], row["attempt"].parse().unwrap());
        moves(row, now.expect("an attempt is gone"), by_callback);
    }
    let active = after.deploys.iter().filter(|row| row["active"] == "1");
    let sites: Vec<&str> = active.map(|row| row["site"].as_str()).collect();
    assert_eq!(
        sites.iter().collect::<BTreeSet<_>>().len(),
        sites.len(),
        "two active deploys of one site: {sites:?}"
    );
}

fn moves(before: &Row, after: &Row, by_callback: bool) {
    let columns: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let mut changed: Vec<&str> = columns.into_iter().map(String::as_str).collect();
    changed.retain(|column| before.get(*column) != after.get(*column));
    let story = || {
        let story = changed
            .iter()
            .map(|column| (*column, before.get(*column), after.get(*column)));
        format!("{:?}", story.collect::<Vec<_>>())
    };
    let number = |row: &Row, column: &str| row[column].parse::<i64>().unwrap();
    let rose = number(before, "version") < number(after, "version");
    assert!(rose || changed.is_empty(), "a change without a version: {}", story());
    let (was, is) = (before["state"].as_str(), after["state"].as_str());
    assert!(was == is || rank(was) < rank(is), "the rank fell: {}", story());
    for fixed in [
        "run_id",
        "requested_at",
        "dispatched_at",
        "started_at",
        "site",
        "operator",
    ] {
        assert!(
            !changed.contains(&fixed) || !before.contains_key(fixed),
            "{fixed} changed: {}",
            story()
        );
    }
    for rising in ["conclusion_conflict", "cancel_requested", "cancel_forced", "log_bytes"] {
        assert!(
            number(before, rising) <= number(after, rising),
            "{rising} fell: {}",
            story()
        );
    }
    let late: &[&str] = if by_callback { &LATE_BY_CALLBACK } else { &LATE };
    let kept = changed.iter().all(|column| late.contains(column));
    assert!(kept || !is_finished(was), "a finished attempt changed: {}", story());
}

/// GitHub was asked at most once to start each deploy, and only when the model says so.
pub(super) fn posts(model: &Model, dispatches: &[Dispatch]) {
    let mut posts: BTreeMap<&str, usize> = BTreeMap::new();
    for dispatch in dispatches {
        *posts
            .entry(dispatch.inputs["console_deploy_id"].as_str().unwrap())
            .or_default() += 1;
    }
    for deploy in &model.deploys {
        let made = posts.get(deploy.id.as_str()).copied().unwrap_or_default();
        assert_eq!(made, deploy.posts, "how often GitHub was asked to start {}", deploy.id);
        assert!(made <= 1, "GitHub was asked {made} times to start {}", deploy.id);
    }
}

/// GitHub could answer: so it was asked about every attempt that is under way, and about every unknown dispatch.
pub(super) fn all_were_asked(model: &Model, told: &Told, runs: &[Run]) {
    for (index, deploy) in model.deploys.iter().enumerate() {
        for (number, attempt) in deploy.attempts.iter().filter(|(_, attempt)| attempt.is_active()) {
            let run = runs.iter().find(|run| Some(run.id) == deploy.run);
            let known = run.and_then(|run| stands(run, *number).map(|_| (run.id, *number)));
            let asked = known.is_none_or(|known| told.stands.contains_key(&known));
            assert!(asked, "GitHub was not asked about attempt {number} of {}", deploy.id);
            let listed = runs.iter().any(|run| run.deploy_id == deploy.id && !run.hidden);
            let found = attempt.state != "dispatch_unknown" || !listed || told.listed.contains_key(&index);
            assert!(found, "the run of {} was not looked for", deploy.id);
        }
    }
}

/// GitHub could answer: so it has every wish to cancel a run that had not ended.
pub(super) fn all_wishes_arrived(model: &Model, runs: &[Run]) {
    for deploy in &model.deploys {
        let run = runs.iter().find(|run| Some(run.id) == deploy.run);
        let Some(run) = run.filter(|run| run.conclusion.is_none()) else {
            continue;
        };
        for (number, attempt) in deploy.attempts.iter().filter(|(_, attempt)| attempt.is_active()) {
            // About one that GitHub does not have it cannot say anything.
            let waits = attempt.cancel_requested && attempt.cancel_sent_at.is_none() && stands(run, *number).is_some();
            assert!(
                !waits,
                "GitHub was not asked to cancel attempt {number} of {}",
                deploy.id
            );
        }
    }
}

/// The record as the API shows it: the newest deploy with its attempts, the board and the history agree.
pub(super) async fn as_shown(driver: &mut Driver, is_changed: bool) {
    let newest = driver.model.deploys.iter().max_by_key(|deploy| &deploy.id).cloned();
    let Some(newest) = newest else { return };
    let path = format!("/api/internal/deploys/{}", newest.id);
    if !is_changed {
        return is_still_shown(driver, &path).await;
    }
    for (number, attempt) in &newest.attempts {
        let path = if *number == 1 {
            path.clone()
        } else {
            format!("{path}?attempt={number}")
        };
        let record: DeployRecord = shown(driver, &path).await;
        is_row(&record.deploy, driver.before.attempt(&newest.id, *number).unwrap());
        has_sense(&record.deploy, &record);
        assert_eq!(record.log.text, attempt.log, "the log as it is shown");
        let numbers = record
            .deploy
            .reruns
            .iter()
            .map(|rerun| (rerun.attempt, rerun.state.as_str()));
        let reruns = newest
            .attempts
            .iter()
            .skip(1)
            .map(|(number, attempt)| (*number, attempt.state));
        assert!(
            numbers.eq(reruns),
            "its re-runs as they are shown: {:?}",
            record.deploy.reruns
        );
    }
    let page: DeployPage = shown(driver, "/api/internal/history").await;
    let mut ids: Vec<&str> = driver.model.deploys.iter().map(|deploy| deploy.id.as_str()).collect();
    ids.sort_unstable_by(|a, b| b.cmp(a));
    let listed: Vec<String> = page.deploys.iter().map(|deploy| deploy.id.to_string()).collect();
    assert_eq!(listed[..], ids[..ids.len().min(25)], "history");
    for deploy in &page.deploys {
        is_row(deploy, driver.before.attempt(&deploy.id.to_string(), 1).unwrap());
    }
    let board: Board = shown(driver, "/api/internal/board").await;
    for (site, tile) in board.tiles.iter().enumerate() {
        assert_eq!(tile.site.slug.as_str(), SITES[site]);
        is_on_tile(driver, site, tile.latest.as_ref());
    }
}

/// Nothing changed, so whoever knows the answer is told that it still holds.
async fn is_still_shown(driver: &Driver, path: &str) {
    if let Some((etag, _)) = driver.answers.get(path) {
        let status = driver.world.console.get(path, Some(etag)).await.status;
        assert_eq!(status, 304, "the tag changed, and the answer did not");
    }
}

/// Reads an address as a page does, with what it was told before: the tag changes exactly if the answer does.
async fn shown<T: serde::de::DeserializeOwned>(driver: &mut Driver, path: &str) -> T {
    let (console, known) = (&driver.world.console, driver.answers.get(path).cloned());
    let reply = console.get(path, None).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let etag = reply.etag.expect("an answer has a tag");
    if let Some((tag, text)) = known {
        assert_eq!(
            tag == etag,
            text == reply.text,
            "the tag of {path} changes exactly if the answer does"
        );
    }
    driver.answers.insert(path.to_owned(), (etag, reply.text));
    serde_json::from_value(reply.body).unwrap()
}

/// What is shown is what is on record.
fn is_row(shown: &Deploy, row: &Row) {
    let time = |at: Option<Timestamp>| at.map(|at| at.as_millis().to_string());
    let columns = [
        ("state", Some(shown.state.as_str().to_owned())),
        ("run_id", shown.run_id.map(|run| run.to_string())),
        ("confirmed_by", shown.confirmed_by.map(|by| by.as_str().to_owned())),
        (
            "conclusion_conflict",
            Some(usize::from(shown.conclusion_conflict).to_string()),
        ),
        (
            "cancel_requested",
            Some(usize::from(shown.cancel_requested).to_string()),
        ),
        ("dispatched_at", time(shown.dispatched_at)),
        ("started_at", time(shown.started_at)),
        ("finished_at", time(shown.finished_at)),
        ("last_heard_at", time(shown.last_heard_at)),
    ];
    for (name, value) in columns {
        assert_eq!(value.as_ref(), row.get(name), "{name} as it is shown");
    }
}

/// What is shown does not contradict itself.
fn has_sense(deploy: &Deploy, record: &DeployRecord) {
    assert_eq!(record.active, !is_finished(deploy.state.as_str()));
    assert_eq!(deploy.finished_at.is_some(), !record.active, "finished, and says when");
    let in_order = |from: Option<Timestamp>, to: Option<Timestamp>| from.zip(to).is_none_or(|(from, to)| from <= to);
    assert!(
        in_order(deploy.started_at, deploy.finished_at),
        "it ended before it began: {deploy:#?}"
    );
    assert!(
        in_order(Some(deploy.requested_at), deploy.finished_at),
        "it ended before it was asked for: {deploy:#?}"
    );
    for step in &deploy.steps {
        assert!(
            in_order(step.started_at, step.finished_at),
            "a step ended before it began: {step:?}"
        );
    }
    let last = record.timeline.last();
    let is_first = deploy.attempt().number == 1;
    assert!(
        last.is_none_or(|last| last.state == deploy.state),
        "the story ends elsewhere: {record:#?}"
    );
    assert!(last.is_some() || !is_first, "a deploy without a story");
    let ranks: Vec<usize> = record.timeline.iter().map(|entry| rank(entry.state.as_str())).collect();
    assert!(ranks.is_sorted(), "the story goes back: {:?}", record.timeline);
}

/// The tile shows an attempt that is under way, or else the newest one.
fn is_on_tile(driver: &Driver, site: usize, shown: Option<&DeployRecord>) {
    let deploys = driver.model.deploys.iter().filter(|deploy| deploy.site == site);
    let mut attempts: Vec<(&str, i64, &Attempt)> = deploys
        .flat_map(|deploy| {
            deploy
                .attempts
                .iter()
                .map(|(number, attempt)| (deploy.id.as_str(), *number, attempt))
        })
        .collect();
    attempts.sort_by_key(|(id, number, _)| (*id, *number));
    let active: Vec<_> = attempts.iter().filter(|(_, _, attempt)| attempt.is_active()).collect();
    let Some(shown) = shown else {
        assert!(attempts.is_empty(), "a tile without its deploy");
        return;
    };
    let (id, number) = (shown.deploy.id.to_string(), shown.deploy.attempt().number);
    let expected = if active.is_empty() {
        attempts.last().into_iter().collect()
    } else {
        active
    };
    let is_there = expected
        .iter()
        .any(|(known, attempt, _)| (*known, *attempt) == (id.as_str(), number));
    assert!(
        is_there,
        "the tile shows attempt {number} of {id}, and not one of {expected:?}"
    );
    is_row(&shown.deploy, driver.before.attempt(&id, number).unwrap());
}
