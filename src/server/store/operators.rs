//! Who may come in: operators, and the one-time links by which they set a password.

use super::audit::{self, AuditEntry};
use super::rows::{moment, parse, unreadable};
use super::{Store, StoreError};
use crate::domain::{Operator, OperatorId, OperatorName, Role, SignInWay, Timestamp};
use sqlx::any::AnyRow;
use sqlx::{Any, AssertSqlSafe, Row, Transaction};

const COLUMNS: &str = "id, name, role, password, issuer, created_at, disabled_at";

/// An operator, and what their password is checked against.
#[derive(Clone)]
pub struct Account {
    /// The operator.
    pub operator: Operator,
    /// PHC string of argon2id; `None` while no password is set.
    pub password: Option<String>,
}

/// Somebody new.
pub struct NewOperator {
    /// Their id.
    pub id: OperatorId,
    /// What they are called.
    pub name: OperatorName,
    /// What they may do.
    pub role: Role,
    /// PHC string of argon2id, where they have a password already.
    pub password: Option<String>,
    /// Issuer and subject, where an OpenID provider vouches for them.
    pub identity: Option<(String, String)>,
    /// Since when.
    pub at: Timestamp,
}

/// A one-time link.
#[derive(Debug, Clone)]
pub struct Link {
    /// Lower-case hex of the SHA-256 of what stands in the link.
    pub token_sha256: String,
    /// For whom; `None` for the first admin, who does not exist yet.
    pub operator: Option<OperatorId>,
    /// From when.
    pub at: Timestamp,
    /// Until when.
    pub expires_at: Timestamp,
}

/// Why an operator was not changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unchanged {
    /// There is none by this id.
    Unknown,
    /// Nobody would be left who can let others in.
    LastAdmin,
    /// The name is somebody else's.
    NameTaken,
}

