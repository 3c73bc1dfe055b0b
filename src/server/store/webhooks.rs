//! GitHub's webhooks: which deliveries have come, and whose runs they speak of.

use super::rows::{DEPLOY_COLUMNS, read_deploy};
use super::{Store, StoreError};
use crate::domain::{Deploy, Timestamp};
use sqlx::AssertSqlSafe;

/// For so long GitHub lets a delivery be sent again (three days), and some more, in milliseconds.
const KEPT_MS: i64 = 7 * 24 * 60 * 60 * 1000;

impl Store {
    /// Whether a webhook's delivery was noted.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn has_webhook(&self, delivery: &str) -> Result<bool, StoreError> {
        let row = sqlx::query("SELECT received_at FROM console_webhooks WHERE delivery = $1")
            .bind(delivery)
            .fetch_optional(&self.pool)
            .await?;
        Ok(row.is_some())
    }

    /// Notes a webhook's delivery; `false` when it was noted before.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails; then nothing was noted.
    pub async fn note_webhook(&self, delivery: &str, at: Timestamp) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        sqlx::query("DELETE FROM console_webhooks WHERE received_at < $1")
            .bind(at.as_millis() - KEPT_MS)
            .execute(&mut *tx)
            .await?;
        let noted = sqlx::query(
            "INSERT INTO console_webhooks (delivery, received_at) VALUES ($1, $2) ON CONFLICT (delivery) DO NOTHING",
        )
        .bind(delivery)
        .bind(at.as_millis())
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(noted.rows_affected() == 1)
    }

    /// The deploys that are bound to one of these runs, a hundred at most, with their re-runs.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn deploys_of_runs(&self, run_ids: &[i64]) -> Result<Vec<Deploy>, StoreError> {
        if run_ids.is_empty() {
            return Ok(Vec::new());
        }
        let places: Vec<String> = (1..=run_ids.len()).map(|place| format!("${place}")).collect();
        let places = places.join(", ");
        let sql = format!("SELECT {DEPLOY_COLUMNS} FROM console_deploys WHERE run_id IN ({places})");
        let query = run_ids
            .iter()
            .fold(sqlx::query(AssertSqlSafe(sql)), |query, id| query.bind(*id));
        let rows = query.fetch_all(&self.pool).await?;
        let read = rows.iter().map(|row| Ok(read_deploy(row)?.deploy));
        let mut deploys = read.collect::<Result<Vec<Deploy>, StoreError>>()?;
        self.add_reruns(&mut deploys).await?;
        Ok(deploys)
    }

    /// The deploys that a run can be of: those that it is bound to, and those whose run is not known yet.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn deploys_of_run(&self, run_id: i64) -> Result<Vec<Deploy>, StoreError> {
        let sql = format!(
            "SELECT {DEPLOY_COLUMNS} FROM console_deploys WHERE run_id = $1 \
             UNION ALL SELECT {DEPLOY_COLUMNS} FROM console_deploys WHERE state = 'dispatch_unknown' ORDER BY id"
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(run_id)
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(|row| Ok(read_deploy(row)?.deploy)).collect()
    }
}
