//! Configuration: `console.toml` for the sites, the environment for everything else.
//!
//! Every variable is named at the field that it fills. A secret may come as `NAME`, or as `NAME_FILE`,
//! the path of a file that holds it. What is wrong is said in one line: what, where, and how to mend it.

use super::github;
use super::signature::{Keys, Secret};
use crate::domain::Site;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

const DEFAULT_DATABASE: &str = "sqlite://data/console.db";
const DEFAULT_SITES: &str = "console.toml";
const DEFAULT_PORT: u16 = 3000;
const PUBLIC_GITHUB: &str = "https://api.github.com";
const GITHUB_VERSION: &str = "2022-11-28";

/// What `serve` needs to know.
#[derive(Clone)]
pub struct Config {
    /// `DATABASE_URL`: `sqlite://data/console.db` unless set.
    pub database_url: String,
    /// `CONSOLE_ADDR` with `PORT` over its port: `127.0.0.1:3000` unless set. Loopback only, until there is sign-in.
    pub addr: SocketAddr,
    /// `CONSOLE_URL`: the address that people open, where a proxy stands in front. Its pages may post.
    pub public_url: Option<String>,
    /// `CONSOLE_OPERATOR`: whose word a click is, until there is sign-in.
    pub operator: String,
    /// `CONSOLE_CALLBACK_SECRET` and `CONSOLE_CALLBACK_SECRET_PREVIOUS`.
    pub keys: Keys,
    /// `GITHUB_API_URL`, `GITHUB_API_VERSION`, `GITHUB_DISPATCH_TOKEN`.
    pub github: github::Options,
    /// The sites of `CONSOLE_CONFIG`, `console.toml` unless set.
    pub sites: Vec<Site>,
    /// How much is too much.
    pub limits: Limits,
    /// How often each site's health is asked for.
    pub health_every: Duration,
}

/// How much is too much.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Deploys that one operator may ask for in sixty seconds.
    pub deploys_a_minute: i64,
    /// Callbacks that one deploy may make in sixty seconds.
    pub callbacks_a_minute: i64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            deploys_a_minute: 60,
            callbacks_a_minute: 600,
        }
    }
}

/// What is wrong with the configuration, in one line.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

impl ConfigError {
    /// An error in these words.
    pub fn new(line: impl Into<String>) -> Self {
        Self(line.into())
    }
}

/// Variables by name. The process's own, or a test's.
pub type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

impl Config {
    /// Reads the process's environment and the sites' file.
    ///
    /// # Errors
    /// [`ConfigError`] for the first thing that is missing or wrong.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::read(&|name| std::env::var(name).ok())
    }

    /// Reads the variables and the sites' file that they name.
    ///
    /// # Errors
    /// As [`Self::from_env`].
    pub fn read(variables: Variables<'_>) -> Result<Self, ConfigError> {
        let current = required_secret(
            variables,
            "CONSOLE_CALLBACK_SECRET",
            "`raxx-console secret` prints a new one",
        )?;
        let previous = secret(variables, "CONSOLE_CALLBACK_SECRET_PREVIOUS")?;
        let keys = Keys {
            current: signing_secret("CONSOLE_CALLBACK_SECRET", &current)?,
            previous: previous
                .map(|text| signing_secret("CONSOLE_CALLBACK_SECRET_PREVIOUS", &text))
                .transpose()?,
        };
        let token = required_secret(variables, "GITHUB_DISPATCH_TOKEN", "a token that may write Actions")?;
        let operator = set(variables, "CONSOLE_OPERATOR").ok_or_else(|| {
            ConfigError::new("CONSOLE_OPERATOR is not set: give the name that your deploys are recorded under")
        })?;
        let api_url = set(variables, "GITHUB_API_URL").unwrap_or_else(|| PUBLIC_GITHUB.to_owned());
        let sites = PathBuf::from(set(variables, "CONSOLE_CONFIG").unwrap_or_else(|| DEFAULT_SITES.to_owned()));
        Ok(Self {
            database_url: set(variables, "DATABASE_URL").unwrap_or_else(|| DEFAULT_DATABASE.to_owned()),
            addr: addr(variables)?,
            public_url: set(variables, "CONSOLE_URL")
                .map(|url| web_address("CONSOLE_URL", &url))
                .transpose()?,
            operator,
            keys,
            github: github::Options {
                api_url: web_address("GITHUB_API_URL", &api_url)?,
                api_version: set(variables, "GITHUB_API_VERSION").unwrap_or_else(|| GITHUB_VERSION.to_owned()),
                token,
            },
            sites: read_sites(&sites)?,
            limits: Limits::default(),
            health_every: Duration::from_secs(30),
        })
    }
}

/// Reads the sites of a file.
///
/// # Errors
/// [`ConfigError`] with the file and the line.
pub fn read_sites(path: &Path) -> Result<Vec<Site>, ConfigError> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| {
        ConfigError::new(format!(
            "{shown}: {error}. CONSOLE_CONFIG names the file that declares the sites"
        ))
    })?;
    parse_sites(&text, &shown.to_string())
}

