//! Signing in through the OpenID provider: who comes in as whom.
//!
//! A person is their issuer and subject, never their name. Their groups say what they may do, anew at each
//! sign-in; who is in no group that has a role here does not come in.

use crate::domain::{AuditAction, Operator, OperatorId, OperatorName, Problem, Refusal, Role};
use crate::server::audit::Source;
use crate::server::config::Provider;
use crate::server::oidc::{Answer, Identity, InvalidOptions, Oidc, OidcError, Options, Pending, Timing};
use crate::server::store::{NewOperator, Unchanged};
use crate::server::{Console, clock};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use url::Url;
use uuid::Uuid;

/// Where the provider sends browsers back to, on this console.
pub const CALLBACK: &str = "/sign-in/oidc/callback";

/// The provider, and what its groups may do here. Clones share what was discovered.
#[derive(Clone)]
pub struct ProviderDoor {
    /// What the button calls it.
    pub name: String,
    oidc: Oidc,
    roles: BTreeMap<String, Role>,
}

/// A sign-in that is under way, as the session keeps it.
#[derive(Debug, Serialize, Deserialize)]
pub struct UnderWay {
    pending: Pending,
    /// Where the browser goes afterwards; a path of this console.
    pub return_to: String,
}

impl ProviderDoor {
    /// The door that `[oidc]` describes, on the console at `base_url`.
    ///
    /// # Errors
    /// [`InvalidOptions`] when it cannot be used.
    pub fn new(provider: Provider, secret: Option<SecretString>, base_url: &str) -> Result<Self, InvalidOptions> {
        let options = Options {
            issuer: provider.issuer,
            client_id: provider.client_id,
            client_secret: secret,
            redirect_url: format!("{base_url}{CALLBACK}"),
            scopes: provider.scopes,
            groups_claim: provider.groups_claim,
            timing: Timing::default(),
        };
        Ok(Self {
            name: provider.name,
            oidc: Oidc::new(options)?,
            roles: provider.roles,
        })
    }

    /// Begins: where to send the browser, and what its session keeps.
    ///
    /// # Errors
    /// A [`Refusal`] when the provider cannot be used.
    pub async fn begin(&self, return_to: String) -> Result<(Url, UnderWay), Refusal> {
        let (url, pending) = self.oidc.begin().await?;
        Ok((url, UnderWay { pending, return_to }))
    }

    /// Finishes: who it is, on the list with the role that their groups give, and whether they may come in.
    ///
    /// # Errors
    /// A [`Refusal`]: 401 when the answer cannot be trusted, 403 without a role or when disabled, 409, 503.
    pub async fn finish(
        &self,
        console: &Console,
        under_way: UnderWay,
        answer: Answer,
        address: &str,
    ) -> Result<Operator, Refusal> {
        let source = Source::nobody(address);
        let outcome = match self.oidc.finish(under_way.pending, answer).await {
            Ok(identity) => self.let_in(console, &identity, &source).await,
            Err(error) => Err(error.into()),
        };
        let entry = match &outcome {
            Ok(operator) => source.does(AuditAction::SignedIn).about(operator.name.as_str()),
            // Nobody is named: what cannot be trusted names nobody.
            Err(refusal) => source.does(AuditAction::SignInFailed).with("why", &refusal.detail),
        };
        console.store.record_audit(&entry.with("by", "provider")).await?;
        outcome
    }

    async fn let_in(&self, console: &Console, identity: &Identity, source: &Source) -> Result<Operator, Refusal> {
        let granted = identity.groups.iter().filter_map(|group| self.roles.get(group)).max();
        let role = *granted.ok_or_else(no_role)?;
        let store = &console.store;
        let known = store.operator_by_identity(&identity.issuer, &identity.subject).await?;
        let Some(operator) = known else {
            return add(console, identity, role, source).await;
        };
        if operator.disabled_at.is_some() {
            let detail = "An admin of this console has disabled your account.";
            return Err(Refusal::new(Problem::NotAllowed, detail));
        }
        if operator.role != role {
            let entry = source.does(AuditAction::RoleChanged).about(operator.name.as_str());
            let entry = entry.with("from", operator.role.as_str()).with("to", role.as_str());
            // The provider's word counts even for the last admin: there it was given and can be given again.
            store
                .set_role_from_provider(operator.id, role, &entry.with("by", "provider"))
                .await?;
        }
        Ok(Operator { role, ..operator })
    }
}

/// Puts somebody on the list who was never here before.
async fn add(console: &Console, identity: &Identity, role: Role, source: &Source) -> Result<Operator, Refusal> {
    let name = OperatorName::from_foreign(&identity.name)?;
    let new = NewOperator {
        id: OperatorId::from_uuid(Uuid::now_v7()),
        name: name.clone(),
        role,
        password: None,
        identity: Some((identity.issuer.clone(), identity.subject.clone())),
        at: clock::now(),
    };
    let entry = source.does(AuditAction::OperatorAdded).about(name.as_str());
    let entry = entry.with("role", role.as_str()).with("by", "provider");
    match console.store.add_operator(&new, None, &entry).await? {
        Ok(()) => {}
        // Never somebody else's account, whatever the provider lets people call themselves.
        Err(Unchanged::NameTaken | Unchanged::Unknown | Unchanged::LastAdmin) => {
            let detail = format!("Somebody else is called `{name}` here. Ask an admin to sort it out.");
            return Err(Refusal::new(Problem::Conflict, detail));
        }
    }
    Ok(super::people::find(&console.store, &name).await?.operator)
}

fn no_role() -> Refusal {
    Refusal::new(
        Problem::NotAllowed,
        "None of your groups has a role in this console. Ask whoever runs it.",
    )
}

impl From<OidcError> for Refusal {
    fn from(error: OidcError) -> Self {
        tracing::warn!(%error, "a sign-in through the provider did not succeed");
        let problem = match error {
            OidcError::Provider(_) => Problem::Unavailable,
            OidcError::Refused(_) | OidcError::TooLate | OidcError::Denied { .. } => Problem::NotSignedIn,
        };
        Self::new(problem, error.advice())
    }
}
