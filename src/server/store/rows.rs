//! Rows and what they mean: the one place where a deploy is read from columns and written to them.

use super::StoreError;
use crate::domain::{Actor, ConfirmedBy, Deploy, Slug, State, StepTrace, TimelineEntry, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::any::AnyRow;
use sqlx::query::Query;
use sqlx::{Any, Row};

/// The columns that [`read_deploy`] wants.
pub(super) const DEPLOY_COLUMNS: &str = "id, site, environment, state, operator, reason, git_ref, inputs, head_sha, \
     requested_at, dispatched_at, started_at, finished_at, last_heard_at, run_id, run_attempt, run_url, confirmed_by, \
     cancel_requested, conclusion_conflict, notice, traces, failure, log_bytes, version, blocked_by, listed_steps, \
     concluded_at, cancel_sent_at, cancel_forced, log_whole, CAST(NULL AS TEXT) AS rerun_by";

const TABLE: &str = "console_deploys";

/// A deploy as it stands in the database.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub(super) deploy: Deploy,
    pub(super) log_bytes: u64,
    /// Whether GitHub's own log has been read: what comes later is in it already.
    pub(super) log_whole: bool,
    pub(super) version: i64,
}

pub(super) fn read_deploy(row: &AnyRow) -> Result<Stored, StoreError> {
    let state: String = row.try_get("state")?;
    let confirmed_by: Option<String> = row.try_get("confirmed_by")?;
    let failure: Option<String> = row.try_get("failure")?;
    let blocked_by: Option<String> = row.try_get("blocked_by")?;
    let listed_steps: Option<String> = row.try_get("listed_steps")?;
    let mut deploy = Deploy {
        id: parse(TABLE, &row.try_get::<String, _>("id")?)?,
        site: parse::<Slug>(TABLE, &row.try_get::<String, _>("site")?)?,
        environment: row.try_get("environment")?,
        state: State::from_word(&state).ok_or_else(|| unreadable(TABLE, &state))?,
        operator: row.try_get("operator")?,
        reason: row.try_get("reason")?,
        git_ref: row.try_get("git_ref")?,
        inputs: from_json(&row.try_get::<String, _>("inputs")?)?,
        head_sha: row.try_get("head_sha")?,
        requested_at: Timestamp::from_millis(row.try_get("requested_at")?),
        dispatched_at: moment(row, "dispatched_at")?,
        started_at: moment(row, "started_at")?,
        finished_at: moment(row, "finished_at")?,
        last_heard_at: moment(row, "last_heard_at")?,
        run_id: row.try_get("run_id")?,
        run_attempt: row.try_get("run_attempt")?,
        rerun_by: row.try_get("rerun_by")?,
        reruns: Vec::new(),
        run_url: row.try_get("run_url")?,
        confirmed_by: confirmed_by
            .map(|by| ConfirmedBy::from_word(&by).ok_or_else(|| unreadable(TABLE, &by)))
            .transpose()?,
        cancel_requested: row.try_get::<i64, _>("cancel_requested")? == 1,
        cancel_sent_at: moment(row, "cancel_sent_at")?,
        cancel_forced: row.try_get::<i64, _>("cancel_forced")? == 1,
        blocked_by: blocked_by.map(|text| from_json(&text)).transpose()?,
        conclusion_conflict: row.try_get::<i64, _>("conclusion_conflict")? == 1,
        notice: row.try_get("notice")?,
        steps: Vec::new(),
        failure: failure.map(|text| from_json(&text)).transpose()?,
        traces: from_json::<Vec<StepTrace>>(&row.try_get::<String, _>("traces")?)?,
        listed_steps: listed_steps.map(|text| from_json(&text)).transpose()?,
        concluded_at: moment(row, "concluded_at")?,
    };
    deploy.redraw_steps();
    let log_bytes = row.try_get::<i64, _>("log_bytes")?.unsigned_abs();
    Ok(Stored {
        deploy,
        log_bytes,
        log_whole: row.try_get::<i64, _>("log_whole")? == 1,
        version: row.try_get("version")?,
    })
}

