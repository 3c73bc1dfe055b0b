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

use crate::domain::{Board, DeployPage, DeployRecord, DeployRequest, ReportAnswer, SiteHistory};
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

/// A deploy, its timeline and a piece of its log.
///
/// `GET /api/internal/deploys/{id}?after=CURSOR` is this function by another path.
///
/// # Errors
/// 400 a bad cursor, 404 no such deploy.
#[server(name = GetDeploy, prefix = "/api/internal", endpoint = "deploy", input = GetUrl, output = Json)]
pub async fn get_deploy(id: String, after: Option<String>) -> Result<DeployRecord, ApiError> {
    crate::server::router::calls::read(id, after).await
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
