//! Reading from GitHub: conditional requests inside the budget.
//!
//! An answer is kept with its `ETag`; asked again, GitHub says 304, which costs nothing of the budget.
//! Source: <https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api>.

use super::{Github, LookupFailed, answer};
use crate::domain::Timestamp;
use reqwest::StatusCode;
use reqwest::header::{ETAG, HeaderValue, IF_NONE_MATCH, LOCATION};
use serde::de::DeserializeOwned;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use url::Url;

/// How much of answers is kept, in bytes: some KiB for each of thousands. With less, none would be there when it is
/// asked for again.
const MOST_KEPT: usize = 64 * 1024 * 1024;
/// How much of a job's log is read at most, in bytes.
const MOST_LOG: usize = 64 * 1024 * 1024;

/// The answers that GitHub gave last, the most recently used at the back. Clones are the same ones.
#[derive(Debug, Clone, Default)]
pub(super) struct Kept(Arc<Mutex<VecDeque<Answer>>>);

#[derive(Debug, Clone)]
struct Answer {
    url: Url,
    etag: HeaderValue,
    body: Arc<[u8]>,
}

/// Which part of a text is wanted.
#[derive(Clone, Copy)]
pub(super) enum Part {
    /// All of it, or nothing when it has more bytes than this.
    Whole(usize),
    /// About so many bytes at its end.
    End(usize),
}

/// A text, or the end of it; empty when it is too long to be read.
pub(super) struct Text {
    pub(super) text: String,
    pub(super) is_too_long: bool,
}

impl Kept {
    fn find(&self, url: &Url) -> Option<Answer> {
        let answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        answers.iter().find(|answer| answer.url == *url).cloned()
    }

    fn keep(&self, answer: Answer) {
        let mut answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        answers.retain(|kept| kept.url != answer.url);
        answers.push_back(answer);
        let mut bytes: usize = answers.iter().map(|answer| answer.body.len()).sum();
        while bytes > MOST_KEPT
            && let Some(oldest) = answers.pop_front()
        {
            bytes -= oldest.body.len();
        }
    }
}

impl Github {
    /// Reads `path` under the API's base.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
        now: Timestamp,
    ) -> Result<T, LookupFailed> {
        let url = self.url(path, query)?;
        let body = self.read(path, url, now).await?;
        serde_json::from_slice(&body)
            .map_err(|error| LookupFailed::because(format!("GitHub's answer cannot be read: {error}")))
    }

    async fn read(&self, path: &str, url: Url, now: Timestamp) -> Result<Arc<[u8]>, LookupFailed> {
        self.budget.check(now)?;
        let known = self.kept.find(&url);
        let mut request = self.reading.get(url.clone()).headers(self.headers(path).await?);
        if let Some(known) = &known {
            request = request.header(IF_NONE_MATCH, &known.etag);
        }
        let response = request
            .send()
            .await
            .map_err(|error| LookupFailed::because(format!("GitHub could not be asked: {}", answer::chain(&error))))?;
        let (status, headers) = (response.status(), response.headers().clone());
        self.authority.answered(path, status);
        let body = answer::bounded_body(response).await.map_err(LookupFailed::because)?;
        self.budget.learn(status, &headers, &body, now)?;
        if let (StatusCode::NOT_MODIFIED, Some(known)) = (status, known) {
            let body = known.body.clone();
            self.kept.keep(known);
            return Ok(body);
        }
        if !status.is_success() {
            let words = format!(
                "GitHub answered {status}{}{}",
                answer::message(&body),
                answer::wanted(&headers)
            );
            let is_gone = is_gone(status);
            return Err(LookupFailed {
                is_gone,
                ..LookupFailed::because(words)
            });
        }
        let body: Arc<[u8]> = body.into();
        if let Some(etag) = headers.get(ETAG).cloned() {
            let body = body.clone();
            self.kept.keep(Answer { url, etag, body });
        }
        Ok(body)
    }

    /// A text that GitHub keeps elsewhere: GitHub answers with a redirect to an address that needs, and may have, no
    /// token.
    pub(super) async fn read_text(&self, path: &str, now: Timestamp, part: Part) -> Result<Text, LookupFailed> {
        let url = self.url(path, &[])?;
        self.budget.check(now)?;
        let failed = |error: reqwest::Error| LookupFailed::because(answer::chain(&error));
        let request = self.reading.get(url.clone()).headers(self.headers(path).await?);
        let mut response = request.send().await.map_err(failed)?;
        self.authority.answered(path, response.status());
        self.budget.learn(response.status(), response.headers(), &[], now)?;
        if response.status().is_redirection() {
            let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
            let elsewhere = location
                .and_then(|location| url.join(location).ok())
                // No step down from https.
                .filter(|elsewhere| elsewhere.scheme() == "https" || elsewhere.scheme() == url.scheme())
                .ok_or_else(|| LookupFailed::because("GitHub's redirect leads nowhere"))?;
            response = self.reading.get(elsewhere).send().await.map_err(failed)?;
        }
        if !response.status().is_success() {
            let words = format!("the log's address answered {}", response.status());
            return Err(LookupFailed {
                is_gone: is_gone(response.status()),
                ..LookupFailed::because(words)
            });
        }
        let (mut text, mut read) = (Vec::new(), 0);
        let (Part::Whole(most) | Part::End(most)) = part;
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            read += chunk.len();
            let enough = if matches!(part, Part::Whole(_)) { most } else { MOST_LOG };
            if read > enough {
                return Ok(Text {
                    text: String::new(),
                    is_too_long: true,
                });
            }
            text.extend_from_slice(&chunk);
            if text.len() > 2 * most {
                text.drain(..text.len() - most);
            }
        }
        Ok(Text {
            text: String::from_utf8_lossy(&text).into_owned(),
            is_too_long: false,
        })
    }

    pub(super) fn url(&self, path: &str, query: &[(&str, &str)]) -> Result<Url, LookupFailed> {
        let text = format!("{}{path}", self.options.api_url);
        let url = if query.is_empty() {
            Url::parse(&text)
        } else {
            Url::parse_with_params(&text, query)
        };
        url.map_err(|error| LookupFailed::because(error.to_string()))
    }
}

/// Whether an answer says that there is no such thing, or no more.
fn is_gone(status: StatusCode) -> bool {
    matches!(status, StatusCode::NOT_FOUND | StatusCode::GONE)
}
