//! The token, or the App: whether GitHub knows it, until when, and whether it may dispatch.
//!
//! Nothing is ever dispatched to find out, not even what GitHub would surely refuse. For a classic token its scopes
//! and its owner's role decide, and both are told. For a fine-grained one GitHub tells nobody what it was granted.

use super::Finding;
use crate::domain::Timestamp;
use crate::server::github::{Greeting, NotRead, Repository};

const DAY_MS: i64 = 86_400_000;
/// With less left a token is worth a warning.
const EXPIRY_DAYS: i64 = 14;

/// GitHub knows the token.
pub(super) fn known(greeting: &Greeting) -> Finding {
    let message = match &greeting.scopes {
        _ if greeting.is_app => "GitHub knows the App of GITHUB_APP_ID".to_owned(),
        Some(scopes) if scopes.is_empty() => "GitHub knows the token: a classic one, without any scope".to_owned(),
        Some(scopes) => format!("GitHub knows the token: a classic one, with {}", scopes.join(", ")),
        None => "GitHub knows the token: a fine-grained one, or an app's".to_owned(),
    };
    Finding::ok("token.valid", message)
}

/// GitHub does not take the token.
pub(super) fn refused(refused: &NotRead, is_app: bool) -> Finding {
    if is_app {
        let remedy = "look at GITHUB_APP_ID and GITHUB_APP_PRIVATE_KEY, and at this machine's clock. No site was checked at GitHub";
        return Finding::error("token.valid", refused.to_string(), remedy);
    }
    let remedy = "give GITHUB_DISPATCH_TOKEN a new token: this one is wrong, revoked, expired, or may not be used from here. No site was checked at GitHub";
    Finding::error("token.valid", refused.to_string(), remedy)
}

/// Until when the token is good.
pub(super) fn expiry(greeting: &Greeting, now: Timestamp) -> Finding {
    let check = "token.expiry";
    if greeting.is_app {
        return Finding::ok(
            check,
            "the App borrows tokens that end after an hour, and borrows anew before that",
        );
    }
    let Some(end) = greeting.expires_at else {
        return Finding::ok(check, "GitHub names no end of the token");
    };
    let days = end.millis_since(now) / DAY_MS;
    if days >= EXPIRY_DAYS {
        return Finding::ok(check, format!("the token ends in {days} days, at {end}"));
    }
    let message = format!("the token ends at {end}; days left: {days}");
    let remedy = "make a new token now, set GITHUB_DISPATCH_TOKEN to it, and restart the console";
    Finding::warning(check, message, remedy)
}

/// Whether the token may dispatch workflows of a repository, as far as that can be told without a dispatch.
pub(super) fn may_dispatch(greeting: &Greeting, repository: &Repository) -> Finding {
    let check = "token.dispatch";
    match (&greeting.scopes, repository.may_push()) {
        // It was lent a token for this repository, and only ever asks for one that may.
        _ if greeting.is_app => Finding::ok(check, "the App is installed for it, and may write Actions"),
        (Some(scopes), _) if !has_scope(scopes, repository) => Finding::error(
            check,
            "the classic token lacks the scope that a dispatch needs",
            "give it the scope `repo`, or `public_repo` where every repository is public",
        ),
        (Some(_), Some(false)) => Finding::error(
            check,
            "the token's owner may not write to this repository, so GitHub refuses to dispatch",
            "give its owner the role Write, or use the token of somebody who has it",
        ),
        (Some(_), _) => Finding::ok(check, "the classic token has the scope, and its owner may write"),
        (None, Some(false)) => Finding::warning(
            check,
            "GitHub says that this token's owner may not push here; whether it may dispatch cannot be told without a dispatch",
            "give its owner the role Write, and the token Actions: read and write",
        ),
        (None, _) => Finding::ok(
            check,
            "whether a token of this kind may write Actions cannot be told without a dispatch; it may see the repository",
        ),
    }
}

fn has_scope(scopes: &[String], repository: &Repository) -> bool {
    let has = |wanted: &str| scopes.iter().any(|scope| scope == wanted);
    has("repo") || (!repository.private && has("public_repo"))
}
