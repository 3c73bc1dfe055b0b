//! How states, times and lengths are said.

use crate::api::ApiError;
use crate::domain::{
    Actor, AuditAction, AuditActor, ConfirmedBy, Deploy, DeployId, HealthStatus, Role, SignInWay, State, StepStatus,
    Timestamp, TokenInfo,
};
use leptos::prelude::*;

/// The word for a state.
pub(super) const fn state(state: State) -> &'static str {
    match state {
        State::Requested => "Requested",
        State::Dispatching => "Dispatching",
        State::DispatchFailed => "Not dispatched",
        State::DispatchUnknown => "Dispatch unknown",
        State::Queued => "Queued",
        State::Running => "Running",
        State::Lost => "Lost",
        State::Succeeded => "Succeeded",
        State::Failed => "Failed",
        State::Cancelled => "Cancelled",
    }
}

/// What a state means for whoever waits, where the word alone does not say it.
pub(super) fn explanation(deploy: &Deploy) -> Option<String> {
    let said = match deploy.state {
        State::Requested => "On record; GitHub has not been called yet.",
        State::Dispatching => "Calling GitHub.",
        State::DispatchUnknown => {
            "A run may exist or not. The console looks for it and will not dispatch again; the site stays taken."
        }
        State::Cancelled => return deploy.notice.clone(),
        // What blocks it is said on its own.
        State::Queued if deploy.blocked_by.is_some() => return deploy.notice.clone(),
        State::Queued => "GitHub has the run; it has not reported yet.",
        State::Lost => "The site stays taken until somebody knows more.",
        _ => return None,
    };
    Some(
        deploy
            .notice
            .as_ref()
            .map_or_else(|| said.to_owned(), |notice| format!("{notice} {said}")),
    )
}

/// Why a page could not be updated; `None` where the console did not say.
pub(super) fn no_news(error: &ApiError) -> Option<String> {
    if error.is_unreachable() {
        return None;
    }
    if error.is_unavailable() {
        return Some("The console runs, and cannot reach its record right now.".to_owned());
    }
    Some(error.to_string())
}

/// The class that carries a state's colour.
pub(super) const fn tone(state: State) -> &'static str {
    match state {
        State::Requested | State::Dispatching | State::Queued => "waiting",
        State::Running => "running",
        State::Succeeded => "success",
        State::Failed | State::DispatchFailed => "danger",
        State::DispatchUnknown | State::Lost => "attention",
        State::Cancelled => "neutral",
    }
}

/// The word and the tone for a step.
pub(super) const fn step(status: StepStatus) -> (&'static str, &'static str) {
    match status {
        StepStatus::Running => ("Running", "running"),
        StepStatus::Succeeded => ("Done", "success"),
        StepStatus::Failed => ("Failed", "danger"),
        StepStatus::Cancelled => ("Cancelled", "neutral"),
        StepStatus::Unknown => ("End not reported", "attention"),
    }
}

/// The word and the tone for a site's health.
pub(super) const fn health(status: HealthStatus) -> (&'static str, &'static str) {
    match status {
        HealthStatus::Healthy => ("Healthy", "success"),
        HealthStatus::Unhealthy => ("Unhealthy", "danger"),
        HealthStatus::Unknown => ("Health not known yet", "neutral"),
        HealthStatus::Unwatched => ("Health not watched", "neutral"),
    }
}

/// Who or what caused a transition.
pub(super) fn actor(actor: &Actor) -> String {
    match actor {
        Actor::Operator(name) => name.clone(),
        Actor::Console => "the console".to_owned(),
        Actor::Github => "GitHub".to_owned(),
        Actor::Workflow => "the run".to_owned(),
    }
}

/// Whose word a state rests on.
pub(super) const fn confirmed_by(by: ConfirmedBy) -> &'static str {
    match by {
        ConfirmedBy::Callback => "the run’s callback",
        ConfirmedBy::Github => "GitHub’s API",
        ConfirmedBy::Operator => "an operator",
    }
}

