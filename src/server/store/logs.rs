//! The log: pieces in order of arrival, read from a cursor.

use super::{Store, StoreError};
use crate::domain::{Attempt, LOG_CAP_BYTES, LOG_MORE_BYTES, LOG_TAIL_BYTES, LogChunk, LogCursor, LogTail};
use sqlx::{Any, Row, Transaction};

/// What stands in the log where the sender left something out.
const SENDER_GAP: &str = "[some output was left out here: more came than the workflow could send]\n";
/// What stands at the end of a log that may not grow any more.
const CAP_MARK: &str = "\n[the log ends here: it reached 64 MiB, and the rest was not kept]\n";

impl Store {
    /// The last `most` bytes of the log, from the beginning of a line on where there is one.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn log_end(&self, attempt: Attempt, most: u64) -> Result<LogTail, StoreError> {
        let length = self.log_length(attempt).await?;
        let from = length.saturating_sub(most);
        let mut tail = self.log_between(attempt, from, length).await?;
        if from > 0 {
            let line = tail.text.find('\n').map_or(0, |end| end + 1);
            tail.text.drain(..line);
            tail.truncated = true;
        }
        Ok(tail)
    }

    /// The last 64 KiB of the log.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn log_tail(&self, attempt: Attempt) -> Result<LogTail, StoreError> {
        self.log_end(attempt, LOG_TAIL_BYTES).await
    }

    /// What came after the cursor, at most 256 KiB. Empty text: that is all for now.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn log_after(&self, attempt: Attempt, after: LogCursor) -> Result<LogTail, StoreError> {
        let from = after.offset();
        self.log_between(attempt, from, from.saturating_add(LOG_MORE_BYTES))
            .await
    }

    async fn log_length(&self, attempt: Attempt) -> Result<u64, StoreError> {
        let query = if attempt.is_rerun() {
            sqlx::query("SELECT log_bytes FROM console_attempts WHERE deploy_id = $1 AND attempt = $2")
                .bind(attempt.deploy.to_string())
                .bind(attempt.number)
        } else {
            sqlx::query("SELECT log_bytes FROM console_deploys WHERE id = $1").bind(attempt.deploy.to_string())
        };
        let row = query.fetch_optional(&self.pool).await?;
        row.map_or(Ok(0), |row| Ok(row.try_get::<i64, _>("log_bytes")?.unsigned_abs()))
    }

    /// The text from byte `from` up to about byte `to`, cut where characters end.
    async fn log_between(&self, attempt: Attempt, from: u64, to: u64) -> Result<LogTail, StoreError> {
        let rows = sqlx::query(
            "SELECT start_offset, text FROM console_log_chunks \
             WHERE deploy_id = $1 AND attempt = $4 AND end_offset > $2 AND start_offset < $3 ORDER BY start_offset",
        )
        .bind(attempt.deploy.to_string())
        .bind(to_bigint(from))
        .bind(to_bigint(to))
        .bind(attempt.number)
        .fetch_all(&self.pool)
        .await?;
        let mut text = String::new();
        let mut end = from;
        for row in rows {
            let start = row.try_get::<i64, _>("start_offset")?.unsigned_abs();
            let piece: String = row.try_get("text")?;
            let first = character_at(&piece, from.saturating_sub(start));
            let last = character_at(&piece, to.saturating_sub(start));
            text.push_str(&piece[first..last.max(first)]);
            end = start + u64::try_from(last.max(first)).unwrap_or(0);
        }
        Ok(LogTail {
            text,
            after: LogCursor::at(end).to_string(),
            truncated: false,
        })
    }
}

/// Appends a chunk, and moves `length` (the log's length so far) by what was stored.
pub(super) async fn append(
    tx: &mut Transaction<'_, Any>,
    attempt: Attempt,
    length: &mut u64,
    chunk: &LogChunk,
) -> Result<(), StoreError> {
    if *length >= LOG_CAP_BYTES || (chunk.text.is_empty() && !chunk.truncated) {
        return Ok(());
    }
    let mut text = if chunk.truncated {
        format!("{SENDER_GAP}{}", chunk.text)
    } else {
        chunk.text.clone()
    };
    if *length + text.len() as u64 >= LOG_CAP_BYTES {
        text.push_str(CAP_MARK);
    }
    let end = *length + text.len() as u64;
    sqlx::query(
        "INSERT INTO console_log_chunks (deploy_id, attempt, start_offset, end_offset, text) \
         VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(attempt.deploy.to_string())
    .bind(attempt.number)
    .bind(to_bigint(*length))
    .bind(to_bigint(end))
    .bind(text)
    .execute(&mut **tx)
    .await?;
    *length = end;
    Ok(())
}

/// The place of `offset` in `text`, moved back to where a character begins.
fn character_at(text: &str, offset: u64) -> usize {
    text.floor_char_boundary(usize::try_from(offset).unwrap_or(usize::MAX))
}

fn to_bigint(offset: u64) -> i64 {
    i64::try_from(offset).unwrap_or(i64::MAX)
}
