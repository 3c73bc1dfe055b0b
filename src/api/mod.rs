//! The seam between browser and server: the server functions, and what they answer when they refuse.
//!
//! Each function is an HTTP route that scripts and workflows use as well. Its body runs on the server
//! alone; in the browser the same call is a request.

// The macro makes of each function's arguments a struct with public fields; the function documents them.
#![allow(missing_docs)]

mod codec;
mod error;

pub use codec::{RawJson, WholeBody};
pub use error::ApiError;

use crate::domain::{
    Account, AuditPage, Board, CancelRequest, DeployPage, DeployRecord, DeployRequest, NewToken, OneTimeLink, Operator,
    OperatorName, OverrideRequest, ReportAnswer, Role, SiteHistory, Slug,
};
use leptos::server;
use server_fn::codec::{GetUrl, Json, Post};

/// Records the intent to deploy, and answers with it as soon as it is committed.
///
/// `POST /api/internal/deploys`. The dispatch follows in the background.
///
/// # Errors
/// 404 unknown site, 409 one is active, 422 a wrong confirmation or field, 429 too many.
#[server(name = CreateDeploy, prefix = "/api/internal", endpoint = "deploys", input = Post<WholeBody>, output = Json)]
pub async fn create_deploy(request: DeployRequest) -> Result<DeployRecord, ApiError> {
    crate::server::router::calls::create(request).await
}

/// A deploy, its timeline and a piece of its log; with `attempt`, those of a re-run.
///
/// `GET /api/internal/deploys/{id}?after=CURSOR&attempt=NUMBER` is this function by another path.
///
/// # Errors
/// 400 a bad cursor, 404 no such deploy.
#[server(name = GetDeploy, prefix = "/api/internal", endpoint = "deploy", input = GetUrl, output = Json)]
pub async fn get_deploy(id: String, after: Option<String>, attempt: Option<i64>) -> Result<DeployRecord, ApiError> {
    crate::server::router::calls::read(id, after, attempt).await
}

/// Puts the wish to stop a deploy on record and takes it to GitHub.
///
/// `POST /api/internal/deploys/{id}/cancel` is this function by another path.
///
/// # Errors
/// 404 no such deploy, 409 it cannot be stopped now, 502 GitHub did not take the wish.
#[server(name = CancelDeploy, prefix = "/api/internal", endpoint = "cancel", input = Json, output = Json)]
pub async fn cancel_deploy(id: String, request: CancelRequest) -> Result<DeployRecord, ApiError> {
    crate::server::router::calls::cancel(id, request).await
}

/// Closes by hand a deploy that nobody else can tell the end of.
///
/// `POST /api/internal/deploys/{id}/override` is this function by another path.
///
/// # Errors
/// 404 no such deploy, 409 its state does not allow it or not yet, 422 a bad reason.
#[server(name = OverrideDeploy, prefix = "/api/internal", endpoint = "override", input = Json, output = Json)]
pub async fn override_deploy(id: String, request: OverrideRequest) -> Result<DeployRecord, ApiError> {
    crate::server::router::calls::override_state(id, request).await
}

/// The whole board, so that a page asks once however many tiles it shows.
///
/// `GET /api/internal/board`.
///
/// # Errors
/// 503 while the database is busy.
#[server(name = GetBoard, prefix = "/api/internal", endpoint = "board", input = GetUrl, output = Json)]
pub async fn get_board() -> Result<Board, ApiError> {
    crate::server::router::calls::board().await
}

/// A page of all history, newest first, before the cursor.
///
/// `GET /api/internal/history?before=CURSOR`.
///
/// # Errors
/// 400 a bad cursor.
#[server(name = GetHistory, prefix = "/api/internal", endpoint = "history", input = GetUrl, output = Json)]
pub async fn get_history(before: Option<String>) -> Result<DeployPage, ApiError> {
    crate::server::router::calls::history(before).await
}

/// A site and a page of its history, newest first, before the cursor.
///
/// `GET /api/internal/site?slug=SLUG&before=CURSOR`.
///
/// # Errors
/// 400 a bad cursor, 404 no such site.
#[server(name = GetSite, prefix = "/api/internal", endpoint = "site", input = GetUrl, output = Json)]
pub async fn get_site(slug: String, before: Option<String>) -> Result<SiteHistory, ApiError> {
    crate::server::router::calls::site_history(slug, before).await
}

/// Takes a workflow's signed callback: Standard Webhooks over the raw body.
///
/// `POST /api/internal/deploys/{id}/status` is this function by another path.
///
/// # Errors
/// 400, 401, 404, 409, 413, 429, 503: see `docs/callbacks.md`.
#[server(name = ReportStatus, prefix = "/api/internal", endpoint = "status", input = Post<RawJson>, output = Json)]
pub async fn report_status(body: Vec<u8>) -> Result<ReportAnswer, ApiError> {
    crate::server::router::calls::report(body).await
}

