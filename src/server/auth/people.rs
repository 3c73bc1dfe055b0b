//! The operators themselves: who is on the list, what they may do, and the links by which they set a password.

use super::opaque;
use super::password::{self, HashFailed, WeakPassword};
use crate::domain::{
    AuditAction, InvalidName, Operator, OperatorId, OperatorName, Problem, Refusal, Role, SignInWay, Timestamp,
};
use crate::server::audit::Source;
use crate::server::store::{Account, Link, NewOperator, Store, StoreError, Unchanged};
use crate::server::{Console, clock};
use secrecy::SecretString;
use uuid::Uuid;

/// How long the link to the first set-up opens, in milliseconds: whoever starts the console sits in front of it.
const SET_UP_MS: i64 = 60 * 60 * 1000;
/// How long an invitation opens, in milliseconds.
const INVITATION_MS: i64 = 24 * 60 * 60 * 1000;

/// A link that was given out: shown once, used once.
#[derive(Debug, Clone)]
pub struct IssuedLink {
    /// What stands at the end of its path.
    pub token: String,
    /// Until when it opens.
    pub expires_at: Timestamp,
}

/// Whom a link is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkFor {
    /// The first admin, who is still to say their name.
    First,
    /// This operator.
    Operator(OperatorName),
}

/// The link to the first set-up, while nobody is on the list; earlier ones open nothing any more.
///
/// # Errors
/// [`StoreError`] when the database fails.
pub async fn first_link(store: &Store) -> Result<Option<IssuedLink>, StoreError> {
    if !store.has_no_operator().await? {
        return Ok(None);
    }
    let Ok((issued, link)) = new_link(None, SET_UP_MS) else {
        return Ok(None);
    };
    let source = Source {
        actor: crate::domain::AuditActor::Console,
        address: None,
    };
    store.issue_link(&link, &source.does(AuditAction::LinkIssued)).await?;
    Ok(Some(issued))
}

/// Puts somebody on the list and gives out the link by which they set their password.
///
/// # Errors
/// A [`Refusal`]: 409 when the name is taken, 503.
pub async fn add(store: &Store, name: OperatorName, role: Role, source: &Source) -> Result<IssuedLink, Refusal> {
    let new = NewOperator {
        id: OperatorId::from_uuid(Uuid::now_v7()),
        name,
        role,
        password: None,
        identity: None,
        at: clock::now(),
    };
    let (issued, link) = new_link(Some(new.id), INVITATION_MS)?;
    let entry = source.does(AuditAction::OperatorAdded).about(new.name.as_str());
    let added = store
        .add_operator(&new, Some(&link), &entry.with("role", role.as_str()))
        .await?;
    added.map_err(|why| unchanged(why, new.name.as_str()))?;
    Ok(issued)
}

/// Changes what an operator may do.
///
/// # Errors
/// A [`Refusal`]: 404, 409 for the last admin, 422 when a provider says their role, 503.
pub async fn set_role(store: &Store, name: &OperatorName, role: Role, source: &Source) -> Result<(), Refusal> {
    let operator = find(store, name).await?.operator;
    if operator.sign_in == SignInWay::Provider {
        let detail = "The OpenID provider says what they may do: change their group there.";
        return Err(Refusal::new(Problem::Invalid, detail).with_field("role"));
    }
    let entry = source.does(AuditAction::RoleChanged).about(operator.name.as_str());
    let entry = entry.with("from", operator.role.as_str()).with("to", role.as_str());
    let changed = store.set_role(operator.id, role, &entry).await?;
    changed.map_err(|why| unchanged(why, name.as_str()))
}

/// Keeps an operator out, and ends their sessions; or lets them in again.
///
/// # Errors
/// A [`Refusal`]: 404, 409 for the last admin, 503.
pub async fn set_disabled(store: &Store, name: &OperatorName, disabled: bool, source: &Source) -> Result<(), Refusal> {
    let operator = find(store, name).await?.operator;
    let action = if disabled {
        AuditAction::OperatorDisabled
    } else {
        AuditAction::OperatorEnabled
    };
    let at = disabled.then(clock::now);
    let changed = store
        .set_disabled(operator.id, at, &source.does(action).about(operator.name.as_str()))
        .await?;
    changed.map_err(|why| unchanged(why, name.as_str()))
}

/// Gives out a link to set a new password. The old one works until the link is used.
///
/// # Errors
/// A [`Refusal`]: 404, 422 for those who come through a provider, 503.
pub async fn reset(store: &Store, name: &OperatorName, source: &Source) -> Result<IssuedLink, Refusal> {
    let operator = find(store, name).await?.operator;
    if operator.sign_in == SignInWay::Provider {
        let detail = "They sign in through the OpenID provider and have no password here.";
        return Err(Refusal::new(Problem::Invalid, detail).with_field("name"));
    }
    let (issued, link) = new_link(Some(operator.id), INVITATION_MS)?;
    let entry = source.does(AuditAction::LinkIssued).about(operator.name.as_str());
    store.issue_link(&link, &entry).await?;
    Ok(issued)
}

