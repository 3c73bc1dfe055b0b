//! What each site's health address last said.

use super::{Store, StoreError};
use crate::domain::{Health, HealthStatus, Timestamp};
use sqlx::Row;
use std::collections::HashMap;

impl Store {
    /// Records a finding. `since` moves only when the status changes.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn record_health(
        &self,
        site: &str,
        status: HealthStatus,
        detail: Option<&str>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO console_site_health (site, status, detail, since) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (site) DO UPDATE SET detail = excluded.detail, status = excluded.status, \
             since = CASE WHEN console_site_health.status = excluded.status \
                     THEN console_site_health.since ELSE excluded.since END",
        )
        .bind(site)
        .bind(status.as_str())
        .bind(detail)
        .bind(at.as_millis())
        .execute(&self.writing)
        .await?;
        Ok(())
    }

    /// The last finding of every site that was asked, by slug.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn health_of_sites(&self) -> Result<HashMap<String, Health>, StoreError> {
        let rows = sqlx::query("SELECT site, status, detail, since FROM console_site_health")
            .fetch_all(&self.pool)
            .await?;
        rows.iter()
            .map(|row| {
                let healthy = row.try_get::<String, _>("status")? == HealthStatus::Healthy.as_str();
                let health = Health {
                    status: if healthy {
                        HealthStatus::Healthy
                    } else {
                        HealthStatus::Unhealthy
                    },
                    detail: row.try_get("detail")?,
                    since: Some(Timestamp::from_millis(row.try_get("since")?)),
                };
                Ok((row.try_get("site")?, health))
            })
            .collect()
    }
}
