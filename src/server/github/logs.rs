//! The logs of a run's jobs, which GitHub gives once they have ended.
//!
//! Source: <https://docs.github.com/en/rest/actions/workflow-jobs#download-job-logs-for-a-workflow-run>.

use super::reason::without_time;
use super::shapes::{Job, Jobs};
use super::{Github, LookupFailed};
use crate::domain::{Site, Timestamp};

/// The longest log of a job that is looked through, in bytes.
const MOST_LOG: usize = 16 * 1024 * 1024;

impl Github {
    /// The logs of the jobs of an attempt, one after the other, without the times in front of each line. `None` when
    /// GitHub has them no more, or they are too long.
    ///
    /// # Errors
    /// [`LookupFailed`] when GitHub gives no usable answer.
    pub async fn logs(
        &self,
        site: &Site,
        run_id: i64,
        attempt: i64,
        now: Timestamp,
    ) -> Result<Option<String>, LookupFailed> {
        let path = format!(
            "/repos/{}/actions/runs/{run_id}/attempts/{attempt}/jobs",
            site.repository
        );
        let Jobs { mut jobs } = self.get(&path, &[("per_page", "100")], now).await?;
        jobs.retain(Job::has_begun);
        jobs.sort_by_key(|job| (job.started_at, job.id));
        let mut all = String::new();
        for job in jobs {
            let path = format!("/repos/{}/actions/jobs/{}/logs", site.repository, job.id);
            let log = match self.read_text(&path, now, MOST_LOG).await {
                Ok(log) => log,
                Err(failed) if failed.is_gone => return Ok(None),
                Err(failed) => return Err(failed),
            };
            if !log.is_whole || all.len() + log.end.len() > MOST_LOG {
                return Ok(None);
            }
            all.extend(log.end.split_inclusive('\n').map(without_time));
        }
        Ok(Some(all))
    }
}
