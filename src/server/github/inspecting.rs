//! Reading how a repository is set up, for `doctor`: what is asked here is told apart by its status.
//!
//! Nothing here can start anything: every request is a GET. Sources:
//! <https://docs.github.com/en/rest/repos/repos#get-a-repository>,
//! <https://docs.github.com/en/rest/repos/contents#get-repository-content>,
//! <https://docs.github.com/en/rest/actions/secrets>, <https://docs.github.com/en/rest/actions/variables>.

use super::greeting::Greeting;
use super::{Github, LookupFailed, answer};
use crate::domain::Timestamp;
use crate::server::clock;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// How many settings GitHub lists at most on one page: of variables 30.
const PAGE: &str = "30";

/// Why something was not read.
#[derive(Debug, thiserror::Error)]
pub enum NotRead {
    /// 401: GitHub does not know the token.
    #[error("GitHub answered 401{0}")]
    Unauthorized(String),
    /// 403: the token may not look at this.
    #[error("GitHub answered 403{0}")]
    Forbidden(String),
    /// 404: it is not there, or the token may not know that it is.
    #[error("GitHub answered 404{0}")]
    Missing(String),
    /// 301: it has another name now. A dispatch does not follow.
    #[error("GitHub answered 301: it has moved")]
    Moved,
    /// GitHub lends the App no token for this repository.
    #[error("{0}")]
    NotLent(LookupFailed),
    /// GitHub gave no usable answer.
    #[error(transparent)]
    Failed(#[from] LookupFailed),
}

/// `full-repository`, as far as a deploy depends on it.
#[derive(Debug, Clone, Deserialize)]
pub struct Repository {
    /// The branch whose workflows can be dispatched.
    pub default_branch: String,
    /// Whether it is read-only.
    #[serde(default)]
    pub archived: bool,
    /// Whether GitHub has closed it.
    #[serde(default)]
    pub disabled: bool,
    /// Whether it is hidden from the public.
    #[serde(default)]
    pub private: bool,
    /// What the token's owner may do.
    permissions: Option<Permissions>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
struct Permissions {
    push: bool,
}

impl Repository {
    /// Whether the token's owner may write to it, where GitHub says so.
    pub fn may_push(&self) -> Option<bool> {
        self.permissions.map(|permissions| permissions.push)
    }
}

#[derive(Deserialize)]
struct ContentFile {
    content: Option<String>,
    encoding: Option<String>,
}

#[derive(Deserialize)]
struct Workflow {
    state: String,
}

/// Where GitHub keeps secrets and variables. An environment's wins over the repository's, and that over the
/// organisation's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place<'a> {
    /// The environment of a job.
    Environment(&'a str),
    /// The repository.
    Repository,
    /// The organisation, as far as it shares them with the repository.
    Organization,
}

/// What GitHub keeps for workflows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Told to nobody.
    Secret,
    /// Shown to whoever may read it.
    Variable,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Secret => "secrets",
            Self::Variable => "variables",
        }
    }
}

/// `actions-secret`, or `actions-variable`.
#[derive(Deserialize)]
struct Setting {
    name: String,
    value: Option<String>,
}

#[derive(Deserialize)]
struct Settings {
    total_count: usize,
    #[serde(default)]
    secrets: Vec<Setting>,
    #[serde(default)]
    variables: Vec<Setting>,
}

struct Inspected {
    headers: HeaderMap,
    body: Vec<u8>,
    asked_at: Timestamp,
    answered_at: Timestamp,
}

impl Github {
    /// Asks for what costs nothing of the rate limit, or as an App who it is, to learn about the token and the clock.
    ///
    /// # Errors
    /// [`NotRead`]. An Enterprise server without rate limits answers 404, which is as good: headers are what counts.
    pub async fn greet(&self) -> Result<Greeting, NotRead> {
        let is_app = self.authority.is_app();
        let path = if is_app { "/app" } else { "/rate_limit" };
        let (status, inspected) = self.ask(path, &[]).await?;
        match refusal(status, &inspected.body) {
            None | Some(NotRead::Missing(_)) => Ok(Greeting {
                is_app,
                ..inspected.greeting()
            }),
            Some(refusal) => Err(refusal),
        }
    }

    /// Reads `owner/name`.
    ///
    /// # Errors
    /// [`NotRead`].
    pub async fn repository(&self, name: &str) -> Result<Repository, NotRead> {
        self.inspect(&format!("/repos/{name}"), &[]).await
    }

