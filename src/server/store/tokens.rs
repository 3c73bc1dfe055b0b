//! API tokens. What opens the door is kept as its SHA-256 alone.

use super::audit::{self, AuditEntry};
use super::rows::{from_json, moment, parse, to_json, unreadable};
use super::{Store, StoreError};
use crate::domain::{OperatorId, OperatorName, Timestamp, TokenInfo};
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

const COLUMNS: &str = "console_tokens.id AS id, console_tokens.name AS name, console_operators.name AS operator, \
     operator_id, sites, console_tokens.created_at AS created_at, expires_at, last_used_at, revoked_at";
const TABLES: &str = "console_tokens JOIN console_operators ON console_operators.id = operator_id";
/// How long a token's last use may lag behind, in milliseconds.
const USED_EVERY_MS: i64 = 60_000;

impl Store {
    /// Keeps a new token of `operator`.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn create_token(
        &self,
        token_sha256: &str,
        operator: OperatorId,
        token: &TokenInfo,
        entry: &AuditEntry,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        sqlx::query(
            "INSERT INTO console_tokens (id, token_sha256, operator_id, name, sites, created_at, expires_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(token.id.as_str())
        .bind(token_sha256)
        .bind(operator.to_string())
        .bind(token.name.as_str())
        .bind(to_json(&token.sites)?)
        .bind(token.created_at.as_millis())
        .bind(token.expires_at.map(Timestamp::as_millis))
        .execute(&mut *tx)
        .await?;
        audit::append(&mut tx, entry).await?;
        tx.commit().await?;
        Ok(())
    }

    /// The token with this hash, valid or not, and whose it is; notes that it was used.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn use_token(
        &self,
        token_sha256: &str,
        now: Timestamp,
    ) -> Result<Option<(OperatorId, TokenInfo)>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM {TABLES} WHERE token_sha256 = $1");
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind(token_sha256)
            .fetch_optional(&self.pool)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let (operator, token) = read(&row)?;
        let noted = token
            .last_used_at
            .is_some_and(|used| now.millis_since(used) < USED_EVERY_MS);
        if token.is_valid(now) && !noted {
            let used = sqlx::query("UPDATE console_tokens SET last_used_at = $1 WHERE token_sha256 = $2")
                .bind(now.as_millis())
                .bind(token_sha256);
            self.note(used).await;
        }
        Ok(Some((operator, token)))
    }

    /// The tokens of an operator, or of all; newest first.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn tokens(&self, operator: Option<OperatorId>) -> Result<Vec<TokenInfo>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM {TABLES} WHERE CAST($1 AS TEXT) IS NULL OR operator_id = $1 \
             ORDER BY console_tokens.created_at DESC, console_tokens.id DESC"
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(operator.map(|id| id.to_string()))
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(|row| Ok(read(row)?.1)).collect()
    }

    /// Revokes a token; of this operator only, where one is given. `false` when there is none that still opens.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn revoke_token(
        &self,
        id: &str,
        operator: Option<OperatorId>,
        now: Timestamp,
        entry: &AuditEntry,
    ) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let revoked = sqlx::query(
            "UPDATE console_tokens SET revoked_at = $1 \
             WHERE id = $2 AND (CAST($3 AS TEXT) IS NULL OR operator_id = $3) AND revoked_at IS NULL",
        )
        .bind(now.as_millis())
        .bind(id)
        .bind(operator.map(|id| id.to_string()))
        .execute(&mut *tx)
        .await?;
        if revoked.rows_affected() == 0 {
            return Ok(false);
        }
        audit::append(&mut tx, entry).await?;
        tx.commit().await?;
        Ok(true)
    }
}

fn read(row: &AnyRow) -> Result<(OperatorId, TokenInfo), StoreError> {
    const TABLE: &str = "console_tokens";
    let operator: String = row.try_get("operator")?;
    let token = TokenInfo {
        id: row.try_get("id")?,
        operator: OperatorName::try_from(operator).map_err(|error| unreadable(TABLE, &error.to_string()))?,
        name: row.try_get("name")?,
        sites: from_json(&row.try_get::<String, _>("sites")?)?,
        created_at: Timestamp::from_millis(row.try_get("created_at")?),
        expires_at: moment(row, "expires_at")?,
        last_used_at: moment(row, "last_used_at")?,
        revoked_at: moment(row, "revoked_at")?,
    };
    Ok((parse(TABLE, &row.try_get::<String, _>("operator_id")?)?, token))
}