impl Store {
    /// Every operator, by name.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn operators(&self) -> Result<Vec<Operator>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM console_operators ORDER BY name_key");
        let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&self.pool).await?;
        rows.iter().map(|row| Ok(read(row)?.operator)).collect()
    }

    /// The account with this name, in any case of letters.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn account(&self, name: &OperatorName) -> Result<Option<Account>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM console_operators WHERE name_key = $1");
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind(name.key())
            .fetch_optional(&self.pool)
            .await?;
        row.as_ref().map(read).transpose()
    }

    /// The operator with this id.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn operator(&self, id: OperatorId) -> Result<Option<Account>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM console_operators WHERE id = $1");
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind(id.to_string())
            .fetch_optional(&self.pool)
            .await?;
        row.as_ref().map(read).transpose()
    }

    /// The operator that this OpenID provider knows as this subject.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn operator_by_identity(&self, issuer: &str, subject: &str) -> Result<Option<Operator>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM console_operators WHERE issuer = $1 AND subject = $2");
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind(issuer)
            .bind(subject)
            .fetch_optional(&self.pool)
            .await?;
        row.as_ref().map(|row| Ok(read(row)?.operator)).transpose()
    }

    /// Whether nobody can come in yet.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn has_no_operator(&self) -> Result<bool, StoreError> {
        let row = sqlx::query("SELECT COUNT(*) AS known FROM console_operators")
            .fetch_one(&self.pool)
            .await?;
        Ok(row.try_get::<i64, _>("known")? == 0)
    }

    /// Puts somebody on the list, with a link to set a password where one is given.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails. The inner error says why nothing changed.
    pub async fn add_operator(
        &self,
        new: &NewOperator,
        link: Option<&Link>,
        entry: &AuditEntry,
    ) -> Result<Result<(), Unchanged>, StoreError> {
        let mut tx = self.begin().await?;
        match insert(&mut tx, new).await {
            Err(StoreError::Database(sqlx::Error::Database(error))) if error.is_unique_violation() => {
                return Ok(Err(Unchanged::NameTaken));
            }
            inserted => inserted?,
        }
        if let Some(link) = link {
            put_link(&mut tx, link).await?;
        }
        audit::append(&mut tx, entry).await?;
        tx.commit().await?;
        Ok(Ok(()))
    }

    /// Changes what an operator may do.
    ///
    /// # Errors
    /// As [`Self::add_operator`].
    pub async fn set_role(
        &self,
        id: OperatorId,
        role: Role,
        entry: &AuditEntry,
    ) -> Result<Result<(), Unchanged>, StoreError> {
        let mut tx = self.begin().await?;
        if role != Role::Admin && !others_admin(&mut tx, id).await? {
            return Ok(Err(Unchanged::LastAdmin));
        }
        if !put_role(&mut tx, id, role).await? {
            return Ok(Err(Unchanged::Unknown));
        }
        audit::append(&mut tx, entry).await?;
        tx.commit().await?;
        Ok(Ok(()))
    }

    /// Changes what an operator may do because the OpenID provider says so.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn set_role_from_provider(
        &self,
        id: OperatorId,
        role: Role,
        entry: &AuditEntry,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        put_role(&mut tx, id, role).await?;
        audit::append(&mut tx, entry).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Keeps an operator out from `at` on, and ends their sessions; lets them in again with `None`.
    ///
    /// # Errors
    /// As [`Self::add_operator`].
    pub async fn set_disabled(
        &self,
        id: OperatorId,
        at: Option<Timestamp>,
        entry: &AuditEntry,
    ) -> Result<Result<(), Unchanged>, StoreError> {
        let mut tx = self.begin().await?;
        if at.is_some() && !others_admin(&mut tx, id).await? {
            return Ok(Err(Unchanged::LastAdmin));
        }
        let changed = sqlx::query("UPDATE console_operators SET disabled_at = $1 WHERE id = $2")
            .bind(at.map(Timestamp::as_millis))
            .bind(id.to_string())
            .execute(&mut *tx)
            .await?;
        if changed.rows_affected() == 0 {
            return Ok(Err(Unchanged::Unknown));
        }
        end_every_session(&mut tx, id).await?;
        audit::append(&mut tx, entry).await?;
        tx.commit().await?;
        Ok(Ok(()))
    }

    /// Gives out a link; earlier ones for the same operator open nothing any more.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn issue_link(&self, link: &Link, entry: &AuditEntry) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        put_link(&mut tx, link).await?;
        audit::append(&mut tx, entry).await?;
        tx.commit().await?;
        Ok(())
    }

    /// The link, while it can be used: not expired, not used.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn link(&self, token_sha256: &str, now: Timestamp) -> Result<Option<Link>, StoreError> {
        let row = sqlx::query(
            "SELECT operator_id, created_at, expires_at FROM console_links \
             WHERE token_sha256 = $1 AND expires_at > $2",
        )
        .bind(token_sha256)
        .bind(now.as_millis())
        .fetch_optional(&self.pool)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let operator: Option<String> = row.try_get("operator_id")?;
        Ok(Some(Link {
            token_sha256: token_sha256.to_owned(),
            operator: operator.map(|id| parse("console_links", &id)).transpose()?,
            at: Timestamp::from_millis(row.try_get("created_at")?),
            expires_at: Timestamp::from_millis(row.try_get("expires_at")?),
        }))
    }

    /// Uses up a link and sets its operator's password; their sessions end. `false` when it was used meanwhile.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn redeem_link(&self, link: &Link, password: &str, entry: &AuditEntry) -> Result<bool, StoreError> {
        let Some(id) = link.operator else { return Ok(false) };
        let mut tx = self.begin().await?;
        if !use_up(&mut tx, link).await? {
            return Ok(false);
        }
        set_password(&mut tx, id, password).await?;
        audit::append(&mut tx, entry).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Uses up the set-up link and makes the first admin. `false` when it was used meanwhile, or somebody is there.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn redeem_set_up(
        &self,
        link: &Link,
        first: &NewOperator,
        entry: &AuditEntry,
    ) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let known = sqlx::query("SELECT COUNT(*) AS known FROM console_operators")
            .fetch_one(&mut *tx)
            .await?;
        if known.try_get::<i64, _>("known")? != 0 || !use_up(&mut tx, link).await? {
            return Ok(false);
        }
        insert(&mut tx, first).await?;
        audit::append(&mut tx, entry).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Sets a password; every session of its operator ends.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn change_password(&self, id: OperatorId, password: &str, entry: &AuditEntry) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        set_password(&mut tx, id, password).await?;
        audit::append(&mut tx, entry).await?;
        tx.commit().await?;
        Ok(())
    }
}

