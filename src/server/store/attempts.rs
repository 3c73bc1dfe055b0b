//! Re-runs: attempts of a deploy beyond the first, each with a row, a story and a log of its own.

use super::rows::{DEPLOY_COLUMNS, Stored, moment, parse, read_deploy, unreadable};
use super::{Store, StoreError};
use crate::domain::{Attempt, Deploy, DeployId, Rerun, State, Timestamp};
use sqlx::{Any, AssertSqlSafe, Row, Transaction};
use std::collections::HashMap;

const TABLE: &str = "console_attempts";

/// The columns that [`read_deploy`] wants, of a re-run: whose intent it was stands with the deploy.
pub(super) const ATTEMPT_COLUMNS: &str = "d.id, d.site, d.environment, a.state, d.operator, d.reason, d.git_ref, \
     d.inputs, a.head_sha, d.requested_at, a.dispatched_at, a.started_at, a.finished_at, a.last_heard_at, a.run_id, \
     a.run_attempt, a.run_url, a.confirmed_by, a.cancel_requested, a.conclusion_conflict, a.notice, a.traces, \
     a.failure, a.log_bytes, a.version, a.blocked_by, a.listed_steps, a.concluded_at, a.cancel_sent_at, \
     a.cancel_forced, a.log_whole, a.rerun_by FROM console_attempts a JOIN console_deploys d ON d.id = a.deploy_id";

impl Store {
    /// One attempt at a deploy.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn attempt(&self, attempt: Attempt) -> Result<Option<Deploy>, StoreError> {
        if attempt == Attempt::first(attempt.deploy) {
            return self.deploy(attempt.deploy).await;
        }
        let sql = format!("SELECT {ATTEMPT_COLUMNS} WHERE a.deploy_id = $1 AND a.attempt = $2");
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind(attempt.deploy.to_string())
            .bind(attempt.number)
            .fetch_optional(&self.pool)
            .await?;
        let found = row.as_ref().map(read_deploy).transpose()?;
        let mut found: Vec<Deploy> = found.map(|stored| stored.deploy).into_iter().collect();
        self.add_reruns(&mut found).await?;
        Ok(found.pop())
    }

    /// The attempt of a deploy that is under way; without one, the first.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn present_attempt(&self, id: DeployId) -> Result<Option<Deploy>, StoreError> {
        let Some(deploy) = self.deploy(id).await? else {
            return Ok(None);
        };
        let active = deploy.reruns.iter().rev().find(|rerun| rerun.state.is_active());
        match active.filter(|_| !deploy.is_active()) {
            Some(rerun) => {
                let number = rerun.attempt;
                self.attempt(Attempt { deploy: id, number }).await
            }
            None => Ok(Some(deploy)),
        }
    }

    /// Every re-run that is active, and every one of each site's newest deploy. The later attempt comes later.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn reruns_on_board(&self) -> Result<Vec<Deploy>, StoreError> {
        let sql = format!(
            "SELECT {ATTEMPT_COLUMNS} WHERE a.active = 1 \
             OR a.deploy_id IN (SELECT MAX(id) FROM console_deploys GROUP BY site) ORDER BY a.deploy_id, a.attempt"
        );
        let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&self.pool).await?;
        rows.iter().map(|row| Ok(read_deploy(row)?.deploy)).collect()
    }

    /// Puts on record the re-runs of a deploy up to the attempt `latest` that are not on it yet. Returns how many.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails; then nothing was written.
    pub async fn begin_reruns(&self, id: DeployId, latest: i64, at: Timestamp) -> Result<usize, StoreError> {
        let mut tx = self.begin().await?;
        let sql = format!("SELECT {DEPLOY_COLUMNS} FROM console_deploys WHERE id = $1");
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind(id.to_string())
            .fetch_optional(&mut *tx)
            .await?;
        let Some(stored) = row.as_ref().map(read_deploy).transpose()? else {
            return Ok(0);
        };
        let mut begun = 0;
        for number in 2..=latest {
            begun += insert(&mut tx, &stored.deploy.rerun(number, at)).await?;
        }
        tx.commit().await?;
        Ok(begun)
    }

    /// Adds to each deploy its re-runs, in short.
    pub(super) async fn add_reruns(&self, deploys: &mut [Deploy]) -> Result<(), StoreError> {
        let (Some(least), Some(most)) = (
            deploys.iter().map(|deploy| deploy.id).min(),
            deploys.iter().map(|deploy| deploy.id).max(),
        ) else {
            return Ok(());
        };
        let rows = sqlx::query(
            "SELECT deploy_id, attempt, state, rerun_by, started_at, finished_at FROM console_attempts \
             WHERE deploy_id >= $1 AND deploy_id <= $2 ORDER BY attempt",
        )
        .bind(least.to_string())
        .bind(most.to_string())
        .fetch_all(&self.pool)
        .await?;
        let mut reruns: HashMap<DeployId, Vec<Rerun>> = HashMap::new();
        for row in rows {
            let id: DeployId = parse(TABLE, &row.try_get::<String, _>("deploy_id")?)?;
            let state: String = row.try_get("state")?;
            reruns.entry(id).or_default().push(Rerun {
                attempt: row.try_get("attempt")?,
                state: State::from_word(&state).ok_or_else(|| unreadable(TABLE, &state))?,
                by: row.try_get("rerun_by")?,
                started_at: moment(&row, "started_at")?,
                finished_at: moment(&row, "finished_at")?,
            });
        }
        for deploy in deploys {
            deploy.reruns = reruns.get(&deploy.id).cloned().unwrap_or_default();
        }
        Ok(())
    }
}

/// The re-run of a deploy, put on record if it is not on it yet.
pub(super) async fn load_or_begin(
    tx: &mut Transaction<'_, Any>,
    first: &Deploy,
    number: i64,
    at: Timestamp,
) -> Result<Option<Stored>, StoreError> {
    insert(tx, &first.rerun(number, at)).await?;
    load(
        tx,
        Attempt {
            deploy: first.id,
            number,
        },
    )
    .await
}

/// A re-run as it stands.
pub(super) async fn load(tx: &mut Transaction<'_, Any>, attempt: Attempt) -> Result<Option<Stored>, StoreError> {
    let sql = format!("SELECT {ATTEMPT_COLUMNS} WHERE a.deploy_id = $1 AND a.attempt = $2");
    let row = sqlx::query(AssertSqlSafe(sql))
        .bind(attempt.deploy.to_string())
        .bind(attempt.number)
        .fetch_optional(&mut **tx)
        .await?;
    row.as_ref().map(read_deploy).transpose()
}

/// How many rows that made: one, or none where it is on record already.
async fn insert(tx: &mut Transaction<'_, Any>, rerun: &Deploy) -> Result<usize, StoreError> {
    let made = sqlx::query(
        "INSERT INTO console_attempts (deploy_id, attempt, state, active, head_sha, dispatched_at, run_id, \
         run_attempt, run_url, cancel_requested, conclusion_conflict, traces) \
         VALUES ($1, $2, $3, 1, $4, $5, $6, $2, $7, 0, 0, '[]') ON CONFLICT (deploy_id, attempt) DO NOTHING",
    )
    .bind(rerun.id.to_string())
    .bind(rerun.attempt().number)
    .bind(rerun.state.as_str())
    .bind(rerun.head_sha.as_deref())
    .bind(rerun.dispatched_at.map(Timestamp::as_millis))
    .bind(rerun.run_id)
    .bind(rerun.run_url.as_deref())
    .execute(&mut **tx)
    .await?;
    Ok(usize::try_from(made.rows_affected()).unwrap_or(usize::MAX))
}
