//! GitHub's shapes, as far as we read them.

use crate::domain::{Run, Timestamp};
use secrecy::SecretString;
use serde::Deserialize;
use std::collections::HashMap;

/// `workflow-run`.
#[derive(Debug, Deserialize)]
pub(super) struct WorkflowRun {
    pub(super) id: i64,
    #[serde(default = "first_attempt")]
    pub(super) run_attempt: i64,
    pub(super) html_url: Option<String>,
    pub(super) head_sha: Option<String>,
    pub(super) display_title: Option<String>,
    pub(super) status: Option<String>,
    pub(super) conclusion: Option<String>,
    pub(super) created_at: Option<Timestamp>,
    pub(super) updated_at: Option<Timestamp>,
    pub(super) head_branch: Option<String>,
    /// Who started it at first.
    pub(super) actor: Option<UserOrTeam>,
    /// Who started this attempt.
    pub(super) triggering_actor: Option<UserOrTeam>,
}

/// A list of [`WorkflowRun`].
#[derive(Debug, Deserialize)]
pub(super) struct WorkflowRuns {
    pub(super) workflow_runs: Vec<WorkflowRun>,
}

/// A list of [`Job`].
#[derive(Debug, Deserialize)]
pub(super) struct Jobs {
    pub(super) jobs: Vec<Job>,
}

/// `job`.
#[derive(Debug, Deserialize)]
pub(super) struct Job {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) status: String,
    pub(super) conclusion: Option<String>,
    pub(super) created_at: Option<Timestamp>,
    pub(super) started_at: Option<Timestamp>,
    pub(super) completed_at: Option<Timestamp>,
    #[serde(default)]
    pub(super) steps: Vec<JobStep>,
}

/// A step of a [`Job`].
#[derive(Debug, Deserialize)]
pub(super) struct JobStep {
    pub(super) name: String,
    pub(super) status: String,
    pub(super) conclusion: Option<String>,
    pub(super) started_at: Option<Timestamp>,
    pub(super) completed_at: Option<Timestamp>,
}

/// `check-annotation`.
#[derive(Debug, Deserialize)]
pub(super) struct Annotation {
    pub(super) annotation_level: Option<String>,
    pub(super) message: Option<String>,
}

/// `pending-deployment`.
#[derive(Debug, Deserialize)]
pub(super) struct PendingDeployment {
    pub(super) environment: Environment,
    #[serde(default)]
    pub(super) reviewers: Vec<Reviewer>,
}

/// The environment of a [`PendingDeployment`].
#[derive(Debug, Deserialize)]
pub(super) struct Environment {
    pub(super) name: Option<String>,
}

/// Who may approve a [`PendingDeployment`].
#[derive(Debug, Deserialize)]
pub(super) struct Reviewer {
    pub(super) reviewer: Option<UserOrTeam>,
}

/// A `simple-user` has a login, a `team` a slug.
#[derive(Debug, Deserialize)]
pub(super) struct UserOrTeam {
    pub(super) login: Option<String>,
    pub(super) slug: Option<String>,
}

/// `installation`: where, and with which permissions, an App is installed.
#[derive(Debug, Deserialize)]
pub(super) struct Installation {
    pub(super) id: i64,
    #[serde(default)]
    pub(super) permissions: HashMap<String, String>,
    pub(super) suspended_at: Option<String>,
}

/// `installation-token`.
#[derive(Debug, Deserialize)]
pub(super) struct InstallationToken {
    pub(super) token: SecretString,
    pub(super) expires_at: Timestamp,
}

const fn first_attempt() -> i64 {
    1
}

impl WorkflowRun {
    /// Whether it has not ended.
    pub(super) fn is_active(&self) -> bool {
        self.status.as_deref().is_some_and(|status| status != "completed")
    }
}

impl Job {
    /// Whether a runner has taken it. GitHub gives `started_at` to queued jobs too.
    pub(super) fn has_begun(&self) -> bool {
        matches!(self.status.as_str(), "in_progress" | "completed") && self.conclusion.as_deref() != Some("skipped")
    }

    /// Whether it ended badly.
    pub(super) fn has_failed(&self) -> bool {
        ended_badly(self.conclusion.as_deref())
    }
}

/// Whether a job's or a step's conclusion is a failure.
pub(super) fn ended_badly(conclusion: Option<&str>) -> bool {
    matches!(conclusion, Some("failure" | "timed_out" | "startup_failure"))
}

impl From<&WorkflowRun> for Run {
    fn from(run: &WorkflowRun) -> Self {
        Self {
            id: run.id,
            attempt: run.run_attempt,
            url: run.html_url.clone(),
            head_sha: run.head_sha.clone(),
        }
    }
}
