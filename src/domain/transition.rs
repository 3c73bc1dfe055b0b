//! The state machine: [`apply`] is the only thing that moves a deploy.
//!
//! ```text
//! requested → dispatching → queued → running → succeeded | failed | cancelled
//!                 ├→ dispatch_failed (GitHub refused)
//!                 └→ dispatch_unknown (no answer) → queued | running
//!                        queued | running → lost → finished
//!                        lost | dispatch_unknown → closed by hand
//! ```
//!
//! Three rules hold whatever arrives, in whatever order: the rank of a state only rises, a finished
//! state never changes, and evidence that comes too late and disagrees is marked, not believed.

mod observing;

use super::{ConfirmedBy, Deploy, Failure, Observation, Observed, Report, ReportStatus, Run, State, Timestamp, steps};
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
    Observed(Observation),
    /// Nothing was heard for longer than the site allows, and GitHub cannot say.
    WentSilent {
        /// How long it was silent, and why GitHub cannot say.
        reason: String,
    },
    /// An operator asked to stop it.
    CancelRequested {
        /// Who.
        operator: String,
        /// Whether by force, after the plain wish did not help.
        force: bool,
    },
    /// GitHub took the wish to stop the run.
    CancelSent,
    /// An operator closed it by hand.
    Overridden {
        /// Who.
        operator: String,
        /// The finished state that the operator vouches for.
        state: State,
        /// How the operator knows.
        reason: String,
    },
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
    /// Authentic, but the deploy is finished, or this is about another attempt of its run.
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
        Event::Observed(observation) => observing::observed(&mut deploy, observation, at),
        Event::WentSilent { reason } => went_silent(&mut deploy, reason),
        Event::CancelRequested { force, .. } => cancel_requested(&mut deploy, *force, at),
        Event::CancelSent => cancel_sent(&mut deploy, at),
        Event::Overridden { state, reason, .. } => overridden(&mut deploy, *state, reason, at),
    };
    deploy.redraw_steps();
    (deploy, effect)
}

impl Event {
    /// Who or what is behind the event.
    pub fn actor(&self) -> Actor {
        match self {
            Self::Claimed | Self::NotSent { .. } | Self::Unanswered { .. } | Self::WentSilent { .. } => Actor::Console,
            Self::Accepted(_) | Self::Refused { .. } | Self::Found(_) | Self::Observed(_) | Self::CancelSent => {
                Actor::Github
            }
            Self::Reported(_) => Actor::Workflow,
            Self::CancelRequested { operator, .. } | Self::Overridden { operator, .. } => {
                Actor::Operator(operator.clone())
            }
        }
    }

