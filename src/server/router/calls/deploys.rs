//! Deploys: asking for one, stepping in, reading, and what workflows report.

use super::super::adapter::PathId;
use super::{Asked, context, set_status, told};
use crate::domain::{
    Attempt, Board, CancelRequest, DeployId, DeployPage, DeployRecord, DeployRequest, OverrideRequest, Problem,
    Refusal, ReportAnswer, Role, SiteHistory,
};
use crate::server::deploys::{self, Created, Wish};
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

/// An attempt at a deploy; the first one unless its number is given.
///
/// # Errors
/// As [`deploys::read`].
pub async fn read(id: String, after: Option<String>, attempt: Option<i64>) -> Result<DeployRecord, Refusal> {
    let asked = told(Asked::by(Role::Viewer).await)?;
    let deploy = told(deploy_id(&id))?;
    let number = attempt.unwrap_or(1);
    let attempt = Attempt { deploy, number };
    told(deploys::read(&asked.console, attempt, after.as_deref()).await)
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
    deploys::override_state(&asked.console, asked.as_by(), deploy_id(&id)?, &request).await
}

/// The board.
///
/// # Errors
/// As [`deploys::board`].
pub async fn board() -> Result<Board, Refusal> {
    let asked = told(Asked::by(Role::Viewer).await)?;
    let reading = told(deploys::board(&asked.console).await)?;
    Ok(reading.board.clone())
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

fn deploy_id(text: &str) -> Result<DeployId, Refusal> {
    text.parse()
        .map_err(|_| Refusal::new(Problem::NotFound, "There is no such deploy: its id is mistyped."))
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
