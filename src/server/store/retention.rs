//! Dropping logs that are kept no longer, a little at a time. The record stays.

use super::logs::{insert_piece, place};
use super::rows::parse;
use super::{Store, StoreError};
use crate::domain::Attempt;
use sqlx::{AssertSqlSafe, Row};

/// What stands where a log stood.
const PRUNED: &str = "[this log was dropped: console.toml says in [retention] for how long logs are kept]\n";
/// How many pieces of a log are swept away at once: a transaction stays short.
const SWEPT_AT_ONCE: i64 = 100;

/// Every attempt that has ended, with what its log takes.
const ENDED: &str = "SELECT id AS deploy_id, 1 AS attempt, log_bytes, log_pruned, finished_at FROM console_deploys \
     WHERE active = 0 UNION ALL SELECT deploy_id, attempt, log_bytes, log_pruned, finished_at FROM console_attempts \
     WHERE active = 0";

impl Store {
    /// At most `most` attempts that ended before `millis` and still have their log, the oldest first, with the bytes
    /// that each takes.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn logs_that_ended_before(&self, millis: i64, most: i64) -> Result<Vec<(Attempt, u64)>, StoreError> {
        let sql = format!(
            "SELECT deploy_id, attempt, log_bytes FROM ({ENDED}) ended \
             WHERE log_pruned = 0 AND log_bytes > 0 AND finished_at < $1 ORDER BY finished_at, deploy_id LIMIT $2"
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(millis)
            .bind(most)
            .fetch_all(&self.pool)
            .await?;
        let read = rows.iter().map(|row| {
            let deploy = parse("console_deploys", &row.try_get::<String, _>("deploy_id")?)?;
            let number = row.try_get("attempt")?;
            let bytes: i64 = row.try_get("log_bytes")?;
            Ok((Attempt { deploy, number }, bytes.unsigned_abs()))
        });
        read.collect()
    }

    /// What all logs take, in bytes.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn bytes_of_logs(&self) -> Result<u64, StoreError> {
        let row = sqlx::query(
            "SELECT CAST(COALESCE(SUM(log_bytes), 0) AS BIGINT) AS bytes FROM \
             (SELECT log_bytes FROM console_deploys UNION ALL SELECT log_bytes FROM console_attempts) logs",
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(row.try_get::<i64, _>("bytes")?.unsigned_abs())
    }

    /// Puts a line that says so in place of a log. What it was is swept away by [`Self::sweep_log`].
    ///
    /// # Errors
    /// [`StoreError`] when the database fails; then nothing was changed.
    pub async fn prune_log(&self, attempt: Attempt) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let (table, row) = place(attempt);
        let sql = format!(
            "UPDATE {table} SET log_pruned = 1, log_whole = 1, log_edition = log_edition + 1, log_bytes = $3, \
             version = version + 1 WHERE {row} AND active = 0 AND log_pruned = 0"
        );
        let length = PRUNED.len() as u64;
        let pruned = sqlx::query(AssertSqlSafe(sql))
            .bind(attempt.deploy.to_string())
            .bind(attempt.number)
            .bind(i64::try_from(length).unwrap_or(i64::MAX))
            .execute(&mut *tx)
            .await?;
        if pruned.rows_affected() != 1 {
            return Ok(());
        }
        sqlx::query("DELETE FROM console_log_chunks WHERE deploy_id = $1 AND attempt = $2 AND start_offset < $3")
            .bind(attempt.deploy.to_string())
            .bind(attempt.number)
            .bind(i64::try_from(length).unwrap_or(i64::MAX))
            .execute(&mut *tx)
            .await?;
        insert_piece(&mut tx, attempt, 0, PRUNED).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Every attempt whose log was dropped and is not swept away altogether.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn logs_to_sweep(&self) -> Result<Vec<Attempt>, StoreError> {
        let sql = format!("SELECT deploy_id, attempt FROM ({ENDED}) ended WHERE log_pruned = 1 ORDER BY deploy_id");
        let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&self.pool).await?;
        let read = rows.iter().map(|row| {
            let deploy = parse("console_deploys", &row.try_get::<String, _>("deploy_id")?)?;
            let number = row.try_get("attempt")?;
            Ok(Attempt { deploy, number })
        });
        read.collect()
    }

    /// Sweeps away a part of a log that was dropped; whether there is more.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails; then nothing was changed.
    pub async fn sweep_log(&self, attempt: Attempt) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let swept = sqlx::query(
            "DELETE FROM console_log_chunks WHERE deploy_id = $1 AND attempt = $2 AND start_offset IN \
             (SELECT start_offset FROM console_log_chunks WHERE deploy_id = $1 AND attempt = $2 AND start_offset > 0 \
             LIMIT $3)",
        )
        .bind(attempt.deploy.to_string())
        .bind(attempt.number)
        .bind(SWEPT_AT_ONCE)
        .execute(&mut *tx)
        .await?;
        let more = swept.rows_affected() > 0;
        if !more {
            let (table, row) = place(attempt);
            let sql = format!("UPDATE {table} SET log_pruned = 2 WHERE {row} AND log_pruned = 1");
            sqlx::query(AssertSqlSafe(sql))
                .bind(attempt.deploy.to_string())
                .bind(attempt.number)
                .execute(&mut *tx)
                .await?;
        }
        tx.commit().await?;
        Ok(more)
    }
}
