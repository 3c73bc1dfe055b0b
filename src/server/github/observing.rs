//! How a run stands: GitHub's words for it, mapped to ours in one place.
//!
//! Sources: <https://docs.github.com/en/rest/actions/workflow-runs#get-a-workflow-run>,
//! <https://docs.github.com/en/rest/actions/workflow-jobs#list-jobs-for-a-workflow-run>.

use super::shapes::{Job, JobStep, Jobs, WorkflowRun, ended_badly};
use super::{Github, LookupFailed};
use crate::domain::{
    Blocker, Failure, MOST_ATTEMPTS, Observation, Observed, Run, Site, State, Step, StepStatus, Timestamp,
};

/// What GitHub's `status` and `conclusion` of a run mean.
enum Standing {
    WaitsForApproval,
    WaitsForItsGroup,
    WaitsForARunner,
    Runs,
    Succeeded,
    Failed,
    Cancelled,
}

/// The one place where GitHub's words are mapped; a word that is new to us is no evidence of anything.
fn standing(run: &WorkflowRun, jobs: &[Job]) -> Result<Standing, LookupFailed> {
    let (status, conclusion) = (run.status.as_deref().unwrap_or_default(), run.conclusion.as_deref());
    let begun = jobs.iter().any(Job::has_begun);
    Ok(match (status, conclusion) {
        ("completed", Some("success")) => Standing::Succeeded,
        ("completed", Some("cancelled")) => Standing::Cancelled,
        ("completed", Some(_)) => Standing::Failed,
        ("waiting", _) => Standing::WaitsForApproval,
        ("pending", _) => Standing::WaitsForItsGroup,
        ("queued" | "requested", _) if !begun => Standing::WaitsForARunner,
        // Between two jobs a run is `queued`, and just before its conclusion is known `completed`.
        ("queued" | "requested" | "in_progress" | "completed", _) => Standing::Runs,
        _ => {
            let words = format!(
                "GitHub says `{status}` of run {}, which this console does not know",
                run.id
            );
            return Err(LookupFailed::because(words));
        }
    })
}

/// How a run stands of which nothing but itself is known; `None` in words that are new to us.
pub(super) fn state_of(run: &WorkflowRun) -> Option<State> {
    Some(match standing(run, &[]).ok()? {
        Standing::WaitsForApproval | Standing::WaitsForItsGroup | Standing::WaitsForARunner => State::Queued,
        Standing::Runs => State::Running,
        Standing::Succeeded => State::Succeeded,
        Standing::Failed => State::Failed,
        Standing::Cancelled => State::Cancelled,
    })
}

/// What was seen of an attempt of a run.
#[derive(Debug, Clone)]
pub struct Seen {
    /// How it stands.
    pub observation: Observation,
    /// The number of the run's latest attempt: more than 1 when it was run again.
    pub latest: i64,
}

impl Github {
    /// Reads how an attempt of a run stands: its status, its jobs' steps, and, where it matters, what blocks it or why it failed.
    ///
    /// # Errors
    /// [`LookupFailed`] when GitHub gives no usable answer.
    pub async fn observe(&self, site: &Site, run_id: i64, attempt: i64, now: Timestamp) -> Result<Seen, LookupFailed> {
        let path = format!("/repos/{}/actions/runs/{run_id}", site.repository);
        let mut run: WorkflowRun = self.get(&path, &[], now).await?;
        let latest = run.run_attempt;
        if !(1..=MOST_ATTEMPTS).contains(&latest) {
            return Err(LookupFailed::because(format!(
                "GitHub says that run {run_id} is in attempt {latest}"
            )));
        }
        if attempt != latest {
            run = self.get(&format!("{path}/attempts/{attempt}"), &[], now).await?;
        }
        // By its number: the run may be run again at this moment.
        let jobs = format!(
            "/repos/{}/actions/runs/{run_id}/attempts/{attempt}/jobs",
            site.repository
        );
        let Jobs { mut jobs } = self.get(&jobs, &[("per_page", "100")], now).await?;
        jobs.sort_by_key(|job| (!job.has_begun(), job.started_at, job.id));
        let status = match standing(&run, &jobs)? {
            Standing::WaitsForApproval => Observed::Waiting(self.approval(site, run_id, now).await),
            Standing::WaitsForItsGroup => Observed::Waiting(self.concurrency(site, run_id, now).await),
            Standing::WaitsForARunner => Observed::Waiting(no_runner(&run, &jobs, now)),
            Standing::Runs => Observed::Running,
            Standing::Succeeded => Observed::Succeeded,
            Standing::Failed => Observed::Failed(self.failure(site, &run, &jobs, now).await),
            Standing::Cancelled => Observed::Cancelled(self.told(site, jobs.first(), now).await),
        };
        let ended_at = jobs.iter().filter_map(|job| job.completed_at).max().or(run.updated_at);
        let begun = jobs.iter().filter(|job| job.has_begun());
        let observation = Observation {
            run: Run::from(&run),
            by: run.triggering_actor.and_then(|actor| actor.login),
            steps: steps(&jobs),
            started_at: begun.filter_map(|job| job.started_at).min(),
            ended_at: ended_at.filter(|_| status.is_finished()),
            status,
        };
        Ok(Seen { observation, latest })
    }

