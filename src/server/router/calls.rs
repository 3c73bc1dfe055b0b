//! What the server functions' bodies call: who may do it, and the use case with what it needs from the request.
//!
//! Pages come here without a route of their own in between, so this is where a role is asked for.

use super::adapter::PathId;
use crate::domain::{
    Account, AuditAction, AuditFilter, AuditPage, Board, Caller, CancelRequest, DeployId, DeployPage, DeployRecord,
    DeployRequest, NewToken, OneTimeLink, Operator, OperatorName, OverrideRequest, Problem, Refusal, ReportAnswer,
    Role, SiteHistory, Slug,
};
use crate::server::audit::{self, Source};
use crate::server::auth::address::ClientAddress;
use crate::server::auth::people::{self, IssuedLink};
use crate::server::auth::session::SignedIn;
use crate::server::auth::token;
use crate::server::deploys::{self, By, Created, Wish};
use crate::server::{Console, callback, clock};
use axum::body::{Body, Bytes};
use axum::extract::{Extension, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use leptos::prelude::use_context;
use leptos_axum::ResponseOptions;
use secrecy::SecretString;
use tower_sessions::Session;

/// How many rows a page of the audit trail holds.
const AUDIT_PAGE: usize = 100;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Asks for a deploy: 201 and where it is, or 200 when the same request asked before.
///
/// # Errors
/// As [`deploys::create`].
pub async fn create(request: DeployRequest) -> Result<DeployRecord, Refusal> {
    let asked = Asked::by(Role::Viewer).await?;
    let key = asked.parts.headers.get("idempotency-key");
    let wish = Wish {
        caller: &asked.caller,
        source: &asked.source,
        key: key.map(|value| value.to_str().unwrap_or("\u{0}")),
    };
    match deploys::create(&asked.console, &request, wish).await? {
        Created::New(record) => {
            say_created(record.deploy.id);
            Ok(*record)
        }
        Created::Again(record) => Ok(*record),
    }
}

/// A deploy.
///
/// # Errors
/// As [`deploys::read`].
pub async fn read(id: String, after: Option<String>) -> Result<DeployRecord, Refusal> {
    let asked = told(Asked::by(Role::Viewer).await)?;
    let id = told(deploy_id(&id))?;
    told(deploys::read(&asked.console, id, after.as_deref()).await)
}

/// The wish to stop a deploy.
///
/// # Errors
/// As [`deploys::cancel`].
pub async fn cancel(id: String, request: CancelRequest) -> Result<DeployRecord, Refusal> {
    let asked = Asked::by(Role::Deployer).await?;
    deploys::cancel(&asked.console, asked.as_by(), deploy_id(&id)?, request).await
}

/// A deploy closed by hand.
///
/// # Errors
/// As [`deploys::override_state`].
pub async fn override_state(id: String, request: OverrideRequest) -> Result<DeployRecord, Refusal> {
    let asked = Asked::by(Role::Deployer).await?;
    let OverrideRequest { state, reason } = request;
    deploys::override_state(&asked.console, asked.as_by(), deploy_id(&id)?, state, &reason).await
}

/// The board.
///
/// # Errors
/// As [`deploys::board`].
pub async fn board() -> Result<Board, Refusal> {
    let asked = told(Asked::by(Role::Viewer).await)?;
    told(deploys::board(&asked.console).await)
}

/// A page of history.
///
/// # Errors
/// As [`deploys::history`].
pub async fn history(before: Option<String>) -> Result<DeployPage, Refusal> {
    let asked = told(Asked::by(Role::Viewer).await)?;
    told(deploys::history(&asked.console, None, before.as_deref()).await)
}

/// A site and a page of its history.
///
/// # Errors
/// As [`deploys::site_history`].
pub async fn site_history(slug: String, before: Option<String>) -> Result<SiteHistory, Refusal> {
    let asked = told(Asked::by(Role::Viewer).await)?;
    told(deploys::site_history(&asked.console, &slug, before.as_deref()).await)
}

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

/// Every operator.
///
/// # Errors
/// 403 for all but admins; 503.
pub async fn operators() -> Result<Vec<Operator>, Refusal> {
    let asked = told(Asked::in_person(Role::Admin).await)?;
    told(asked.console.store.operators().await.map_err(Refusal::from))
}

/// Puts somebody on the list.
///
/// # Errors
/// 403 for all but admins; as [`people::add`].
pub async fn add_operator(name: String, role: Role) -> Result<OneTimeLink, Refusal> {
    let asked = Asked::in_person(Role::Admin).await?;
    let link = people::add(&asked.console.store, name.parse()?, role, &asked.source).await?;
    Ok(asked.shown(&link))
}

/// Changes what somebody may do.
///
/// # Errors
/// 403 for all but admins; as [`people::set_role`].
pub async fn set_role(name: OperatorName, role: Role) -> Result<(), Refusal> {
    let asked = Asked::in_person(Role::Admin).await?;
    people::set_role(&asked.console.store, &name, role, &asked.source).await
}

/// Keeps somebody out, or lets them in again.
///
/// # Errors
/// 403 for all but admins; as [`people::set_disabled`].
pub async fn set_disabled(name: OperatorName, disabled: bool) -> Result<(), Refusal> {
    let asked = Asked::in_person(Role::Admin).await?;
    people::set_disabled(&asked.console.store, &name, disabled, &asked.source).await
}

/// Gives out a link by which somebody sets a new password.
///
/// # Errors
/// 403 for all but admins; as [`people::reset`].
pub async fn issue_link(name: OperatorName) -> Result<OneTimeLink, Refusal> {
    let asked = Asked::in_person(Role::Admin).await?;
    let link = people::reset(&asked.console.store, &name, &asked.source).await?;
    Ok(asked.shown(&link))
}

/// A page of the audit trail, newest first.
///
/// # Errors
/// 403 for all but admins; 503.
pub async fn audit(
    action: Option<String>,
    actor: Option<String>,
    subject: Option<String>,
    before: Option<i64>,
) -> Result<AuditPage, Refusal> {
    let asked = told(Asked::by(Role::Admin).await)?;
    let filter = AuditFilter {
        action,
        actor,
        subject,
        before,
    };
    // One more than a page tells whether there is another.
    let most = i64::try_from(AUDIT_PAGE + 1).unwrap_or(i64::MAX);
    let mut rows = told(
        asked
            .console
            .store
            .audit_page(&filter, most)
            .await
            .map_err(Refusal::from),
    )?;
    let more = rows.len() > AUDIT_PAGE;
    rows.truncate(AUDIT_PAGE);
    let next = rows.last().filter(|_| more).map(|row| row.seq);
    Ok(AuditPage { rows, next })
}

/// `GET /api/internal/audit.jsonl`: the whole trail, oldest first, one JSON object a line.
pub(super) async fn export_audit(
    State(console): State<Console>,
    Extension(caller): Extension<Caller>,
    Extension(ClientAddress(address)): Extension<ClientAddress>,
) -> Response {
    let source = Source::caller(&caller, &address);
    if let Err(refusal) = require(&console, &caller, &source, Role::Admin, super::EXPORT).await {
        return refusal.into_response();
    }
    let lines = futures::stream::try_unfold(0, move |seq| {
        let console = console.clone();
        async move {
            let piece = audit::export_after(&console.store, seq).await?;
            Ok::<_, crate::server::store::StoreError>(piece.map(|(text, last)| (Bytes::from(text), last)))
        }
    });
    let name = format!("attachment; filename=\"audit-{}.jsonl\"", clock::now().as_millis());
    let headers = [
        (header::CONTENT_TYPE, "application/jsonl".to_owned()),
        (header::CONTENT_DISPOSITION, name),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    (headers, Body::from_stream(lines)).into_response()
}

/// A signed callback: 200, or 202 when it was stored and not applied.
///
/// # Errors
/// As [`callback::receive`].
pub async fn report(body: Vec<u8>) -> Result<ReportAnswer, Refusal> {
    let (console, parts) = (context::<Console>()?, context::<Parts>()?);
    let path_id = parts.extensions.get::<PathId>().map(|id| id.0.as_str());
    let answer = callback::receive(&console, &parts.headers, path_id, &body).await?;
    if answer.result == crate::domain::ReportResult::Stored {
        set_status(StatusCode::ACCEPTED);
    }
    Ok(answer)
}

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
            operator: people::find(store, &self.caller.name).await?.operator,
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

fn deploy_id(text: &str) -> Result<DeployId, Refusal> {
    text.parse()
        .map_err(|_| Refusal::new(Problem::NotFound, "There is no such deploy: its id is mistyped."))
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

fn say_created(id: DeployId) {
    let Some(options) = use_context::<ResponseOptions>() else {
        return;
    };
    options.set_status(StatusCode::CREATED);
    if let Ok(location) = HeaderValue::from_str(&format!("/api/internal/deploys/{id}")) {
        options.insert_header(header::LOCATION, location);
    }
}

fn set_status(status: StatusCode) {
    if let Some(options) = use_context::<ResponseOptions>() {
        options.set_status(status);
    }
}

fn context<T: Clone + 'static>() -> Result<T, Refusal> {
    use_context::<T>().ok_or_else(|| Refusal::new(Problem::Internal, "The console lost its footing while it answered."))
}
