//! The log: pieces in order of arrival, read from a cursor.

use super::changes::Printed;
use super::rows::parse;
use super::{Store, StoreError};
use crate::domain::{
    Attempt, LOG_CAP_BYTES, LOG_MORE_BYTES, LOG_TAIL_BYTES, LogCursor, LogTail, SENDER_GAP, mask_seam,
};
use sqlx::any::AnyRow;
use sqlx::{Any, AssertSqlSafe, Row, Transaction};
use std::collections::HashMap;

/// How much of a log that is put in place as a whole stands in one row, in bytes.
const PIECE_BYTES: usize = 32 * 1024;
/// What stands at the end of a log that may not grow any more.
const CAP_MARK: &str = "\n[the log ends here: it reached 64 MiB, and the rest was not kept]\n";

/// What stands in `log_whole` once GitHub's log was read: something was filled in, or nothing was.
const WHOLE: i64 = 1;
const AS_STREAMED: i64 = 2;

/// What a workflow streamed.
#[derive(Debug, Clone)]
pub struct Streamed {
    /// All of it.
    pub text: String,
    /// Its length when it was read, in bytes.
    pub(super) length: u64,
}

impl Store {
    /// The last 64 KiB of the log, from the beginning of a line on where there is one.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn log_tail(&self, attempt: Attempt) -> Result<LogTail, StoreError> {
        let (edition, length) = self.log_length(attempt).await?;
        let from = length.saturating_sub(LOG_TAIL_BYTES);
        Ok(from_a_line(
            self.log_between(attempt, edition, from, length).await?,
            from,
        ))
    }

    /// The last `most` bytes of the log of every attempt that is under way and has one, from the beginning of a line on
    /// where there is one.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn log_ends(&self, most: u64) -> Result<HashMap<Attempt, LogTail>, StoreError> {
        // Each text by a subquery of its own: a join is free to read every piece of every log, and PostgreSQL does, once
        // it has statistics.
        let rows = sqlx::query(
            "SELECT a.deploy_id, a.attempt, a.log_edition, a.log_bytes, a.start_offset, \
             (SELECT STRING_AGG(c.text, '' ORDER BY c.start_offset) FROM console_log_chunks c \
             WHERE c.deploy_id = a.deploy_id AND c.attempt = a.attempt \
             AND c.start_offset >= a.start_offset) AS text FROM \
             (SELECT u.deploy_id, u.attempt, u.log_edition, u.log_bytes, \
             (SELECT COALESCE(MAX(c.start_offset), 0) FROM console_log_chunks c WHERE c.deploy_id = u.deploy_id \
             AND c.attempt = u.attempt AND c.start_offset <= u.log_bytes - $1) AS start_offset FROM \
             (SELECT id AS deploy_id, CAST(1 AS BIGINT) AS attempt, log_edition, log_bytes \
             FROM console_deploys WHERE active = 1 UNION ALL \
             SELECT deploy_id, attempt, log_edition, log_bytes FROM console_attempts WHERE active = 1) u) a",
        )
        .bind(to_bigint(most))
        .fetch_all(&self.pool)
        .await?;
        let mut logs = HashMap::new();
        for row in rows {
            if row.try_get::<Option<String>, _>("text")?.is_none() {
                continue;
            }
            let deploy = parse("console_deploys", &row.try_get::<String, _>("deploy_id")?)?;
            let number = row.try_get("attempt")?;
            let (edition, length) = read_length(&row)?;
            let from = length.saturating_sub(most);
            let end = join(&[row], edition, from, length)?;
            logs.insert(Attempt { deploy, number }, from_a_line(end, from));
        }
        Ok(logs)
    }

    /// What came after the cursor, at most 256 KiB. Empty text: that is all for now. After a cursor into an earlier
    /// edition it is the end of this one, marked as that.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn log_after(&self, attempt: Attempt, after: LogCursor) -> Result<LogTail, StoreError> {
        let (edition, length) = self.log_length(attempt).await?;
        if !after.is_in(edition) {
            let tail = self.log_tail(attempt).await?;
            return Ok(LogTail {
                restarted: true,
                ..tail
            });
        }
        let from = after.offset();
        // Behind the end there may be pieces of a log that was dropped, and is not swept away altogether.
        let to = from.saturating_add(LOG_MORE_BYTES).min(length);
        self.log_between(attempt, edition, from, to).await
    }

    /// All that was streamed of a log.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn streamed_log(&self, attempt: Attempt) -> Result<Streamed, StoreError> {
        let (edition, length) = self.log_length(attempt).await?;
        let LogTail { text, .. } = self.log_between(attempt, edition, 0, length).await?;
        Ok(Streamed { text, length })
    }

    /// Says that nothing more is to be filled in, and puts `text` in place of what was streamed, as a new edition, where
    /// something was; then what comes later is in it already. `false` when more was streamed in between.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails; then nothing was changed.
    pub async fn make_log_whole(
        &self,
        attempt: Attempt,
        streamed: &Streamed,
        text: Option<&str>,
    ) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let (table, row) = place(attempt);
        let sql = format!(
            "UPDATE {table} SET log_whole = $6, log_edition = log_edition + $3, log_bytes = $4, version = version + 1 \
             WHERE {row} AND log_whole = 0 AND log_bytes = $5"
        );
        let length = text.map_or(streamed.length, |text| text.len() as u64);
        let updated = sqlx::query(AssertSqlSafe(sql))
            .bind(attempt.deploy.to_string())
            .bind(attempt.number)
            .bind(i64::from(text.is_some()))
            .bind(to_bigint(length))
            .bind(to_bigint(streamed.length))
            .bind(if text.is_some() { WHOLE } else { AS_STREAMED })
            .execute(&mut *tx)
            .await?;
        if updated.rows_affected() != 1 {
            return Ok(false);
        }
        if let Some(text) = text {
            sqlx::query("DELETE FROM console_log_chunks WHERE deploy_id = $1 AND attempt = $2")
                .bind(attempt.deploy.to_string())
                .bind(attempt.number)
                .execute(&mut *tx)
                .await?;
            insert_pieces(&mut tx, attempt, text).await?;
        }
        tx.commit().await?;
        Ok(true)
    }

    /// Which edition of the log there is, and its length in bytes.
    async fn log_length(&self, attempt: Attempt) -> Result<(u32, u64), StoreError> {
        let (table, row) = place(attempt);
        // Both are bound either way: the number of a first attempt is 1, whether its run is known or not.
        let sql = format!("SELECT log_edition, log_bytes FROM {table} WHERE {row}");
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind(attempt.deploy.to_string())
            .bind(attempt.number)
            .fetch_optional(&self.pool)
            .await?;
        let Some(row) = row else { return Ok((0, 0)) };
        Ok(read_length(&row)?)
    }

    /// The text from byte `from` up to about byte `to`, cut where characters end.
    async fn log_between(&self, attempt: Attempt, edition: u32, from: u64, to: u64) -> Result<LogTail, StoreError> {
        let rows = sqlx::query(
            // From the piece on in which `from` lies, found by the primary key: a log may have thousands before it.
            "SELECT start_offset, text FROM console_log_chunks \
             WHERE deploy_id = $1 AND attempt = $4 AND end_offset > $2 AND start_offset < $3 \
             AND start_offset >= (SELECT COALESCE(MAX(start_offset), 0) FROM console_log_chunks \
             WHERE deploy_id = $1 AND attempt = $4 AND start_offset <= $2) ORDER BY start_offset",
        )
        .bind(attempt.deploy.to_string())
        .bind(to_bigint(from))
        .bind(to_bigint(to))
        .bind(attempt.number)
        .fetch_all(&self.pool)
        .await?;
        Ok(join(&rows, edition, from, to)?)
    }
}

