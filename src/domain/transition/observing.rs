//! What GitHub's API says of a bound run, applied.

use super::{disagree, finish, move_to, rebind, speaks_again};
use crate::domain::{ConfirmedBy, Deploy, Effect, ListedSteps, Observation, Observed, State, Timestamp};

pub(super) fn observed(deploy: &mut Deploy, seen: &Observation, at: Timestamp) -> Effect {
    let Some(bound) = deploy.run_id else {
        return Effect::Impossible;
    };
    if bound != seen.run.id {
        return disagree(deploy, Effect::OtherRun);
    }
    if deploy.run_attempt != Some(seen.run.attempt) {
        return Effect::Impossible;
    }
    if seen.run.attempt > 1 {
        deploy.rerun_by = deploy.rerun_by.take().or_else(|| seen.by.clone());
    }
    let mut effect = rebind(deploy, &seen.run).unwrap_or(Effect::Stale);
    if deploy.state.is_finished() {
        return observed_late(deploy, seen, at);
    }
    if listed(deploy, seen, at) {
        effect = Effect::Noted;
    }
    deploy.last_heard_at = Some(at);
    deploy.started_at = deploy.started_at.or(seen.started_at);
    let blocker = match &seen.status {
        Observed::Waiting(blocker) => Some(blocker.clone()),
        _ => None,
    };
    if deploy.blocked_by != blocker {
        effect = Effect::Noted;
    }
    if seen.status.is_finished() {
        return observed_end(deploy, seen, at);
    }
    let has_begun = seen.started_at.is_some() || seen.status == Observed::Running;
    if has_begun && deploy.state.rank() < State::Running.rank() {
        deploy.started_at = deploy.started_at.or(Some(at));
        deploy.confirmed_by = Some(ConfirmedBy::Github);
        effect = move_to(deploy, State::Running);
    }
    speaks_again(deploy, "GitHub can say again how the run stands: it has not ended.");
    deploy.blocked_by = blocker;
    effect
}

/// The run has ended, by GitHub's word.
fn observed_end(deploy: &mut Deploy, seen: &Observation, at: Timestamp) -> Effect {
    deploy.concluded_at = deploy.concluded_at.or(Some(at));
    deploy.started_at = deploy.started_at.or(Some(at));
    // GitHub's own time, unless the two clocks disagree about what came first.
    let ended_at = seen
        .ended_at
        .filter(|ended| (deploy.requested_at..=at).contains(ended))
        .unwrap_or(at);
    let (state, notice) = match &seen.status {
        Observed::Failed(failure) => {
            deploy.failure = Some(failure.clone());
            (State::Failed, None)
        }
        Observed::Cancelled(reason) => (State::Cancelled, reason.clone()),
        _ => (State::Succeeded, None),
    };
    let effect = finish(deploy, state, Some(ConfirmedBy::Github), ended_at);
    deploy.notice = notice;
    effect
}

/// GitHub's word on a run whose deploy is finished: never believed over what was confirmed, but it may know more.
fn observed_late(deploy: &mut Deploy, seen: &Observation, at: Timestamp) -> Effect {
    if !seen.status.is_finished() {
        return Effect::TooLate;
    }
    listed(deploy, seen, at);
    deploy.concluded_at = deploy.concluded_at.or(Some(at));
    let agrees = match &seen.status {
        Observed::Succeeded => deploy.state == State::Succeeded,
        Observed::Cancelled(_) => deploy.state == State::Cancelled,
        _ => deploy.state == State::Failed,
    };
    if !agrees {
        return disagree(deploy, Effect::TooLate);
    }
    if let (Some(known), Observed::Failed(failure)) = (&mut deploy.failure, &seen.status) {
        known.step = known.step.take().or_else(|| failure.step.clone());
        known.reason = known.reason.take().or_else(|| failure.reason.clone());
    }
    Effect::TooLate
}

/// Takes over GitHub's list of steps; whether it differs from the one before.
fn listed(deploy: &mut Deploy, seen: &Observation, at: Timestamp) -> bool {
    if seen.steps.is_empty() {
        return false;
    }
    let differs = deploy
        .listed_steps
        .as_ref()
        .is_none_or(|before| before.steps != seen.steps);
    let steps = seen.steps.clone();
    deploy.listed_steps = Some(ListedSteps { at, steps });
    differs
}