/// Whom a link is for, while it opens.
///
/// # Errors
/// [`StoreError`] when the database fails.
pub async fn link_for(store: &Store, token: &str) -> Result<Option<(Link, LinkFor)>, StoreError> {
    let Some(link) = store.link(&opaque::fingerprint(token), clock::now()).await? else {
        return Ok(None);
    };
    let whom = match link.operator {
        None => Some(LinkFor::First),
        Some(id) => store
            .operator(id)
            .await?
            .filter(|account| account.operator.disabled_at.is_none())
            .map(|account| LinkFor::Operator(account.operator.name)),
    };
    Ok(whom.map(|whom| (link, whom)))
}

/// Uses a link: makes the first admin, or sets an operator's password.
///
/// # Errors
/// A [`Refusal`]: 404 when the link opens nothing any more, 422 for a name or password that cannot be taken, 503.
pub async fn redeem(
    console: &Console,
    token: &str,
    name: &str,
    password: SecretString,
    address: &str,
) -> Result<Operator, Refusal> {
    let store = &console.store;
    let (link, whom) = link_for(store, token).await?.ok_or_else(link_gone)?;
    let name = match whom {
        LinkFor::First => name.parse::<OperatorName>()?,
        LinkFor::Operator(name) => name,
    };
    password::check(&password, name.as_str())?;
    let phc = console.passwords.hash(password).await?;
    let source = Source::nobody(address);
    let used = if link.operator.is_some() {
        let entry = source.does(AuditAction::PasswordSet).about(name.as_str());
        store.redeem_link(&link, &phc, &entry).await?
    } else {
        let first = NewOperator {
            id: OperatorId::from_uuid(Uuid::now_v7()),
            name: name.clone(),
            role: Role::Admin,
            password: Some(phc),
            identity: None,
            at: clock::now(),
        };
        let entry = source.does(AuditAction::OperatorAdded).about(name.as_str());
        store
            .redeem_set_up(&link, &first, &entry.with("role", Role::Admin.as_str()))
            .await?
    };
    if !used {
        return Err(link_gone());
    }
    Ok(find(store, &name).await?.operator)
}

/// Changes an operator's own password. Their sessions end.
///
/// # Errors
/// A [`Refusal`]: 422 when the old one is wrong or the new one cannot be taken, 503.
pub async fn change_password(
    console: &Console,
    name: &OperatorName,
    old: SecretString,
    new: SecretString,
    source: &Source,
) -> Result<Operator, Refusal> {
    let account = find(&console.store, name).await?;
    let turn = console.passwords.turn().await;
    if !console.passwords.verify(old, account.password).await {
        return Err(Refusal::new(Problem::Invalid, "The present password is wrong.").with_field("old"));
    }
    drop(turn);
    password::check(&new, name.as_str())?;
    let phc = console.passwords.hash(new).await?;
    let entry = source.does(AuditAction::PasswordSet).about(name.as_str());
    console.store.change_password(account.operator.id, &phc, &entry).await?;
    Ok(account.operator)
}

/// The operator with this name.
///
/// # Errors
/// A [`Refusal`]: 404, 503.
pub async fn find(store: &Store, name: &OperatorName) -> Result<Account, Refusal> {
    store
        .account(name)
        .await?
        .ok_or_else(|| unchanged(Unchanged::Unknown, name.as_str()))
}

fn new_link(operator: Option<OperatorId>, lives_ms: i64) -> Result<(IssuedLink, Link), Refusal> {
    let token = opaque::generate()
        .map_err(|_| Refusal::new(Problem::Internal, "The system has no randomness to give. Try again."))?;
    let at = clock::now();
    let expires_at = at.plus_millis(lives_ms);
    let link = Link {
        token_sha256: opaque::fingerprint(&token),
        operator,
        at,
        expires_at,
    };
    Ok((IssuedLink { token, expires_at }, link))
}

fn link_gone() -> Refusal {
    Refusal::new(
        Problem::NotFound,
        "This link has been used, or has expired. Ask an admin for another one.",
    )
}

fn unchanged(why: Unchanged, name: &str) -> Refusal {
    match why {
        Unchanged::Unknown => Refusal::new(Problem::NotFound, format!("There is no operator `{name}`.")),
        Unchanged::LastAdmin => Refusal::new(
            Problem::Conflict,
            format!("`{name}` is the last admin: make somebody else one first."),
        ),
        Unchanged::NameTaken => Refusal::new(
            Problem::Conflict,
            format!("There is an operator `{name}` already, perhaps in other letter case."),
        )
        .with_field("name"),
    }
}

impl From<InvalidName> for Refusal {
    fn from(error: InvalidName) -> Self {
        Self::new(Problem::Invalid, format!("The name cannot be taken: {error}.")).with_field("name")
    }
}

impl From<WeakPassword> for Refusal {
    fn from(error: WeakPassword) -> Self {
        Self::new(Problem::Invalid, error.to_string()).with_field("password")
    }
}

impl From<HashFailed> for Refusal {
    fn from(error: HashFailed) -> Self {
        tracing::error!(%error, "the system is out of memory or randomness");
        Self::new(Problem::Internal, "The password could not be kept. Try again.")
    }
}
