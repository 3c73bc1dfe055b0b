//! Changing a deploy: load, apply one event, write back, all in one transaction.

use super::rows::{DEPLOY_COLUMNS, Stored, actor_columns, bind_changeable, read_deploy};
use super::{AuditEntry, Instance, Store, StoreError, TRIES, attempts, audit, claims, logs};
use crate::domain::{Actor, Attempt, Deploy, DeployId, Effect, Event, LogChunk, Report, State, Timestamp, apply};
use sqlx::{Any, AssertSqlSafe, Row, Transaction};

/// A callback that arrived: what tells it from any other.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The sender's id for it, the same over retries.
    pub id: String,
    /// Lower-case hex of the SHA-256 of its body.
    pub body_sha256: String,
}

/// What a callback adds to the log.
#[derive(Clone, Copy)]
pub struct Printed<'a> {
    /// The text, without secrets.
    pub chunk: &'a LogChunk,
    /// What must not stand in the log even where one callback's text ends and another's begins.
    pub secrets: &'a [String],
}

/// What became of a delivery.
#[derive(Debug, Clone)]
pub enum Receipt {
    /// It is stored, and had this effect; the deploy as it is now.
    Stored(Effect, Box<Deploy>),
    /// It was stored before; the deploy as it is now.
    Duplicate(Box<Deploy>),
    /// Its id was used for another body.
    OtherBody,
    /// It speaks of another run than the deploy's own. Nothing was stored.
    OtherRun(Box<Deploy>),
    /// There is no such deploy.
    UnknownDeploy,
    /// More than the deploy may send in a minute. Nothing was stored.
    TooMany,
}