/// The text of pieces from byte `from` up to about byte `to`, cut where characters end.
fn join(rows: &[AnyRow], edition: u32, from: u64, to: u64) -> Result<LogTail, sqlx::Error> {
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
        after: LogCursor::at(edition, end).to_string(),
        truncated: false,
        restarted: false,
    })
}

/// What was read from byte `from` on, without the line that it begins in the middle of.
fn from_a_line(mut tail: LogTail, from: u64) -> LogTail {
    if from > 0 {
        let line = tail.text.find('\n').map_or(0, |end| end + 1);
        tail.text.drain(..line);
        tail.truncated = true;
    }
    tail
}

/// The edition of a log, and its length in bytes.
fn read_length(row: &AnyRow) -> Result<(u32, u64), sqlx::Error> {
    let edition: i64 = row.try_get("log_edition")?;
    let length: i64 = row.try_get("log_bytes")?;
    Ok((u32::try_from(edition).unwrap_or(u32::MAX), length.unsigned_abs()))
}

/// Appends what was printed, and moves `length` (the log's length so far) by what was stored.
pub(super) async fn append(
    tx: &mut Transaction<'_, Any>,
    attempt: Attempt,
    length: &mut u64,
    printed: Printed<'_>,
) -> Result<(), StoreError> {
    let Printed { chunk, secrets } = printed;
    if *length >= LOG_CAP_BYTES || (chunk.text.is_empty() && !chunk.truncated) {
        return Ok(());
    }
    let mut text = if chunk.truncated {
        format!("{SENDER_GAP}{}", chunk.text)
    } else {
        chunk.text.clone()
    };
    clean_seam(tx, attempt, *length, &mut text, secrets).await?;
    if *length + text.len() as u64 >= LOG_CAP_BYTES {
        text.push_str(CAP_MARK);
    }
    let end = *length + text.len() as u64;
    insert_piece(tx, attempt, *length, &text).await?;
    *length = end;
    Ok(())
}