/// The word for a role.
pub(super) const fn role(role: Role) -> &'static str {
    match role {
        Role::Viewer => "Viewer",
        Role::Deployer => "Deployer",
        Role::Admin => "Admin",
    }
}

/// How somebody signs in.
pub(super) const fn sign_in_way(way: SignInWay) -> &'static str {
    match way {
        SignInWay::Password => "Signs in with a password",
        SignInWay::Provider => "Signs in through the OpenID provider",
        SignInWay::Invited => "Has not set a password yet",
    }
}

/// A browser by what it calls itself: its name and its system, as far as they are common ones.
pub(super) fn browser(user_agent: &str) -> String {
    // The order matters: each later one claims to be the earlier ones too.
    let names = [
        ("Firefox/", "Firefox"),
        ("Edg/", "Edge"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
    ];
    let systems = [
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS X", "macOS"),
        ("Linux", "Linux"),
    ];
    let first = |known: &[(&str, &'static str)]| {
        known
            .iter()
            .find(|(mark, _)| user_agent.contains(mark))
            .map(|(_, name)| *name)
    };
    match (first(&names), first(&systems)) {
        (Some(name), Some(system)) => format!("{name} on {system}"),
        (Some(name), None) => name.to_owned(),
        _ => "A browser that says no name".to_owned(),
    }
}

/// How a token ends, or ended.
pub(super) fn token_end(token: &TokenInfo, now: Timestamp) -> String {
    match (token.revoked_at, token.expires_at) {
        (Some(at), _) => format!("revoked {}", exact(at)),
        (None, Some(at)) if at <= now => format!("expired {}", exact(at)),
        (None, Some(at)) => format!("ends {}", exact(at)),
        (None, None) => "never ends".to_owned(),
    }
}

/// Whose doing something was.
pub(super) fn audit_actor(actor: &AuditActor) -> String {
    match actor {
        AuditActor::Operator(name) => name.clone(),
        AuditActor::Token(name) => format!("Token of {name}"),
        AuditActor::CommandLine => "Command line".to_owned(),
        AuditActor::Console => "The console".to_owned(),
        AuditActor::Nobody => "Somebody".to_owned(),
    }
}

/// What was done.
pub(super) const fn audit_action(action: AuditAction) -> &'static str {
    match action {
        AuditAction::SignedIn => "Signed in",
        AuditAction::SignInFailed => "Failed to sign in",
        AuditAction::SignedOut => "Signed out",
        AuditAction::SessionEnded => "Ended a session",
        AuditAction::DeployRequested => "Asked for a deploy",
        AuditAction::DeployRefused => "Was refused a deploy",
        AuditAction::CancelRequested => "Asked to cancel a deploy",
        AuditAction::DeployClosed => "Closed a deploy by hand",
        AuditAction::AccessRefused => "Was refused access",
        AuditAction::TokenCreated => "Created a token",
        AuditAction::TokenRevoked => "Revoked a token",
        AuditAction::OperatorAdded => "Added an operator",
        AuditAction::RoleChanged => "Changed a role",
        AuditAction::OperatorDisabled => "Disabled an operator",
        AuditAction::OperatorEnabled => "Enabled an operator",
        AuditAction::LinkIssued => "Gave out a link",
        AuditAction::PasswordSet => "Set a password",
    }
}

/// A text as a value in a query (RFC 3986, section 3.4).
pub(super) fn url_value(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    text.bytes()
        .map(|byte| {
            if plain(byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

/// "Failed at **step** because **reason**", as far as it is known.
pub(super) fn failure(deploy: &Deploy) -> Option<String> {
    let failure = deploy.failure.as_ref()?;
    Some(match (&failure.step, &failure.reason) {
        (Some(step), Some(reason)) => format!("Failed at {step} because {reason}"),
        (Some(step), None) => format!("Failed at {step}; no reason was reported"),
        (None, Some(reason)) => format!("Failed because {reason}; no step was named"),
        (None, None) => "Failed; neither a step nor a reason was reported".to_owned(),
    })
}

/// How far a wish to cancel has come.
pub(super) fn cancelling(deploy: &Deploy) -> Option<&'static str> {
    if !deploy.is_active() || !deploy.cancel_requested {
        return None;
    }
    Some(match (deploy.run_id, deploy.cancel_sent_at) {
        (None, _) => "To be cancelled as soon as its run is known.",
        (Some(_), None) => "To be cancelled; GitHub has not taken the wish yet.",
        (Some(_), Some(_)) => "Being cancelled: GitHub has taken the wish, and the run has not ended yet.",
    })
}

/// A runner comes for a job within this time, or its absence is worth a word, in milliseconds.
pub(super) const RUNNER_COMES_MS: i64 = 15_000;

/// A run that lives is heard of more often than this, in milliseconds: the action says so every 60 s.
const SILENCE_MS: i64 = 90_000;

/// For how long nothing was heard of an active deploy, once that is worth a word.
pub(super) fn silence(deploy: &Deploy, now: Timestamp) -> Option<String> {
    let waits_for_word = matches!(deploy.state, State::Queued | State::Running | State::Lost);
    let heard = deploy.last_heard_at.filter(|_| waits_for_word)?;
    let silent = now.millis_since(heard);
    (silent > SILENCE_MS).then(|| format!("Nothing has been heard of it for {}.", span(silent)))
}

/// How long it took, or has taken so far: from the request to its end.
pub(super) fn took(deploy: &Deploy, now: Timestamp) -> String {
    span(deploy.finished_at.unwrap_or(now).millis_since(deploy.began_at()))
}

/// A link to a page elsewhere. Only web addresses become links: the text comes from outside.
pub(super) fn web_link(url: Option<String>, text: String) -> AnyView {
    match url.filter(|url| url.starts_with("https://") || url.starts_with("http://")) {
        Some(url) => view! { <a href=url rel="external noreferrer">{text}</a> }.into_any(),
        None => text.into_any(),
    }
}

/// The page of an attempt at a deploy.
pub(super) fn attempt_path(id: DeployId, number: i64) -> String {
    if number > 1 {
        format!("/deploys/{id}?attempt={number}")
    } else {
        format!("/deploys/{id}")
    }
}

/// Whose doing an attempt is: `run again on GitHub by octocat, attempt 2`. Nothing for the first.
pub(super) fn rerun(deploy: &Deploy) -> Option<String> {
    let attempt = deploy.attempt();
    let by = deploy.rerun_by.as_ref().map(|by| format!(" by {by}"));
    attempt.is_rerun().then(|| {
        format!(
            "run again on GitHub{}, attempt {}",
            by.unwrap_or_default(),
            attempt.number
        )
    })
}

/// A length of time: `4 s`, `1 min 23 s`, `2 h 5 min`.
pub(super) fn span(millis: i64) -> String {
    let seconds = millis.max(0) / 1_000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{minutes} min {} s", seconds % 60),
        3_600..86_400 => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

/// How long ago, in the largest unit that says it.
pub(super) fn ago(then: Timestamp, now: Timestamp) -> String {
    let seconds = now.millis_since(then).max(0) / 1_000;
    match seconds {
        0..5 => "just now".to_owned(),
        5..60 => format!("{seconds} s ago"),
        60..3_600 => format!("{} min ago", seconds / 60),
        3_600..86_400 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} d ago", seconds / 86_400),
    }
}

/// The exact moment: `2026-04-30 14:33:07 UTC`.
pub(super) fn exact(moment: Timestamp) -> String {
    let text = moment.to_string();
    let (day, time) = text.split_once('T').unwrap_or((&text, ""));
    format!("{day} {} UTC", time.get(..8).unwrap_or(time))
}

/// The time of day: `14:33:07 UTC`.
pub(super) fn time_of_day(moment: Timestamp) -> String {
    let text = exact(moment);
    text.split_once(' ')
        .map_or_else(|| text.clone(), |(_, time)| time.to_owned())
}

/// The first characters of a commit, as Git shortens it.
pub(super) fn short_commit(sha: &str) -> String {
    sha.chars().take(7).collect()
}
