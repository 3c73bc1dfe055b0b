use super::{Actor, Deploy, GithubDeployment, LogTail, OutsideRun, Site, State, Timestamp};
use serde::{Deserialize, Serialize};

/// The whole board: what the first page shows, in one answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Board {
    /// One a site, in the order of `console.toml`.
    pub tiles: Vec<Tile>,
}

/// One site as the board shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tile {
    /// The site.
    pub site: Site,
    /// How it answered when it was last asked.
    pub health: Health,
    /// Its newest deploy, with the end of its log while it is active.
    pub latest: Option<DeployRecord>,
    /// The newest run of its workflow that was started outside the console, while that is under way or newer than the
    /// newest deploy.
    pub outside: Option<OutsideRun>,
}

/// How a site answered its health address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// The finding.
    pub status: HealthStatus,
    /// What was found: `503 Service Unavailable`, `no answer within 5 s`.
    pub detail: Option<String>,
    /// Since when it has been so.
    pub since: Option<Timestamp>,
}

/// What the health address said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HealthStatus {
    /// 2xx.
    Healthy,
    /// Anything else, or no answer.
    Unhealthy,
    /// Not asked yet.
    Unknown,
    /// The site declares no health address.
    Unwatched,
}

impl HealthStatus {
    /// The word in JSON and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
            Self::Unknown => "unknown",
            Self::Unwatched => "unwatched",
        }
    }
}

/// A deploy with its log and its story: the answer of `GET /api/internal/deploys/{id}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeployRecord {
    /// The deploy.
    #[serde(flatten)]
    pub deploy: Deploy,
    /// Whether it holds its site.
    pub active: bool,
    /// Every transition so far, oldest first.
    pub timeline: Vec<TimelineEntry>,
    /// A piece of its log.
    pub log: LogTail,
    /// What GitHub was told of it as a deployment, where its site wants that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub github_deployment: Option<GithubDeployment>,
}

/// One transition: who or what moved a deploy, when, and what it said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimelineEntry {
    /// When.
    pub at: Timestamp,
    /// The state that it moved to, or stayed in.
    pub state: State,
    /// Who or what caused it.
    pub by: Actor,
    /// In the words of whoever caused it.
    pub note: Option<String>,
}

/// A page of history, newest first: at most 25 in all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeployPage {
    /// The deploys.
    pub deploys: Vec<Deploy>,
    /// The runs that were started outside the console in the same time.
    #[serde(default)]
    pub outside: Vec<OutsideRun>,
    /// The cursor of the next, older page; `None` on the last.
    pub next: Option<String>,
}

impl DeployPage {
    /// Whether there is nothing on it.
    pub const fn is_empty(&self) -> bool {
        self.deploys.is_empty() && self.outside.is_empty()
    }
}
