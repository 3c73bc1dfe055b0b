//! Configuration: `console.toml` for the sites and how people come in, the environment for everything else.
//!
//! Every variable is named at the field that it fills. A secret may come as `NAME`, or as `NAME_FILE`,
//! the path of a file that holds it. What is wrong is said in one line: what, where, and how to mend it.

mod file;
mod site;
mod survey;

pub use file::{ConsoleFile, Provider, parse_file, read_file};
pub use survey::Survey;

use super::retention::Retention;
use super::signature::{Keys, Secret};
use super::store::SessionAges;
use super::webhooks::WebhookSecret;
use super::{github, keyless};
use crate::domain::Site;
use ipnet::IpNet;
use secrecy::SecretString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

const DEFAULT_DATABASE: &str = "sqlite://data/console.db";
const DEFAULT_FILE: &str = "console.toml";
const DEFAULT_PORT: u16 = 3000;
const CALLBACK_SECRET: &str = "CONSOLE_CALLBACK_SECRET";
const PUBLIC_GITHUB: &str = "https://api.github.com";
const GITHUB_VERSION: &str = "2022-11-28";
const LEAST_WEBHOOK_SECRET: usize = 16;

/// What `serve` needs to know.
#[derive(Clone)]
pub struct Config {
    /// `DATABASE_URL`, which may hold a password: `sqlite://data/console.db` unless set.
    pub database_url: String,
    /// `CONSOLE_ADDR` with `PORT` over its port: `127.0.0.1:3000` unless set.
    pub addr: SocketAddr,
    /// `CONSOLE_URL`: the address that people open, where a proxy stands in front. Its pages may post.
    pub public_url: Option<String>,
    /// `CONSOLE_CALLBACK_SECRET` and `CONSOLE_CALLBACK_SECRET_PREVIOUS`. Where no site wants signatures and none is set,
    /// a secret that nobody is told.
    pub keys: Keys,
    /// `GITHUB_WEBHOOK_SECRET`: what GitHub signs its webhooks with. Without it none are taken.
    pub webhook_secret: Option<WebhookSecret>,
    /// `GITHUB_API_URL`, `GITHUB_API_VERSION`, and `GITHUB_DISPATCH_TOKEN` or `GITHUB_APP_ID` with
    /// `GITHUB_APP_PRIVATE_KEY`.
    pub github: github::Options,
    /// `GITHUB_OIDC_ISSUER`, and each site's `callback_auth` of the same file as the sites.
    pub keyless: keyless::Options,
    /// The sites of `CONSOLE_CONFIG`, `console.toml` unless set.
    pub sites: Vec<Site>,
    /// How long people stay signed in: `[sessions]` of the same file.
    pub sessions: SessionAges,
    /// For how long, and how many, logs are kept: `[retention]` of the same file.
    pub retention: Retention,
    /// The OpenID provider: `[oidc]` of the same file.
    pub provider: Option<Provider>,
    /// `OIDC_CLIENT_SECRET`: what the provider knows this console by, where it has given one.
    pub provider_secret: Option<SecretString>,
    /// The proxies whose word on a client's address is taken: `trusted_proxies` of the same file.
    pub trusted_proxies: Vec<IpNet>,
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
    /// Connections at once; more wait until one ends.
    pub connections: usize,
    /// Connections at once from one address (of IPv6, one network of 64 bits) that is no trusted proxy; more are closed.
    pub connections_of_an_address: usize,
    /// How long the head of a request may take: the first from the connection on, others from their first byte on.
    pub head_within: Duration,
    /// How long the body of a request may take, in all.
    pub body_within: Duration,
    /// How long a connection is kept between an answer and the next request.
    pub idle_within: Duration,
    /// How long the other side may take nothing of an answer.
    pub write_within: Duration,
    /// How long what is under way may take to end, once the console is asked to stop.
    pub stop_within: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            deploys_a_minute: 60,
            callbacks_a_minute: 600,
            connections: 2048,
            connections_of_an_address: 256,
            head_within: Duration::from_secs(10),
            body_within: Duration::from_secs(30),
            idle_within: Duration::from_secs(75),
            write_within: Duration::from_secs(30),
            stop_within: Duration::from_secs(20),
        }
    }
}

/// What is wrong with the configuration, in one line.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

