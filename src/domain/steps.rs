//! Steps, drawn from reports that may come late, twice or in any order.
//!
//! A report says only "the job is at this step now". So for each step of a job we keep the span of
//! its sequence numbers, which does not depend on the order of arrival, and derive the rest: a step is
//! over when a later one of its job has begun, or the deploy has finished.
//!
//! GitHub's API lists steps with their exact times, but knows them later than reports do. So its list stands
//! in place of all that was reported before it was read, and what is reported afterwards comes after it.

use super::{Deploy, Report, State, Timestamp};
use serde::{Deserialize, Serialize};

/// A named stage inside a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Its name.
    pub name: String,
    /// How it stands.
    pub status: StepStatus,
    /// When it was first heard of.
    pub started_at: Option<Timestamp>,
    /// When the next one of its job was heard of, or the deploy finished.
    pub finished_at: Option<Timestamp>,
}

/// How a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepStatus {
    /// Under way.
    Running,
    /// Over; a later step of its job began after it, or the deploy succeeded.
    Succeeded,
    /// Named as the one that failed.
    Failed,
    /// Under way when the deploy was cancelled.
    Cancelled,
    /// The last step heard of in a deploy that failed, and no report says how it ended.
    Unknown,
}

/// What reports said of one step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepTrace {
    /// The job that the step belongs to.
    pub job: String,
    /// The step's name.
    pub name: String,
    /// The lowest sequence number that named it: its place among the steps of its job.
    pub first_seq: i64,
    /// The highest one.
    pub last_seq: i64,
    /// When a report first named it.
    pub heard_at: Timestamp,
}

/// Adds what `report` says of its step. Any order of calls gives the same set.
pub(super) fn trace(traces: &mut Vec<StepTrace>, report: &Report, at: Timestamp) {
    let Some(name) = report.step.as_deref().filter(|name| !name.is_empty()) else {
        return;
    };
    let known = traces
        .iter_mut()
        .find(|trace| trace.job == report.job && trace.name == name);
    if let Some(trace) = known {
        trace.first_seq = trace.first_seq.min(report.seq);
        trace.last_seq = trace.last_seq.max(report.seq);
        trace.heard_at = trace.heard_at.min(at);
    } else {
        let (job, name) = (report.job.clone(), name.to_owned());
        traces.push(StepTrace {
            job,
            name,
            first_seq: report.seq,
            last_seq: report.seq,
            heard_at: at,
        });
    }
    traces.sort_by(|a, b| (a.first_seq, &a.job, &a.name).cmp(&(b.first_seq, &b.job, &b.name)));
}

/// Draws the public steps from what is known of them and the deploy's state.
pub(super) fn draw(deploy: &Deploy) -> Vec<Step> {
    let Some(listed) = &deploy.listed_steps else {
        return draw_traces(deploy, &deploy.traces);
    };
    let is_news =
        |trace: &&StepTrace| trace.heard_at > listed.at && listed.steps.iter().all(|step| step.name != trace.name);
    let news: Vec<StepTrace> = deploy.traces.iter().filter(is_news).cloned().collect();
    let next_began = news.first().map(|trace| trace.heard_at);
    let listed = listed.steps.iter().cloned().map(|mut step| {
        if step.status == StepStatus::Running && (next_began.is_some() || !deploy.is_active()) {
            step.status = status(deploy, &step.name, next_began.is_some());
            step.finished_at = next_began.or(deploy.finished_at).max(step.started_at);
        }
        step
    });
    listed.chain(draw_traces(deploy, &news)).collect()
}

fn draw_traces(deploy: &Deploy, traces: &[StepTrace]) -> Vec<Step> {
    traces
        .iter()
        .enumerate()
        .map(|(index, trace)| {
            let next = traces[index + 1..].iter().find(|later| later.job == trace.job);
            let ended = next.map(|next| next.heard_at).or(deploy.finished_at);
            Step {
                name: trace.name.clone(),
                status: status(deploy, &trace.name, next.is_some()),
                started_at: Some(trace.heard_at),
                // The clock may have been set back in between.
                finished_at: ended.map(|ended| ended.max(trace.heard_at)),
            }
        })
        .collect()
}

fn status(deploy: &Deploy, name: &str, followed: bool) -> StepStatus {
    let failed = deploy.failure.as_ref().and_then(|failure| failure.step.as_deref());
    match deploy.state {
        State::Failed if failed == Some(name) => StepStatus::Failed,
        _ if followed => StepStatus::Succeeded,
        State::Succeeded => StepStatus::Succeeded,
        State::Failed => StepStatus::Unknown,
        State::Cancelled => StepStatus::Cancelled,
        _ => StepStatus::Running,
    }
}