    /// Reads a file of `.github/workflows` as it is at `git_ref`.
    ///
    /// # Errors
    /// [`NotRead`]; [`NotRead::Failed`] also when it is no text of at most about 750 KiB.
    pub async fn workflow_file(&self, repository: &str, file: &str, git_ref: &str) -> Result<String, NotRead> {
        let path = format!("/repos/{repository}/contents/.github/workflows/{file}");
        let found: ContentFile = self.inspect(&path, &[("ref", git_ref)]).await?;
        let unreadable = |why: &str| NotRead::Failed(LookupFailed::because(format!("GitHub's answer {why}")));
        let (Some(content), Some("base64")) = (found.content, found.encoding.as_deref()) else {
            return Err(unreadable("holds no file, or one that is too large"));
        };
        // GitHub breaks the lines.
        let packed: String = content.split_ascii_whitespace().collect();
        let bytes = STANDARD.decode(packed).map_err(|_| unreadable("is no base64"))?;
        String::from_utf8(bytes).map_err(|_| unreadable("is no text"))
    }

    /// Reads whether GitHub runs a workflow: `active`, or why it does not.
    ///
    /// # Errors
    /// [`NotRead`].
    pub async fn workflow_state(&self, repository: &str, file: &str) -> Result<String, NotRead> {
        let path = format!("/repos/{repository}/actions/workflows/{file}");
        let found: Workflow = self.inspect(&path, &[]).await?;
        Ok(found.state)
    }

    /// Reads whether there is a secret or a variable by this name, and the value of a variable. A secret's stays with
    /// GitHub.
    ///
    /// # Errors
    /// [`NotRead`]; [`NotRead::Missing`] when this place has none by the name.
    pub async fn setting(
        &self,
        repository: &str,
        place: Place<'_>,
        kind: Kind,
        name: &str,
    ) -> Result<Option<String>, NotRead> {
        let kind = kind.word();
        let path = match place {
            Place::Environment(environment) => format!("/repos/{repository}/environments/{environment}/{kind}/{name}"),
            Place::Repository => format!("/repos/{repository}/actions/{kind}/{name}"),
            Place::Organization => return self.shared_setting(repository, kind, name).await,
        };
        let found: Setting = self.inspect(&path, &[]).await?;
        Ok(found.value)
    }

    /// An organisation's settings are only listed, page by page; who has more than a page is told that it is unknown.
    async fn shared_setting(&self, repository: &str, kind: &str, name: &str) -> Result<Option<String>, NotRead> {
        let path = format!("/repos/{repository}/actions/organization-{kind}");
        let list: Settings = self.inspect(&path, &[("per_page", PAGE)]).await?;
        let listed = list.secrets.into_iter().chain(list.variables);
        let (mut count, mut found) = (0, None);
        for setting in listed {
            count += 1;
            if setting.name.eq_ignore_ascii_case(name) {
                found = Some(setting);
            }
        }
        match found {
            Some(setting) => Ok(setting.value),
            None if list.total_count > count => {
                Err(LookupFailed::because("the organisation shares more of them than one page lists").into())
            }
            None => Err(NotRead::Missing(String::new())),
        }
    }

    async fn inspect<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> Result<T, NotRead> {
        let (status, inspected) = self.ask(path, query).await?;
        if let Some(refusal) = refusal(status, &inspected.body) {
            return Err(refusal);
        }
        serde_json::from_slice(&inspected.body)
            .map_err(|error| LookupFailed::because(format!("GitHub's answer cannot be read: {error}")).into())
    }

    /// One GET inside the budget, whatever its status. Unlike [`Self::get`] it keeps the headers, which are the point.
    async fn ask(&self, path: &str, query: &[(&str, &str)]) -> Result<(StatusCode, Inspected), NotRead> {
        let url = self.url(path, query)?;
        let asked_at = clock::now();
        self.budget.check(asked_at)?;
        let headers = self.headers(path).await.map_err(NotRead::NotLent)?;
        let sent = self.reading.get(url).headers(headers).send().await;
        let response = sent
            .map_err(|error| LookupFailed::because(format!("GitHub could not be asked: {}", answer::chain(&error))))?;
        let answered_at = clock::now();
        let (status, headers) = (response.status(), response.headers().clone());
        let body = answer::bounded_body(response).await.map_err(LookupFailed::because)?;
        self.budget.learn(status, &headers, &body, answered_at)?;
        let inspected = Inspected {
            headers,
            body,
            asked_at,
            answered_at,
        };
        Ok((status, inspected))
    }
}

impl Inspected {
    fn greeting(&self) -> Greeting {
        Greeting::read(&self.headers, self.asked_at, self.answered_at)
    }
}

/// What a status that is no success means.
fn refusal(status: StatusCode, body: &[u8]) -> Option<NotRead> {
    let message = answer::message(body);
    match status.as_u16() {
        200..=299 => None,
        401 => Some(NotRead::Unauthorized(message)),
        403 => Some(NotRead::Forbidden(message)),
        404 => Some(NotRead::Missing(message)),
        300..=399 => Some(NotRead::Moved),
        _ => Some(LookupFailed::because(format!("GitHub answered {status}{message}")).into()),
    }
}
