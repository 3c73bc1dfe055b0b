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

/// How many answers are kept; each has at most 1 MiB, and mostly some KiB.
const MOST_KEPT: usize = 64;
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

/// A text, or the end of it.
pub(super) struct Text {
    pub(super) end: String,
    pub(super) is_whole: bool,
}

impl Kept {
    fn find(&self, url: &Url) -> Option<Answer> {
        let answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        answers.iter().find(|answer| answer.url == *url).cloned()
    }

    fn keep(&self, answer: Answer) {
        let mut answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        answers.retain(|kept| kept.url != answer.url);
        if answers.len() >= MOST_KEPT {
            answers.pop_front();
        }
        answers.push_back(answer);
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

    /// A text that GitHub keeps elsewhere, or about the last `most` bytes of it: GitHub answers with a redirect to an
    /// address that needs, and may have, no token.
    pub(super) async fn read_text(&self, path: &str, now: Timestamp, most: usize) -> Result<Text, LookupFailed> {
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
        let (mut end, mut read) = (Vec::new(), 0);
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            read += chunk.len();
            if read > MOST_LOG {
                return Err(LookupFailed::because("the log is larger than 64 MiB"));
            }
            end.extend_from_slice(&chunk);
            if end.len() > 2 * most {
                end.drain(..end.len() - most);
            }
        }
        Ok(Text {
            is_whole: end.len() == read,
            end: String::from_utf8_lossy(&end).into_owned(),
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
