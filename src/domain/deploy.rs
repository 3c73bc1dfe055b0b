use super::{Blocker, ListedSteps, Site, Slug, Step, StepTrace, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

/// How long GitHub has for a plain cancel before force is offered, in milliseconds.
const FORCE_AFTER_MS: i64 = 60_000;

/// The id of a deploy: a UUIDv7, so ids sort by the time they were asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeployId(Uuid);

impl DeployId {
    /// Wraps a UUID.
    pub const fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid)
    }
}

impl fmt::Display for DeployId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for DeployId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::parse_str(text).map(Self)
    }
}

/// GitHub lets nobody run a run again nearly so often.
pub const MOST_ATTEMPTS: i64 = 1_000;

/// One attempt at a deploy: the one that was asked for, or a re-run of its run on GitHub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attempt {
    /// The deploy.
    pub deploy: DeployId,
    /// GitHub's number of the attempt, from 1.
    pub number: i64,
}

impl Attempt {
    /// The one that was asked for.
    pub const fn first(deploy: DeployId) -> Self {
        Self { deploy, number: 1 }
    }

    /// Whether it is a re-run.
    pub const fn is_rerun(self) -> bool {
        self.number > 1
    }
}

impl From<DeployId> for Attempt {
    fn from(deploy: DeployId) -> Self {
        Self::first(deploy)
    }
}

/// Where a deploy stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The intent is on record; nothing has left the console.
    Requested,
    /// The console is about to call GitHub, or is calling.
    Dispatching,
    /// GitHub refused. Finished.
    DispatchFailed,
    /// GitHub's answer never came, so a run may exist or not. Active; never called again.
    DispatchUnknown,
    /// GitHub has a run that has not reported yet.
    Queued,
    /// The run reports.
    Running,
    /// Active, but silent for longer than the site allows.
    Lost,
    /// Finished well.
    Succeeded,
    /// Finished badly.
    Failed,
    /// Stopped on purpose.
    Cancelled,
}

impl State {
    /// Every state, in the order of a deploy's life.
    pub const ALL: [Self; 10] = [
        Self::Requested,
        Self::Dispatching,
        Self::DispatchFailed,
        Self::DispatchUnknown,
        Self::Queued,
        Self::Running,
        Self::Lost,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
    ];

    /// Whether nothing can move it any more.
    pub const fn is_finished(self) -> bool {
        matches!(
            self,
            Self::DispatchFailed | Self::Succeeded | Self::Failed | Self::Cancelled
        )
    }

    /// Whether it holds its site: not finished.
    pub const fn is_active(self) -> bool {
        !self.is_finished()
    }

    /// How far along a deploy is. It only rises; states of one rank are alternatives.
    pub const fn rank(self) -> u8 {
        match self {
            Self::Requested => 0,
            Self::Dispatching => 1,
            Self::DispatchUnknown => 2,
            Self::Queued => 3,
            Self::Running => 4,
            Self::Lost => 5,
            Self::DispatchFailed | Self::Succeeded | Self::Failed | Self::Cancelled => 6,
        }
    }

    /// The word in JSON and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Dispatching => "dispatching",
            Self::DispatchFailed => "dispatch_failed",
            Self::DispatchUnknown => "dispatch_unknown",
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Lost => "lost",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state that [`Self::as_str`] calls so, if any does.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

/// Whose word the present state rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConfirmedBy {
    /// A signed callback of the run.
    Callback,
    /// GitHub's API.
    Github,
    /// An operator who overrode it.
    Operator,
}

impl ConfirmedBy {
    /// The word in JSON and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Callback => "callback",
            Self::Github => "github",
            Self::Operator => "operator",
        }
    }

    /// The one that [`Self::as_str`] calls so, if any does.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Callback, Self::Github, Self::Operator]
            .into_iter()
            .find(|by| by.as_str() == word)
    }
}

/// Where and why a deploy failed, as far as anybody said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The step that failed; `None` when the report did not name one. Nothing is guessed.
    pub step: Option<String>,
    /// The reason in the words of whoever reported it.
    pub reason: Option<String>,
}

