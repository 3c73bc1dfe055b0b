//! The client of GitHub's API: one dispatch, reading, and cancelling.
//!
//! Sources: <https://docs.github.com/en/rest/actions/workflows#create-a-workflow-dispatch-event>,
//! <https://docs.github.com/en/rest/actions/workflow-runs>.
//!
//! A dispatch is not idempotent, and GitHub has been seen to start a run for each of several calls that
//! it answered with 5xx. So nothing here tries twice, follows a redirect or reuses a connection that may
//! be dead; what came of the one call is told in three words: accepted, refused, unknown.

pub(super) mod answer;
mod app;
mod blocking;
mod budget;
mod cancelling;
mod deploying;
mod greeting;
mod identity;
mod inspecting;
mod listing;
mod logs;
mod observing;
mod reading;
mod reason;
mod shapes;

pub use app::{AppKey, UnusableKey};
pub use cancelling::NotCancelled;
pub use deploying::{NotTold, Status};
pub use greeting::Greeting;
pub use identity::Identity;
pub use inspecting::{Kind, NotRead, Place, Repository};
pub use listing::Listed;
pub use logs::JobLogs;
pub use observing::Seen;

use super::clock;
use crate::domain::{Deploy, Event, Run, Site, Timestamp};
use budget::Budget;
use identity::Authority;
use reading::Kept;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect;
use serde_json::json;
use shapes::{WorkflowRun, WorkflowRuns};
use std::fmt;
use std::time::Duration;

use super::deploys::DEPLOY_ID_INPUT;

/// How long GitHub may take for one answer, body and all.
const PATIENCE: Duration = Duration::from_secs(10);
/// The first API version that always names the run, and refuses to be asked for it.
const ALWAYS_NAMES_THE_RUN: &str = "2026-03-10";
/// How far GitHub's clock and ours may differ, in milliseconds.
const CLOCKS_DIFFER_MS: i64 = 5 * 60_000;
const VERSION_HEADER: HeaderName = HeaderName::from_static("x-github-api-version");
const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/vnd.github+json");

/// Where and as whom the client speaks.
#[derive(Clone)]
pub struct Options {
    /// The API's base, without a slash at its end.
    pub api_url: String,
    /// `X-GitHub-Api-Version`.
    pub api_version: String,
    /// As whom.
    pub identity: Identity,
}

/// GitHub, as far as the console needs it.
#[derive(Clone)]
pub struct Github {
    /// For dispatches alone: it opens a connection for each.
    dispatching: reqwest::Client,
    /// For everything that may be asked again.
    reading: reqwest::Client,
    version: HeaderValue,
    authority: Authority,
    options: Options,
    budget: Budget,
    kept: Kept,
}

/// The client cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum UnusableOptions {
    /// The token or the version cannot stand in a header.
    #[error("the GitHub token or API version has a character that no HTTP header can carry")]
    Header,
    /// The HTTP client does not start.
    #[error("the HTTP client does not start: {0}")]
    Client(#[from] reqwest::Error),
}

/// A look-up did not come to an answer. It can be made again at any time.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{reason}")]
pub struct LookupFailed {
    /// Why, without a full stop.
    pub reason: String,
    /// From when on GitHub wants to be asked again, where it said so.
    pub not_before: Option<Timestamp>,
    /// Whether GitHub says that there is no such thing, or no more.
    pub is_gone: bool,
}

impl LookupFailed {
    pub(super) fn because(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            not_before: None,
            is_gone: false,
        }
    }
}

/// Whether a run that was started at this moment can be of that deploy: not before it was dispatched.
pub fn may_be_of(deploy: &Deploy, started_at: Timestamp) -> bool {
    let asked_at = deploy.dispatched_at.unwrap_or(deploy.requested_at);
    started_at >= asked_at.plus_millis(-CLOCKS_DIFFER_MS)
}

impl fmt::Debug for Github {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Github")
            .field("api_url", &self.options.api_url)
            .finish_non_exhaustive()
    }
}

