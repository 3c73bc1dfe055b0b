//! The use cases of somebody who steps in: cancel a deploy, or close by hand one that nobody else can tell the end of.

use super::{Console, clock, invalid, record, unknown_deploy};
use crate::domain::{
    AuditAction, Caller, CancelRequest, Deploy, DeployId, DeployRecord, Effect, Event, OverrideRequest, Problem,
    Refusal, Role, Site, State, Timestamp,
};
use crate::server::audit::Source;
use crate::server::github::NotCancelled;

const REASON_CHARS: usize = 500;

/// Who steps in, and from where.
#[derive(Debug, Clone, Copy)]
pub struct By<'a> {
    /// Who.
    pub caller: &'a Caller,
    /// From where, for the audit trail.
    pub source: &'a Source,
}

/// Puts the wish to stop a deploy on record and takes it to GitHub. It is cancelled once there is evidence of that.
///
/// # Errors
/// A [`Refusal`]: 403, 404, 409 when it cannot be stopped now, 502 when GitHub did not take it; then the wish stays on
/// record, and the console takes it to GitHub again.
pub async fn cancel(
    console: &Console,
    by: By<'_>,
    id: DeployId,
    request: CancelRequest,
) -> Result<DeployRecord, Refusal> {
    let now = clock::now();
    let deploy = meant(console, id, request.attempt).await?;
    may_step_in(console, by.caller, &deploy)?;
    if request.force {
        may_force(&deploy, now)?;
    }
    let event = Event::CancelRequested {
        operator: by.caller.name.to_string(),
        force: request.force,
    };
    let entry = by.source.does(AuditAction::CancelRequested).about(deploy.site.as_str());
    let entry = entry
        .with("deploy", id.to_string())
        .with("force", request.force.to_string());
    let changed = console
        .store
        .change_audited(deploy.attempt(), &event, now, &entry)
        .await?;
    let (effect, deploy) = changed.ok_or_else(|| unknown_deploy(id))?;
    if effect == Effect::Impossible && deploy.state.is_finished() {
        return Err(not_now("It has finished already.").with_deploy(id));
    }
    let deploy = deliver(console, deploy, now).await?;
    whole(console, deploy).await
}

/// Takes the wish to GitHub, where a run is known and the wish was not taken there before.
async fn deliver(console: &Console, deploy: Deploy, now: Timestamp) -> Result<Deploy, Refusal> {
    let (Some(run_id), Some(site)) = (deploy.run_id, console.site(deploy.site.as_str())) else {
        return Ok(deploy);
    };
    if deploy.state.is_finished() || deploy.cancel_sent_at.is_some() {
        return Ok(deploy);
    }
    let outcome = console.github.cancel(site, run_id, deploy.cancel_forced, now).await;
    // Whatever GitHub said, its next word about the run is near.
    look_now(console, deploy.id).await;
    match outcome {
        Ok(()) => {
            let changed = console.store.change(deploy.attempt(), &Event::CancelSent, now).await?;
            Ok(changed.map_or(deploy, |(_, deploy)| deploy))
        }
        Err(error @ NotCancelled::Conflict { .. }) => {
            let detail =
                format!("{error} Mostly it has ended just now: the console reads how, and this page will say.");
            Err(not_now(&detail).with_deploy(deploy.id))
        }
        Err(error @ NotCancelled::Failed(_)) => {
            let detail = format!("{error} The wish is on record, and the console takes it to GitHub again.");
            Err(Refusal::new(Problem::Github, detail).with_deploy(deploy.id))
        }
    }
}

/// Hurries the reconciler on. Without that it looks all the same, only later.
async fn look_now(console: &Console, id: DeployId) {
    if let Err(error) = console.reconciler.hint(id).await {
        tracing::warn!(deploy = %id, %error, "the reconciler could not be hurried on");
    }
}

/// Force is for a run that a plain cancel did not stop within a minute.
fn may_force(deploy: &Deploy, now: Timestamp) -> Result<(), Refusal> {
    if deploy.state.is_finished() {
        return Err(not_now("It has finished already.").with_deploy(deploy.id));
    }
    let Some(from) = deploy.force_offered_at() else {
        return Err(
            not_now("Cancel it first: force is for a run that a plain cancel did not stop.").with_deploy(deploy.id),
        );
    };
    if now < from {
        let detail = format!("GitHub has a minute to cancel the run: force is offered from {from} on.");
        return Err(not_now(&detail)
            .with_deploy(deploy.id)
            .with_retry_after(seconds(now, from)));
    }
    Ok(())
}

/// Closes a deploy by hand, on the word of whoever asked for it, or of an admin.
///
/// # Errors
/// A [`Refusal`]: 403, 404, 409 when its state does not allow it or not yet, 422 for a bad reason.
pub async fn override_state(
    console: &Console,
    by: By<'_>,
    id: DeployId,
    request: &OverrideRequest,
) -> Result<DeployRecord, Refusal> {
    let (now, state) = (clock::now(), request.state);
    let reason = checked_reason(&request.reason)?;
    let deploy = meant(console, id, request.attempt).await?;
    may_step_in(console, by.caller, &deploy)?;
    is_own_or_admins(by.caller, &deploy)?;
    may_close(&deploy, state)?;
    if deploy.state == State::DispatchUnknown {
        no_run_exists(console, &deploy, now).await?;
    }
    let event = Event::Overridden {
        operator: by.caller.name.to_string(),
        state,
        reason,
    };
    let entry = by.source.does(AuditAction::DeployClosed).about(deploy.site.as_str());
    let entry = entry.with("deploy", id.to_string()).with("state", state.as_str());
    let changed = console
        .store
        .change_audited(deploy.attempt(), &event, now, &entry)
        .await?;
    let (effect, deploy) = changed.ok_or_else(|| unknown_deploy(id))?;
    if effect != Effect::Moved {
        // Something was heard of it in between.
        return Err(not_now(&format!("It is {} now.", deploy.state.as_str())).with_deploy(id));
    }
    tracing::info!(deploy = %id, state = state.as_str(), "closed by hand");
    whole(console, deploy).await
}

