//! What stands in front of GitHub's routes: the rate limit's headers, `ETag`s, and the faults that a test orders.

use super::app::is_authorized;
use super::connection::Cut;
use super::record::OnPurpose;
use super::repositories;
use super::routes::{Ctx, refusal, text};
use crate::server::clock;
use crate::server::digest::sha256_hex;
use axum::Extension;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::time::Duration;

/// GitHub's hourly limit for a token.
const LIMIT: usize = 5_000;
/// How many requests are remembered.
const MOST_ASKED: usize = 10_000;

/// What is wrong with GitHub while it is read. Dispatches are not concerned: a scenario decides about them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// 403 with no request left, until this many seconds from now.
    RateLimited(u64),
    /// 403 with `Retry-After`, in seconds.
    SecondaryLimit(u64),
    /// 401: the token is revoked.
    Unauthorized,
    /// 500.
    Error500,
    /// The connection closes without an answer.
    Drop,
    /// The answer takes this long.
    Slow(Duration),
}

/// A request, as it arrived, and what it was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// `GET` or `POST`.
    pub method: String,
    /// Its path, without the query.
    pub path: String,
    /// The answer's status.
    pub status: u16,
}

/// Answers as GitHub would in front of every route of its API.
pub(super) async fn gate(
    State(ctx): State<Ctx>,
    ConnectInfo(cut): ConnectInfo<Cut>,
    request: Request,
    next: Next,
) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let known = text(request.headers(), "if-none-match");
    let fault = ctx.shared.state().fault.filter(|_| method == Method::GET);
    let ordered = ctx.shared.state().set_up.refusal(&path);
    let response = if is_authorized(&ctx, &path, request.headers()) {
        match (ordered, fault) {
            (Some(ordered), _) => ordered,
            (None, Some(fault)) => faulty(fault, &cut, request, next).await,
            (None, None) => next.run(request).await,
        }
    } else {
        refusal(StatusCode::UNAUTHORIZED, "Bad credentials")
    };
    let response = if method == Method::GET && response.status() == StatusCode::OK {
        with_etag(response, known).await
    } else {
        response
    };
    let asked = Asked {
        method: method.to_string(),
        path,
        status: response.status().as_u16(),
    };
    let mut state = ctx.shared.state();
    let used = state.remember(asked, MOST_ASKED);
    let response = repositories::with_identity(response, &state.set_up);
    with_limit(response, LIMIT.saturating_sub(used))
}

async fn faulty(fault: Fault, cut: &Cut, request: Request, next: Next) -> Response {
    match fault {
        Fault::RateLimited(seconds) => rate_limited(seconds),
        Fault::SecondaryLimit(seconds) => secondary_limit(seconds),
        Fault::Unauthorized => refusal(StatusCode::UNAUTHORIZED, "Bad credentials"),
        Fault::Error500 => refusal(StatusCode::INTERNAL_SERVER_ERROR, "Server Error"),
        Fault::Drop => {
            cut.now();
            (Extension(OnPurpose), StatusCode::OK).into_response()
        }
        Fault::Slow(time) => {
            tokio::time::sleep(time).await;
            next.run(request).await
        }
    }
}

/// The primary limit is used up.
pub(super) fn rate_limited(seconds: u64) -> Response {
    let reset = clock::now().as_millis().unsigned_abs() / 1000 + seconds;
    let headers = [
        ("x-ratelimit-remaining", "0".to_owned()),
        ("x-ratelimit-reset", reset.to_string()),
    ];
    let words = "API rate limit exceeded for user ID 1.";
    (headers, refusal(StatusCode::FORBIDDEN, words)).into_response()
}

/// The secondary limit is exceeded.
pub(super) fn secondary_limit(seconds: u64) -> Response {
    let words = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.";
    let headers = [(header::RETRY_AFTER, seconds.to_string())];
    (headers, refusal(StatusCode::FORBIDDEN, words)).into_response()
}

/// GitHub's validators are weak. A 304 has no body, and costs nothing of the limit.
async fn with_etag(response: Response, known: Option<String>) -> Response {
    let (mut parts, body) = response.into_parts();
    let Ok(body) = to_bytes(body, usize::MAX).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let etag = format!("W/\"{}\"", sha256_hex(&body));
    let unchanged = known.as_deref() == Some(etag.as_str());
    if let Ok(value) = HeaderValue::from_str(&etag) {
        parts.headers.insert(header::ETAG, value);
    }
    if unchanged {
        parts.status = StatusCode::NOT_MODIFIED;
        parts.headers.remove(header::CONTENT_LENGTH);
        return Response::from_parts(parts, Body::empty());
    }
    Response::from_parts(parts, Body::from(body))
}

/// The limit's headers, unless the answer has its own.
fn with_limit(mut response: Response, remaining: usize) -> Response {
    let reset = clock::now().as_millis() / 1000 + 3_600;
    let headers = [
        ("x-ratelimit-limit", LIMIT.to_string()),
        ("x-ratelimit-remaining", remaining.to_string()),
        ("x-ratelimit-reset", reset.to_string()),
        ("x-ratelimit-resource", "core".to_owned()),
    ];
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response
                .headers_mut()
                .entry(HeaderName::from_static(name))
                .or_insert(value);
        }
    }
    response
}
