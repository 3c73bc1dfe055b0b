//! Claims: which instance of the console makes the one call of a deploy.

use super::changes::Along;
use super::engine::is_held;
use super::rows::parse;
use super::{Instance, Store, StoreError};
use crate::domain::{Deploy, DeployId, Effect, Event, Timestamp};
use sqlx::{Any, Row, Transaction};

const TABLE: &str = "console_deploys";

impl Store {
    /// Claims an intent for `instance`. [`Effect::Moved`] when the call is its to make, and nobody else's.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn claim(
        &self,
        id: DeployId,
        instance: &Instance,
        at: Timestamp,
    ) -> Result<Option<(Effect, Deploy)>, StoreError> {
        self.change_along(id.into(), &Event::Claimed, at, Along::Claimant(instance))
            .await
    }

    /// The deploys in `dispatching` that `instance` has claimed.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn claims_of(&self, instance: &Instance) -> Result<Vec<DeployId>, StoreError> {
        let own = instance.to_string();
        let claims = self.claims().await?.into_iter();
        let claims = claims.filter(|(_, claimant)| claimant.as_deref() == Some(own.as_str()));
        Ok(claims.map(|(id, _)| id).collect())
    }

    /// The deploys in `dispatching` that were claimed by an instance which is not there any more. `instance`, which asks,
    /// is.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn abandoned_claims(&self, instance: &Instance) -> Result<Vec<DeployId>, StoreError> {
        let own = instance.to_string();
        let mut abandoned = Vec::new();
        // First who claimed, then who is there: whoever claimed was there at that moment.
        for (id, claimant) in self.claims().await? {
            if claimant.as_deref() == Some(own.as_str()) {
                continue;
            }
            let key = claimant.and_then(|key| key.parse().ok());
            let is_there = match key {
                Some(key) => is_held(self.engine, &self.pool, key).await?,
                None => false,
            };
            if !is_there {
                abandoned.push(id);
            }
        }
        Ok(abandoned)
    }

    async fn claims(&self) -> Result<Vec<(DeployId, Option<String>)>, StoreError> {
        let rows = sqlx::query("SELECT id, claimed_by FROM console_deploys WHERE active = 1 AND state = 'dispatching'")
            .fetch_all(&self.pool)
            .await?;
        let claim = |row: &sqlx::any::AnyRow| {
            let id = parse(TABLE, &row.try_get::<String, _>("id")?)?;
            Ok((id, row.try_get("claimed_by")?))
        };
        rows.iter().map(claim).collect()
    }
}

/// Writes down whose claim it is.
pub(super) async fn sign(tx: &mut Transaction<'_, Any>, id: DeployId, instance: &Instance) -> Result<(), StoreError> {
    sqlx::query("UPDATE console_deploys SET claimed_by = $1 WHERE id = $2")
        .bind(instance.to_string())
        .bind(id.to_string())
        .execute(&mut **tx)
        .await?;
    Ok(())
}