impl Github {
    /// A client for these options.
    ///
    /// # Errors
    /// [`UnusableOptions`] when they cannot be sent.
    pub fn new(options: Options) -> Result<Self, UnusableOptions> {
        // A provider that is installed already is as good as ours.
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let version = HeaderValue::from_str(&options.api_version).map_err(|_| UnusableOptions::Header)?;
        let client = || {
            reqwest::Client::builder()
                .user_agent(concat!("raxx-console/", env!("CARGO_PKG_VERSION")))
                .redirect(redirect::Policy::none())
                .retry(reqwest::retry::never())
                .http1_only()
                .connect_timeout(PATIENCE / 2)
                .timeout(PATIENCE)
        };
        let (reading, budget) = (client().build()?, Budget::default());
        let authority = Authority::new(&options.identity, &reading, &options.api_url, &version, &budget)?;
        Ok(Self {
            dispatching: client().pool_max_idle_per_host(0).build()?,
            reading,
            version,
            authority,
            options,
            budget,
            kept: Kept::default(),
        })
    }

    /// Every token that GitHub may take from us now, so that it can be kept out of logs.
    pub fn secrets(&self) -> Vec<String> {
        self.authority.secrets()
    }

    /// Dispatches the site's workflow for `deploy`, once, and tells what came of it as an event:
    /// [`Event::Accepted`], [`Event::Refused`], [`Event::NotSent`] or [`Event::Unanswered`].
    pub async fn dispatch(&self, site: &Site, deploy: &Deploy) -> Event {
        let path = format!(
            "/repos/{}/actions/workflows/{}/dispatches",
            site.repository, site.workflow
        );
        let headers = match self.headers(&path).await {
            Ok(headers) => headers,
            Err(failed) => {
                let reason = format!("Nothing was sent: {failed}.");
                return Event::NotSent { reason };
            }
        };
        let mut inputs = json!(deploy.inputs);
        inputs[DEPLOY_ID_INPUT] = json!(deploy.id);
        let mut body = json!({ "ref": deploy.git_ref, "inputs": inputs });
        if self.options.api_version.as_str() < ALWAYS_NAMES_THE_RUN {
            body["return_run_details"] = json!(true);
        }
        let url = format!("{}{path}", self.options.api_url);
        let request = self.dispatching.post(url).headers(headers).json(&body);
        match request.send().await {
            Ok(response) => {
                self.authority.answered(&path, response.status());
                answer::read_dispatch(response, &self.budget, self.authority.named(), clock::now()).await
            }
            Err(error) => answer::read_failure(&error),
        }
    }

    /// What every request to `path` carries.
    async fn headers(&self, path: &str) -> Result<HeaderMap, LookupFailed> {
        Ok(HeaderMap::from_iter([
            (AUTHORIZATION, self.authority.header(path).await?),
            (ACCEPT, MEDIA_TYPE),
            (VERSION_HEADER, self.version.clone()),
        ]))
    }

    /// Looks for the run of `deploy` among the workflow's runs: the one whose title carries the deploy's id.
    ///
    /// # Errors
    /// [`LookupFailed`] when GitHub gives no usable answer.
    pub async fn find_run(&self, site: &Site, deploy: &Deploy, now: Timestamp) -> Result<Option<Run>, LookupFailed> {
        let path = format!("/repos/{}/actions/workflows/{}/runs", site.repository, site.workflow);
        // A day's margin for clocks; the id decides.
        let since = deploy.requested_at.plus_millis(-86_400_000).to_string();
        let created = format!(">={}", since.split('T').next().unwrap_or(&since));
        let query = [
            ("event", "workflow_dispatch"),
            ("created", created.as_str()),
            ("per_page", "100"),
        ];
        let found: WorkflowRuns = self.get(&path, &query, now).await?;
        let id = deploy.id.to_string();
        // Somebody may have copied the id into a run of their own: ours was started when we asked, and before theirs.
        let ours = |run: &&WorkflowRun| {
            run.display_title.as_ref().is_some_and(|title| title.contains(&id))
                && run.created_at.is_none_or(|created| may_be_of(deploy, created))
        };
        let found = found.workflow_runs.iter().filter(ours).min_by_key(|run| run.created_at);
        Ok(found.map(Run::from))
    }
}
