//! Asking GitHub to stop a run.
//!
//! Source: <https://docs.github.com/en/rest/actions/workflow-runs#cancel-a-workflow-run>. Unlike a dispatch it may
//! be asked for again: a run ends once.

use super::{Github, answer};
use crate::domain::{Site, Timestamp};
use reqwest::StatusCode;

/// Why GitHub did not take a cancellation.
#[derive(Debug, thiserror::Error)]
pub enum NotCancelled {
    /// 409: the run cannot be cancelled as it stands.
    #[error("GitHub cannot cancel run {run_id} as it stands{message}.")]
    Conflict {
        /// The run.
        run_id: i64,
        /// GitHub's own words, with a colon before them.
        message: String,
    },
    /// It refused for another reason, or did not answer.
    #[error("{0}")]
    Failed(String),
}

impl Github {
    /// Asks GitHub to cancel a run; by force, without letting it tidy up. It ends some time later, or not.
    ///
    /// # Errors
    /// [`NotCancelled`] when GitHub did not take it.
    pub async fn cancel(&self, site: &Site, run_id: i64, force: bool, now: Timestamp) -> Result<(), NotCancelled> {
        let call = if force { "force-cancel" } else { "cancel" };
        let path = format!("/repos/{}/actions/runs/{run_id}/{call}", site.repository);
        let failed = |words: String| NotCancelled::Failed(words);
        let headers = self.headers(&path).await.map_err(|error| failed(format!("{error}.")))?;
        let url = format!("{}{path}", self.options.api_url);
        let sent = self.reading.post(url).headers(headers).send().await;
        let response =
            sent.map_err(|error| failed(format!("GitHub could not be asked: {}.", answer::chain(&error))))?;
        let (status, headers) = (response.status(), response.headers().clone());
        self.authority.answered(&path, status);
        let body = answer::bounded_body(response).await.unwrap_or_default();
        let limited = |limit| failed(format!("GitHub answered {status}. {limit}."));
        self.budget.learn(status, &headers, &body, now).map_err(limited)?;
        let message = answer::message(&body);
        match status {
            status if status.is_success() => Ok(()),
            StatusCode::CONFLICT => Err(NotCancelled::Conflict { run_id, message }),
            status => Err(failed(format!(
                "GitHub answered {status}{message}{}.",
                answer::wanted(&headers)
            ))),
        }
    }
}
