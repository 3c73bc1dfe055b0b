//! What GitHub is told of deploys as deployments, and how far that came.

use super::rows::{DEPLOY_COLUMNS, moment, parse, read_deploy, unreadable};
use super::{Store, StoreError};
use crate::domain::{Deploy, DeployId, DeploymentState, GithubDeployment, Slug, Timestamp};
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

const TABLE: &str = "console_github_deployments";

/// A deploy of which GitHub is told, and how far that came.
#[derive(Debug, Clone)]
pub struct Followed {
    /// The deploy as it stands.
    pub deploy: Deploy,
    /// When the console first set out to create the deployment: since then GitHub may have it.
    pub begun_at: Option<Timestamp>,
    /// GitHub's id of the deployment.
    pub deployment: Option<i64>,
    /// The newest state that GitHub took.
    pub told: Option<DeploymentState>,
    /// Calls that failed in a row.
    pub tries: u32,
    /// Since when they fail.
    pub failing_since: Option<Timestamp>,
    next_at: i64,
}

/// A call that came to nothing.
#[derive(Debug, Clone)]
pub struct Setback {
    /// Why.
    pub problem: String,
    /// How many failed in a row, with this one.
    pub tries: u32,
    /// Since when they fail.
    pub since: Timestamp,
    /// When to try again; `None` for never.
    pub again_at: Option<Timestamp>,
}

impl Store {
    /// Every active deploy that is not followed, with its site.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn active_and_not_followed(&self) -> Result<Vec<(DeployId, Slug)>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, site FROM console_deploys WHERE active = 1 \
             AND NOT EXISTS (SELECT 1 FROM console_github_deployments WHERE deploy_id = id)",
        )
        .fetch_all(&self.pool)
        .await?;
        rows.iter()
            .map(|row| {
                let id = parse("console_deploys", &row.try_get::<String, _>("id")?)?;
                Ok((id, parse("console_deploys", &row.try_get::<String, _>("site")?)?))
            })
            .collect()
    }

    /// Follows a deploy from now on.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn follow(&self, id: DeployId, at: Timestamp) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO console_github_deployments (deploy_id, next_at) VALUES ($1, $2) \
             ON CONFLICT (deploy_id) DO NOTHING",
        )
        .bind(id.to_string())
        .bind(at.as_millis())
        .execute(&self.writing)
        .await?;
        Ok(())
    }

    /// Every deploy that is followed and may be looked at, oldest first.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn followed(&self, now: Timestamp) -> Result<Vec<Followed>, StoreError> {
        let sql = format!(
            "SELECT {DEPLOY_COLUMNS}, begun_at, deployment_id, told_state, tries, failing_since, next_at \
             FROM console_github_deployments JOIN console_deploys ON id = deploy_id \
             WHERE closed = 0 AND next_at <= $1 ORDER BY id"
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(now.as_millis())
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(read_followed).collect()
    }

    /// Claims the next call about a deploy, before it leaves: nobody else makes one before `until`. `false` when
    /// somebody else was quicker.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails; then the call must not be made.
    pub async fn claim_telling(
        &self,
        followed: &Followed,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        let claimed = sqlx::query(
            "UPDATE console_github_deployments SET begun_at = COALESCE(begun_at, $1), next_at = $2 \
             WHERE deploy_id = $3 AND next_at = $4 AND closed = 0",
        )
        .bind(now.as_millis())
        .bind(until.as_millis())
        .bind(followed.deploy.id.to_string())
        .bind(followed.next_at)
        .execute(&self.writing)
        .await?;
        Ok(claimed.rows_affected() == 1)
    }

    /// GitHub has a deployment for this deploy.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn record_deployment(&self, id: DeployId, deployment: i64) -> Result<(), StoreError> {
        sqlx::query("UPDATE console_github_deployments SET deployment_id = $1 WHERE deploy_id = $2")
            .bind(deployment)
            .bind(id.to_string())
            .execute(&self.writing)
            .await?;
        Ok(())
    }

    /// GitHub took this state. After the last one there is nothing more to tell.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn record_told(&self, id: DeployId, state: DeploymentState, at: Timestamp) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE console_github_deployments SET told_state = $1, tries = 0, failing_since = NULL, problem = NULL, \
             next_at = $2, closed = $3 WHERE deploy_id = $4",
        )
        .bind(state.as_str())
        .bind(at.as_millis())
        .bind(i64::from(state.is_end()))
        .bind(id.to_string())
        .execute(&self.writing)
        .await?;
        Ok(())
    }

    /// GitHub did not take it.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn record_setback(&self, id: DeployId, setback: &Setback) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE console_github_deployments SET problem = $1, tries = $2, failing_since = $3, \
             next_at = COALESCE($4, next_at), closed = $5 WHERE deploy_id = $6",
        )
        .bind(setback.problem.as_str())
        .bind(i64::from(setback.tries))
        .bind(setback.since.as_millis())
        .bind(setback.again_at.map(Timestamp::as_millis))
        .bind(i64::from(setback.again_at.is_none()))
        .bind(id.to_string())
        .execute(&self.writing)
        .await?;
        Ok(())
    }

    /// There is nothing more to tell.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn unfollow(&self, id: DeployId) -> Result<(), StoreError> {
        sqlx::query("UPDATE console_github_deployments SET closed = 1 WHERE deploy_id = $1")
            .bind(id.to_string())
            .execute(&self.writing)
            .await?;
        Ok(())
    }

    /// What GitHub was told of a deploy; `None` when nobody set out to.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn github_deployment(&self, id: DeployId) -> Result<Option<GithubDeployment>, StoreError> {
        let row = sqlx::query(
            "SELECT deployment_id, told_state, problem FROM console_github_deployments \
             WHERE deploy_id = $1 AND begun_at IS NOT NULL",
        )
        .bind(id.to_string())
        .fetch_optional(&self.pool)
        .await?;
        let read = |row: &AnyRow| {
            Ok(GithubDeployment {
                id: row.try_get("deployment_id")?,
                state: told(row)?,
                problem: row.try_get("problem")?,
            })
        };
        row.as_ref().map(read).transpose()
    }
}

fn read_followed(row: &AnyRow) -> Result<Followed, StoreError> {
    Ok(Followed {
        deploy: read_deploy(row)?.deploy,
        begun_at: moment(row, "begun_at")?,
        deployment: row.try_get("deployment_id")?,
        told: told(row)?,
        tries: u32::try_from(row.try_get::<i64, _>("tries")?).unwrap_or(u32::MAX),
        failing_since: moment(row, "failing_since")?,
        next_at: row.try_get("next_at")?,
    })
}

fn told(row: &AnyRow) -> Result<Option<DeploymentState>, StoreError> {
    let word: Option<String> = row.try_get("told_state")?;
    word.map(|word| DeploymentState::from_word(&word).ok_or_else(|| unreadable(TABLE, &word)))
        .transpose()
}
