//! Hints that GitHub is worth asking now. They come to any instance, and are the leader's to follow.

use super::{Store, StoreError};
use sqlx::Row;

/// What a hint is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hint {
    /// A deploy, by its id.
    Deploy,
    /// A repository, by its name.
    Repository,
}

impl Hint {
    fn as_str(self) -> &'static str {
        match self {
            Self::Deploy => "deploy",
            Self::Repository => "repository",
        }
    }
}

impl Store {
    /// Writes down a hint, unless it waits already.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn leave_hint(&self, kind: Hint, subject: &str) -> Result<(), StoreError> {
        sqlx::query("INSERT INTO console_hints (kind, subject) VALUES ($1, $2) ON CONFLICT (kind, subject) DO NOTHING")
            .bind(kind.as_str())
            .bind(subject)
            .execute(&self.writing)
            .await?;
        Ok(())
    }

    /// Takes the hints of a kind: whoever takes one looks after that, so a hint that comes meanwhile is not lost.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn take_hints(&self, kind: Hint) -> Result<Vec<String>, StoreError> {
        // Mostly there is none, and then nobody is kept from writing.
        let waits = sqlx::query("SELECT subject FROM console_hints WHERE kind = $1 LIMIT 1")
            .bind(kind.as_str())
            .fetch_optional(&self.pool)
            .await?;
        if waits.is_none() {
            return Ok(Vec::new());
        }
        let taken = sqlx::query("DELETE FROM console_hints WHERE kind = $1 RETURNING subject")
            .bind(kind.as_str())
            .fetch_all(&self.writing)
            .await?;
        let taken = taken.iter().map(|row| row.try_get("subject"));
        Ok(taken.collect::<Result<_, sqlx::Error>>()?)
    }
}
