//! A workflow's newest runs, whoever started them.
//!
//! Source: <https://docs.github.com/en/rest/actions/workflow-runs#list-workflow-runs-for-a-workflow>.

use super::observing::state_of;
use super::shapes::{WorkflowRun, WorkflowRuns};
use super::{Github, LookupFailed};
use crate::domain::{OutsideRun, Timestamp};

/// A run in a list, and what tells whether it is ours.
#[derive(Debug, Clone)]
pub struct Listed {
    /// What its title says: with the id of a deploy, where the console dispatched it.
    pub title: String,
    /// How it stands, if it is none of ours.
    pub run: OutsideRun,
}

impl Github {
    /// The newest 30 runs of a workflow that were dispatched. The same question each time, so that the answer mostly is
    /// "unchanged".
    ///
    /// # Errors
    /// [`LookupFailed`] when GitHub gives no usable answer.
    pub async fn newest_runs(
        &self,
        repository: &str,
        workflow: &str,
        now: Timestamp,
    ) -> Result<Vec<Listed>, LookupFailed> {
        let path = format!("/repos/{repository}/actions/workflows/{workflow}/runs");
        let query = [("event", "workflow_dispatch"), ("per_page", "30")];
        let WorkflowRuns { workflow_runs } = self.get(&path, &query, now).await?;
        let listed = workflow_runs
            .into_iter()
            .filter_map(|run| listed(run, repository, workflow));
        Ok(listed.collect())
    }

    /// How a run from outside stands. `None` when GitHub has it no more.
    ///
    /// # Errors
    /// [`LookupFailed`] when GitHub gives no usable answer.
    pub async fn outside_run(&self, run: &OutsideRun, now: Timestamp) -> Result<Option<OutsideRun>, LookupFailed> {
        let path = format!("/repos/{}/actions/runs/{}", run.repository, run.run_id);
        match self.get::<WorkflowRun>(&path, &[], now).await {
            Ok(found) => match listed(found, &run.repository, &run.workflow) {
                Some(listed) => Ok(Some(listed.run)),
                None => Err(LookupFailed::because(
                    "GitHub says of it what this console does not know",
                )),
            },
            Err(failed) if failed.is_gone => Ok(None),
            Err(failed) => Err(failed),
        }
    }
}

/// `None` for a run of which too little is said, or in words that are new to us.
fn listed(run: WorkflowRun, repository: &str, workflow: &str) -> Option<Listed> {
    let (started_at, state) = (run.created_at?, state_of(&run)?);
    // Of a re-run, whoever ran it again.
    let by = run.triggering_actor.or(run.actor);
    Some(Listed {
        title: run.display_title.unwrap_or_default(),
        run: OutsideRun {
            id: OutsideRun::id_of(run.id, started_at),
            run_id: run.id,
            attempt: run.run_attempt,
            repository: repository.to_ascii_lowercase(),
            workflow: workflow.to_owned(),
            sites: Vec::new(),
            state,
            started_by: by.and_then(|by| by.login),
            git_ref: run.head_branch,
            head_sha: run.head_sha,
            run_url: run.html_url,
            started_at,
            changed_at: run.updated_at.unwrap_or(started_at),
        },
    })
}
