//! Reading deploys: one, the newest of each site, history, and those that wait for the console to act.

use super::attempts::ATTEMPT_COLUMNS;
use super::rows::{DEPLOY_COLUMNS, read_deploy, read_timeline_entry};
use super::{Store, StoreError};
use crate::domain::{Attempt, Deploy, DeployId, Slug, State, TimelineEntry};
use sqlx::AssertSqlSafe;

impl Store {
    /// The deploy with this id: its first attempt, and its re-runs in short.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn deploy(&self, id: DeployId) -> Result<Option<Deploy>, StoreError> {
        let mut found: Vec<Deploy> = self.deploy_without_reruns(id).await?.into_iter().collect();
        self.add_reruns(&mut found).await?;
        Ok(found.pop())
    }

    /// The same for whoever asks nothing about its re-runs, as each callback does.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn deploy_without_reruns(&self, id: DeployId) -> Result<Option<Deploy>, StoreError> {
        let sql = format!("SELECT {DEPLOY_COLUMNS} FROM console_deploys WHERE id = $1");
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind(id.to_string())
            .fetch_optional(&self.pool)
            .await?;
        let found = row.as_ref().map(read_deploy).transpose()?;
        Ok(found.map(|stored| stored.deploy))
    }

    /// The newest deploy of each site that has one.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn newest_of_each_site(&self) -> Result<Vec<Deploy>, StoreError> {
        // Ids are UUIDv7: the greatest is the newest.
        let sql = format!(
            "SELECT {DEPLOY_COLUMNS} FROM console_deploys \
             WHERE id IN (SELECT MAX(id) FROM console_deploys GROUP BY site)"
        );
        let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&self.pool).await?;
        rows.iter().map(|row| Ok(read_deploy(row)?.deploy)).collect()
    }

    /// At most `most` deploys older than `before`, newest first; of one site, or of all.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn history(
        &self,
        site: Option<&Slug>,
        before: Option<DeployId>,
        most: i64,
    ) -> Result<Vec<Deploy>, StoreError> {
        let sql = format!(
            "SELECT {DEPLOY_COLUMNS} FROM console_deploys \
             WHERE (CAST($1 AS TEXT) IS NULL OR site = $1) AND (CAST($2 AS TEXT) IS NULL OR id < $2) \
             ORDER BY id DESC LIMIT $3"
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(site.map(Slug::as_str))
            .bind(before.map(|id| id.to_string()))
            .bind(most)
            .fetch_all(&self.pool)
            .await?;
        let read = rows.iter().map(|row| Ok(read_deploy(row)?.deploy));
        let mut deploys = read.collect::<Result<Vec<Deploy>, StoreError>>()?;
        self.add_reruns(&mut deploys).await?;
        Ok(deploys)
    }

    /// Every deploy in `state`, oldest first.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn in_state(&self, state: State) -> Result<Vec<Deploy>, StoreError> {
        let sql = format!("SELECT {DEPLOY_COLUMNS} FROM console_deploys WHERE state = $1 ORDER BY id");
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(state.as_str())
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(|row| Ok(read_deploy(row)?.deploy)).collect()
    }

    /// Every attempt of which something is still to be learned from GitHub: the active ones, and those with a run
    /// that GitHub has not confirmed as ended and that ended after `since_millis`. Oldest first.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn unconcluded(&self, since_millis: i64) -> Result<Vec<Deploy>, StoreError> {
        let sql = format!(
            "SELECT {DEPLOY_COLUMNS} FROM console_deploys WHERE active = 1 AND state NOT IN ('requested', 'dispatching') \
             UNION ALL SELECT {DEPLOY_COLUMNS} FROM console_deploys \
             WHERE active = 0 AND concluded_at IS NULL AND run_id IS NOT NULL AND finished_at > $1 ORDER BY id"
        );
        let reruns = format!(
            "SELECT {ATTEMPT_COLUMNS} WHERE a.active = 1 OR (a.concluded_at IS NULL AND a.finished_at > $1) \
             ORDER BY a.deploy_id, a.attempt"
        );
        let found = self.all_of([sql, reruns], since_millis).await?;
        Ok(found.into_iter().map(|(deploy, _)| deploy).collect())
    }

    /// Every attempt of which GitHub said after `since_millis` that it has ended, and whose log has not been compared with
    /// GitHub's, with that log's length in bytes. Oldest first.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn logs_to_fill(&self, since_millis: i64) -> Result<Vec<(Deploy, u64)>, StoreError> {
        let deploys = format!(
            "SELECT {DEPLOY_COLUMNS} FROM console_deploys WHERE concluded_at > $1 AND log_whole = 0 ORDER BY id"
        );
        let reruns = format!(
            "SELECT {ATTEMPT_COLUMNS} WHERE a.concluded_at > $1 AND a.log_whole = 0 ORDER BY a.deploy_id, a.attempt"
        );
        self.all_of([deploys, reruns], since_millis).await
    }

    /// What several queries find, one after the other.
    async fn all_of(&self, queries: [String; 2], since_millis: i64) -> Result<Vec<(Deploy, u64)>, StoreError> {
        let mut found = Vec::new();
        for sql in queries {
            let query = sqlx::query(AssertSqlSafe(sql)).bind(since_millis);
            for row in query.fetch_all(&self.pool).await? {
                let stored = read_deploy(&row)?;
                found.push((stored.deploy, stored.log_bytes));
            }
        }
        Ok(found)
    }

    /// The story of an attempt, oldest first.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn timeline(&self, attempt: Attempt) -> Result<Vec<TimelineEntry>, StoreError> {
        let rows = sqlx::query(
            "SELECT at, state, actor, actor_name, note FROM console_deploy_events \
             WHERE deploy_id = $1 AND attempt = $2 ORDER BY version",
        )
        .bind(attempt.deploy.to_string())
        .bind(attempt.number)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(read_timeline_entry).collect()
    }
}