pub(super) fn read_timeline_entry(row: &AnyRow) -> Result<TimelineEntry, StoreError> {
    let state: String = row.try_get("state")?;
    let actor: String = row.try_get("actor")?;
    let name: Option<String> = row.try_get("actor_name")?;
    let by = match (actor.as_str(), name) {
        ("operator", Some(name)) => Actor::Operator(name),
        ("console", _) => Actor::Console,
        ("github", _) => Actor::Github,
        ("workflow", _) => Actor::Workflow,
        _ => return Err(unreadable(TABLE, &actor)),
    };
    Ok(TimelineEntry {
        at: Timestamp::from_millis(row.try_get("at")?),
        state: State::from_word(&state).ok_or_else(|| unreadable(TABLE, &state))?,
        by,
        note: row.try_get("note")?,
    })
}

/// The columns `actor` and `actor_name` of an event.
pub(super) fn actor_columns(actor: &Actor) -> (&'static str, Option<&str>) {
    match actor {
        Actor::Operator(name) => ("operator", Some(name)),
        Actor::Console => ("console", None),
        Actor::Github => ("github", None),
        Actor::Workflow => ("workflow", None),
    }
}

type AnyQuery<'q> = Query<'q, Any, <Any as sqlx::Database>::Arguments>;

/// Binds `$1` to `$22` of an UPDATE: everything about a deploy that an event can change.
pub(super) fn bind_changeable<'q>(query: AnyQuery<'q>, deploy: &'q Deploy) -> Result<AnyQuery<'q>, StoreError> {
    let failure = deploy.failure.as_ref().map(to_json).transpose()?;
    let blocked_by = deploy.blocked_by.as_ref().map(to_json).transpose()?;
    let listed_steps = deploy.listed_steps.as_ref().map(to_json).transpose()?;
    Ok(query
        .bind(deploy.state.as_str())
        .bind(i64::from(deploy.is_active()))
        .bind(deploy.head_sha.as_deref())
        .bind(deploy.dispatched_at.map(Timestamp::as_millis))
        .bind(deploy.started_at.map(Timestamp::as_millis))
        .bind(deploy.finished_at.map(Timestamp::as_millis))
        .bind(deploy.last_heard_at.map(Timestamp::as_millis))
        .bind(deploy.run_id)
        .bind(deploy.run_attempt)
        .bind(deploy.run_url.as_deref())
        .bind(deploy.confirmed_by.map(ConfirmedBy::as_str))
        .bind(i64::from(deploy.cancel_requested))
        .bind(i64::from(deploy.conclusion_conflict))
        .bind(deploy.notice.as_deref())
        .bind(to_json(&deploy.traces)?)
        .bind(failure)
        .bind(deploy.id.to_string())
        .bind(blocked_by)
        .bind(listed_steps)
        .bind(deploy.concluded_at.map(Timestamp::as_millis))
        .bind(deploy.cancel_sent_at.map(Timestamp::as_millis))
        .bind(i64::from(deploy.cancel_forced)))
}

pub(super) fn to_json<T: Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| unreadable("a JSON column", &error.to_string()))
}

pub(super) fn from_json<T: DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| unreadable("a JSON column", &error.to_string()))
}

pub(super) fn moment(row: &AnyRow, column: &str) -> Result<Option<Timestamp>, StoreError> {
    Ok(row.try_get::<Option<i64>, _>(column)?.map(Timestamp::from_millis))
}

/// Reads a value of a column of `table` from its text.
pub(super) fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(
    table: &'static str,
    text: &str,
) -> Result<T, StoreError> {
    text.parse()
        .map_err(|error: T::Err| unreadable(table, &error.to_string()))
}

pub(super) fn unreadable(table: &'static str, problem: &str) -> StoreError {
    StoreError::Unreadable {
        table,
        problem: problem.to_owned(),
    }
}
