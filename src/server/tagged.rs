//! An answer and its validator, made once for however many ask.

use super::digest::sha256_hex;
use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// The body of an answer, and what tells it from any other: a strong validator (RFC 9110, section 8.8.3).
#[derive(Debug, Clone)]
pub struct Tagged {
    body: Bytes,
    etag: String,
}

impl Tagged {
    /// The answer with this body.
    pub fn new(body: Bytes) -> Self {
        let etag = format!("\"{}\"", sha256_hex(&body));
        Self { body, etag }
    }

    /// The answer that says this in JSON.
    ///
    /// # Errors
    /// When it cannot be said in JSON.
    pub fn json(said: &impl Serialize) -> Result<Self, serde_json::Error> {
        Ok(Self::new(serde_json::to_vec(said)?.into()))
    }

    /// With the headers of `response`, and `known` as the request's `If-None-Match`: this answer, or 304 without it.
    #[must_use]
    pub fn over(&self, mut response: Response, known: Option<&HeaderValue>) -> Response {
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        if let Ok(value) = HeaderValue::from_str(&self.etag) {
            headers.insert(header::ETAG, value);
        }
        if self.is_known(known) {
            headers.remove(header::CONTENT_TYPE);
            headers.remove(header::CONTENT_LENGTH);
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            return response;
        }
        *response.body_mut() = Body::from(self.body.clone());
        response
    }

    /// As [`Self::over`], where nothing else is to be said.
    #[must_use]
    pub fn answer(&self, known: Option<&HeaderValue>) -> Response {
        let json = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
        self.over(json.into_response(), known)
    }

    fn is_known(&self, known: Option<&HeaderValue>) -> bool {
        known.and_then(|value| value.to_str().ok()).is_some_and(|known| {
            known
                .split(',')
                .map(|tag| tag.trim().trim_start_matches("W/"))
                .any(|tag| tag == self.etag || tag == "*")
        })
    }
}
