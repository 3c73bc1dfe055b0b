//! The state machine: [`apply`] is the only thing that moves a deploy.
//!
//! ```text
//! requested → dispatching → queued → running → succeeded | failed | cancelled
//!                 ├→ dispatch_failed (GitHub refused)
//!                 └→ dispatch_unknown (no answer) → queued | running
//!                        queued | running → lost → finished
//! ```
//!
//! Three rules hold whatever arrives, in whatever order: the rank of a state only rises, a finished
//! state never changes, and evidence that comes too late and disagrees is marked, not believed.

use super::{ConfirmedBy, Deploy, Failure, Report, ReportStatus, Run, State, Timestamp, steps};
use serde::{Deserialize, Serialize};

/// Something that happened to a deploy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The dispatcher took the intent, and will call GitHub once this is on record.
    Claimed,
    /// GitHub accepted the dispatch and named the run.
    Accepted(Run),
    /// GitHub refused the dispatch. There is no run.
    Refused {
        /// GitHub's message.
        reason: String,
    },
    /// The dispatch never left this machine. There is no run.
    NotSent {
        /// What kept it.
        reason: String,
    },
    /// Nobody knows whether GitHub accepted it.
    Unanswered {
        /// What was seen instead of an answer.
        reason: String,
    },
    /// Among GitHub's runs there is one whose title carries this deploy's id.
    Found(Run),
    /// A signed callback.
    Reported(Report),
    /// GitHub's API says how the bound run stands.
    Observed {
        /// The attempt that GitHub speaks of.
        attempt: i64,
        /// What it says.
        status: Observed,
    },
    /// Nothing was heard for longer than the site allows, and GitHub cannot say.
    WentSilent,
    /// An operator asked to stop it.
    CancelRequested {
        /// Who.
        operator: String,
    },
    /// An operator closed it by hand.
    Overridden {
        /// Who.
        operator: String,
        /// The finished state that the operator vouches for.
        state: State,
    },
}

/// GitHub's `status` and `conclusion` of a run, mapped to ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observed {
    /// `in_progress`.
    Running,
    /// Concluded `success`.
    Succeeded,
    /// Concluded in any other way but `cancelled`.
    Failed(Failure),
    /// Concluded `cancelled`.
    Cancelled,
}

/// Who or what caused a transition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "name")]
pub enum Actor {
    /// A person.
    Operator(String),
    /// This console.
    Console,
    /// GitHub's API, asked by the console.
    Github,
    /// The run itself, by a signed callback.
    Workflow,
}

/// What an event did to a deploy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The state changed.
    Moved,
    /// The state is the same; something else about the deploy is known better.
    Noted,
    /// Authentic, but older than what is known already; at most a step and a piece of the log come of it.
    Stale,
    /// Authentic, but the deploy is finished, or has a newer attempt.
    TooLate,
    /// It speaks of another run than the one that is bound.
    OtherRun,
    /// It cannot happen in this state; nothing changed.
    Impossible,
}

/// Applies `event` to `deploy` at the moment `at`, and tells what it did.
pub fn apply(mut deploy: Deploy, event: &Event, at: Timestamp) -> (Deploy, Effect) {
    let effect = match event {
        Event::Claimed => claim(&mut deploy, at),
        Event::Accepted(run) => accepted(&mut deploy, run, at),
        Event::Refused { reason } => refused(&mut deploy, reason, Some(ConfirmedBy::Github), at),
        Event::NotSent { reason } => refused(&mut deploy, reason, None, at),
        Event::Unanswered { reason } => unanswered(&mut deploy, reason),
        Event::Found(run) => found(&mut deploy, run, at),
        Event::Reported(report) => reported(&mut deploy, report, at),
        Event::Observed { attempt, status } => observed(&mut deploy, *attempt, status, at),
        Event::WentSilent => went_silent(&mut deploy),
        Event::CancelRequested { .. } => cancel_requested(&mut deploy, at),
        Event::Overridden { state, .. } => overridden(&mut deploy, *state, at),
    };
    deploy.redraw_steps();
    (deploy, effect)
}

impl Event {
    /// Who or what is behind the event.
    pub fn actor(&self) -> Actor {
        match self {
            Self::Claimed | Self::NotSent { .. } | Self::Unanswered { .. } | Self::WentSilent => Actor::Console,
            Self::Accepted(_) | Self::Refused { .. } | Self::Found(_) | Self::Observed { .. } => Actor::Github,
            Self::Reported(_) => Actor::Workflow,
            Self::CancelRequested { operator } | Self::Overridden { operator, .. } => Actor::Operator(operator.clone()),
        }
    }

