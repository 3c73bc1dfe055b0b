//! Makes logs whole: once a run has ended, what its workflow could not send is filled in from GitHub's own log.

use super::{BEAT, Reconciler, WORTH_ASKING_MS};
use crate::domain::{Attempt, Deploy, Timestamp, gaps};
use crate::server::clock;
use crate::server::github::JobLogs;
use crate::server::mask;
use crate::server::store::{StoreError, Streamed};
use std::collections::HashMap;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// A workflow has so long to send what it still has; the action gives up sooner. In milliseconds.
const SENDERS_END_MS: i64 = 60_000;
/// For a log in which nothing came: GitHub takes a moment to put a job's log where it can be read.
const SOON_MS: i64 = 5_000;
/// For so long "not found" may mean "not there yet".
const NOT_YET_MS: i64 = 10 * 60_000;
/// The first and the longest wait before GitHub is asked again.
const WAIT_MS: i64 = 15_000;
const CEILING_MS: i64 = 30 * 60_000;

/// When to ask again, and how long that wait is.
pub(super) type Later = HashMap<Attempt, (Timestamp, i64)>;

impl Reconciler {
    /// Makes logs whole until told to stop.
    pub async fn run_logs(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            if let Some(Err(error)) = stop.run_until_cancelled(self.fill_logs(clock::now())).await {
                tracing::warn!(%error, "a log could not be made whole; trying again");
            }
            let _stopped = stop.run_until_cancelled(sleep(BEAT)).await;
        }
    }

    /// Makes whole, one after the other, every log that is due at `now`. Returns how many it is done with.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn fill_logs(&self, now: Timestamp) -> Result<usize, StoreError> {
        let mut later = self.later.lock().await;
        let open = self.store.logs_to_fill(now.as_millis() - WORTH_ASKING_MS).await?;
        later.retain(|attempt, _| open.iter().any(|(deploy, _)| deploy.attempt() == *attempt));
        let mut done = 0;
        for (deploy, bytes) in open {
            let attempt = deploy.attempt();
            let due = later
                .get(&attempt)
                .map_or_else(|| first_look(&deploy, bytes), |(due, _)| Some(*due));
            if due.is_none_or(|due| due > now) {
                continue;
            }
            let filled = self.fill_log(&deploy, now).await.unwrap_or_else(|error| {
                tracing::warn!(deploy = %deploy.id, %error, "its log could not be made whole; trying again");
                false
            });
            if filled {
                done += 1;
            } else {
                let wait = later
                    .get(&attempt)
                    .map_or(WAIT_MS, |(_, wait)| (wait * 2).min(CEILING_MS));
                later.insert(attempt, (now.plus_millis(wait), wait));
            }
        }
        Ok(done)
    }

    /// The log with what was missing. Long logs take their time, which is not the other tasks'.
    async fn filled(&self, streamed: &Streamed, job: JobLogs) -> Option<String> {
        // Of jobs that ran side by side the lines are mixed here, and not there.
        if job.are_mixed && !streamed.text.is_empty() {
            return None;
        }
        let (secrets, streamed, mut job) = (self.mask.secrets(None), streamed.text.clone(), job.text);
        let filled = tokio::task::spawn_blocking(move || {
            mask::clean([&mut job], &secrets);
            gaps::fill(&streamed, &job)
        });
        filled.await.unwrap_or_else(|error| {
            tracing::error!(%error, "a log could not be made whole");
            None
        })
    }

    /// Whether nothing more is to be done about it.
    async fn fill_log(&self, deploy: &Deploy, now: Timestamp) -> Result<bool, StoreError> {
        let attempt = deploy.attempt();
        let site = self.sites.iter().find(|site| site.slug == deploy.site);
        let (Some(site), Some(run_id), Some(ended)) = (site, deploy.run_id, deploy.concluded_at) else {
            return Ok(false);
        };
        let job = match self.github.logs(site, run_id, attempt.number, now).await {
            Ok(job) => job,
            Err(error) => {
                tracing::warn!(deploy = %deploy.id, %error, "its job's log could not be read");
                return Ok(false);
            }
        };
        if job.is_none() && now.millis_since(ended) < NOT_YET_MS {
            return Ok(false);
        }
        let streamed = self.store.streamed_log(attempt).await?;
        let text = match job {
            Some(job) => self.filled(&streamed, job).await,
            None => None,
        };
        self.store.make_log_whole(attempt, &streamed, text.as_deref()).await
    }
}

/// When an attempt that has ended has nothing more to send, and GitHub its jobs' logs.
fn first_look(deploy: &Deploy, bytes: u64) -> Option<Timestamp> {
    let patience = if bytes == 0 { SOON_MS } else { SENDERS_END_MS };
    Some(deploy.concluded_at?.plus_millis(patience))
}
