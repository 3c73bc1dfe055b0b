//! What GitHub's answer to a dispatch means: accepted, refused, or unknown.

use super::budget::Budget;
use crate::domain::{Event, Run, Timestamp};
use reqwest::header::HeaderMap;
use reqwest::{Response, StatusCode};
use serde::Deserialize;
use std::error::Error;

/// The most of an answer that is read, in bytes.
const MOST_ANSWER: usize = 1024 * 1024;
/// The most of GitHub's message that is kept, in characters.
const MESSAGE_CHARS: usize = 600;

#[derive(Deserialize)]
struct RunDetails {
    workflow_run_id: i64,
    html_url: Option<String>,
}

#[derive(Deserialize)]
struct GithubError {
    message: String,
}

/// Reads the answer to a dispatch; `identity` is where an operator finds as whom it was made.
pub(super) async fn read_dispatch(response: Response, budget: &Budget, identity: &str, now: Timestamp) -> Event {
    let (status, headers) = (response.status(), response.headers().clone());
    let body = match bounded_body(response).await {
        Ok(body) => body,
        // The status line alone is enough for a refusal, and never enough to know the run.
        Err(_) if is_refusal(status) => Vec::new(),
        Err(problem) => return unknown(format!("GitHub answered {status}, and then {problem}.")),
    };
    let limit = budget.learn(status, &headers, &body, now).err();
    match status {
        StatusCode::OK => match serde_json::from_slice::<RunDetails>(&body) {
            Ok(run) => Event::Accepted(Run {
                id: run.workflow_run_id,
                attempt: 1,
                url: run.html_url,
                head_sha: None,
            }),
            Err(_) => unknown("GitHub answered 200 with something that names no run.".to_owned()),
        },
        StatusCode::NO_CONTENT => unknown("GitHub accepted the dispatch and did not name the run.".to_owned()),
        status if is_refusal(status) => Event::Refused {
            reason: limit.map_or_else(
                || refusal(status, &headers, &body, identity),
                |limit| format!("GitHub answered {status}{}. {limit}.", message(&body)),
            ),
        },
        status => unknown(format!("GitHub answered {status}{}.", message(&body))),
    }
}

/// Reads the failure of a dispatch that got no answer: whether it can have left this machine.
pub(super) fn read_failure(error: &reqwest::Error) -> Event {
    if error.is_connect() || error.is_builder() {
        return Event::NotSent {
            reason: format!("GitHub could not be reached, so nothing was sent: {}", chain(error)),
        };
    }
    if error.is_timeout() {
        return unknown("GitHub took the request and gave no answer within 10 s.".to_owned());
    }
    unknown(format!(
        "The connection broke after the request was sent: {}",
        chain(error)
    ))
}

/// The body, as long as it is bounded.
pub(in crate::server) async fn bounded_body(mut response: Response) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(None) => return Ok(body),
            Ok(Some(chunk)) if body.len() + chunk.len() <= MOST_ANSWER => body.extend_from_slice(&chunk),
            Ok(Some(_)) => return Err("its answer is larger than 1 MiB".to_owned()),
            Err(error) => return Err(chain(&error)),
        }
    }
}

/// GitHub's own message, with a colon before it; nothing when there is none.
pub(super) fn message(body: &[u8]) -> String {
    let Ok(error) = serde_json::from_slice::<GithubError>(body) else {
        return String::new();
    };
    let message: String = error
        .message
        .chars()
        .filter(|c| !c.is_control())
        .take(MESSAGE_CHARS)
        .collect();
    format!(": {}", message.trim_end_matches('.'))
}

/// An error with all its causes, without the URL, which is long and known.
pub(in crate::server) fn chain(error: &reqwest::Error) -> String {
    let mut text = String::new();
    let mut cause = error.source();
    while let Some(inner) = cause {
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    if !text.is_empty() {
        return text;
    }
    let text = error.to_string();
    // A log's address opens it.
    error
        .url()
        .map_or(text.clone(), |url| text.replace(url.as_str(), "its address"))
}

/// 4xx says no; 408 and 429 say "not now" and may come from something in between. 3xx says "elsewhere",
/// which we do not follow: a dispatch must go where the operator was told it goes.
pub(super) fn is_refusal(status: StatusCode) -> bool {
    let undecided = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS].contains(&status);
    (status.is_client_error() && !undecided) || status.is_redirection()
}

fn refusal(status: StatusCode, headers: &HeaderMap, body: &[u8], identity: &str) -> String {
    let wanted = wanted(headers);
    let hint = match status.as_u16() {
        300..=399 => " The repository may have moved: give its new name in console.toml.".to_owned(),
        401 => format!(" Look at {identity}: it is wrong, revoked or expired."),
        403 if wanted.is_empty() => format!(" Look at {identity}: it may lack write access to Actions."),
        403 => format!(" Look at {identity}."),
        404 => {
            format!(" Look at the site's repository and workflow in console.toml, and whether {identity} may see them.")
        }
        422 => " Look at the site's ref and inputs in console.toml, and at the workflow's own.".to_owned(),
        _ => String::new(),
    };
    format!("GitHub answered {status}{}{wanted}.{hint}", message(body))
}

/// The permission that a refused request lacks, with a semicolon before it, where GitHub names it.
pub(super) fn wanted(headers: &HeaderMap) -> String {
    let accepted = headers.get("x-accepted-github-permissions");
    let accepted = accepted.and_then(|value| value.to_str().ok()).map(str::trim);
    match accepted.filter(|text| !text.is_empty()) {
        Some(permissions) => format!("; it wants the permission `{permissions}`"),
        None => String::new(),
    }
}

fn unknown(reason: String) -> Event {
    Event::Unanswered { reason }
}
