//! Browsers: those that are signed in, and those that were signed in before.

use super::audit::{self, AuditEntry};
use super::{Store, StoreError};
use crate::domain::{OperatorId, Timestamp};
use sqlx::Row;

/// How long a session's last sign of life may lag behind, in milliseconds: a poll must not be a write each time.
const SEEN_EVERY_MS: i64 = 60_000;

/// A session as it is kept.
#[derive(Debug, Clone)]
pub struct SessionRow {
    /// Lower-case hex of the SHA-256 of its id.
    pub id_sha256: String,
    /// What a page calls it.
    pub handle: String,
    /// Whose it is; `None` before sign-in.
    pub operator: Option<OperatorId>,
    /// What it holds, as JSON.
    pub data: String,
    /// Since when.
    pub created_at: Timestamp,
    /// When it was last used, to the minute.
    pub last_seen_at: Timestamp,
    /// When it ends at the latest.
    pub expires_at: Timestamp,
}

/// How long sessions live.
#[derive(Debug, Clone, Copy)]
pub struct SessionAges {
    /// Milliseconds without a request after which one ends.
    pub idle_ms: i64,
    /// Milliseconds after sign-in at which it ends in any case.
    pub absolute_ms: i64,
}

impl Store {
    /// Keeps a new session; `false` when its id is taken.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn create_session(&self, session: &SessionRow) -> Result<bool, StoreError> {
        let made = sqlx::query(
            "INSERT INTO console_sessions (id_sha256, handle, operator_id, data, created_at, last_seen_at, expires_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id_sha256) DO NOTHING",
        )
        .bind(session.id_sha256.as_str())
        .bind(session.handle.as_str())
        .bind(session.operator.map(|id| id.to_string()))
        .bind(session.data.as_str())
        .bind(session.created_at.as_millis())
        .bind(session.last_seen_at.as_millis())
        .bind(session.expires_at.as_millis())
        .execute(&self.writing)
        .await?;
        Ok(made.rows_affected() == 1)
    }

    /// Keeps what a session holds now. One that has ended meanwhile stays ended, and none ends later than it would.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn save_session(&self, id_sha256: &str, data: &str, expires_at: Timestamp) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE console_sessions SET data = $1, \
             expires_at = CASE WHEN expires_at < $2 THEN expires_at ELSE $2 END WHERE id_sha256 = $3",
        )
        .bind(data)
        .bind(expires_at.as_millis())
        .bind(id_sha256)
        .execute(&self.writing)
        .await?;
        Ok(())
    }

    /// What a session holds and when it ends, while it lives; notes that it was seen.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn load_session(
        &self,
        id_sha256: &str,
        ages: SessionAges,
        now: Timestamp,
    ) -> Result<Option<(String, Timestamp)>, StoreError> {
        let row = sqlx::query(
            "SELECT data, last_seen_at, expires_at FROM console_sessions \
             WHERE id_sha256 = $1 AND expires_at > $2 AND last_seen_at > $3",
        )
        .bind(id_sha256)
        .bind(now.as_millis())
        .bind(now.plus_millis(-ages.idle_ms).as_millis())
        .fetch_optional(&self.pool)
        .await?;
        let Some(row) = row else { return Ok(None) };
        if row.try_get::<i64, _>("last_seen_at")? < now.as_millis() - SEEN_EVERY_MS.min(ages.idle_ms / 4) {
            let seen = sqlx::query("UPDATE console_sessions SET last_seen_at = $1 WHERE id_sha256 = $2")
                .bind(now.as_millis())
                .bind(id_sha256);
            self.note(seen).await;
        }
        let expires_at = Timestamp::from_millis(row.try_get("expires_at")?);
        Ok(Some((row.try_get("data")?, expires_at)))
    }

    /// Ends a session.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn delete_session(&self, id_sha256: &str) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM console_sessions WHERE id_sha256 = $1")
            .bind(id_sha256)
            .execute(&self.writing)
            .await?;
        Ok(())
    }

    /// The sessions of an operator that live, the one last seen first.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn sessions_of(
        &self,
        operator: OperatorId,
        ages: SessionAges,
        now: Timestamp,
    ) -> Result<Vec<SessionRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT id_sha256, handle, data, created_at, last_seen_at, expires_at FROM console_sessions \
             WHERE operator_id = $1 AND expires_at > $2 AND last_seen_at > $3 ORDER BY last_seen_at DESC, created_at DESC",
        )
        .bind(operator.to_string())
        .bind(now.as_millis())
        .bind(now.plus_millis(-ages.idle_ms).as_millis())
        .fetch_all(&self.pool)
        .await?;
        let read = |row: &sqlx::any::AnyRow| {
            Ok(SessionRow {
                id_sha256: row.try_get("id_sha256")?,
                handle: row.try_get("handle")?,
                operator: Some(operator),
                data: row.try_get("data")?,
                created_at: Timestamp::from_millis(row.try_get("created_at")?),
                last_seen_at: Timestamp::from_millis(row.try_get("last_seen_at")?),
                expires_at: Timestamp::from_millis(row.try_get("expires_at")?),
            })
        };
        rows.iter().map(read).collect()
    }

    /// Ends one of an operator's sessions by its handle, or all with `None`. Returns how many ended.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn end_sessions(
        &self,
        operator: OperatorId,
        handle: Option<&str>,
        entry: &AuditEntry,
    ) -> Result<u64, StoreError> {
        let mut tx = self.begin().await?;
        let ended = sqlx::query(
            "DELETE FROM console_sessions WHERE operator_id = $1 AND (CAST($2 AS TEXT) IS NULL OR handle = $2)",
        )
        .bind(operator.to_string())
        .bind(handle)
        .execute(&mut *tx)
        .await?;
        if ended.rows_affected() > 0 {
            audit::append(&mut tx, entry).await?;
        }
        tx.commit().await?;
        Ok(ended.rows_affected())
    }

    /// Forgets sessions and links that have ended by themselves.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn forget_ended_sessions(&self, ages: SessionAges, now: Timestamp) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM console_sessions WHERE expires_at <= $1 OR last_seen_at <= $2")
            .bind(now.as_millis())
            .bind(now.plus_millis(-ages.idle_ms).as_millis())
            .execute(&self.writing)
            .await?;
        sqlx::query("DELETE FROM console_links WHERE expires_at <= $1")
            .bind(now.as_millis())
            .execute(&self.writing)
            .await?;
        Ok(())
    }

    /// Remembers a browser that an operator has signed in with.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn remember_device(
        &self,
        token_sha256: &str,
        operator: OperatorId,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO console_devices (token_sha256, operator_id, failures, created_at) VALUES ($1, $2, 0, $3)",
        )
        .bind(token_sha256)
        .bind(operator.to_string())
        .bind(at.as_millis())
        .execute(&self.writing)
        .await?;
        Ok(())
    }

    /// Whether a browser is known to belong to this operator.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn is_known_device(&self, token_sha256: &str, operator: OperatorId) -> Result<bool, StoreError> {
        let row = sqlx::query("SELECT failures FROM console_devices WHERE token_sha256 = $1 AND operator_id = $2")
            .bind(token_sha256)
            .bind(operator.to_string())
            .fetch_optional(&self.pool)
            .await?;
        Ok(row.is_some())
    }

    /// Counts a failure of a known browser; after `most` it is a stranger again. A success forgets the failures.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn count_device(&self, token_sha256: &str, failed: bool, most: i64) -> Result<(), StoreError> {
        sqlx::query("UPDATE console_devices SET failures = (failures + 1) * $1 WHERE token_sha256 = $2")
            .bind(i64::from(failed))
            .bind(token_sha256)
            .execute(&self.writing)
            .await?;
        sqlx::query("DELETE FROM console_devices WHERE token_sha256 = $1 AND failures >= $2")
            .bind(token_sha256)
            .bind(most)
            .execute(&self.writing)
            .await?;
        Ok(())
    }
}