    /// What the event says, in the words of whoever caused it.
    pub fn note(&self) -> Option<String> {
        match self {
            Self::Refused { reason } | Self::NotSent { reason } | Self::Unanswered { reason } => Some(reason.clone()),
            Self::Accepted(run) | Self::Found(run) => Some(format!("run {}", run.id)),
            Self::Reported(report) => report.message.clone().or_else(|| report.step.clone()),
            Self::Observed {
                status: Observed::Failed(failure),
                ..
            } => failure.reason.clone(),
            Self::CancelRequested { .. } => Some("asked to cancel".to_owned()),
            Self::Overridden { .. } => Some("closed by hand".to_owned()),
            Self::Claimed | Self::WentSilent | Self::Observed { .. } => None,
        }
    }
}

fn claim(deploy: &mut Deploy, at: Timestamp) -> Effect {
    if deploy.state != State::Requested {
        return Effect::Impossible;
    }
    deploy.dispatched_at = Some(at);
    move_to(deploy, State::Dispatching)
}

fn accepted(deploy: &mut Deploy, run: &Run, at: Timestamp) -> Effect {
    if let Some(effect) = rebind(deploy, run) {
        return effect;
    }
    if deploy.state != State::Dispatching {
        return Effect::Impossible;
    }
    bind(deploy, run, at);
    move_to(deploy, State::Queued)
}

fn refused(deploy: &mut Deploy, reason: &str, by: Option<ConfirmedBy>, at: Timestamp) -> Effect {
    if deploy.state != State::Dispatching {
        return if deploy.run_id.is_some() {
            disagree(deploy, Effect::Impossible)
        } else {
            Effect::Impossible
        };
    }
    deploy.failure = Some(Failure {
        step: Some("dispatch".to_owned()),
        reason: Some(reason.to_owned()),
    });
    deploy.last_heard_at = by.map(|_| at);
    finish(deploy, State::DispatchFailed, by, at)
}

fn unanswered(deploy: &mut Deploy, reason: &str) -> Effect {
    if deploy.state != State::Dispatching {
        return Effect::Impossible;
    }
    deploy.notice = Some(reason.to_owned());
    move_to(deploy, State::DispatchUnknown)
}

fn found(deploy: &mut Deploy, run: &Run, at: Timestamp) -> Effect {
    if let Some(effect) = rebind(deploy, run) {
        return effect;
    }
    if deploy.state != State::DispatchUnknown {
        return Effect::Impossible;
    }
    bind(deploy, run, at);
    move_to(deploy, State::Queued)
}

/// What GitHub says of a run, when one is bound already: more about the same one, or another.
fn rebind(deploy: &mut Deploy, run: &Run) -> Option<Effect> {
    let bound = deploy.run_id?;
    if bound != run.id {
        return Some(disagree(deploy, Effect::OtherRun));
    }
    let before = (deploy.run_url.clone(), deploy.head_sha.clone());
    deploy.run_url = deploy.run_url.take().or_else(|| run.url.clone());
    deploy.head_sha = deploy.head_sha.take().or_else(|| run.head_sha.clone());
    let learned = before != (deploy.run_url.clone(), deploy.head_sha.clone());
    Some(if learned { Effect::Noted } else { Effect::Stale })
}

fn bind(deploy: &mut Deploy, run: &Run, at: Timestamp) {
    deploy.run_id = Some(run.id);
    deploy.run_attempt = Some(run.attempt);
    deploy.run_url.clone_from(&run.url);
    deploy.head_sha.clone_from(&run.head_sha);
    deploy.confirmed_by = Some(ConfirmedBy::Github);
    deploy.last_heard_at = Some(at);
    deploy.notice = None;
}

