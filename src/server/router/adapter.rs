//! From HTTP to a server function and back.
//!
//! Leptos answers every refusal with status 500 and every success with 200. Here the body is bounded
//! before it is read, a refusal gets its own status and media type, a `GET` gets an `ETag`, and an id in
//! the path moves to where the function looks for it.

use super::super::Console;
use super::super::tagged::Tagged;
use crate::domain::{DeployId, Problem, Refusal};
use axum::body::{Body, Bytes, HttpBody as _, to_bytes};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use leptos::prelude::provide_context;
use server_fn::ServerFn;
use server_fn::error::SERVER_FN_ERROR_HEADER;

/// The largest body that any route takes, in bytes.
pub(super) const MOST_BODY: usize = 64 * 1024;

const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// Where the id in a path goes.
pub(super) enum Moved {
    /// Into the query, in front of what is there.
    Query(DeployId),
    /// Beside the body, in an object around the two: `{"id", "request"}`. An empty body asks for nothing special.
    Body(DeployId),
    /// Into the request's extensions, as a [`PathId`], unparsed: the callback checks it last.
    Extension(String),
}

/// The id as it stood in the path.
#[derive(Debug, Clone)]
pub(super) struct PathId(pub(super) String);

/// Calls the server function whose own path this is.
pub(super) async fn call(State(console): State<Console>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    answer(console, parts, body).await
}

/// Calls the server function `F` by another path.
pub(super) async fn call_moved<F: ServerFn>(console: Console, moved: Moved, request: Request) -> Response {
    let (mut parts, mut body) = request.into_parts();
    let query = parts.uri.query().unwrap_or_default();
    let path_and_query = match moved {
        Moved::Query(id) => format!("{}?id={id}&{query}", F::PATH),
        Moved::Body(id) => {
            body = match beside_the_body(&mut parts, id, body).await {
                Ok(body) => body,
                Err(refusal) => return refusal.into_response(),
            };
            F::PATH.to_owned()
        }
        Moved::Extension(id) => {
            parts.extensions.insert(PathId(id));
            F::PATH.to_owned()
        }
    };
    match path_and_query.parse::<PathAndQuery>() {
        Ok(path_and_query) => parts.uri = Uri::from(path_and_query),
        Err(_) => {
            return Refusal::new(Problem::Malformed, "The query cannot be read.").into_response();
        }
    }
    answer(console, parts, body).await
}

/// The object around a deploy's id and the body as it came.
async fn beside_the_body(parts: &mut Parts, id: DeployId, body: Body) -> Result<Body, Refusal> {
    let declared = parts.headers.contains_key(header::CONTENT_TYPE);
    if !declared && body.is_end_stream() {
        parts
            .headers
            .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        return Ok(Body::from(format!("{{\"id\":\"{id}\",\"request\":{{}}}}")));
    }
    let request = readable(parts, body).await?;
    parts.headers.remove(header::CONTENT_LENGTH);
    let around = [format!("{{\"id\":\"{id}\",\"request\":").as_bytes(), &request, b"}"].concat();
    Ok(Body::from(around))
}

async fn answer(console: Console, mut parts: Parts, body: Body) -> Response {
    let body = match readable(&parts, body).await {
        Ok(body) => body,
        Err(refusal) => return refusal.into_response(),
    };
    // With it, Leptos would take the call for a form post and redirect.
    parts.headers.remove(header::ACCEPT);
    let (method, known) = (parts.method.clone(), parts.headers.get(header::IF_NONE_MATCH).cloned());
    let request = Request::from_parts(parts, Body::from(body));
    let provide = move || provide_context(console.clone());
    let response = leptos_axum::handle_server_fns_with_context(provide, request)
        .await
        .into_response();
    if response.headers().contains_key(SERVER_FN_ERROR_HEADER) {
        return lift_refusal(response).await;
    }
    if method == Method::GET {
        with_etag(response, known.as_ref()).await
    } else {
        response
    }
}

/// Reads the body, as far as it may go, and sees that it is JSON.
async fn readable(parts: &Parts, body: Body) -> Result<Bytes, Refusal> {
    if parts.method == Method::GET {
        return Ok(Bytes::new());
    }
    let declared = parts
        .headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    let too_large = || Refusal::new(Problem::TooLarge, "The body must be at most 64 KiB.");
    if declared.is_some_and(|length| length > MOST_BODY) {
        return Err(too_large());
    }
    let body = to_bytes(body, MOST_BODY).await.map_err(|_| too_large())?;
    // A callback is read only once its signature holds.
    if parts.extensions.get::<PathId>().is_some() {
        return Ok(body);
    }
    if !is_json(&parts.headers) {
        return Err(Refusal::new(
            Problem::UnsupportedMediaType,
            "Send the body with `Content-Type: application/json`.",
        ));
    }
    serde_json::from_slice::<serde::de::IgnoredAny>(&body)
        .map_err(|error| Refusal::new(Problem::Malformed, format!("The body is no JSON: {error}.")))?;
    Ok(body)
}

fn is_json(headers: &HeaderMap) -> bool {
    let declared = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    declared
        .split(';')
        .next()
        .is_some_and(|media| media.trim().eq_ignore_ascii_case("application/json"))
}

/// Gives a refusal of a server function the status, headers and media type that it speaks of.
async fn lift_refusal(response: Response) -> Response {
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap_or_default();
    serde_json::from_slice::<Refusal>(&body).map_or_else(|_| super::broken().into_response(), Refusal::into_response)
}

/// The answer with its validator, or 304 without it.
async fn with_etag(response: Response, known: Option<&HeaderValue>) -> Response {
    let (parts, body) = response.into_parts();
    let Ok(body) = to_bytes(body, usize::MAX).await else {
        return super::broken().into_response();
    };
    Tagged::new(body).over(Response::from_parts(parts, Body::empty()), known)
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (status, [(header::CONTENT_TYPE, PROBLEM_JSON)], body).into_response();
        if let Some(seconds) = self.retry_after {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
