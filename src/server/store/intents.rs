//! Recording an intent: the row that exists before anything else happens.

use super::audit::{self, AuditEntry};
use super::rows::{DEPLOY_COLUMNS, parse, read_deploy, to_json};
use super::{Store, StoreError, TRIES, changes};
use crate::domain::{Actor, Deploy, DeployId, State, Timestamp};
use sqlx::{Any, AssertSqlSafe, Row, Transaction};

/// A deploy that somebody asks for.
#[derive(Debug, Clone)]
pub struct Intent {
    /// The deploy, in `requested`.
    pub deploy: Deploy,
    /// The caller's key, so that the same request sent twice makes one deploy.
    pub idempotency_key: Option<String>,
    /// Lower-case hex of the SHA-256 of the request, to tell a retry from another request under the same key.
    pub request_sha256: String,
    /// What the audit trail says of it.
    pub entry: AuditEntry,
}

/// What became of an intent.
#[derive(Debug, Clone)]
pub enum Recorded {
    /// It is on record.
    Created,
    /// The same request made this deploy before.
    Again(Box<Deploy>),
    /// The key was used for another request, which made this deploy.
    OtherRequest(DeployId),
    /// The site has an active deploy: this one.
    SiteTaken(DeployId),
    /// The operator has asked for too many in the last minute.
    TooMany,
}

impl Store {
    /// Writes the intent, its first event, its audit entry and the site's active slot in one transaction, or says
    /// why not.
    ///
    /// `most_a_minute` bounds how many deploys one operator may ask for in sixty seconds.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails; then nothing was written.
    pub async fn record_intent(&self, intent: &Intent, most_a_minute: i64) -> Result<Recorded, StoreError> {
        for _ in 0..TRIES {
            match self.try_intent(intent, most_a_minute).await {
                // Another request took the slot or the key in between: look again, and say which.
                Err(StoreError::Database(sqlx::Error::Database(error))) if error.is_unique_violation() => {}
                outcome => return outcome,
            }
        }
        Err(super::contended())
    }

    async fn try_intent(&self, intent: &Intent, most_a_minute: i64) -> Result<Recorded, StoreError> {
        let mut tx = self.begin().await?;
        if let Some(earlier) = same_key(&mut tx, intent).await? {
            return Ok(earlier);
        }
        if let Some(id) = active_deploy(&mut tx, intent).await? {
            return Ok(Recorded::SiteTaken(id));
        }
        if asked_within_a_minute(&mut tx, intent).await? >= most_a_minute {
            return Ok(Recorded::TooMany);
        }
        insert(&mut tx, intent).await?;
        let deploy = &intent.deploy;
        let by = Actor::Operator(deploy.operator.clone());
        changes::append_event(&mut tx, deploy, 0, &by, deploy.reason.as_deref(), deploy.requested_at).await?;
        audit::append(&mut tx, &intent.entry).await?;
        tx.commit().await?;
        Ok(Recorded::Created)
    }
}

async fn same_key(tx: &mut Transaction<'_, Any>, intent: &Intent) -> Result<Option<Recorded>, StoreError> {
    let Some(key) = &intent.idempotency_key else {
        return Ok(None);
    };
    let sql = format!(
        "SELECT {DEPLOY_COLUMNS}, request_sha256 FROM console_deploys WHERE operator = $1 AND idempotency_key = $2"
    );
    let query = sqlx::query(AssertSqlSafe(sql))
        .bind(intent.deploy.operator.as_str())
        .bind(key.as_str());
    let Some(row) = query.fetch_optional(&mut **tx).await? else {
        return Ok(None);
    };
    let deploy = read_deploy(&row)?.deploy;
    if row.try_get::<String, _>("request_sha256")? == intent.request_sha256 {
        return Ok(Some(Recorded::Again(Box::new(deploy))));
    }
    Ok(Some(Recorded::OtherRequest(deploy.id)))
}

async fn active_deploy(tx: &mut Transaction<'_, Any>, intent: &Intent) -> Result<Option<DeployId>, StoreError> {
    // A re-run that is under way holds its site as well. GitHub does not ask us before it begins one, so no index can.
    let row = sqlx::query(
        "SELECT id FROM console_deploys WHERE site = $1 AND active = 1 \
         UNION ALL SELECT d.id FROM console_attempts a JOIN console_deploys d ON d.id = a.deploy_id \
         WHERE a.active = 1 AND d.site = $1",
    )
    .bind(intent.deploy.site.as_str())
    .fetch_optional(&mut **tx)
    .await?;
    row.map(|row| parse("console_deploys", &row.try_get::<String, _>("id")?))
        .transpose()
}

async fn asked_within_a_minute(tx: &mut Transaction<'_, Any>, intent: &Intent) -> Result<i64, StoreError> {
    let since: Timestamp = intent.deploy.requested_at.plus_millis(-60_000);
    let row = sqlx::query("SELECT COUNT(*) AS asked FROM console_deploys WHERE operator = $1 AND requested_at > $2")
        .bind(intent.deploy.operator.as_str())
        .bind(since.as_millis())
        .fetch_one(&mut **tx)
        .await?;
    Ok(row.try_get("asked")?)
}

/// The partial unique index is what guards the site's slot; the look-up before it only finds the words for a refusal.
async fn insert(tx: &mut Transaction<'_, Any>, intent: &Intent) -> Result<(), StoreError> {
    let deploy = &intent.deploy;
    sqlx::query(
        "INSERT INTO console_deploys (id, site, environment, state, active, operator, reason, git_ref, inputs, \
         requested_at, cancel_requested, conclusion_conflict, traces, idempotency_key, request_sha256) \
         VALUES ($1, $2, $3, $4, 1, $5, $6, $7, $8, $9, 0, 0, '[]', $10, $11)",
    )
    .bind(deploy.id.to_string())
    .bind(deploy.site.as_str())
    .bind(deploy.environment.as_str())
    .bind(State::Requested.as_str())
    .bind(deploy.operator.as_str())
    .bind(deploy.reason.as_deref())
    .bind(deploy.git_ref.as_str())
    .bind(to_json(&deploy.inputs)?)
    .bind(deploy.requested_at.as_millis())
    .bind(intent.idempotency_key.as_deref())
    .bind(intent.request_sha256.as_str())
    .execute(&mut **tx)
    .await?;
    Ok(())
}