/// What is written in the same transaction as a change, when it had an effect.
#[derive(Clone, Copy)]
pub(super) enum Along<'a> {
    Nothing,
    Audit(&'a AuditEntry),
    Claimant(&'a Instance),
}

impl Store {
    /// Applies `event` to an attempt at a deploy; an id alone is the first. `None` when there is no such attempt.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails; then nothing was changed.
    pub async fn change(
        &self,
        attempt: impl Into<Attempt>,
        event: &Event,
        at: Timestamp,
    ) -> Result<Option<(Effect, Deploy)>, StoreError> {
        self.change_along(attempt.into(), event, at, Along::Nothing).await
    }

    /// The same, with an entry in the audit trail, in the same transaction, when it had an effect.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails; then nothing was changed.
    pub async fn change_audited(
        &self,
        attempt: impl Into<Attempt>,
        event: &Event,
        at: Timestamp,
        entry: &AuditEntry,
    ) -> Result<Option<(Effect, Deploy)>, StoreError> {
        self.change_along(attempt.into(), event, at, Along::Audit(entry)).await
    }

    pub(super) async fn change_along(
        &self,
        attempt: Attempt,
        event: &Event,
        at: Timestamp,
        along: Along<'_>,
    ) -> Result<Option<(Effect, Deploy)>, StoreError> {
        for _ in 0..TRIES {
            let mut tx = self.begin().await?;
            let Some(stored) = load(&mut tx, attempt).await? else {
                return Ok(None);
            };
            let (deploy, effect) = apply(stored.deploy.clone(), event, at);
            if !write(&mut tx, &stored, &deploy, event, at).await? {
                continue;
            }
            match along {
                _ if !matches!(effect, Effect::Moved | Effect::Noted) => {}
                Along::Nothing => {}
                Along::Audit(entry) => audit::append(&mut tx, entry).await?,
                Along::Claimant(instance) => claims::sign(&mut tx, deploy.id, instance).await?,
            }
            tx.commit().await?;
            return Ok(Some((effect, deploy)));
        }
        Err(super::contended())
    }

    /// Stores a callback and applies it to the attempt that it speaks of: the delivery, its log and its event in one
    /// transaction.
    ///
    /// `most_a_minute` bounds how many deliveries one deploy may make in sixty seconds.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails; then nothing was stored.
    pub async fn record_delivery(
        &self,
        id: DeployId,
        delivery: &Delivery,
        report: &Report,
        log: Option<Printed<'_>>,
        at: Timestamp,
        most_a_minute: i64,
    ) -> Result<Receipt, StoreError> {
        let event = Event::Reported(report.clone());
        for _ in 0..TRIES {
            let mut tx = self.begin().await?;
            let Some((mut stored, earlier)) = load_for(&mut tx, id, delivery, at).await? else {
                return Ok(Receipt::UnknownDeploy);
            };
            match earlier.same_id {
                Some(true) => return Ok(Receipt::Duplicate(Box::new(stored.deploy))),
                Some(false) => return Ok(Receipt::OtherBody),
                None if earlier.within_a_minute >= most_a_minute => return Ok(Receipt::TooMany),
                None => {}
            }
            let (mut deploy, mut effect) = apply(stored.deploy.clone(), &event, at);
            if effect == Effect::OtherRun {
                return Ok(Receipt::OtherRun(Box::new(deploy)));
            }
            store_delivery(&mut tx, id, delivery, at).await?;
            if report.run_attempt > 1 && deploy.run_id == Some(report.run_id) {
                // A re-run speaks: by now it is known of which run, and the rest is about that attempt alone.
                if effect == Effect::Moved && !write(&mut tx, &stored, &deploy, &event, at).await? {
                    continue;
                }
                let rerun = attempts::load_or_begin(&mut tx, &deploy, report.run_attempt, at).await?;
                stored = rerun.ok_or_else(super::contended)?;
                (deploy, effect) = apply(stored.deploy.clone(), &event, at);
            }
            if let Some(printed) = log.filter(|_| !stored.log_whole) {
                logs::append(&mut tx, deploy.attempt(), &mut stored.log_bytes, printed).await?;
            }
            if !write(&mut tx, &stored, &deploy, &event, at).await? {
                continue;
            }
            tx.commit().await?;
            return Ok(Receipt::Stored(effect, Box::new(deploy)));
        }
        Err(super::contended())
    }
}

async fn load(tx: &mut Transaction<'_, Any>, attempt: Attempt) -> Result<Option<Stored>, StoreError> {
    if attempt.is_rerun() {
        return attempts::load(tx, attempt).await;
    }
    let sql = format!("SELECT {DEPLOY_COLUMNS} FROM console_deploys WHERE id = $1");
    let row = sqlx::query(AssertSqlSafe(sql))
        .bind(attempt.deploy.to_string())
        .fetch_optional(&mut **tx)
        .await?;
    row.as_ref().map(read_deploy).transpose()
}

/// Writes the deploy back with its event; `false` when another change came between.
async fn write(
    tx: &mut Transaction<'_, Any>,
    stored: &Stored,
    deploy: &Deploy,
    event: &Event,
    at: Timestamp,
) -> Result<bool, StoreError> {
    let attempt = deploy.attempt();
    // The number of a first attempt is only known once its run is.
    let (table, more, row) = if attempt.is_rerun() {
        (
            "console_attempts",
            "rerun_by = $25,",
            "deploy_id = $17 AND attempt = $9",
        )
    } else {
        ("console_deploys", "", "id = $17")
    };
    let sql = format!(
        "UPDATE {table} SET state = $1, active = $2, head_sha = $3, dispatched_at = $4, started_at = $5, \
         finished_at = $6, last_heard_at = $7, run_id = $8, run_attempt = $9, run_url = $10, confirmed_by = $11, \
         cancel_requested = $12, conclusion_conflict = $13, notice = $14, traces = $15, failure = $16, \
         blocked_by = $18, listed_steps = $19, concluded_at = $20, cancel_sent_at = $21, cancel_forced = $22, \
         log_bytes = $23, {more} version = version + 1 WHERE {row} AND version = $24",
    );
    let log_bytes = i64::try_from(stored.log_bytes).unwrap_or(i64::MAX);
    let update = sqlx::query(AssertSqlSafe(sql));
    let mut update = bind_changeable(update, deploy)?.bind(log_bytes).bind(stored.version);
    if attempt.is_rerun() {
        update = update.bind(deploy.rerun_by.as_deref());
    }
    if update.execute(&mut **tx).await?.rows_affected() != 1 {
        return Ok(false);
    }
    if let (None, Some(run_id)) = (stored.deploy.run_id, deploy.run_id) {
        // It may have been seen before it was known to be ours.
        sqlx::query("DELETE FROM console_outside_runs WHERE run_id = $1")
            .bind(run_id)
            .execute(&mut **tx)
            .await?;
    }
    if is_a_story(&stored.deploy, deploy) {
        append_event(
            tx,
            deploy,
            stored.version + 1,
            &event.actor(),
            event.note().as_deref(),
            at,
        )
        .await?;
    }
    Ok(true)
}

/// Whether the change belongs on the timeline: a transition, a wish to cancel and its being taken, a contradiction.
fn is_a_story(before: &Deploy, after: &Deploy) -> bool {
    before.state != after.state
        || before.cancel_requested != after.cancel_requested
        || before.cancel_forced != after.cancel_forced
        || before.cancel_sent_at != after.cancel_sent_at
        || before.conclusion_conflict != after.conclusion_conflict
}

/// Appends to the timeline the state that `deploy` has now.
pub(super) async fn append_event(
    tx: &mut Transaction<'_, Any>,
    deploy: &Deploy,
    version: i64,
    actor: &Actor,
    note: Option<&str>,
    at: Timestamp,
) -> Result<(), StoreError> {
    let (kind, name) = actor_columns(actor);
    let state: State = deploy.state;
    sqlx::query(
        "INSERT INTO console_deploy_events (deploy_id, version, at, state, actor, actor_name, note, attempt) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(deploy.id.to_string())
    .bind(version)
    .bind(at.as_millis())
    .bind(state.as_str())
    .bind(kind)
    .bind(name)
    .bind(note)
    .bind(deploy.attempt().number)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// What was delivered before.
struct Earlier {
    /// Whether a delivery with the same id was this very one: of this deploy, with this body. One id serves one deploy.
    same_id: Option<bool>,
    /// How many this deploy made within the last minute.
    within_a_minute: i64,
}

/// The deploy that a delivery speaks of, and what was delivered before: in one question, for everybody else waits.
async fn load_for(
    tx: &mut Transaction<'_, Any>,
    id: DeployId,
    delivery: &Delivery,
    at: Timestamp,
) -> Result<Option<(Stored, Earlier)>, StoreError> {
    let sql = format!(
        "SELECT {DEPLOY_COLUMNS}, (SELECT CAST(CASE WHEN deploy_id = $1 AND body_sha256 = $2 THEN 1 ELSE 0 END AS BIGINT) \
         FROM console_deliveries WHERE id = $3) AS same_id, \
         (SELECT COUNT(*) FROM console_deliveries WHERE deploy_id = $1 AND received_at > $4) AS within_a_minute \
         FROM console_deploys WHERE id = $1"
    );
    let row = sqlx::query(AssertSqlSafe(sql))
        .bind(id.to_string())
        .bind(delivery.body_sha256.as_str())
        .bind(delivery.id.as_str())
        .bind(at.plus_millis(-60_000).as_millis())
        .fetch_optional(&mut **tx)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let earlier = Earlier {
        same_id: row.try_get::<Option<i64>, _>("same_id")?.map(|same| same == 1),
        within_a_minute: row.try_get("within_a_minute")?,
    };
    Ok(Some((read_deploy(&row)?, earlier)))
}

async fn store_delivery(
    tx: &mut Transaction<'_, Any>,
    id: DeployId,
    delivery: &Delivery,
    at: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO console_deliveries (id, deploy_id, body_sha256, received_at) VALUES ($1, $2, $3, $4)")
        .bind(delivery.id.as_str())
        .bind(id.to_string())
        .bind(delivery.body_sha256.as_str())
        .bind(at.as_millis())
        .execute(&mut **tx)
        .await?;
    Ok(())
}
