//! What the stand-in remembers.

use super::Scenario;
use super::app::{KnownApp, Lent};
use super::deployments::{Deployment, DeploymentFault};
use super::gate::{Asked, Fault};
use super::repositories::SetUp;
use crate::domain::Timestamp;
use crate::server::auth::opaque;
use crate::server::clock;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::{HashMap, VecDeque};
use tokio_util::sync::CancellationToken;

/// Run ids begin where GitHub's are these days: beyond 32 bits.
const FIRST_RUN: i64 = 17_000_000_001;
/// A job's id, and its check run's, is its run's and so much more for each attempt.
const JOB_IDS: i64 = 1_000_000;
/// Whose token the console has.
const ITSELF: &str = "raxx-console";
/// Every branch of the stand-in's repositories stands at this commit.
pub(super) const HEAD_SHA: &str = "9f2c4e7a1b3d5f60718293a4b5c6d7e8f9012345";

/// One request to dispatch, as it arrived.
#[derive(Debug, Clone, Serialize)]
pub struct Dispatch {
    /// The workflow's file.
    pub workflow: String,
    /// The body's `ref`.
    #[serde(rename = "ref")]
    pub git_ref: String,
    /// The body's inputs.
    pub inputs: Map<String, Value>,
    /// `X-GitHub-Api-Version`, where it was sent.
    pub api_version: Option<String>,
    /// Whether the body asked for the run's details.
    pub return_run_details: bool,
    /// What was done with it.
    pub scenario: Scenario,
}

/// A run, as GitHub's API would show it.
#[derive(Debug, Clone)]
pub struct Run {
    /// Its id.
    pub id: i64,
    /// `owner/name`.
    pub repository: String,
    /// The workflow's file.
    pub workflow: String,
    /// The branch or tag.
    pub git_ref: String,
    /// The deploy that it belongs to; empty when it was started without the console.
    pub deploy_id: String,
    /// What is done with it.
    pub scenario: Scenario,
    /// `queued`, `pending`, `waiting`, `in_progress` or `completed`.
    pub status: &'static str,
    /// `success`, `failure`, `cancelled` and others, once completed.
    pub conclusion: Option<&'static str>,
    /// What GitHub notes on its job as failures.
    pub annotations: Vec<String>,
    /// Its job's log, as GitHub keeps it once the job has ended.
    pub log: String,
    /// Left out of lists, though it can be read by its id: GitHub's lists come late at times.
    pub hidden: bool,
    /// When it was dispatched.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// The steps of its one job.
    pub steps: Vec<RunStep>,
    /// What its job shows when it asks for a token.
    pub request_token: String,
    /// Cancelled when somebody asks the run to stop.
    pub cancel: CancellationToken,
    /// Which attempt this is, from 1.
    pub attempt: i64,
    /// Who started this attempt.
    pub by: String,
    /// The attempts before this one, as they ended.
    pub earlier: Vec<Run>,
}

/// A step, as GitHub's API would show it.
#[derive(Debug, Clone)]
pub struct RunStep {
    /// Its name.
    pub name: String,
    /// `queued`, `in_progress` or `completed`.
    pub status: &'static str,
    /// `success`, `failure` or `cancelled`, once completed.
    pub conclusion: Option<&'static str>,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
}

pub(super) struct State {
    pub(super) runs: Vec<Run>,
    pub(super) dispatches: Vec<Dispatch>,
    pub(super) health: HashMap<String, u16>,
    pub(super) fault: Option<Fault>,
    pub(super) asked: VecDeque<Asked>,
    pub(super) app: Option<KnownApp>,
    pub(super) lent: Vec<Lent>,
    pub(super) set_up: SetUp,
    pub(super) deployments: Vec<Deployment>,
    pub(super) deployment_fault: Option<DeploymentFault>,
    next_run: i64,
    chosen: HashMap<String, Scenario>,
    default: Scenario,
}

impl State {
    pub(super) fn new(default: Scenario) -> Self {
        Self {
            runs: Vec::new(),
            dispatches: Vec::new(),
            health: HashMap::new(),
            fault: None,
            asked: VecDeque::new(),
            app: None,
            lent: Vec::new(),
            set_up: SetUp::default(),
            deployments: Vec::new(),
            deployment_fault: None,
            next_run: FIRST_RUN,
            chosen: HashMap::new(),
            default,
        }
    }

    /// Chooses what happens to a workflow's dispatches; `None` leaves it to their inputs again.
    pub(super) fn choose(&mut self, workflow: &str, scenario: Option<Scenario>) {
        match scenario {
            Some(scenario) => self.chosen.insert(workflow.to_owned(), scenario),
            None => self.chosen.remove(workflow),
        };
    }

    pub(super) fn chosen(&self) -> &HashMap<String, Scenario> {
        &self.chosen
    }

    /// What happens to a dispatch: what was chosen here, else what the input `scenario` orders, else the default.
    pub(super) fn scenario(&self, workflow: &str, inputs: &Map<String, Value>) -> Scenario {
        let ordered = || {
            inputs
                .get("scenario")
                .and_then(Value::as_str)
                .and_then(|name| name.parse().ok())
        };
        self.chosen
            .get(workflow)
            .copied()
            .or_else(ordered)
            .unwrap_or(self.default)
    }