impl ConfigError {
    /// An error in these words. What they quote may hold line breaks, and the error stays one line.
    pub fn new(line: impl Into<String>) -> Self {
        let line: String = line.into();
        let shown = |c: char| {
            if c.is_control() {
                c.escape_default().to_string()
            } else {
                c.to_string()
            }
        };
        Self(line.chars().map(shown).collect())
    }
}

/// Variables by name. The process's own, or a test's.
pub type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

impl Config {
    /// Reads the process's environment and `console.toml`.
    ///
    /// # Errors
    /// [`ConfigError`] for the first thing that is missing or wrong.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::read(&|name| std::env::var(name).ok())
    }

    /// Reads the variables and the file that they name.
    ///
    /// # Errors
    /// As [`Self::from_env`].
    pub fn read(variables: Variables<'_>) -> Result<Self, ConfigError> {
        let current = current_secret(variables)?;
        let previous = previous_secret(variables)?;
        let identity = identity(variables)?;
        let Place {
            database_url,
            addr,
            public_url,
            file,
        } = Place::read(variables)?;
        let file = read_file(&file)?;
        let current = match current {
            Some(secret) => secret,
            None => nobodys_secret(&file)?,
        };
        let issuer = set(variables, "GITHUB_OIDC_ISSUER").unwrap_or_else(|| keyless::PUBLIC_ISSUER.to_owned());
        Ok(Self {
            database_url,
            addr,
            public_url,
            webhook_secret: webhook_secret(variables)?,
            keys: Keys { current, previous },
            keyless: keyless::Options {
                issuer,
                sites: file.callback_auth,
                timing: keyless::Timing::default(),
            },
            github: github::Options {
                api_url: api_url(variables)?,
                api_version: api_version(variables),
                identity,
            },
            sites: file.sites,
            sessions: file.sessions,
            retention: file.retention,
            provider: file.provider,
            provider_secret: secret(variables, "OIDC_CLIENT_SECRET")?.map(SecretString::from),
            trusted_proxies: file.trusted_proxies,
            limits: Limits::default(),
            health_every: Duration::from_secs(30),
        })
    }
}

/// Where the console is: what the commands beside `serve` need, which deploy nothing and need no secret.
pub struct Place {
    /// As [`Config::database_url`].
    pub database_url: String,
    /// As [`Config::addr`].
    pub addr: SocketAddr,
    /// As [`Config::public_url`].
    pub public_url: Option<String>,
    /// `CONSOLE_CONFIG`.
    pub file: PathBuf,
}

impl Place {
    /// Reads the process's environment.
    ///
    /// # Errors
    /// As [`Config::from_env`].
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::read(&|name| std::env::var(name).ok())
    }

    fn read(variables: Variables<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            database_url: database_url(variables)?,
            addr: addr(variables)?,
            public_url: public_url(variables)?,
            file: file_path(variables),
        })
    }
}

/// `TARGET_DATABASE_URL`, or the file that `TARGET_DATABASE_URL_FILE` names: where `db copy` copies to, for whoever does
/// not want a password among the arguments, which everybody on the machine can see.
///
/// # Errors
/// [`ConfigError`] when both are set, or the file cannot be read.
pub fn target_database_url() -> Result<Option<String>, ConfigError> {
    secret(&|name| std::env::var(name).ok(), "TARGET_DATABASE_URL")
}

fn database_url(variables: Variables<'_>) -> Result<String, ConfigError> {
    Ok(secret(variables, "DATABASE_URL")?.unwrap_or_else(|| DEFAULT_DATABASE.to_owned()))
}

fn public_url(variables: Variables<'_>) -> Result<Option<String>, ConfigError> {
    set(variables, "CONSOLE_URL")
        .map(|url| web_address("CONSOLE_URL", &url))
        .transpose()
}

