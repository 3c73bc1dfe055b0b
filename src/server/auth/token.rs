//! API tokens: for scripts, with `Authorization: Bearer rxc_…` (RFC 6750).

use super::opaque;
use crate::domain::{
    AuditAction, Caller, Operator, OperatorId, Problem, Refusal, Slug, Timestamp, TokenInfo, TokenScope,
};
use crate::server::audit::Source;
use crate::server::store::Store;
use crate::server::{Console, clock};
use uuid::Uuid;

/// What every token begins with, so that a scanner for lost secrets knows it.
const PREFIX: &str = "rxc_";
const NAME_CHARS: usize = 64;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// A token that somebody asks for.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// What its operator calls it.
    pub name: String,
    /// The sites that it may deploy; empty for all that its operator may.
    pub sites: Vec<Slug>,
    /// Milliseconds until it ends by itself; `None` for never.
    pub lives_ms: Option<i64>,
}

/// Makes a token. The text is in the answer and nowhere else. `declared` are the sites that there are.
///
/// # Errors
/// A [`Refusal`]: 422 for a name, site or time that cannot be taken, 503.
pub async fn create(
    store: &Store,
    declared: &[Slug],
    operator: &Operator,
    wanted: Wanted,
    source: &Source,
) -> Result<(String, TokenInfo), Refusal> {
    let name = wanted.name.trim();
    if name.is_empty() || name.chars().count() > NAME_CHARS || name.chars().any(char::is_control) {
        return Err(invalid(
            "name",
            "Give the token a name of 1 to 64 characters, such as what will use it.",
        ));
    }
    if let Some(unknown) = wanted.sites.iter().find(|slug| !declared.contains(slug)) {
        return Err(invalid("sites", &format!("There is no site `{unknown}`.")));
    }
    if wanted
        .lives_ms
        .is_some_and(|lives| !(1..=3650 * DAY_MS).contains(&lives))
    {
        return Err(invalid("expires", "A token lives at most ten years."));
    }
    let now = clock::now();
    let token = TokenInfo {
        id: Uuid::now_v7().to_string(),
        operator: operator.name.clone(),
        name: name.to_owned(),
        sites: wanted.sites,
        created_at: now,
        expires_at: wanted.lives_ms.map(|lives| now.plus_millis(lives)),
        last_used_at: None,
        revoked_at: None,
    };
    let text = format!("{PREFIX}{}", opaque::generate().map_err(|_| no_randomness())?);
    let entry = source.does(AuditAction::TokenCreated).about(token.id.as_str());
    let entry = entry.with("name", name).with("operator", operator.name.as_str());
    store
        .create_token(&opaque::fingerprint(&text), operator.id, &token, &entry)
        .await?;
    Ok((text, token))
}

/// Revokes a token: of this operator, or anybody's with `None`.
///
/// # Errors
/// A [`Refusal`]: 404 when there is none that still opens, 503.
pub async fn revoke(store: &Store, id: &str, operator: Option<OperatorId>, source: &Source) -> Result<(), Refusal> {
    let entry = source.does(AuditAction::TokenRevoked).about(id);
    if store.revoke_token(id, operator, clock::now(), &entry).await? {
        return Ok(());
    }
    Err(Refusal::new(
        Problem::NotFound,
        "There is no such token, or it was revoked before.",
    ))
}

/// Whose word a request with this token is.
///
/// # Errors
/// A [`Refusal`]: 401 with the reason, which only the token's holder can see; 503.
pub async fn caller(console: &Console, text: &str) -> Result<Caller, Refusal> {
    let now = clock::now();
    let found = console.store.use_token(&opaque::fingerprint(text), now).await?;
    let (operator, token) =
        found.ok_or_else(|| refused("This API token is unknown. Create one on your account's page."))?;
    if token.revoked_at.is_some() {
        return Err(refused(
            "This API token was revoked. Create another one on your account's page.",
        ));
    }
    if !token.is_valid(now) {
        return Err(expired(token.expires_at));
    }
    let account = console.store.operator(operator).await?;
    let operator = account
        .map(|account| account.operator)
        .filter(|operator| operator.disabled_at.is_none())
        .ok_or_else(|| refused("This API token's operator may not come in any more."))?;
    Ok(Caller {
        operator: operator.id,
        name: operator.name,
        role: operator.role,
        token: Some(TokenScope {
            name: token.name,
            sites: token.sites,
        }),
    })
}

fn expired(at: Option<Timestamp>) -> Refusal {
    let at = at.map(|at| format!(" on {at}")).unwrap_or_default();
    refused(&format!(
        "This API token expired{at}. Create another one on your account's page."
    ))
}

fn refused(detail: &str) -> Refusal {
    Refusal::new(Problem::NotSignedIn, detail)
}

fn invalid(field: &str, detail: &str) -> Refusal {
    Refusal::new(Problem::Invalid, detail).with_field(field)
}

fn no_randomness() -> Refusal {
    Refusal::new(Problem::Internal, "The system has no randomness to give. Try again.")
}
