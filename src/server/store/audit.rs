//! The audit trail: rows are appended, each with the hash of the one before, and never changed.

use super::rows::{from_json, to_json, unreadable};
use super::{Store, StoreError};
use crate::domain::{AuditAction, AuditActor, AuditFilter, AuditRow, Timestamp};
use crate::server::digest::sha256_hex;
use sqlx::any::AnyRow;
use sqlx::{Any, Row, Transaction};
use std::collections::BTreeMap;

const COLUMNS: &str = "seq, at, actor_kind, actor, address, action, subject, detail, previous_hash, hash";

/// What is to be written down.
#[derive(Debug, Clone)]
pub struct AuditEntry {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: AuditActor,
    /// From which address.
    pub address: Option<String>,
    /// What.
    pub action: AuditAction,
    /// To whom or what.
    pub subject: Option<String>,
    /// What else is worth knowing.
    pub detail: BTreeMap<String, String>,
}

impl AuditEntry {
    /// The same, about this subject.
    #[must_use]
    pub fn about(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// The same, with a detail more.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.detail.insert(key.to_owned(), value.into());
        self
    }
}

impl AuditRow {
    /// What the row's hash must be: SHA-256 over all its other values, in this order, as a JSON list.
    pub fn computed_hash(&self) -> String {
        let (kind, actor) = self.actor.columns();
        let told = (
            self.seq,
            self.at.as_millis(),
            kind,
            actor,
            &self.address,
            self.action,
            &self.subject,
            &self.detail,
            &self.previous_hash,
        );
        // Texts and numbers always have a JSON form.
        sha256_hex(&serde_json::to_vec(&told).unwrap_or_default())
    }
}

impl Store {
    /// Writes down what changed nothing else in the database.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn record_audit(&self, entry: &AuditEntry) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        append(&mut tx, entry).await?;
        tx.commit().await?;
        Ok(())
    }

    /// At most `most` rows that match, newest first.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn audit_page(&self, filter: &AuditFilter, most: i64) -> Result<Vec<AuditRow>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM console_audit \
             WHERE (CAST($1 AS TEXT) IS NULL OR action = $1) AND (CAST($2 AS TEXT) IS NULL OR actor = $2) \
             AND (CAST($3 AS TEXT) IS NULL OR subject = $3) AND (CAST($4 AS BIGINT) IS NULL OR seq < $4) \
             ORDER BY seq DESC LIMIT $5"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(filter.action.as_deref())
            .bind(filter.actor.as_deref())
            .bind(filter.subject.as_deref())
            .bind(filter.before)
            .bind(most)
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(read).collect()
    }

    /// At most `most` rows after the one with this number, oldest first: for reading the whole trail.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn audit_after(&self, seq: i64, most: i64) -> Result<Vec<AuditRow>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM console_audit WHERE seq > $1 ORDER BY seq LIMIT $2");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(seq)
            .bind(most)
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(read).collect()
    }

    /// The number and hash of the last row that was written.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn audit_head(&self) -> Result<(i64, String), StoreError> {
        let row = sqlx::query("SELECT seq, hash FROM console_audit_head WHERE id = 1")
            .fetch_one(&self.pool)
            .await?;
        Ok((row.try_get("seq")?, row.try_get("hash")?))
    }

    /// How often signing in has failed since `since`: for this account, and from this address.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn sign_in_failures(
        &self,
        account: &str,
        address: &str,
        since: Timestamp,
    ) -> Result<(i64, i64), StoreError> {
        let row = sqlx::query(
            "SELECT CAST(COALESCE(SUM(CASE WHEN subject = $1 THEN 1 ELSE 0 END), 0) AS BIGINT) AS account, \
             CAST(COALESCE(SUM(CASE WHEN address = $2 THEN 1 ELSE 0 END), 0) AS BIGINT) AS address \
             FROM console_audit WHERE action = $3 AND at > $4",
        )
        .bind(account)
        .bind(address)
        .bind(AuditAction::SignInFailed.as_str())
        .bind(since.as_millis())
        .fetch_one(&self.pool)
        .await?;
        Ok((row.try_get("account")?, row.try_get("address")?))
    }
}

/// Appends a row as part of the transaction that does what it tells of.
pub(super) async fn append(tx: &mut Transaction<'_, Any>, entry: &AuditEntry) -> Result<(), StoreError> {
    // Taking the next number locks the head, so that no two rows follow the same one.
    let head = sqlx::query("UPDATE console_audit_head SET seq = seq + 1 WHERE id = 1 RETURNING seq, hash")
        .fetch_one(&mut **tx)
        .await?;
    let mut row = AuditRow {
        seq: head.try_get("seq")?,
        at: entry.at,
        actor: entry.actor.clone(),
        address: entry.address.clone(),
        action: entry.action,
        subject: entry.subject.clone(),
        detail: entry.detail.clone(),
        previous_hash: head.try_get("hash")?,
        hash: String::new(),
    };
    row.hash = row.computed_hash();
    insert(tx, &row).await?;
    sqlx::query("UPDATE console_audit_head SET hash = $1 WHERE id = 1")
        .bind(row.hash.as_str())
        .execute(&mut **tx)
        .await?;
    Ok(())
}

async fn insert(tx: &mut Transaction<'_, Any>, row: &AuditRow) -> Result<(), StoreError> {
    let (kind, actor) = row.actor.columns();
    let sql = format!("INSERT INTO console_audit ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)");
    sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(row.seq)
        .bind(row.at.as_millis())
        .bind(kind)
        .bind(actor)
        .bind(row.address.as_deref())
        .bind(row.action.as_str())
        .bind(row.subject.as_deref())
        .bind(to_json(&row.detail)?)
        .bind(row.previous_hash.as_str())
        .bind(row.hash.as_str())
        .execute(&mut **tx)
        .await?;
    Ok(())
}

fn read(row: &AnyRow) -> Result<AuditRow, StoreError> {
    let (kind, action): (String, String) = (row.try_get("actor_kind")?, row.try_get("action")?);
    let seq: i64 = row.try_get("seq")?;
    let odd = |what: &str| unreadable("console_audit", &format!("row {seq}: {what}"));
    Ok(AuditRow {
        seq,
        at: Timestamp::from_millis(row.try_get("at")?),
        actor: AuditActor::from_columns(&kind, row.try_get("actor")?).ok_or_else(|| odd(&kind))?,
        address: row.try_get("address")?,
        action: AuditAction::from_word(&action).ok_or_else(|| odd(&action))?,
        subject: row.try_get("subject")?,
        detail: from_json(&row.try_get::<String, _>("detail")?)?,
        previous_hash: row.try_get("previous_hash")?,
        hash: row.try_get("hash")?,
    })
}
