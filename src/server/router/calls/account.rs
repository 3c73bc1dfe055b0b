//! One's own account: password, sessions, API tokens.

use super::{Asked, told};
use crate::domain::{Account, AuditAction, NewToken, Problem, Refusal, Role, Slug};
use crate::server::auth::session::SignedIn;
use crate::server::auth::{people, token};
use secrecy::SecretString;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// One's own account, sessions and tokens.
///
/// # Errors
/// 403 with an API token; 503.
pub async fn account() -> Result<Account, Refusal> {
    let asked = told(Asked::in_person(Role::Viewer).await)?;
    told(asked.account().await)
}

/// Changes one's own password; every other session ends.
///
/// # Errors
/// As [`people::change_password`].
pub async fn change_password(old: String, new: String) -> Result<(), Refusal> {
    let asked = Asked::in_person(Role::Viewer).await?;
    let (old, new) = (SecretString::from(old), SecretString::from(new));
    let operator = people::change_password(&asked.console, &asked.caller.name, old, new, &asked.source).await?;
    let signed_in = SignedIn::now(&operator, &asked.address, &asked.user_agent());
    Ok(asked.console.sessions.sign_in(&asked.session()?, signed_in).await?)
}

/// Ends one of one's own sessions, or all of them with `None`.
///
/// # Errors
/// 404 when it has ended before; 503.
pub async fn end_sessions(handle: Option<String>) -> Result<(), Refusal> {
    let asked = Asked::in_person(Role::Viewer).await?;
    let entry = asked
        .source
        .does(AuditAction::SessionEnded)
        .about(asked.caller.name.as_str());
    let store = &asked.console.store;
    let ended = store
        .end_sessions(asked.caller.operator, handle.as_deref(), &entry)
        .await?;
    if ended == 0 {
        return Err(Refusal::new(Problem::NotFound, "This session has ended already."));
    }
    Ok(())
}

/// Makes an API token of one's own.
///
/// # Errors
/// As [`token::create`].
pub async fn create_token(name: String, sites: Vec<Slug>, days: Option<i64>) -> Result<NewToken, Refusal> {
    let asked = Asked::in_person(Role::Viewer).await?;
    let operator = people::find(&asked.console.store, &asked.caller.name).await?.operator;
    let lives_ms = days.map(|days| days.saturating_mul(DAY_MS));
    let wanted = token::Wanted { name, sites, lives_ms };
    let (text, token) = token::create(&asked.console.store, &asked.slugs(), &operator, wanted, &asked.source).await?;
    Ok(NewToken { text, token })
}

/// Revokes an API token of one's own.
///
/// # Errors
/// As [`token::revoke`].
pub async fn revoke_token(id: String) -> Result<(), Refusal> {
    let asked = Asked::in_person(Role::Viewer).await?;
    token::revoke(&asked.console.store, &id, Some(asked.caller.operator), &asked.source).await
}
