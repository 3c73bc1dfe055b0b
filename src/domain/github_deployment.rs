use super::{Deploy, State};
use serde::{Deserialize, Serialize};

/// What GitHub is told of a deploy: the states of a deployment there, as far as we use them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeploymentState {
    /// The run has not begun.
    Queued,
    /// The run is under way.
    InProgress,
    /// Finished well.
    Success,
    /// Finished badly.
    Failure,
    /// Cancelled. GitHub has no word for that: `inactive` is for what was live once, and nobody is told of it.
    Error,
}

impl DeploymentState {
    const ALL: [Self; 5] = [
        Self::Queued,
        Self::InProgress,
        Self::Success,
        Self::Failure,
        Self::Error,
    ];

    /// What there is to tell of a deploy as it stands; nothing before it has a run, nor while it is lost.
    pub fn of(deploy: &Deploy) -> Option<Self> {
        deploy.run_id?;
        match deploy.state {
            State::Queued => Some(Self::Queued),
            State::Running => Some(Self::InProgress),
            State::Succeeded => Some(Self::Success),
            State::Failed => Some(Self::Failure),
            State::Cancelled => Some(Self::Error),
            State::Requested | State::Dispatching | State::DispatchFailed | State::DispatchUnknown | State::Lost => {
                None
            }
        }
    }

    /// Whether this is news after what was told: what is told never goes back.
    pub fn is_news_after(self, told: Option<Self>) -> bool {
        told.is_none_or(|told| told.rank() < self.rank())
    }

    /// Whether nothing comes after it.
    pub const fn is_end(self) -> bool {
        matches!(self, Self::Success | Self::Failure | Self::Error)
    }

    /// GitHub's word, which is ours in JSON and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::InProgress => "in_progress",
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Error => "error",
        }
    }

    /// The state that [`Self::as_str`] calls so, if any does.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }

    const fn rank(self) -> u8 {
        match self {
            Self::Queued => 0,
            Self::InProgress => 1,
            Self::Success | Self::Failure | Self::Error => 2,
        }
    }
}

/// What GitHub was told of a deploy as a deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GithubDeployment {
    /// GitHub's id of the deployment, once there is one.
    pub id: Option<i64>,
    /// The newest state that GitHub took.
    pub state: Option<DeploymentState>,
    /// Why GitHub did not take what it was told last.
    pub problem: Option<String>,
}