/// A run of GitHub Actions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// GitHub's id of the run.
    pub id: i64,
    /// The attempt, from 1.
    pub attempt: i64,
    /// The run's page, for people.
    pub url: Option<String>,
    /// The commit that it runs on, where GitHub said.
    pub head_sha: Option<String>,
}

/// A re-run of a deploy's run, in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rerun {
    /// GitHub's number of the attempt, from 2.
    pub attempt: i64,
    /// Where it stands.
    pub state: State,
    /// Who ran it again, by their name on GitHub, where it said.
    pub by: Option<String>,
    /// When it was first known to run.
    pub started_at: Option<Timestamp>,
    /// When it was known to be finished.
    pub finished_at: Option<Timestamp>,
}

/// One attempt to deploy a site: the intent, and all that became of it.
///
/// A re-run of its run on GitHub is an attempt of the same deploy, and has the same shape: whose intent it was stays,
/// how it went is its own ([`Self::rerun`]).
///
/// Its JSON is the public answer of `GET /api/internal/deploys/{id}`, less what
/// [`super::DeployRecord`] adds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deploy {
    /// Its id.
    pub id: DeployId,
    /// The site's slug.
    pub site: Slug,
    /// The site's environment at the time of the request.
    pub environment: String,
    /// Where it stands.
    pub state: State,
    /// Who asked.
    pub operator: String,
    /// Why, in the operator's words.
    pub reason: Option<String>,
    /// The branch or tag that was asked for.
    #[serde(rename = "ref")]
    pub git_ref: String,
    /// Inputs that the workflow got beside its deploy id.
    pub inputs: BTreeMap<String, String>,
    /// The commit that the run runs on, where GitHub said.
    pub head_sha: Option<String>,
    /// When the intent was recorded.
    pub requested_at: Timestamp,
    /// When the console set out to call GitHub.
    pub dispatched_at: Option<Timestamp>,
    /// When the run was first known to run.
    pub started_at: Option<Timestamp>,
    /// When it was known to be finished.
    pub finished_at: Option<Timestamp>,
    /// When GitHub or the run was last heard of.
    pub last_heard_at: Option<Timestamp>,
    /// GitHub's id of the run, once bound. It never changes after.
    pub run_id: Option<i64>,
    /// Which attempt of that run this is, once bound: 1, or more for a re-run. It never changes after.
    pub run_attempt: Option<i64>,
    /// Who ran it again, by their name on GitHub; of a re-run alone.
    pub rerun_by: Option<String>,
    /// The re-runs of this deploy, oldest first, as they stand when it is read.
    #[serde(default)]
    pub reruns: Vec<Rerun>,
    /// The run's page, for people.
    pub run_url: Option<String>,
    /// Whose word the state rests on.
    pub confirmed_by: Option<ConfirmedBy>,
    /// An operator asked to stop it; evidence of that is still to come.
    pub cancel_requested: bool,
    /// When GitHub took the wish to stop it.
    pub cancel_sent_at: Option<Timestamp>,
    /// An operator asked to stop it by force, after the plain wish did not help.
    pub cancel_forced: bool,
    /// What keeps the run from going on, where GitHub says that something does.
    pub blocked_by: Option<Blocker>,
    /// Something authentic disagreed with the finished state.
    pub conclusion_conflict: bool,
    /// What the console wants an operator to know about the present state.
    pub notice: Option<String>,
    /// The named stages, in the order in which they began.
    pub steps: Vec<Step>,
    /// Where and why it failed.
    pub failure: Option<Failure>,
    /// What the reports said of each step, from which [`Self::steps`] is drawn. The server's alone.
    #[serde(skip)]
    pub traces: Vec<StepTrace>,
    /// What GitHub's API last listed as the run's steps. The server's alone.
    #[serde(skip)]
    pub listed_steps: Option<ListedSteps>,
    /// When GitHub's API said how the run had ended: since then nothing more is to be learned of it. The server's
    /// alone.
    #[serde(skip)]
    pub concluded_at: Option<Timestamp>,
}