    /// The failed step, and the reason in GitHub's words, or else in the log's.
    async fn failure(&self, site: &Site, run: &WorkflowRun, jobs: &[Job], now: Timestamp) -> Failure {
        let in_words = || run.conclusion.as_deref().and_then(conclusion_words);
        let Some(job) = jobs.iter().find(|job| job.has_failed()) else {
            let told = self.told(site, jobs.first(), now).await;
            return Failure {
                step: None,
                reason: told.or_else(in_words),
            };
        };
        let failed = job.steps.iter().find(|step| ended_badly(step.conclusion.as_deref()));
        // A runner that died leaves the step that it was in without an end.
        let unended = || job.steps.iter().find(|step| step.status == "in_progress");
        let step = failed.or_else(unended).map(|step| step.name.clone());
        Failure {
            step: step.or_else(|| (jobs.len() > 1).then(|| job.name.clone())),
            reason: self.reason(site, job, now).await.or_else(in_words),
        }
    }
}

/// What a conclusion means when no job says more; `failure` alone says nothing.
fn conclusion_words(conclusion: &str) -> Option<String> {
    Some(match conclusion {
        "failure" => return None,
        "startup_failure" => "GitHub could not start the run: look at the workflow file".to_owned(),
        "timed_out" => "the run took longer than GitHub allows".to_owned(),
        "action_required" => "GitHub wants somebody's approval before it runs this workflow".to_owned(),
        "skipped" => "GitHub skipped every job of the run, so nothing was deployed".to_owned(),
        other => format!("GitHub concluded the run as `{other}`"),
    })
}

fn no_runner(run: &WorkflowRun, jobs: &[Job], now: Timestamp) -> Blocker {
    let since = jobs.iter().filter_map(|job| job.created_at).min().or(run.created_at);
    Blocker::NoRunner {
        since: since.unwrap_or(now),
    }
}

/// The steps that have begun, job by job. Where several jobs have, each step says whose it is.
fn steps(jobs: &[Job]) -> Vec<Step> {
    let several = jobs.iter().filter(|job| !job.steps.is_empty()).count() > 1;
    let named = |job: &Job, step: &JobStep| {
        if several {
            format!("{} / {}", job.name, step.name)
        } else {
            step.name.clone()
        }
    };
    jobs.iter()
        .flat_map(|job| job.steps.iter().map(move |step| (job, step)))
        .filter_map(|(job, step)| {
            Some(Step {
                name: named(job, step),
                status: step_status(step)?,
                started_at: step.started_at,
                finished_at: step.completed_at,
            })
        })
        .collect()
}

/// `None` for a step that did not begin, or was skipped.
fn step_status(step: &JobStep) -> Option<StepStatus> {
    Some(match (step.status.as_str(), step.conclusion.as_deref()) {
        ("in_progress", _) => StepStatus::Running,
        ("completed", Some("success")) => StepStatus::Succeeded,
        ("completed", Some("cancelled")) => StepStatus::Cancelled,
        ("completed", conclusion) if ended_badly(conclusion) => StepStatus::Failed,
        ("completed", Some("skipped")) => return None,
        ("completed", _) => StepStatus::Unknown,
        _ => return None,
    })
}
