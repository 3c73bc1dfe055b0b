use super::OperatorName;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// The key of a [`Site`]: what an operator types to confirm a deploy.
///
/// 1 to 64 characters of `a-z`, `0-9` and `-`, with no dash at either end: easy to type, and safe in a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Slug(String);

/// The text cannot be a slug.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no slug: use 1 to 64 of a-z, 0-9 and -, and no dash at either end")]
pub struct InvalidSlug(String);

impl Slug {
    /// The slug as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Slug {
    type Err = InvalidSlug;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::try_from(text.to_owned())
    }
}

impl TryFrom<String> for Slug {
    type Error = InvalidSlug;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let inside = (1..=64).contains(&text.len()) && text.chars().all(allowed);
        if inside && !text.starts_with('-') && !text.ends_with('-') {
            return Ok(Self(text));
        }
        Err(InvalidSlug(text.chars().take(80).collect()))
    }
}

impl From<Slug> for String {
    fn from(slug: Slug) -> Self {
        slug.0
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A thing that can be deployed, as `console.toml` declares it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Site {
    /// Its key.
    pub slug: Slug,
    /// What people call it; its tile's name.
    pub name: String,
    /// Free text; `production` is what the console draws differently.
    pub environment: String,
    /// Where the site itself is found.
    pub url: String,
    /// What answers 2xx while the site is well, if there is such an address.
    pub health_url: Option<String>,
    /// `owner/name` on GitHub.
    pub repository: String,
    /// The workflow's file name, such as `deploy-heroku.yml`.
    pub workflow: String,
    /// The branch or tag that is deployed unless the operator asks for another.
    #[serde(rename = "ref")]
    pub git_ref: String,
    /// Inputs of the workflow that every deploy of this site sends.
    pub inputs: BTreeMap<String, String>,
    /// Who may deploy it beside the admins; empty for every deployer.
    pub deployers: Vec<OperatorName>,
    /// Milliseconds without a word after which an active deploy is `lost`.
    pub silent_after_ms: i64,
    /// Milliseconds after which an operator may close a `dispatch_unknown` that has no run.
    pub grace_ms: i64,
    /// Whether its deploys are told to GitHub as deployments. The server's alone.
    #[serde(skip)]
    pub github_deployments: bool,
}

impl Site {
    /// Whether this is where real users are: drawn so that nobody mistakes it.
    pub fn is_production(&self) -> bool {
        self.environment.eq_ignore_ascii_case("production")
    }
}