fn reported(deploy: &mut Deploy, report: &Report, at: Timestamp) -> Effect {
    if let Some(bound) = deploy.run_id
        && bound != report.run_id
    {
        return Effect::OtherRun;
    }
    if deploy.run_attempt.is_some_and(|attempt| report.run_attempt < attempt) {
        return Effect::TooLate;
    }
    if deploy.state.is_finished() {
        return reported_late(deploy, report);
    }
    if deploy.state == State::Requested {
        // No run of ours can exist yet: the dispatch has not left.
        return Effect::TooLate;
    }
    let is_older = deploy
        .traces
        .iter()
        .any(|trace| trace.job == report.job && trace.last_seq > report.seq);
    deploy.run_id = Some(report.run_id);
    deploy.run_attempt = Some(report.run_attempt);
    deploy.last_heard_at = Some(at);
    deploy.started_at = deploy.started_at.or(Some(at));
    steps::trace(&mut deploy.traces, report, at);
    match report.status {
        ReportStatus::InProgress => {
            if deploy.state.rank() < State::Running.rank() {
                deploy.notice = None;
                deploy.confirmed_by = Some(ConfirmedBy::Callback);
                return move_to(deploy, State::Running);
            }
            if is_older { Effect::Stale } else { Effect::Noted }
        }
        ReportStatus::Success => finish(deploy, State::Succeeded, Some(ConfirmedBy::Callback), at),
        ReportStatus::Cancelled => finish(deploy, State::Cancelled, Some(ConfirmedBy::Callback), at),
        ReportStatus::Failure => {
            deploy.failure = Some(Failure {
                step: report.step.clone(),
                reason: report.message.clone(),
            });
            finish(deploy, State::Failed, Some(ConfirmedBy::Callback), at)
        }
    }
}

/// A report about a deploy that is finished: never believed, but a contradiction is marked.
fn reported_late(deploy: &mut Deploy, report: &Report) -> Effect {
    let Some(attempt) = deploy.run_attempt else {
        // It finished without a run, and here one speaks.
        return disagree(deploy, Effect::TooLate);
    };
    let agrees = match report.status {
        ReportStatus::InProgress => true,
        ReportStatus::Success => deploy.state == State::Succeeded,
        ReportStatus::Failure => deploy.state == State::Failed,
        ReportStatus::Cancelled => deploy.state == State::Cancelled,
    };
    // A later attempt is a re-run: its result is its own and contradicts nothing.
    if agrees || report.run_attempt > attempt {
        return Effect::TooLate;
    }
    disagree(deploy, Effect::TooLate)
}

fn observed(deploy: &mut Deploy, attempt: i64, status: &Observed, at: Timestamp) -> Effect {
    if deploy.run_id.is_none() || deploy.run_attempt.is_some_and(|bound| attempt < bound) {
        return Effect::Impossible;
    }
    let state = match status {
        Observed::Running => State::Running,
        Observed::Succeeded => State::Succeeded,
        Observed::Failed(_) => State::Failed,
        Observed::Cancelled => State::Cancelled,
    };
    if deploy.state.is_finished() {
        let agrees = state == deploy.state || state == State::Running || deploy.run_attempt != Some(attempt);
        return if agrees {
            Effect::TooLate
        } else {
            disagree(deploy, Effect::TooLate)
        };
    }
    deploy.last_heard_at = Some(at);
    deploy.started_at = deploy.started_at.or(Some(at));
    if let Observed::Failed(failure) = status {
        deploy.failure = Some(failure.clone());
    }
    if state.is_finished() {
        return finish(deploy, state, Some(ConfirmedBy::Github), at);
    }
    if deploy.state.rank() >= State::Running.rank() {
        return Effect::Stale;
    }
    deploy.confirmed_by = Some(ConfirmedBy::Github);
    move_to(deploy, State::Running)
}

fn went_silent(deploy: &mut Deploy) -> Effect {
    if !matches!(deploy.state, State::Queued | State::Running) {
        return Effect::Impossible;
    }
    move_to(deploy, State::Lost)
}

fn cancel_requested(deploy: &mut Deploy, at: Timestamp) -> Effect {
    if deploy.state == State::Requested {
        deploy.cancel_requested = true;
        return finish(deploy, State::Cancelled, Some(ConfirmedBy::Operator), at);
    }
    if deploy.state.is_finished() || deploy.cancel_requested {
        return Effect::Impossible;
    }
    deploy.cancel_requested = true;
    Effect::Noted
}

fn overridden(deploy: &mut Deploy, state: State, at: Timestamp) -> Effect {
    let allowed = match deploy.state {
        State::Lost => matches!(state, State::Succeeded | State::Failed | State::Cancelled),
        State::DispatchUnknown => state == State::DispatchFailed,
        _ => false,
    };
    if !allowed {
        return Effect::Impossible;
    }
    finish(deploy, state, Some(ConfirmedBy::Operator), at)
}

fn finish(deploy: &mut Deploy, state: State, by: Option<ConfirmedBy>, at: Timestamp) -> Effect {
    deploy.finished_at = Some(at);
    deploy.confirmed_by = by;
    deploy.notice = None;
    move_to(deploy, state)
}

fn disagree(deploy: &mut Deploy, effect: Effect) -> Effect {
    deploy.conclusion_conflict = true;
    effect
}

fn move_to(deploy: &mut Deploy, state: State) -> Effect {
    deploy.state = state;
    Effect::Moved
}
