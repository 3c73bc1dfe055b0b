//! What keeps a run from beginning: an approval, or another run.
//!
//! That it waits is known already, from its status. So when the rest cannot be read, it is merely left out.
//! Source: <https://docs.github.com/en/rest/actions/workflow-runs#get-pending-deployments-for-a-workflow-run>.

use super::shapes::{PendingDeployment, UserOrTeam, WorkflowRun, WorkflowRuns};
use super::{Github, LookupFailed};
use crate::domain::{Blocker, GuardedEnvironment, Holder, Site, Timestamp};

impl Github {
    /// Which environments a `waiting` run waits for, and who may approve.
    pub(super) async fn approval(&self, site: &Site, run_id: i64, now: Timestamp) -> Blocker {
        let path = format!("/repos/{}/actions/runs/{run_id}/pending_deployments", site.repository);
        let pending: Result<Vec<PendingDeployment>, LookupFailed> = self.get(&path, &[], now).await;
        let pending = pending.unwrap_or_else(|error| {
            tracing::warn!(run = run_id, %error, "who may approve the run could not be read");
            Vec::new()
        });
        Blocker::Approval {
            environments: pending.into_iter().map(GuardedEnvironment::from).collect(),
        }
    }

    /// The run that a `pending` one waits for: another active one of its workflow, the one under way before others.
    pub(super) async fn concurrency(&self, site: &Site, run_id: i64, now: Timestamp) -> Blocker {
        let path = format!("/repos/{}/actions/workflows/{}/runs", site.repository, site.workflow);
        let runs: Result<WorkflowRuns, LookupFailed> = self.get(&path, &[("per_page", "30")], now).await;
        let runs = runs.map_or_else(
            |error| {
                tracing::warn!(run = run_id, %error, "which run it waits for could not be read");
                Vec::new()
            },
            |runs| runs.workflow_runs,
        );
        let others = runs.into_iter().filter(|run| run.id != run_id && run.is_active());
        let first = |run: &WorkflowRun| (run.status.as_deref() != Some("in_progress"), run.id);
        let holder = others.min_by_key(first).map(|run| Holder {
            run_id: run.id,
            url: run.html_url,
        });
        Blocker::Concurrency { holder }
    }
}

impl From<PendingDeployment> for GuardedEnvironment {
    fn from(pending: PendingDeployment) -> Self {
        let reviewers = pending.reviewers.into_iter();
        Self {
            name: pending.environment.name.unwrap_or_default(),
            reviewers: reviewers
                .filter_map(|reviewer| reviewer.reviewer.and_then(name))
                .collect(),
        }
    }
}

fn name(reviewer: UserOrTeam) -> Option<String> {
    reviewer.login.or(reviewer.slug)
}