impl Deploy {
    /// A new intent to deploy `site` as it is declared.
    pub fn requested(id: DeployId, site: &Site, operator: &str, at: Timestamp) -> Self {
        Self {
            environment: site.environment.clone(),
            operator: operator.to_owned(),
            git_ref: site.git_ref.clone(),
            inputs: site.inputs.clone(),
            ..Self::blank(id, site.slug.clone(), at)
        }
    }

    /// Of which nothing is known yet.
    fn blank(id: DeployId, site: Slug, requested_at: Timestamp) -> Self {
        Self {
            id,
            site,
            environment: String::new(),
            state: State::Requested,
            operator: String::new(),
            reason: None,
            git_ref: String::new(),
            inputs: BTreeMap::new(),
            head_sha: None,
            requested_at,
            dispatched_at: None,
            started_at: None,
            finished_at: None,
            last_heard_at: None,
            run_id: None,
            run_attempt: None,
            rerun_by: None,
            reruns: Vec::new(),
            run_url: None,
            confirmed_by: None,
            cancel_requested: false,
            cancel_sent_at: None,
            cancel_forced: false,
            blocked_by: None,
            conclusion_conflict: false,
            notice: None,
            steps: Vec::new(),
            failure: None,
            traces: Vec::new(),
            listed_steps: None,
            concluded_at: None,
        }
    }

    /// A re-run of its run, first heard of at the moment `at`.
    #[must_use]
    pub fn rerun(&self, number: i64, at: Timestamp) -> Self {
        Self {
            environment: self.environment.clone(),
            state: State::Queued,
            operator: self.operator.clone(),
            reason: self.reason.clone(),
            git_ref: self.git_ref.clone(),
            inputs: self.inputs.clone(),
            head_sha: self.head_sha.clone(),
            dispatched_at: Some(at),
            run_id: self.run_id,
            run_attempt: Some(number),
            run_url: self.run_url.clone(),
            ..Self::blank(self.id, self.site.clone(), self.requested_at)
        }
    }

    /// Which attempt this is.
    pub fn attempt(&self) -> Attempt {
        Attempt {
            deploy: self.id,
            number: self.run_attempt.unwrap_or(1),
        }
    }

    /// Whether it still holds its site.
    pub const fn is_active(&self) -> bool {
        self.state.is_active()
    }

    /// When it began: when it was asked for; a re-run, when it was first known.
    pub fn began_at(&self) -> Timestamp {
        if !self.attempt().is_rerun() {
            return self.requested_at;
        }
        let moments = [self.started_at, self.dispatched_at, self.finished_at];
        moments.into_iter().flatten().min().unwrap_or(self.requested_at)
    }

    /// When anything was last heard of it; before that, when the console last did something about it.
    pub fn last_word_at(&self) -> Timestamp {
        let by_us = self.dispatched_at.unwrap_or(self.requested_at);
        self.last_heard_at.map_or(by_us, |heard| heard.max(by_us))
    }

    /// From when on the run may be stopped by force: a minute after GitHub took the plain wish.
    pub fn force_offered_at(&self) -> Option<Timestamp> {
        let sent_at = self
            .cancel_sent_at
            .filter(|_| self.is_active() && !self.cancel_forced)?;
        Some(sent_at.plus_millis(FORCE_AFTER_MS))
    }

    /// The finished states that an operator may vouch for: where nobody else can say how it ended.
    pub const fn closable_as(&self) -> &'static [State] {
        match self.state {
            State::Lost => &[State::Succeeded, State::Failed, State::Cancelled],
            State::DispatchUnknown => &[State::DispatchFailed],
            _ => &[],
        }
    }

    /// Draws [`Self::steps`] anew from the traces and the state, as after loading both from the database.
    pub fn redraw_steps(&mut self) {
        self.steps = super::steps::draw(self);
    }

    /// The step that is under way: the last that began.
    pub fn current_step(&self) -> Option<&Step> {
        self.steps.iter().rev().find(|step| step.finished_at.is_none())
    }
}
