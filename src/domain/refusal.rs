use super::DeployId;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Why the console does not do what it was asked, as RFC 9457 `application/problem+json`.
///
/// `detail` is for the person in front of it: what is wrong and what to do. Nothing internal goes in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Which problem it is, as a URN that a program can compare.
    #[serde(rename = "type")]
    pub problem: Problem,
    /// The problem in a few words, always the same for one type.
    pub title: String,
    /// The HTTP status; 0 when no answer came.
    pub status: u16,
    /// What is wrong this time, and how to mend it.
    pub detail: String,
    /// The deploy that stands in the way.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub deploy_id: Option<DeployId>,
    /// The key of the request that is wrong.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub field: Option<String>,
    /// Seconds after which trying again makes sense; also in `Retry-After`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub retry_after: Option<u64>,
}

/// Every problem that the API names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Problem {
    /// The body is no JSON, or a path or query value is malformed.
    #[serde(rename = "urn:raxx-console:problem:malformed")]
    Malformed,
    /// The signature or the token of a callback does not hold.
    #[serde(rename = "urn:raxx-console:problem:unauthenticated")]
    Unauthenticated,
    /// Nobody is signed in, or the API token opens nothing.
    #[serde(rename = "urn:raxx-console:problem:not-signed-in")]
    NotSignedIn,
    /// The caller's role, or the site, does not allow it.
    #[serde(rename = "urn:raxx-console:problem:not-allowed")]
    NotAllowed,
    /// The request comes from a page of another origin.
    #[serde(rename = "urn:raxx-console:problem:forbidden")]
    Forbidden,
    /// There is nothing by this name.
    #[serde(rename = "urn:raxx-console:problem:not-found")]
    NotFound,
    /// The route does not take this method.
    #[serde(rename = "urn:raxx-console:problem:method-not-allowed")]
    MethodNotAllowed,
    /// The site has an active deploy.
    #[serde(rename = "urn:raxx-console:problem:already-active")]
    AlreadyActive,
    /// An id was used before for something else.
    #[serde(rename = "urn:raxx-console:problem:conflict")]
    Conflict,
    /// The deploy is not in a state for that, or not yet.
    #[serde(rename = "urn:raxx-console:problem:not-now")]
    NotNow,
    /// The body did not arrive in time.
    #[serde(rename = "urn:raxx-console:problem:too-slow")]
    TooSlow,
    /// The body is larger than the route takes.
    #[serde(rename = "urn:raxx-console:problem:too-large")]
    TooLarge,
    /// The path and the query are longer than any of ours.
    #[serde(rename = "urn:raxx-console:problem:address-too-long")]
    AddressTooLong,
    /// The body is not declared to be JSON.
    #[serde(rename = "urn:raxx-console:problem:unsupported-media-type")]
    UnsupportedMediaType,
    /// The confirmation is not the slug.
    #[serde(rename = "urn:raxx-console:problem:confirmation-mismatch")]
    ConfirmationMismatch,
    /// A value cannot be taken.
    #[serde(rename = "urn:raxx-console:problem:invalid")]
    Invalid,
    /// Too many requests.
    #[serde(rename = "urn:raxx-console:problem:too-many-requests")]
    TooManyRequests,
    /// The console failed; the reason is in its log.
    #[serde(rename = "urn:raxx-console:problem:internal")]
    Internal,
    /// GitHub did not do what the console asked of it.
    #[serde(rename = "urn:raxx-console:problem:github")]
    Github,
    /// The database is busy, full or away, or the console is stopping.
    #[serde(rename = "urn:raxx-console:problem:unavailable")]
    Unavailable,
    /// No answer came from the console. Only ever seen on the calling side.
    #[serde(rename = "urn:raxx-console:problem:unreachable")]
    Unreachable,
}

impl Problem {
    /// The HTTP status and the title.
    const fn status_and_title(self) -> (u16, &'static str) {
        match self {
            Self::Malformed => (400, "The request cannot be read"),
            Self::Unauthenticated => (401, "The request is not authentic"),
            Self::NotSignedIn => (401, "You are not signed in"),
            Self::NotAllowed => (403, "You may not do that"),
            Self::Forbidden => (403, "The request comes from elsewhere"),
            Self::NotFound => (404, "There is no such thing"),
            Self::MethodNotAllowed => (405, "This route does not take that method"),
            Self::AlreadyActive => (409, "A deploy is active already"),
            Self::Conflict => (409, "It was used before for something else"),
            Self::NotNow => (409, "That cannot be done now"),
            Self::TooSlow => (408, "The request took too long"),
            Self::TooLarge => (413, "The body is too large"),
            Self::AddressTooLong => (414, "The address is too long"),
            Self::UnsupportedMediaType => (415, "The body must be JSON"),
            Self::ConfirmationMismatch => (422, "The confirmation does not match"),
            Self::Invalid => (422, "A value cannot be taken"),
            Self::TooManyRequests => (429, "Too many requests"),
            Self::Internal => (500, "The console failed"),
            Self::Github => (502, "GitHub did not do it"),
            Self::Unavailable => (503, "The console cannot do this just now"),
            Self::Unreachable => (0, "The console cannot be reached"),
        }
    }
}

impl Refusal {
    /// A refusal with its detail; more can be added by the methods below.
    pub fn new(problem: Problem, detail: impl Into<String>) -> Self {
        let (status, title) = problem.status_and_title();
        Self {
            problem,
            title: title.to_owned(),
            status,
            detail: detail.into(),
            deploy_id: None,
            field: None,
            retry_after: None,
        }
    }

    /// Names the deploy that stands in the way.
    #[must_use]
    pub fn with_deploy(mut self, id: DeployId) -> Self {
        self.deploy_id = Some(id);
        self
    }

    /// Names the key of the request that is wrong.
    #[must_use]
    pub fn with_field(mut self, field: &str) -> Self {
        self.field = Some(field.to_owned());
        self
    }

    /// Says in how many seconds to try again.
    #[must_use]
    pub fn with_retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// Whether the session has ended, or there was none.
    pub fn is_signed_out(&self) -> bool {
        self.problem == Problem::NotSignedIn
    }

    /// Whether the console is there and its record is not, for now.
    pub fn is_unavailable(&self) -> bool {
        self.problem == Problem::Unavailable
    }

    /// Whether no answer came, so that nobody knows more than before.
    pub fn is_unreachable(&self) -> bool {
        self.problem == Problem::Unreachable
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.title, self.detail)
    }
}

impl std::error::Error for Refusal {}