    /// A new run for the newest dispatch.
    pub(super) fn start_run(&mut self, repository: &str, dispatch: &Dispatch) -> Run {
        let id = self.next_run;
        self.next_run += 1;
        let deploy_id = dispatch
            .inputs
            .get("console_deploy_id")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        let now = clock::now();
        let run = Run {
            id,
            repository: repository.to_owned(),
            workflow: dispatch.workflow.clone(),
            git_ref: dispatch.git_ref.clone(),
            deploy_id,
            scenario: dispatch.scenario,
            status: dispatch.scenario.first_status(),
            conclusion: None,
            annotations: Vec::new(),
            log: String::new(),
            hidden: false,
            created_at: now,
            updated_at: now,
            steps: Vec::new(),
            request_token: opaque::generate().unwrap_or_default(),
            cancel: CancellationToken::new(),
            attempt: 1,
            by: ITSELF.to_owned(),
            earlier: Vec::new(),
        };
        self.runs.push(run.clone());
        run
    }

    /// Remembers a request; how many of those that are remembered cost something of the rate limit.
    pub(super) fn remember(&mut self, asked: Asked, most: usize) -> usize {
        if self.asked.len() >= most {
            self.asked.pop_front();
        }
        self.asked.push_back(asked);
        self.asked.iter().filter(|asked| asked.status != 304).count()
    }

    /// Changes a run, if it is there.
    pub(super) fn change_run(&mut self, id: i64, change: impl FnOnce(&mut Run)) {
        if let Some(run) = self.runs.iter_mut().find(|run| run.id == id) {
            change(run);
            run.updated_at = clock::now();
        }
    }
}

impl Run {
    /// Ends it, and the step that it was in, with this conclusion and what GitHub notes about it.
    pub fn conclude(&mut self, conclusion: &'static str, note: Option<&str>) {
        (self.status, self.conclusion) = ("completed", Some(conclusion));
        self.annotations.extend(note.map(str::to_owned));
    }

    /// Who started it at first.
    fn first_by(&self) -> &str {
        self.earlier.first().map_or(&self.by, |first| &first.by)
    }

    /// Runs it again: a new attempt, that begins from the start.
    pub fn run_again(&mut self, by: &str) {
        let mut ended = self.clone();
        ended.earlier.clear();
        self.earlier.push(ended);
        self.attempt += 1;
        by.clone_into(&mut self.by);
        (self.status, self.conclusion) = ("queued", None);
        self.annotations.clear();
        self.steps.clear();
        self.log.clear();
        self.cancel = CancellationToken::new();
    }

    /// It as it was in an attempt.
    pub(super) fn in_attempt(&self, number: i64) -> Option<&Self> {
        std::iter::once(self)
            .chain(&self.earlier)
            .find(|run| run.attempt == number)
    }

    /// The id of its one job.
    pub fn job_id(&self) -> i64 {
        self.id + JOB_IDS * self.attempt
    }

    /// Whether it is a run that somebody plays, where runs are played.
    pub(super) fn is_played(&self) -> bool {
        !matches!(self.scenario, Scenario::Queued | Scenario::Approval)
    }

    /// What `run-name` makes of the deploy's id.
    pub fn title(&self) -> String {
        let name = self.workflow.trim_end_matches(".yml").trim_end_matches(".yaml");
        if self.deploy_id.is_empty() {
            name.to_owned()
        } else {
            format!("{name} ({})", self.deploy_id)
        }
    }

    /// Its page.
    pub(super) fn html_url(&self, base: &str) -> String {
        format!("{base}/{}/actions/runs/{}", self.repository, self.id)
    }

    /// GitHub's `workflow-run`.
    pub(super) fn to_json(&self, base: &str) -> Value {
        json!({
            "id": self.id,
            "name": self.workflow,
            "display_title": self.title(),
            "path": format!(".github/workflows/{}", self.workflow),
            "event": "workflow_dispatch",
            "status": self.status,
            "conclusion": self.conclusion,
            "run_number": self.id - FIRST_RUN + 1,
            "run_attempt": self.attempt,
            "actor": person(self.first_by()),
            "triggering_actor": person(&self.by),
            "head_branch": self.git_ref,
            "head_sha": HEAD_SHA,
            "url": format!("{base}/repos/{}/actions/runs/{}", self.repository, self.id),
            "html_url": self.html_url(base),
            "created_at": self.created_at,
            "run_started_at": self.created_at,
            "updated_at": self.updated_at,
        })
    }

    /// GitHub's `job`s: a run has one here, and none before its turn in its concurrency group or if it could not start.
    pub(super) fn jobs_to_json(&self, base: &str) -> Vec<Value> {
        if self.status == "pending" || self.conclusion == Some("startup_failure") {
            return Vec::new();
        }
        let steps = self.steps.iter().enumerate().map(|(index, step)| {
            json!({
                "name": step.name,
                "number": index + 1,
                "status": step.status,
                "conclusion": step.conclusion,
                "started_at": step.started_at,
                "completed_at": step.completed_at,
            })
        });
        let id = self.job_id();
        vec![json!({
            "id": id,
            "run_id": self.id,
            "run_attempt": self.attempt,
            "name": "deploy",
            "status": self.status,
            "conclusion": self.conclusion,
            "head_sha": HEAD_SHA,
            "html_url": format!("{}/job/{id}", self.html_url(base)),
            "check_run_url": format!("{base}/repos/{}/check-runs/{id}", self.repository),
            "created_at": self.created_at,
            // GitHub gives this moment to jobs that have not begun, too.
            "started_at": self.created_at,
            "completed_at": self.conclusion.map(|_| self.updated_at),
            "runner_name": self.steps.first().map(|_| "runner-1"),
            "steps": steps.collect::<Vec<_>>(),
        })]
    }
}

/// GitHub's `simple-user`.
fn person(login: &str) -> Value {
    json!({ "login": login, "id": 1, "type": "User", "site_admin": false })
}