/// Takes out of the log's end, and of `text`, which follows it, the secrets that begin in the one and end in the other.
/// Whoever has read the log's end by now has seen as much of one as stood there, and no more.
async fn clean_seam(
    tx: &mut Transaction<'_, Any>,
    attempt: Attempt,
    length: u64,
    text: &mut String,
    secrets: &[String],
) -> Result<(), StoreError> {
    let longest = secrets.iter().map(String::len).max().unwrap_or_default() as u64;
    let rows = sqlx::query(
        "SELECT start_offset, text FROM console_log_chunks \
         WHERE deploy_id = $1 AND attempt = $2 AND end_offset > $3 AND end_offset <= $4 AND start_offset < $4 \
         AND start_offset >= (SELECT COALESCE(MAX(start_offset), 0) FROM console_log_chunks \
         WHERE deploy_id = $1 AND attempt = $2 AND start_offset <= $3) ORDER BY start_offset",
    )
    .bind(attempt.deploy.to_string())
    .bind(attempt.number)
    .bind(to_bigint(length.saturating_sub(longest)))
    .bind(to_bigint(length))
    .fetch_all(&mut **tx)
    .await?;
    let pieces = rows.iter().map(|row| row.try_get("text"));
    let pieces: Vec<String> = pieces.collect::<Result<_, _>>()?;
    let before = pieces.concat();
    let mut cleaned = before.clone();
    mask_seam(&mut cleaned, text, secrets);
    if cleaned == before {
        return Ok(());
    }
    let mut rest = cleaned.as_str();
    for (row, piece) in rows.iter().zip(&pieces) {
        let (cleaned, after) = rest.split_at(piece.len());
        rest = after;
        sqlx::query(
            "UPDATE console_log_chunks SET text = $4 WHERE deploy_id = $1 AND attempt = $2 AND start_offset = $3",
        )
        .bind(attempt.deploy.to_string())
        .bind(attempt.number)
        .bind(row.try_get::<i64, _>("start_offset")?)
        .bind(cleaned)
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

/// Puts a text in pieces where there is none.
async fn insert_pieces(tx: &mut Transaction<'_, Any>, attempt: Attempt, text: &str) -> Result<(), StoreError> {
    let mut start = 0;
    while start < text.len() {
        let end = text.floor_char_boundary(start + PIECE_BYTES);
        insert_piece(tx, attempt, start as u64, &text[start..end]).await?;
        start = end;
    }
    Ok(())
}

pub(super) async fn insert_piece(
    tx: &mut Transaction<'_, Any>,
    attempt: Attempt,
    start: u64,
    text: &str,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO console_log_chunks (deploy_id, attempt, start_offset, end_offset, text) \
         VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(attempt.deploy.to_string())
    .bind(attempt.number)
    .bind(to_bigint(start))
    .bind(to_bigint(start + text.len() as u64))
    .bind(text)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The table and the row where an attempt stands, with its deploy as `$1` and its number as `$2`.
pub(super) fn place(attempt: Attempt) -> (&'static str, &'static str) {
    if attempt.is_rerun() {
        ("console_attempts", "deploy_id = $1 AND attempt = $2")
    } else {
        ("console_deploys", "id = $1 AND CAST($2 AS BIGINT) = 1")
    }
}

/// The place of `offset` in `text`, moved back to where a character begins.
fn character_at(text: &str, offset: u64) -> usize {
    text.floor_char_boundary(usize::try_from(offset).unwrap_or(usize::MAX))
}

fn to_bigint(offset: u64) -> i64 {
    i64::try_from(offset).unwrap_or(i64::MAX)
}