/// The attempt that is under way, if it is the one that is meant.
async fn meant(console: &Console, id: DeployId, number: Option<i64>) -> Result<Deploy, Refusal> {
    let found = console.store.present_attempt(id).await?;
    let deploy = found.ok_or_else(|| unknown_deploy(id))?;
    let present = deploy.attempt().number;
    if number.is_some_and(|number| number != present) {
        let detail = format!("It is attempt {present} by now. Look at that one before you step in.");
        return Err(not_now(&detail).with_deploy(id));
    }
    Ok(deploy)
}

/// Whoever may deploy the site may also stop it.
fn may_step_in(console: &Console, caller: &Caller, deploy: &Deploy) -> Result<(), Refusal> {
    match console.site(deploy.site.as_str()) {
        Some(site) => Ok(caller.may_deploy(site)?),
        None => Ok(()),
    }
}

/// What nobody can check is for whoever began it, or for an admin.
fn is_own_or_admins(caller: &Caller, deploy: &Deploy) -> Result<(), Refusal> {
    if caller.role >= Role::Admin || caller.name.as_str() == deploy.operator {
        return Ok(());
    }
    let detail = "Only whoever asked for this deploy, or an admin, can close it by hand.";
    Err(Refusal::new(Problem::NotAllowed, detail).with_deploy(deploy.id))
}

fn may_close(deploy: &Deploy, state: State) -> Result<(), Refusal> {
    let allowed = deploy.closable_as();
    if allowed.contains(&state) {
        return Ok(());
    }
    let words: Vec<&str> = allowed.iter().map(|state| state.as_str()).collect();
    let detail = if words.is_empty() {
        format!(
            "It is {}: only a lost deploy or an unknown dispatch is closed by hand.",
            deploy.state.as_str()
        )
    } else {
        format!(
            "A deploy that is {} can be closed as {} alone.",
            deploy.state.as_str(),
            words.join(" or ")
        )
    };
    Err(not_now(&detail).with_deploy(deploy.id))
}

/// An unknown dispatch came to nothing when, after the site's grace time, GitHub lists no run of it.
async fn no_run_exists(console: &Console, deploy: &Deploy, now: Timestamp) -> Result<(), Refusal> {
    let Some(site) = console.site(deploy.site.as_str()) else {
        // Nobody can look any more, and nobody can deploy it either.
        return Ok(());
    };
    let from = grace_ends_at(deploy, site);
    if now < from {
        let detail = format!("GitHub may still list a run of it: it can be closed by hand from {from} on.");
        return Err(not_now(&detail)
            .with_deploy(deploy.id)
            .with_retry_after(seconds(now, from)));
    }
    match console.github.find_run(site, deploy, now).await {
        Ok(None) => Ok(()),
        Ok(Some(run)) => {
            let run_id = run.id;
            console.store.change(deploy.id, &Event::Found(run), now).await?;
            look_now(console, deploy.id).await;
            let detail = format!("GitHub lists its run just now: it is run {run_id}, and the console follows it.");
            Err(not_now(&detail).with_deploy(deploy.id))
        }
        Err(failed) => {
            let detail = format!("Nobody can say that there is no run of it: {failed}. Try again later.");
            let refusal = not_now(&detail).with_deploy(deploy.id);
            Err(match failed.not_before {
                Some(from) => refusal.with_retry_after(seconds(now, from)),
                None => refusal,
            })
        }
    }
}

fn grace_ends_at(deploy: &Deploy, site: &Site) -> Timestamp {
    deploy
        .dispatched_at
        .unwrap_or(deploy.requested_at)
        .plus_millis(site.grace_ms)
}

async fn whole(console: &Console, deploy: Deploy) -> Result<DeployRecord, Refusal> {
    let attempt = deploy.attempt();
    let log = console.store.log_tail(attempt).await?;
    let read = console.store.attempt(attempt).await?;
    let reruns = read.map(|deploy| deploy.reruns).unwrap_or_default();
    let deploy = Deploy { reruns, ..deploy };
    record(&console.store, deploy, log).await
}

fn checked_reason(reason: &str) -> Result<String, Refusal> {
    let reason = reason.trim();
    if reason.is_empty() || reason.chars().count() > REASON_CHARS || reason.contains('\0') {
        let detail = "`reason` must say how you know, in 1 to 500 characters";
        return Err(invalid("reason", detail));
    }
    Ok(reason.to_owned())
}

fn not_now(detail: &str) -> Refusal {
    Refusal::new(Problem::NotNow, detail)
}

/// Whole seconds from `now` to `from`, rounded up, so that whoever waits them out comes in time.
fn seconds(now: Timestamp, from: Timestamp) -> u64 {
    u64::try_from(from.millis_since(now).max(0).div_euclid(1000) + 1).unwrap_or(1)
}
