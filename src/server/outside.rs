//! Watches for runs of the sites' workflows that were started outside the console, and for re-runs of ours.
//!
//! `gh workflow run` by hand keeps working, and an operator who is about to deploy wants to know of it. One conditional
//! request for each workflow, mostly answered "unchanged", tells of both.

use super::clock;
use super::github::{self, Github, Listed, LookupFailed};
use super::reconciler::Reconciler;
use super::store::{Hint, Store, StoreError, Workflow};
use crate::domain::{Deploy, DeployId, Event, OutsideRun, Run, Site, Timestamp};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

const BEAT: Duration = Duration::from_secs(1);
/// How often a workflow's runs are listed, in milliseconds; more often while one from outside is under way.
const QUIET_MS: i64 = 30_000;
const BUSY_MS: i64 = 15_000;
/// However often GitHub hints, it is not asked sooner than this after the last time.
const LEAST_MS: i64 = 2_000;
/// The longest wait after failures.
const CEILING_MS: i64 = 10 * 60_000;

/// The watch. Clones are the same one.
#[derive(Debug, Clone)]
pub struct OutsideWatch {
    store: Store,
    github: Github,
    reconciler: Reconciler,
    workflows: Arc<[Workflow]>,
    turns: Arc<tokio::sync::Mutex<HashMap<Workflow, Turn>>>,
    hurry: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Turn {
    asked: Option<Timestamp>,
    due: Option<Timestamp>,
    wait: i64,
    /// What is on record already, by run.
    recorded: HashMap<i64, OutsideRun>,
}

impl Turn {
    /// Whether it is this workflow's turn; a hint brings it forward, but not too close to the last one.
    fn is_due(&mut self, hurried: bool, now: Timestamp) -> bool {
        if hurried {
            let soonest = self.asked.map(|asked| asked.plus_millis(LEAST_MS).max(now));
            self.due = self.due.min(soonest);
        }
        self.due.is_none_or(|due| due <= now)
    }

    /// Takes note of what a question came to.
    fn asked(&mut self, outcome: Result<i64, LookupFailed>, now: Timestamp) {
        self.asked = Some(now);
        (self.due, self.wait) = match outcome {
            Ok(wait) => (Some(now.plus_millis(wait)), 0),
            Err(failed) => {
                let wait = (self.wait * 2).clamp(QUIET_MS, CEILING_MS);
                (Some(failed.not_before.unwrap_or(now.plus_millis(wait))), wait)
            }
        };
    }
}

/// The workflow that deploys a site.
pub fn workflow_of(site: &Site) -> Workflow {
    Workflow {
        repository: site.repository.to_ascii_lowercase(),
        file: site.workflow.clone(),
    }
}

impl OutsideWatch {
    /// A watch that does nothing until it is told to [`Self::run`] or [`Self::step`].
    pub fn new(store: Store, github: Github, reconciler: Reconciler, sites: &[Site]) -> Self {
        let mut workflows: Vec<Workflow> = Vec::new();
        for workflow in sites.iter().map(workflow_of) {
            if !workflows.contains(&workflow) {
                workflows.push(workflow);
            }
        }
        Self {
            store,
            github,
            reconciler,
            workflows: workflows.into(),
            turns: Arc::default(),
            hurry: Arc::default(),
        }
    }

    /// Every workflow that is watched.
    pub fn workflows(&self) -> &[Workflow] {
        &self.workflows
    }

    /// Says that something has changed in a repository, to whichever instance leads.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn hint(&self, repository: &str) -> Result<(), StoreError> {
        let repository = repository.to_ascii_lowercase();
        self.store.leave_hint(Hint::Repository, &repository).await?;
        self.hurry.notify_one();
        Ok(())
    }

    /// Watches until told to stop.
    pub async fn run(self, stop: CancellationToken) {
        // What was known of GitHub's answers is old where another instance has led meanwhile.
        self.turns.lock().await.clear();
        while !stop.is_cancelled() {
            let _stopped_or_looked = stop.run_until_cancelled(self.step(clock::now())).await;
            let woken = timeout(BEAT, self.hurry.notified());
            let _stopped_or_beaten = stop.run_until_cancelled(woken).await;
        }
    }

