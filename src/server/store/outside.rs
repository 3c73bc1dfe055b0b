//! Runs that were started outside the console.

use super::rows::{parse, unreadable};
use super::{Store, StoreError};
use crate::domain::{DeployId, OutsideRun, State, Timestamp};
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

const TABLE: &str = "console_outside_runs";
const COLUMNS: &str = "run_id, id, repository, workflow, state, attempt, started_by, git_ref, head_sha, run_url, \
     started_at, changed_at";

/// How many workflows one statement asks about.
const WORKFLOWS_AT_ONCE: usize = 100;

/// A workflow: repository, in lower case, and file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Workflow {
    /// `owner/name`, in lower case.
    pub repository: String,
    /// The file's name.
    pub file: String,
}

impl Workflow {
    /// Whether a run is one of this workflow's.
    pub fn is_of(&self, run: &OutsideRun) -> bool {
        run.repository == self.repository && run.workflow == self.file
    }
}

impl Store {
    /// Writes down how a run stands that was started outside the console; not one that a deploy is bound to.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn record_outside(&self, run: &OutsideRun) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let ours = sqlx::query("SELECT id FROM console_deploys WHERE run_id = $1")
            .bind(run.run_id)
            .fetch_optional(&mut *tx)
            .await?;
        if ours.is_some() {
            return Ok(());
        }
        sqlx::query(
            "INSERT INTO console_outside_runs (run_id, id, repository, workflow, state, active, attempt, started_by, \
             git_ref, head_sha, run_url, started_at, changed_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) \
             ON CONFLICT (run_id) DO UPDATE SET state = $5, active = $6, attempt = $7, started_by = $8, changed_at = $13",
        )
        .bind(run.run_id)
        .bind(run.id.to_string())
        .bind(run.repository.as_str())
        .bind(run.workflow.as_str())
        .bind(run.state.as_str())
        .bind(i64::from(run.state.is_active()))
        .bind(run.attempt)
        .bind(run.started_by.as_deref())
        .bind(run.git_ref.as_deref())
        .bind(run.head_sha.as_deref())
        .bind(run.run_url.as_deref())
        .bind(run.started_at.as_millis())
        .bind(run.changed_at.as_millis())
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Forgets a run that GitHub has no more.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn forget_outside(&self, run_id: i64) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM console_outside_runs WHERE run_id = $1")
            .bind(run_id)
            .execute(&self.writing)
            .await?;
        Ok(())
    }

    /// Of each of these workflows the newest run from outside, and every one that is active.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn outside_on_board(&self, workflows: &[Workflow]) -> Result<Vec<OutsideRun>, StoreError> {
        let mut found = Vec::new();
        let active = format!("SELECT {COLUMNS} FROM console_outside_runs WHERE active = 1");
        for row in sqlx::query(AssertSqlSafe(active)).fetch_all(&self.pool).await? {
            found.push(read(&row)?);
        }
        found.retain(|run: &OutsideRun| workflows.iter().any(|workflow| workflow.is_of(run)));
        for some in workflows.chunks(WORKFLOWS_AT_ONCE) {
            let newest = |at: usize| {
                let (repository, file) = (2 * at + 1, 2 * at + 2);
                format!(
                    "SELECT * FROM (SELECT {COLUMNS} FROM console_outside_runs \
                     WHERE repository = ${repository} AND workflow = ${file} ORDER BY id DESC LIMIT 1) newest"
                )
            };
            let all: Vec<String> = (0..some.len()).map(newest).collect();
            let mut query = sqlx::query(AssertSqlSafe(all.join(" UNION ALL ")));
            for workflow in some {
                query = query.bind(workflow.repository.as_str()).bind(workflow.file.as_str());
            }
            for row in query.fetch_all(&self.pool).await? {
                found.push(read(&row)?);
            }
        }
        Ok(found)
    }

    /// At most `most` runs from outside that were started before `before`, newest first; of one workflow, or of all.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn outside_history(
        &self,
        workflow: Option<&Workflow>,
        before: Option<DeployId>,
        most: i64,
    ) -> Result<Vec<OutsideRun>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM console_outside_runs \
             WHERE (CAST($1 AS TEXT) IS NULL OR (repository = $1 AND workflow = $2)) \
             AND (CAST($3 AS TEXT) IS NULL OR id < $3) ORDER BY id DESC LIMIT $4"
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(workflow.map(|workflow| workflow.repository.as_str()))
            .bind(workflow.map(|workflow| workflow.file.as_str()))
            .bind(before.map(|id| id.to_string()))
            .bind(most)
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(read).collect()
    }
}

fn read(row: &AnyRow) -> Result<OutsideRun, StoreError> {
    let state: String = row.try_get("state")?;
    Ok(OutsideRun {
        id: parse(TABLE, &row.try_get::<String, _>("id")?)?,
        run_id: row.try_get("run_id")?,
        attempt: row.try_get("attempt")?,
        repository: row.try_get("repository")?,
        workflow: row.try_get("workflow")?,
        sites: Vec::new(),
        state: State::from_word(&state).ok_or_else(|| unreadable(TABLE, &state))?,
        started_by: row.try_get("started_by")?,
        git_ref: row.try_get("git_ref")?,
        head_sha: row.try_get("head_sha")?,
        run_url: row.try_get("run_url")?,
        started_at: Timestamp::from_millis(row.try_get("started_at")?),
        changed_at: Timestamp::from_millis(row.try_get("changed_at")?),
    })
}
