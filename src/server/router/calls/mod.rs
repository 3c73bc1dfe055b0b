//! What the server functions' bodies call: who may do it, and the use case with what it needs from the request.
//!
//! Pages come here without a route of their own in between, so this is where a role is asked for.

mod account;
mod deploys;
mod people;

pub use account::{account, change_password, create_token, end_sessions, revoke_token};
pub use deploys::{board, cancel, create, history, override_state, read, report, site_history};
pub(super) use people::export_audit;
pub use people::{add_operator, audit, issue_link, operators, set_disabled, set_role};

use crate::domain::{Account, AuditAction, Caller, OneTimeLink, Problem, Refusal, Role, Slug};
use crate::server::Console;
use crate::server::audit::Source;
use crate::server::auth::address::ClientAddress;
use crate::server::auth::people::{self as use_cases, IssuedLink};
use crate::server::deploys::By;
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use leptos::prelude::use_context;
use leptos_axum::ResponseOptions;
use tower_sessions::Session;

/// A request, and whose it is.
struct Asked {
    console: Console,
    parts: Parts,
    caller: Caller,
    address: String,
    source: Source,
}

impl Asked {
    /// The request that is being answered, if its caller has at least this role.
    async fn by(least: Role) -> Result<Self, Refusal> {
        let (console, parts) = (context::<Console>()?, context::<Parts>()?);
        let caller = parts.extensions.get::<Caller>().cloned();
        let caller = caller.ok_or_else(|| Refusal::new(Problem::NotSignedIn, "Sign in to see this."))?;
        let address = parts.extensions.get::<ClientAddress>();
        let address = address.map(|address| address.0.clone()).unwrap_or_default();
        let source = Source::caller(&caller, &address);
        require(&console, &caller, &source, least, parts.uri.path()).await?;
        Ok(Self {
            console,
            parts,
            caller,
            address,
            source,
        })
    }

    /// Who steps in, and from where.
    fn as_by(&self) -> By<'_> {
        By {
            caller: &self.caller,
            source: &self.source,
        }
    }

    /// As [`Self::by`], and not with an API token: one that leaks must not make others, or change people.
    async fn in_person(least: Role) -> Result<Self, Refusal> {
        let asked = Self::by(least).await?;
        if asked.caller.token.is_some() {
            let detail = "An API token cannot do this. Sign in to the console.";
            return Err(Refusal::new(Problem::NotAllowed, detail));
        }
        Ok(asked)
    }

    fn session(&self) -> Result<Session, Refusal> {
        let session = self.parts.extensions.get::<Session>().cloned();
        session.ok_or_else(|| Refusal::new(Problem::NotSignedIn, "Sign in to do this."))
    }

    fn user_agent(&self) -> String {
        let value = self.parts.headers.get(header::USER_AGENT);
        value
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_owned()
    }

    async fn account(&self) -> Result<Account, Refusal> {
        let store = &self.console.store;
        Ok(Account {
            operator: use_cases::find(store, &self.caller.name).await?.operator,
            sessions: self.console.sessions.of(self.caller.operator, &self.session()?).await?,
            tokens: store.tokens(Some(self.caller.operator)).await?,
            sites: self.slugs(),
        })
    }

    fn slugs(&self) -> Vec<Slug> {
        self.console.sites.iter().map(|site| site.slug.clone()).collect()
    }

    fn shown(&self, link: &IssuedLink) -> OneTimeLink {
        OneTimeLink {
            url: self.console.link(&link.token),
            expires_at: link.expires_at,
        }
    }
}

/// Refuses whoever has not at least this role, and writes down that they asked for `path`.
async fn require(console: &Console, caller: &Caller, source: &Source, least: Role, path: &str) -> Result<(), Refusal> {
    if caller.role >= least {
        return Ok(());
    }
    let entry = source.does(AuditAction::AccessRefused).about(path);
    console
        .store
        .record_audit(&entry.with("needed", least.as_str()))
        .await?;
    let detail = format!(
        "This takes the role {least}, and yours is {}. An admin can change it.",
        caller.role
    );
    Err(Refusal::new(Problem::NotAllowed, detail))
}

/// A page that shows a refusal carries its status as well.
fn told<T>(outcome: Result<T, Refusal>) -> Result<T, Refusal> {
    if let Err(refusal) = &outcome
        && let Ok(status) = StatusCode::from_u16(refusal.status)
    {
        set_status(status);
    }
    outcome
}

fn set_status(status: StatusCode) {
    if let Some(options) = use_context::<ResponseOptions>() {
        options.set_status(status);
    }
}

fn context<T: Clone + 'static>() -> Result<T, Refusal> {
    use_context::<T>().ok_or_else(|| Refusal::new(Problem::Internal, "The console lost its footing while it answered."))
}