fn file_path(variables: Variables<'_>) -> PathBuf {
    PathBuf::from(set(variables, "CONSOLE_CONFIG").unwrap_or_else(|| DEFAULT_FILE.to_owned()))
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

/// As whom GitHub is asked: with a token, or as an App.
fn identity(variables: Variables<'_>) -> Result<github::Identity, ConfigError> {
    let (token_name, id_name, key_name) = ("GITHUB_DISPATCH_TOKEN", "GITHUB_APP_ID", "GITHUB_APP_PRIVATE_KEY");
    let token = secret(variables, token_name)?.map(SecretString::from);
    let key = secret(variables, key_name)?.map(SecretString::from);
    match (token, set(variables, id_name), key) {
        (Some(token), None, None) => Ok(github::Identity::Token(token)),
        (None, Some(id), Some(key)) => {
            let key = github::AppKey::new(id, &key);
            Ok(github::Identity::App(
                key.map_err(|error| ConfigError::new(format!("{key_name} {error}")))?,
            ))
        }
        (None, None, None) => Err(ConfigError::new(format!(
            "{token_name} is not set, nor {token_name}_FILE: a token that may write Actions; \
             or, for a GitHub App, {id_name} and {key_name}"
        ))),
        (None, None, Some(_)) => Err(ConfigError::new(format!(
            "{id_name} is not set: with {key_name} it must be the App's id"
        ))),
        (None, Some(_), None) => Err(ConfigError::new(format!(
            "{key_name} is not set, nor {key_name}_FILE: with {id_name} it must be the App's private key"
        ))),
        (Some(_), ..) => Err(ConfigError::new(format!(
            "{token_name} and a GitHub App are both set: unset {token_name}, or {id_name} and {key_name}"
        ))),
    }
}

/// At least as long as a random word that nobody guesses: everybody on the internet may try.
fn webhook_secret(variables: Variables<'_>) -> Result<Option<WebhookSecret>, ConfigError> {
    let name = "GITHUB_WEBHOOK_SECRET";
    let Some(text) = secret(variables, name)? else {
        return Ok(None);
    };
    if text.len() < LEAST_WEBHOOK_SECRET {
        let line =
            format!("{name} is shorter than {LEAST_WEBHOOK_SECRET} characters: `openssl rand -hex 32` makes one");
        return Err(ConfigError::new(line));
    }
    Ok(Some(WebhookSecret::new(text.into())))
}

fn current_secret(variables: Variables<'_>) -> Result<Option<Secret>, ConfigError> {
    let text = secret(variables, CALLBACK_SECRET)?;
    text.map(|text| signing_secret(CALLBACK_SECRET, &text)).transpose()
}

fn previous_secret(variables: Variables<'_>) -> Result<Option<Secret>, ConfigError> {
    let name = "CONSOLE_CALLBACK_SECRET_PREVIOUS";
    let text = secret(variables, name)?;
    text.map(|text| signing_secret(name, &text)).transpose()
}

fn api_url(variables: Variables<'_>) -> Result<String, ConfigError> {
    let url = set(variables, "GITHUB_API_URL").unwrap_or_else(|| PUBLIC_GITHUB.to_owned());
    web_address("GITHUB_API_URL", &url)
}

fn api_version(variables: Variables<'_>) -> String {
    set(variables, "GITHUB_API_VERSION").unwrap_or_else(|| GITHUB_VERSION.to_owned())
}

fn signing_secret(name: &str, text: &str) -> Result<Secret, ConfigError> {
    text.parse()
        .map_err(|error| ConfigError::new(format!("{name} {error}")))
}

fn no_secret() -> ConfigError {
    ConfigError::new(format!(
        "{CALLBACK_SECRET} is not set, nor {CALLBACK_SECRET}_FILE: `raxx-console secret` prints a new one"
    ))
}

/// What stands for the callback secret where none is set: a secret that nobody is told, so that nothing is signed
/// with it. A site that wants signatures could never be heard of.
fn nobodys_secret(file: &ConsoleFile) -> Result<Secret, ConfigError> {
    let auth = |site: &Site| file.callback_auth.get(&site.slug).copied().unwrap_or_default();
    if file.sites.iter().any(|site| auth(site).needs_secret()) {
        return Err(no_secret());
    }
    Secret::generate().map_err(|error| ConfigError::new(format!("no randomness: {error}")))
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
    Ok(addr)
}

fn web_address(what: &str, text: &str) -> Result<String, ConfigError> {
    let wrong = || ConfigError::new(format!("{what} is `{text}`: it must be an http:// or https:// address"));
    // The parser passes over line breaks and spaces, and the text is used as it stands.
    if text.contains(|c: char| c.is_control() || c.is_whitespace()) {
        return Err(wrong());
    }
    let url = url::Url::parse(text).map_err(|_| wrong())?;
    if matches!(url.scheme(), "http" | "https") && url.has_host() {
        return Ok(text.trim_end_matches('/').to_owned());
    }
    Err(wrong())
}