async fn insert(tx: &mut Transaction<'_, Any>, new: &NewOperator) -> Result<(), StoreError> {
    let (issuer, subject) = new.identity.clone().unzip();
    sqlx::query(
        "INSERT INTO console_operators (id, name, name_key, role, password, issuer, subject, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(new.id.to_string())
    .bind(new.name.as_str())
    .bind(new.name.key())
    .bind(new.role.as_str())
    .bind(new.password.as_deref())
    .bind(issuer)
    .bind(subject)
    .bind(new.at.as_millis())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn put_role(tx: &mut Transaction<'_, Any>, id: OperatorId, role: Role) -> Result<bool, StoreError> {
    let changed = sqlx::query("UPDATE console_operators SET role = $1 WHERE id = $2")
        .bind(role.as_str())
        .bind(id.to_string())
        .execute(&mut **tx)
        .await?;
    Ok(changed.rows_affected() == 1)
}

async fn put_link(tx: &mut Transaction<'_, Any>, link: &Link) -> Result<(), StoreError> {
    let operator = link.operator.map(|id| id.to_string());
    sqlx::query(
        "DELETE FROM console_links WHERE operator_id = $1 OR (operator_id IS NULL AND CAST($1 AS TEXT) IS NULL)",
    )
    .bind(operator.as_deref())
    .execute(&mut **tx)
    .await?;
    sqlx::query(
        "INSERT INTO console_links (token_sha256, operator_id, created_at, expires_at) VALUES ($1, $2, $3, $4)",
    )
    .bind(link.token_sha256.as_str())
    .bind(operator)
    .bind(link.at.as_millis())
    .bind(link.expires_at.as_millis())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn use_up(tx: &mut Transaction<'_, Any>, link: &Link) -> Result<bool, StoreError> {
    let used = sqlx::query("DELETE FROM console_links WHERE token_sha256 = $1")
        .bind(link.token_sha256.as_str())
        .execute(&mut **tx)
        .await?;
    Ok(used.rows_affected() == 1)
}

async fn set_password(tx: &mut Transaction<'_, Any>, id: OperatorId, password: &str) -> Result<(), StoreError> {
    sqlx::query("UPDATE console_operators SET password = $1 WHERE id = $2")
        .bind(password)
        .bind(id.to_string())
        .execute(&mut **tx)
        .await?;
    end_every_session(tx, id).await
}

/// A browser that is signed in, or is known, must be so anew.
async fn end_every_session(tx: &mut Transaction<'_, Any>, id: OperatorId) -> Result<(), StoreError> {
    for sql in [
        "DELETE FROM console_sessions WHERE operator_id = $1",
        "DELETE FROM console_devices WHERE operator_id = $1",
    ] {
        sqlx::query(sql).bind(id.to_string()).execute(&mut **tx).await?;
    }
    Ok(())
}

/// Whether somebody else can let people in.
async fn others_admin(tx: &mut Transaction<'_, Any>, id: OperatorId) -> Result<bool, StoreError> {
    let row = sqlx::query(
        "SELECT COUNT(*) AS others FROM console_operators WHERE role = 'admin' AND disabled_at IS NULL AND id <> $1",
    )
    .bind(id.to_string())
    .fetch_one(&mut **tx)
    .await?;
    Ok(row.try_get::<i64, _>("others")? > 0)
}

fn read(row: &AnyRow) -> Result<Account, StoreError> {
    const TABLE: &str = "console_operators";
    let (name, role): (String, String) = (row.try_get("name")?, row.try_get("role")?);
    let password: Option<String> = row.try_get("password")?;
    let issuer: Option<String> = row.try_get("issuer")?;
    let sign_in = match (&issuer, &password) {
        (Some(_), _) => SignInWay::Provider,
        (None, Some(_)) => SignInWay::Password,
        (None, None) => SignInWay::Invited,
    };
    let operator = Operator {
        id: parse(TABLE, &row.try_get::<String, _>("id")?)?,
        name: OperatorName::try_from(name).map_err(|error| unreadable(TABLE, &error.to_string()))?,
        role: parse(TABLE, &role)?,
        sign_in,
        created_at: Timestamp::from_millis(row.try_get("created_at")?),
        disabled_at: moment(row, "disabled_at")?,
    };
    Ok(Account { operator, password })
}
