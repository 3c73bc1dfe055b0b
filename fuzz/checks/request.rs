//! A request as a corpus has it: lines of headers, an empty line, the body.

use axum::body::{Body, to_bytes};
use axum::http::{HeaderName, HeaderValue, Request, StatusCode};
use axum::response::Response;
use serde_json::Value;

/// A request that is about to be made.
#[derive(Clone)]
pub(super) struct Draft {
    pub(super) headers: Vec<(String, Vec<u8>)>,
    pub(super) body: Vec<u8>,
}

impl Draft {
    /// Reads one; `None` when a line is no header, or there are more than a browser would send.
    pub(super) fn read(data: &[u8]) -> Option<Self> {
        let mut rest = data;
        let mut headers = Vec::new();
        loop {
            let end = rest.iter().position(|byte| *byte == b'\n')?;
            let line = &rest[..end];
            rest = &rest[end + 1..];
            if line.is_empty() {
                break;
            }
            let colon = line.iter().position(|byte| *byte == b':')?;
            let name = std::str::from_utf8(&line[..colon]).ok()?.to_ascii_lowercase();
            headers.push((name, line[colon + 1..].trim_ascii().to_vec()));
        }
        (headers.len() <= 16).then(|| Self {
            headers,
            body: rest.to_vec(),
        })
    }

    /// Takes a line out that is none of the request's own.
    pub(super) fn take(&mut self, name: &str) -> Option<Vec<u8>> {
        let index = self.headers.iter().position(|(key, _)| key == name)?;
        Some(self.headers.remove(index).1)
    }

    /// The value of a header that is there once; all others are `None`.
    pub(super) fn one(&self, name: &str) -> Option<&[u8]> {
        let mut values = self.headers.iter().filter(|(key, _)| key == name);
        let value = values.next().map(|(_, value)| value.as_slice());
        value.filter(|_| values.next().is_none())
    }

    /// Whether the header is there more than once.
    pub(super) fn is_doubled(&self, name: &str) -> bool {
        self.headers.iter().filter(|(key, _)| key == name).count() > 1
    }

    /// Changes every value of a header.
    pub(super) fn each(&mut self, name: &str, change: impl Fn(&[u8]) -> Vec<u8>) {
        for (key, value) in &mut self.headers {
            if key == name {
                *value = change(value);
            }
        }
    }

    /// The request; `None` when HTTP cannot carry it.
    pub(super) fn post(&self, path: &str) -> Option<Request<Body>> {
        let mut request = Request::post(path).body(Body::from(self.body.clone())).ok()?;
        for (name, value) in &self.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
            request.headers_mut().append(name, HeaderValue::from_bytes(value).ok()?);
        }
        Some(request)
    }
}

/// Every `from` in `text` becomes `to`.
pub(super) fn replace(text: &[u8], from: &str, to: &str) -> Vec<u8> {
    let from = from.as_bytes();
    let mut replaced = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.windows(from.len()).position(|window| window == from) {
        replaced.extend_from_slice(&rest[..at]);
        replaced.extend_from_slice(to.as_bytes());
        rest = &rest[at + from.len()..];
    }
    replaced.extend_from_slice(rest);
    replaced
}

/// Status and body of an answer, once it is seen to be in form: JSON, and a refusal with everything that one has.
pub(super) async fn read(response: Response) -> (StatusCode, Value) {
    let (status, media) = (response.status(), response.headers().get("content-type").cloned());
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    let json: Value = serde_json::from_slice(&body).unwrap();
    if !status.is_success() {
        assert_eq!(media.unwrap(), "application/problem+json", "{json}");
        assert_eq!(json["status"], status.as_u16());
        assert!(
            json["detail"].as_str().is_some_and(|detail| !detail.is_empty()),
            "{json}"
        );
    }
    (status, json)
}
