//! The logs of a run's jobs, which GitHub gives once they have ended.
//!
//! Source: <https://docs.github.com/en/rest/actions/workflow-jobs#download-job-logs-for-a-workflow-run>.

use super::reading::Part;
use super::reason::without_time;
use super::shapes::{Job, Jobs};
use super::{Github, LookupFailed};
use crate::domain::{Site, Timestamp};

/// The longest log of a job that is looked through, in bytes.
const MOST_LOG: usize = 16 * 1024 * 1024;

/// The logs of an attempt's jobs.
#[derive(Debug, Clone)]
pub struct JobLogs {
    /// One after the other, in the order in which the jobs began, without the times in front of each line.
    pub text: String,
    /// Whether some ran side by side: then what was streamed of them is mixed.
    pub are_mixed: bool,
}

impl Github {
    /// The logs of the jobs of an attempt. `None` when GitHub has one no more, or they are too long.
    ///
    /// # Errors
    /// [`LookupFailed`] when GitHub gives no usable answer.
    pub async fn logs(
        &self,
        site: &Site,
        run_id: i64,
        attempt: i64,
        now: Timestamp,
    ) -> Result<Option<JobLogs>, LookupFailed> {
        let path = format!(
            "/repos/{}/actions/runs/{run_id}/attempts/{attempt}/jobs",
            site.repository
        );
        let Jobs { mut jobs } = self.get(&path, &[("per_page", "100")], now).await?;
        jobs.retain(Job::has_begun);
        jobs.sort_by_key(|job| (job.started_at, job.id));
        let overlap = |pair: &[Job]| pair[0].completed_at > pair[1].started_at;
        let are_mixed = jobs.windows(2).any(overlap);
        let mut text = String::new();
        for job in jobs {
            let path = format!("/repos/{}/actions/jobs/{}/logs", site.repository, job.id);
            let log = match self.read_text(&path, now, Part::Whole(MOST_LOG)).await {
                Ok(log) => log,
                // It was cancelled before a runner came, and printed nothing.
                Err(failed) if failed.is_gone && job.steps.is_empty() => continue,
                Err(failed) if failed.is_gone => return Ok(None),
                Err(failed) => return Err(failed),
            };
            if log.is_too_long || text.len() + log.text.len() > MOST_LOG {
                return Ok(None);
            }
            text.extend(log.text.split_inclusive('\n').map(without_time));
        }
        Ok(Some(JobLogs { text, are_mixed }))
    }
}
