//! A record of what was said at GitHub's routes, so that it can be held against GitHub's own description of them.
//!
//! A test orders it. `scripts/openapi.mjs` reads it once all tests are done.

use super::routes::{Ctx, text};
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::PathBuf;

/// The request's headers that GitHub's description speaks of. Never the one with the token.
const HEADERS: [&str; 3] = ["accept", "content-type", "x-github-api-version"];

/// An answer that carries this is a fault on purpose: nobody holds it against GitHub's description.
#[derive(Debug, Clone, Copy)]
pub(super) struct OnPurpose;

/// One request and its answer: a line of the record.
#[derive(Serialize)]
struct Exchange {
    #[serde(skip)]
    file: PathBuf,
    method: String,
    path: String,
    query: String,
    headers: BTreeMap<&'static str, String>,
    body: String,
    answer: Option<Answer>,
}

#[derive(Serialize)]
struct Answer {
    status: u16,
    content_type: Option<String>,
    /// `None`: a fault on purpose.
    body: Option<String>,
}

/// Records the exchange, where that was ordered.
pub(super) async fn record(State(ctx): State<Ctx>, request: Request, next: Next) -> Response {
    let Some(file) = ctx.shared.record.clone() else {
        return next.run(request).await;
    };
    let (parts, body) = request.into_parts();
    let Some(body) = whole(body).await else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let uri = &parts.uri;
    let mut exchange = Exchange {
        file,
        method: parts.method.to_string(),
        path: uri.path().to_owned(),
        query: uri.query().unwrap_or_default().to_owned(),
        headers: headers(&parts.headers),
        body: lossy(&body),
        answer: None,
    };
    let response = next.run(Request::from_parts(parts, Body::from(body))).await;
    exchange.note(response).await
}

impl Exchange {
    /// Notes the answer, and hands it on.
    async fn note(&mut self, response: Response) -> Response {
        let (parts, body) = response.into_parts();
        let answer = self.answer.insert(Answer {
            status: parts.status.as_u16(),
            content_type: text(&parts.headers, "content-type"),
            body: None,
        });
        if parts.extensions.get::<OnPurpose>().is_some() {
            // It may have no end.
            return Response::from_parts(parts, body);
        }
        let Some(body) = whole(body).await else {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        };
        answer.body = Some(without_token(&body));
        Response::from_parts(parts, Body::from(body))
    }

    fn write(&self) -> io::Result<()> {
        let line = format!("{}\n", json!(self));
        let mut file = OpenOptions::new().create(true).append(true).open(&self.file)?;
        // One write: stand-ins run side by side, and a line must not be torn.
        file.write_all(line.as_bytes())
    }
}

/// A request whose client went away before it was answered is on record, too: its handler is dropped.
impl Drop for Exchange {
    fn drop(&mut self) {
        if let Err(error) = self.write() {
            tracing::error!(%error, file = %self.file.display(), "what was said to GitHub could not be recorded");
        }
    }
}

async fn whole(body: Body) -> Option<Bytes> {
    to_bytes(body, usize::MAX).await.ok()
}

fn headers(headers: &HeaderMap) -> BTreeMap<&'static str, String> {
    let named = |name: &'static str| Some((name, text(headers, name)?));
    HEADERS.into_iter().filter_map(named).collect()
}

/// The body, with another word for a token that it lends.
fn without_token(body: &[u8]) -> String {
    match serde_json::from_slice::<Value>(body) {
        Ok(mut value) if value["token"].is_string() => {
            value["token"] = json!("lent");
            value.to_string()
        }
        _ => lossy(body),
    }
}

fn lossy(body: &[u8]) -> String {
    String::from_utf8_lossy(body).into_owned()
}
