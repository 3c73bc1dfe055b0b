//! What admins do and read: people, and the audit trail.

use super::super::{Console, EXPORT};
use super::{Asked, require, told};
use crate::domain::{AuditFilter, AuditPage, Caller, OneTimeLink, Operator, OperatorName, Refusal, Role};
use crate::server::audit::{self, Source};
use crate::server::auth::address::ClientAddress;
use crate::server::auth::people;
use crate::server::clock;
use axum::body::{Body, Bytes};
use axum::extract::{Extension, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};

/// How many rows a page of the audit trail holds.
const AUDIT_PAGE: usize = 100;

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
pub(in crate::server::router) async fn export_audit(
    State(console): State<Console>,
    Extension(caller): Extension<Caller>,
    Extension(ClientAddress(address)): Extension<ClientAddress>,
) -> Response {
    let source = Source::caller(&caller, &address);
    if let Err(refusal) = require(&console, &caller, &source, Role::Admin, EXPORT).await {
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
