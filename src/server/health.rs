//! Asks each site how it is.

use super::clock;
use super::store::Store;
use crate::domain::{HealthStatus, Site};
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// How long a site may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks every site that declares a health address, every `period`, until told to stop.
pub async fn watch(store: Store, sites: Vec<Site>, period: Duration, stop: CancellationToken) {
    let Ok(http) = reqwest::Client::builder().timeout(PATIENCE).build() else {
        tracing::error!("no HTTP client for health checks; health stays unknown");
        return;
    };
    let mut beat = interval(period);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(beat.tick()).await.is_some() {
        let mut asking = tokio::task::JoinSet::new();
        for site in sites.iter().filter(|site| site.health_url.is_some()) {
            asking.spawn(ask(store.clone(), http.clone(), site.clone()));
        }
        asking.join_all().await;
    }
}

async fn ask(store: Store, http: reqwest::Client, site: Site) {
    let Some(url) = &site.health_url else { return };
    let (status, detail) = match http.get(url).send().await {
        Ok(response) if response.status().is_success() => (HealthStatus::Healthy, None),
        Ok(response) => (HealthStatus::Unhealthy, Some(response.status().to_string())),
        Err(error) if error.is_timeout() => (HealthStatus::Unhealthy, Some("no answer within 5 s".to_owned())),
        Err(_) => (HealthStatus::Unhealthy, Some("cannot be reached".to_owned())),
    };
    if let Err(error) = store
        .record_health(site.slug.as_str(), status, detail.as_deref(), clock::now())
        .await
    {
        tracing::warn!(site = %site.slug, %error, "its health could not be recorded");
    }
}
