//! Keeps logs only as long as, and only as many as, `[retention]` says. The record of a deploy is kept for ever; where
//! its log stood, a line says that it was dropped.

use super::clock;
use super::store::{Store, StoreError};
use crate::domain::Timestamp;
use std::time::Duration;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// How often it looks.
const EVERY: Duration = Duration::from_mins(10);
/// How many logs are dropped in one look.
const MOST_AT_ONCE: i64 = 500;

/// For how long, and how many, logs are kept. What is not given is not limited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retention {
    /// `log_age`: for so long after a deploy has ended, in milliseconds.
    pub age_ms: Option<i64>,
    /// `log_total_mib`: all of them together, in bytes; the oldest go first.
    pub total_bytes: Option<u64>,
}

/// Keeps to it until told to stop.
pub async fn keep(store: Store, retention: Retention, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let looked = stop.run_until_cancelled(step(&store, retention, clock::now())).await;
        if let Some(Err(error)) = looked {
            tracing::warn!(%error, "logs that are kept no longer could not be dropped; trying again");
        }
        let _stopped = stop.run_until_cancelled(sleep(EVERY)).await;
    }
}

/// Drops the logs that are kept no longer at `now`; returns how many.
///
/// # Errors
/// [`StoreError`] when the database fails.
pub async fn step(store: &Store, retention: Retention, now: Timestamp) -> Result<usize, StoreError> {
    let mut dropped = 0;
    if let Some(age) = retention.age_ms {
        for (attempt, _) in store
            .logs_that_ended_before(now.as_millis() - age, MOST_AT_ONCE)
            .await?
        {
            store.prune_log(attempt).await?;
            dropped += 1;
        }
    }
    if let Some(most) = retention.total_bytes {
        let mut total = store.bytes_of_logs().await?;
        for (attempt, bytes) in store.logs_that_ended_before(now.as_millis(), MOST_AT_ONCE).await? {
            if total <= most {
                break;
            }
            store.prune_log(attempt).await?;
            total = total.saturating_sub(bytes);
            dropped += 1;
        }
    }
    // Also what an earlier process left.
    for attempt in store.logs_to_sweep().await? {
        while store.sweep_log(attempt).await? {}
    }
    if dropped > 0 {
        tracing::info!(dropped, "logs that are kept no longer were dropped");
    }
    Ok(dropped)
}