    /// Lists the runs of every workflow that is due at `now`. Returns how many workflows that were; what fails is logged,
    /// and tried again later.
    pub async fn step(&self, now: Timestamp) -> usize {
        let mut turns = self.turns.lock().await;
        let hurried = self.store.take_hints(Hint::Repository).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "hints could not be read; trying again");
            Vec::new()
        });
        let mut asked = 0;
        for workflow in &*self.workflows {
            let turn = turns.entry(workflow.clone()).or_default();
            if turn.is_due(hurried.contains(&workflow.repository), now) {
                asked += 1;
                let looked = self.look(workflow, &mut turn.recorded, now).await;
                let outcome = looked.unwrap_or_else(|error| Err(LookupFailed::because(error.to_string())));
                if let Err(failed) = &outcome {
                    let Workflow { repository, file } = workflow;
                    tracing::warn!(repository, file, %failed, "the runs of a workflow could not be listed");
                }
                turn.asked(outcome, now);
            }
        }
        asked
    }

    /// Lists a workflow's runs once; how long to wait until the next time.
    async fn look(
        &self,
        workflow: &Workflow,
        recorded: &mut HashMap<i64, OutsideRun>,
        now: Timestamp,
    ) -> Result<Result<i64, LookupFailed>, StoreError> {
        let Workflow { repository, file } = workflow;
        let listed = match self.github.newest_runs(repository, file, now).await {
            Ok(listed) => listed,
            Err(failed) => return Ok(Err(failed)),
        };
        let ids: Vec<i64> = listed.iter().map(|listed| listed.run.run_id).collect();
        recorded.retain(|id, _| ids.contains(id));
        let ours = self.store.deploys_of_runs(&ids).await?;
        let mut busy = false;
        for Listed { title, run } in &listed {
            if let Some(deploy) = ours.iter().find(|deploy| deploy.run_id == Some(run.run_id)) {
                self.notice_rerun(deploy, run);
            } else if !self.may_be_ours(title, run, now).await? {
                busy |= run.state.is_active();
                if recorded.get(&run.run_id) != Some(run) {
                    self.store.record_outside(run).await?;
                    recorded.insert(run.run_id, run.clone());
                }
            }
        }
        self.follow(workflow, &ids, now).await?;
        Ok(Ok(if busy { BUSY_MS } else { QUIET_MS }))
    }

    /// Whether a run can be that of a deploy whose run is not known: it carries its id, and was started after it was
    /// dispatched. Then it is none from outside; and where that deploy was closed by hand, it is one that disagrees.
    async fn may_be_ours(&self, title: &str, run: &OutsideRun, now: Timestamp) -> Result<bool, StoreError> {
        let Some(id) = deploy_id_in(title) else {
            return Ok(false);
        };
        let Some(deploy) = self.store.deploy(id).await?.filter(|deploy| deploy.run_id.is_none()) else {
            return Ok(false);
        };
        if !github::may_be_of(&deploy, run.started_at) {
            return Ok(false);
        }
        if deploy.state.is_finished() && !deploy.conclusion_conflict {
            let found = Run {
                id: run.run_id,
                attempt: 1,
                url: run.run_url.clone(),
                head_sha: run.head_sha.clone(),
            };
            self.store.change(id, &Event::Found(found), now).await?;
        }
        Ok(true)
    }

    /// A run of ours that was run again is the reconciler's.
    fn notice_rerun(&self, deploy: &Deploy, run: &OutsideRun) {
        let known = deploy.reruns.last().map_or(1, |rerun| rerun.attempt);
        if run.attempt > known {
            self.reconciler.look_now(deploy.id);
        }
    }

    /// Runs that were under way when they were last seen, and are not among the newest any more.
    async fn follow(&self, workflow: &Workflow, listed: &[i64], now: Timestamp) -> Result<(), StoreError> {
        let shown = self.store.outside_on_board(std::slice::from_ref(workflow)).await?;
        for run in shown.iter().filter(|run| run.state.is_active()) {
            if listed.contains(&run.run_id) {
                continue;
            }
            match self.github.outside_run(run, now).await {
                Ok(Some(run)) => self.store.record_outside(&run).await?,
                Ok(None) => self.store.forget_outside(run.run_id).await?,
                Err(failed) => tracing::warn!(run = run.run_id, %failed, "a run from outside could not be read"),
            }
        }
        Ok(())
    }
}

/// The first id of a deploy in a run's title.
fn deploy_id_in(title: &str) -> Option<DeployId> {
    let allowed = |c: char| c.is_ascii_hexdigit() || c == '-';
    title.split(|c| !allowed(c)).find_map(|word| word.parse().ok())
}
