//! What the server functions' bodies call: the use case with what it needs from the request around it.

use super::adapter::PathId;
use crate::domain::{
    Board, DeployId, DeployPage, DeployRecord, DeployRequest, Problem, Refusal, ReportAnswer, SiteHistory,
};
use crate::server::deploys::{self, Created};
use crate::server::{Console, callback};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use leptos::prelude::use_context;
use leptos_axum::ResponseOptions;

/// Asks for a deploy: 201 and where it is, or 200 when the same request asked before.
///
/// # Errors
/// As [`deploys::create`].
pub async fn create(request: DeployRequest) -> Result<DeployRecord, Refusal> {
    let (console, parts) = (context::<Console>()?, context::<Parts>()?);
    let key = parts
        .headers
        .get("idempotency-key")
        .map(|value| value.to_str().unwrap_or("\u{0}"));
    match deploys::create(&console, &request, key).await? {
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
    let console = context::<Console>()?;
    let Ok(id) = id.parse() else {
        return told(Err(Refusal::new(
            Problem::NotFound,
            "There is no such deploy: its id is mistyped.",
        )));
    };
    told(deploys::read(&console, id, after.as_deref()).await)
}

/// The board.
///
/// # Errors
/// As [`deploys::board`].
pub async fn board() -> Result<Board, Refusal> {
    let console = context::<Console>()?;
    told(deploys::board(&console).await)
}

/// A page of history.
///
/// # Errors
/// As [`deploys::history`].
pub async fn history(before: Option<String>) -> Result<DeployPage, Refusal> {
    let console = context::<Console>()?;
    told(deploys::history(&console, None, before.as_deref()).await)
}

/// A site and a page of its history.
///
/// # Errors
/// As [`deploys::site_history`].
pub async fn site_history(slug: String, before: Option<String>) -> Result<SiteHistory, Refusal> {
    let console = context::<Console>()?;
    told(deploys::site_history(&console, &slug, before.as_deref()).await)
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
