//! `[[site]]` of `console.toml`.

use super::file::millis;
use super::{ConfigError, web_address};
use crate::domain::{OperatorName, Site, Slug};
use crate::server::keyless::CallbackAuth;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

const SECOND_MS: i64 = 1000;

/// A site as it is written; [`Site`] says what each key means.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DeclaredSite {
    slug: Slug,
    name: String,
    environment: String,
    url: String,
    health_url: Option<String>,
    repository: String,
    workflow: String,
    #[serde(rename = "ref", default = "main_branch")]
    git_ref: String,
    #[serde(default)]
    inputs: BTreeMap<String, String>,
    #[serde(default)]
    deployers: Vec<OperatorName>,
    #[serde(default = "ten_minutes")]
    silent_after: String,
    #[serde(default = "two_minutes")]
    grace: String,
    #[serde(default)]
    github_deployments: bool,
    #[serde(default)]
    callback_auth: DeclaredAuth,
    repository_id: Option<u64>,
}

/// `callback_auth` as it is written.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum DeclaredAuth {
    #[default]
    Secret,
    Oidc,
    SecretAndOidc,
}

fn main_branch() -> String {
    "main".to_owned()
}

fn ten_minutes() -> String {
    "10m".to_owned()
}

fn two_minutes() -> String {
    "2m".to_owned()
}

impl DeclaredSite {
    /// The slug, and what callbacks must show.
    pub(super) fn callback_auth(&self) -> Result<(Slug, CallbackAuth), ConfigError> {
        let Self { slug, repository, .. } = self;
        let auth = match (self.callback_auth, self.repository_id) {
            (DeclaredAuth::Secret, _) => CallbackAuth::Secret,
            (DeclaredAuth::Oidc, Some(id)) => CallbackAuth::Oidc(id),
            (DeclaredAuth::SecretAndOidc, Some(id)) => CallbackAuth::SecretAndOidc(id),
            (_, None) => {
                return Err(ConfigError::new(format!(
                    "site `{slug}`: `callback_auth` needs `repository_id`, GitHub's number of the repository: \
                     `gh api repos/{repository} --jq .id` prints it"
                )));
            }
        };
        Ok((slug.clone(), auth))
    }

    pub(super) fn into_site(self) -> Result<Site, ConfigError> {
        let slug = self.slug;
        let wrong = |key: &str, problem: &str| ConfigError::new(format!("site `{slug}`: `{key}` {problem}"));
        let part = |text: &str| {
            let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            !text.is_empty() && text != "." && text != ".." && text.chars().all(allowed)
        };
        if self.name.trim().is_empty() {
            return Err(wrong("name", "is empty: it is the tile's title"));
        }
        if !self
            .repository
            .split_once('/')
            .is_some_and(|(owner, name)| part(owner) && part(name))
        {
            return Err(wrong("repository", "must be `owner/name`"));
        }
        let extension = Path::new(&self.workflow).extension().and_then(std::ffi::OsStr::to_str);
        if !part(&self.workflow) || !matches!(extension, Some("yml" | "yaml")) {
            return Err(wrong("workflow", "must be the file's name alone, such as `deploy.yml`"));
        }
        if self.inputs.contains_key(crate::server::deploys::DEPLOY_ID_INPUT) {
            return Err(wrong("inputs", "must not set `console_deploy_id`: the console does"));
        }
        let about = |key: &str| format!("site `{slug}`: `{key}`");
        let grace_ms = millis(&self.grace).ok_or_else(|| wrong("grace", "must be a time, such as `2m`"))?;
        // Without any, every deploy would be lost at once.
        let silent_after_ms = millis(&self.silent_after)
            .filter(|millis| *millis >= SECOND_MS)
            .ok_or_else(|| wrong("silent_after", "must be a time of a second or more, such as `10m`"))?;
        let url = web_address(&about("url"), &self.url)?;
        let health_url = self
            .health_url
            .map(|text| web_address(&about("health_url"), &text))
            .transpose()?;
        Ok(Site {
            slug,
            name: self.name,
            environment: self.environment,
            url,
            health_url,
            repository: self.repository,
            workflow: self.workflow,
            git_ref: self.git_ref,
            inputs: self.inputs,
            deployers: self.deployers,
            silent_after_ms,
            grace_ms,
            github_deployments: self.github_deployments,
        })
    }
}
