//! What GitHub's API says of a run, in our words.

use super::{Failure, Run, Step, Timestamp};
use serde::{Deserialize, Serialize};

/// How a run stands, as GitHub's API shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// The run, and the attempt that is spoken of.
    pub run: Run,
    /// Who started this attempt, by their name on GitHub, where it said.
    pub by: Option<String>,
    /// How it stands.
    pub status: Observed,
    /// The steps that have begun, with GitHub's own times.
    pub steps: Vec<Step>,
    /// When its first job began; `None` while none has.
    pub started_at: Option<Timestamp>,
    /// When it ended; `None` while it has not.
    pub ended_at: Option<Timestamp>,
}

/// GitHub's `status` and `conclusion` of a run, mapped to ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observed {
    /// Not under way, or halted between two jobs.
    Waiting(Blocker),
    /// Under way.
    Running,
    /// Concluded `success`.
    Succeeded,
    /// Concluded in any other way but `cancelled`.
    Failed(Failure),
    /// Concluded `cancelled`, with the reason that GitHub gives, if it gives one.
    Cancelled(Option<String>),
}

impl Observed {
    /// Whether the run has ended.
    pub const fn is_finished(&self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed(_) | Self::Cancelled(_))
    }
}

/// What keeps a run from going on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Blocker {
    /// An environment's protection rule wants somebody's word.
    Approval {
        /// The environments that are waited for; empty when GitHub named none.
        environments: Vec<GuardedEnvironment>,
    },
    /// Another run holds the workflow's concurrency group.
    Concurrency {
        /// That run, where it could be told.
        holder: Option<Holder>,
    },
    /// No runner has taken a job.
    NoRunner {
        /// Since when the run waits for one.
        since: Timestamp,
    },
}

/// An environment that waits for somebody's word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuardedEnvironment {
    /// Its name on GitHub.
    pub name: String,
    /// Who may approve: people by login, teams by slug. Empty when it waits for a timer alone.
    pub reviewers: Vec<String>,
}

/// The run that holds a concurrency group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// GitHub's id of the run.
    pub run_id: i64,
    /// The run's page, for people.
    pub url: Option<String>,
}

/// The steps of a run as GitHub's API last listed them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedSteps {
    /// When they were read.
    pub at: Timestamp,
    /// Those that had begun.
    pub steps: Vec<Step>,
}