/// Parses the sites of `text`; `shown` is what errors call it.
///
/// # Errors
/// [`ConfigError`] with the line.
pub fn parse_sites(text: &str, shown: &str) -> Result<Vec<Site>, ConfigError> {
    let declared: Declared = toml::from_str(text).map_err(|error| {
        let line = error
            .span()
            .map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        let message = error.message().replace('\n', ", ");
        ConfigError::new(format!("{shown}:{line}: {message}"))
    })?;
    let sites = declared
        .site
        .into_iter()
        .map(DeclaredSite::into_site)
        .collect::<Result<Vec<Site>, ConfigError>>();
    let sites = sites.map_err(|error| ConfigError::new(format!("{shown}: {error}")))?;
    let mut seen = std::collections::BTreeSet::new();
    if let Some(twice) = sites.iter().find(|site| !seen.insert(&site.slug)) {
        return Err(ConfigError::new(format!(
            "{shown}: two sites have the slug `{}`: rename one of them",
            twice.slug
        )));
    }
    if sites.is_empty() {
        return Err(ConfigError::new(format!(
            "{shown}: it declares no site: add a [[site]]"
        )));
    }
    Ok(sites)
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Declared {
    #[serde(default)]
    site: Vec<DeclaredSite>,
}

/// A site as it is written; [`Site`] says what each key means.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DeclaredSite {
    slug: crate::domain::Slug,
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
    #[serde(default = "ten_minutes")]
    silent_after: String,
    #[serde(default = "two_minutes")]
    grace: String,
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
    fn into_site(self) -> Result<Site, ConfigError> {
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
        if self.inputs.contains_key(super::deploys::DEPLOY_ID_INPUT) {
            return Err(wrong("inputs", "must not set `console_deploy_id`: the console does"));
        }
        let about = |key: &str| format!("site `{slug}`: `{key}`");
        let millis = |key: &str, text: &str| {
            let duration = humantime::parse_duration(text).map_err(|_| wrong(key, "must be a time, such as `10m`"))?;
            i64::try_from(duration.as_millis()).map_err(|_| wrong(key, "is too long"))
        };
        let silent_after_ms = millis("silent_after", &self.silent_after)?;
        let grace_ms = millis("grace", &self.grace)?;
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
            silent_after_ms,
            grace_ms,
        })
    }
}

/// A variable that is set and not empty.
fn set(variables: Variables<'_>, name: &str) -> Option<String> {
    variables(name)
        .map(|value| value.trim().to_owned())
        .filter(|value| !value.is_empty())
}

/// A secret from `NAME`, or from the file that `NAME_FILE` names.
fn secret(variables: Variables<'_>, name: &str) -> Result<Option<String>, ConfigError> {
    let file_name = format!("{name}_FILE");
    match (set(variables, name), set(variables, &file_name)) {
        (Some(_), Some(_)) => Err(ConfigError::new(format!(
            "{name} and {file_name} are both set: unset one of them"
        ))),
        (Some(value), None) => Ok(Some(value)),
        (None, Some(path)) => {
            let text = std::fs::read_to_string(&path).map_err(|error| {
                ConfigError::new(format!(
                    "{file_name}: {path}: {error}: it must name a file that the console may read"
                ))
            })?;
            let text = text.trim().to_owned();
            if text.is_empty() {
                Err(ConfigError::new(format!("{file_name}: {path} is empty")))
            } else {
                Ok(Some(text))
            }
        }
        (None, None) => Ok(None),
    }
}

fn required_secret(variables: Variables<'_>, name: &str, hint: &str) -> Result<String, ConfigError> {
    secret(variables, name)?.ok_or_else(|| ConfigError::new(format!("{name} is not set, nor {name}_FILE: {hint}")))
}

fn signing_secret(name: &str, text: &str) -> Result<Secret, ConfigError> {
    text.parse()
        .map_err(|error| ConfigError::new(format!("{name} {error}")))
}

/// Where to listen: `CONSOLE_ADDR`, with `PORT` over its port.
fn addr(variables: Variables<'_>) -> Result<SocketAddr, ConfigError> {
    let mut addr = match set(variables, "CONSOLE_ADDR") {
        None => SocketAddr::from((Ipv4Addr::LOCALHOST, DEFAULT_PORT)),
        Some(text) => text
            .parse::<SocketAddr>()
            .or_else(|_| text.parse::<IpAddr>().map(|ip| SocketAddr::from((ip, DEFAULT_PORT))))
            .map_err(|_| {
                ConfigError::new(format!(
                    "CONSOLE_ADDR is `{text}`: it must be an address, such as 127.0.0.1:3000"
                ))
            })?,
    };
    if let Some(text) = set(variables, "PORT") {
        let port = text
            .parse()
            .map_err(|_| ConfigError::new(format!("PORT is `{text}`: it must be 0 to 65535")))?;
        addr.set_port(port);
    }
    if addr.ip().is_loopback() {
        return Ok(addr);
    }
    Err(ConfigError::new(format!(
        "CONSOLE_ADDR is {addr}: until the console can sign people in, it listens on loopback only; \
         use 127.0.0.1 and reach it by an SSH tunnel"
    )))
}

fn web_address(what: &str, text: &str) -> Result<String, ConfigError> {
    let wrong = || ConfigError::new(format!("{what} is `{text}`: it must be an http:// or https:// address"));
    let url = url::Url::parse(text).map_err(|_| wrong())?;
    if matches!(url.scheme(), "http" | "https") && url.has_host() {
        return Ok(text.trim_end_matches('/').to_owned());
    }
    Err(wrong())
}