/// One's own account: who one is, which browsers are signed in, which API tokens exist.
///
/// `GET /api/internal/account`.
///
/// # Errors
/// 401, 403 with an API token.
#[server(name = GetAccount, prefix = "/api/internal", endpoint = "account", input = GetUrl, output = Json)]
pub async fn get_account() -> Result<Account, ApiError> {
    crate::server::router::calls::account().await
}

/// Changes one's own password; every other session ends.
///
/// `POST /api/internal/account/password`.
///
/// # Errors
/// 401, 422 when the old one is wrong or the new one is too weak.
#[server(name = ChangePassword, prefix = "/api/internal", endpoint = "account/password", input = Json, output = Json)]
pub async fn change_password(old: String, new: String) -> Result<(), ApiError> {
    crate::server::router::calls::change_password(old, new).await
}

/// Ends one of one's own sessions, or all of them without a handle.
///
/// `POST /api/internal/sessions/end`.
///
/// # Errors
/// 401, 404.
#[server(name = EndSessions, prefix = "/api/internal", endpoint = "sessions/end", input = Json, output = Json)]
pub async fn end_sessions(handle: Option<String>) -> Result<(), ApiError> {
    crate::server::router::calls::end_sessions(handle).await
}

/// Makes an API token of one's own. Its text is in the answer and nowhere else.
///
/// `POST /api/internal/tokens`; `days` until it ends, or never.
///
/// # Errors
/// 401, 403 with an API token, 422.
#[server(name = CreateToken, prefix = "/api/internal", endpoint = "tokens", input = Json, output = Json)]
pub async fn create_token(name: String, sites: Vec<Slug>, days: Option<i64>) -> Result<NewToken, ApiError> {
    crate::server::router::calls::create_token(name, sites, days).await
}

/// Revokes an API token of one's own.
///
/// `POST /api/internal/tokens/revoke`.
///
/// # Errors
/// 401, 403 with an API token, 404.
#[server(name = RevokeToken, prefix = "/api/internal", endpoint = "tokens/revoke", input = Json, output = Json)]
pub async fn revoke_token(id: String) -> Result<(), ApiError> {
    crate::server::router::calls::revoke_token(id).await
}

/// Every operator. For admins.
///
/// `GET /api/internal/operators`.
///
/// # Errors
/// 401, 403.
#[server(name = GetOperators, prefix = "/api/internal", endpoint = "operators", input = GetUrl, output = Json)]
pub async fn get_operators() -> Result<Vec<Operator>, ApiError> {
    crate::server::router::calls::operators().await
}

/// Puts somebody on the list, and gives out the link by which they set their password. For admins.
///
/// `POST /api/internal/operators`.
///
/// # Errors
/// 401, 403, 409 when the name is taken, 422.
#[server(name = AddOperator, prefix = "/api/internal", endpoint = "operators", input = Json, output = Json)]
pub async fn add_operator(name: String, role: Role) -> Result<OneTimeLink, ApiError> {
    crate::server::router::calls::add_operator(name, role).await
}

/// Changes what an operator may do. For admins.
///
/// `POST /api/internal/operators/role`.
///
/// # Errors
/// 401, 403, 404, 409 for the last admin, 422.
#[server(name = SetRole, prefix = "/api/internal", endpoint = "operators/role", input = Json, output = Json)]
pub async fn set_role(name: OperatorName, role: Role) -> Result<(), ApiError> {
    crate::server::router::calls::set_role(name, role).await
}

/// Keeps an operator out and ends their sessions, or lets them in again. For admins.
///
/// `POST /api/internal/operators/disabled`.
///
/// # Errors
/// 401, 403, 404, 409 for the last admin.
#[server(name = SetDisabled, prefix = "/api/internal", endpoint = "operators/disabled", input = Json, output = Json)]
pub async fn set_disabled(name: OperatorName, disabled: bool) -> Result<(), ApiError> {
    crate::server::router::calls::set_disabled(name, disabled).await
}

/// Gives out a link by which an operator sets a new password. For admins.
///
/// `POST /api/internal/operators/link`.
///
/// # Errors
/// 401, 403, 404, 422 for those who come through a provider.
#[server(name = IssueLink, prefix = "/api/internal", endpoint = "operators/link", input = Json, output = Json)]
pub async fn issue_link(name: OperatorName) -> Result<OneTimeLink, ApiError> {
    crate::server::router::calls::issue_link(name).await
}

/// A page of the audit trail, newest first. For admins.
///
/// `GET /api/internal/audit?action=&actor=&subject=&before=`.
///
/// # Errors
/// 401, 403.
#[server(name = GetAudit, prefix = "/api/internal", endpoint = "audit", input = GetUrl, output = Json)]
pub async fn get_audit(
    action: Option<String>,
    actor: Option<String>,
    subject: Option<String>,
    before: Option<i64>,
) -> Result<AuditPage, ApiError> {
    crate::server::router::calls::audit(action, actor, subject, before).await
}