    /// What the event says, in the words of whoever caused it.
    pub fn note(&self) -> Option<String> {
        match self {
            Self::Refused { reason }
            | Self::NotSent { reason }
            | Self::Unanswered { reason }
            | Self::WentSilent { reason } => Some(reason.clone()),
            Self::Accepted(run) | Self::Found(run) => Some(format!("run {}", run.id)),
            Self::Reported(report) => report.message.clone().or_else(|| report.step.clone()),
            Self::Observed(observation) => match &observation.status {
                Observed::Failed(failure) => failure.reason.clone(),
                Observed::Cancelled(reason) => reason.clone(),
                Observed::Waiting(_) | Observed::Running | Observed::Succeeded => None,
            },
            Self::CancelRequested { force: false, .. } => Some("asked to cancel".to_owned()),
            Self::CancelRequested { force: true, .. } => Some("asked to cancel by force".to_owned()),
            Self::CancelSent => Some("takes the cancellation".to_owned()),
            Self::Overridden { reason, .. } => Some(format!("closed by hand: {reason}")),
            Self::Claimed => None,
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
    if deploy.state == State::Dispatching {
        bind(deploy, run, at);
        return move_to(deploy, State::Queued);
    }
    // The answer came late: others had taken the call for unanswered.
    found(deploy, run, at)
}

fn refused(deploy: &mut Deploy, reason: &str, by: Option<ConfirmedBy>, at: Timestamp) -> Effect {
    // Others may have taken the call for unanswered, and here is its answer.
    let is_unbound = deploy.state == State::DispatchUnknown && deploy.run_id.is_none();
    if deploy.state != State::Dispatching && !is_unbound {
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
    if deploy.state == State::DispatchFailed && !deploy.conclusion_conflict {
        // It was closed as never dispatched, and here is its run.
        return disagree(deploy, Effect::TooLate);
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
    // Whatever attempt it is in by now: the first is the one that was asked for.
    deploy.run_attempt = Some(1);
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
    if deploy.run_attempt.is_some_and(|attempt| report.run_attempt != attempt) {
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
    if deploy.run_id.is_none() && report.run_attempt > 1 {
        return bound_by_rerun(deploy, report, at);
    }
    deploy.run_id = Some(report.run_id);
    deploy.run_attempt = Some(report.run_attempt);
    deploy.last_heard_at = Some(at);
    deploy.started_at = deploy.started_at.or(Some(at));
    deploy.blocked_by = None;
    steps::trace(&mut deploy.traces, report, at);
    match report.status {
        ReportStatus::InProgress => {
            if deploy.state.rank() < State::Running.rank() {
                deploy.notice = None;
                deploy.confirmed_by = Some(ConfirmedBy::Callback);
                return move_to(deploy, State::Running);
            }
            speaks_again(deploy, "The run reports again, and has not ended.");
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

/// A re-run speaks before the run itself is known: it tells which run it is, and no more of the first attempt.
fn bound_by_rerun(deploy: &mut Deploy, report: &Report, at: Timestamp) -> Effect {
    deploy.run_id = Some(report.run_id);
    deploy.run_attempt = Some(1);
    deploy.last_heard_at = Some(at);
    deploy.notice = None;
    deploy.confirmed_by = Some(ConfirmedBy::Callback);
    move_to(deploy, State::Queued)
}

/// A report about a deploy that is finished: never believed, but a contradiction is marked.
fn reported_late(deploy: &mut Deploy, report: &Report) -> Effect {
    if deploy.run_attempt.is_none() {
        // It finished without a run, and here one speaks.
        return disagree(deploy, Effect::TooLate);
    }
    let agrees = match report.status {
        ReportStatus::InProgress => true,
        ReportStatus::Success => deploy.state == State::Succeeded,
        ReportStatus::Failure => deploy.state == State::Failed,
        ReportStatus::Cancelled => deploy.state == State::Cancelled,
    };
    if agrees {
        return Effect::TooLate;
    }
    disagree(deploy, Effect::TooLate)
}

fn went_silent(deploy: &mut Deploy, reason: &str) -> Effect {
    if !matches!(deploy.state, State::Queued | State::Running) {
        return Effect::Impossible;
    }
    deploy.notice = Some(reason.to_owned());
    move_to(deploy, State::Lost)
}

/// A lost deploy stays lost until it is finished; that somebody speaks again is worth knowing.
fn speaks_again(deploy: &mut Deploy, notice: &str) {
    if deploy.state == State::Lost {
        deploy.notice = Some(notice.to_owned());
    }
}

fn cancel_requested(deploy: &mut Deploy, force: bool, at: Timestamp) -> Effect {
    if force {
        if deploy.state.is_finished() || !deploy.cancel_requested || deploy.cancel_forced {
            return Effect::Impossible;
        }
        deploy.cancel_forced = true;
        deploy.cancel_sent_at = None;
        return Effect::Noted;
    }
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

fn cancel_sent(deploy: &mut Deploy, at: Timestamp) -> Effect {
    if deploy.state.is_finished() || !deploy.cancel_requested || deploy.cancel_sent_at.is_some() {
        return Effect::Impossible;
    }
    deploy.cancel_sent_at = Some(at);
    Effect::Noted
}

fn overridden(deploy: &mut Deploy, state: State, reason: &str, at: Timestamp) -> Effect {
    if !deploy.closable_as().contains(&state) {
        return Effect::Impossible;
    }
    if matches!(state, State::Failed | State::DispatchFailed) {
        deploy.failure = Some(Failure {
            step: None,
            reason: Some(reason.to_owned()),
        });
    }
    finish(deploy, state, Some(ConfirmedBy::Operator), at)
}

fn finish(deploy: &mut Deploy, state: State, by: Option<ConfirmedBy>, at: Timestamp) -> Effect {
    // A clock that was set back in between must not show an end before the beginning.
    let began_at = deploy
        .started_at
        .map_or(deploy.requested_at, |started| started.max(deploy.requested_at));
    deploy.finished_at = Some(at.max(began_at));
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
    deploy.blocked_by = None;
    Effect::Moved
}
