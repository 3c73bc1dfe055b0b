//! The newcomer's first minute: the same server, a database of its own, four sites, and on loopback a
//! stand-in for GitHub that plays runs with the real composite action's scripts.

pub mod stand_in;

use super::audit::Source;
use super::auth::{opaque, people};
use super::config::{Config, ConfigError, ConsoleFile, Limits, parse_file, read_file};
use super::run::{self, Running, StartError};
use super::signature::{Keys, Secret};
use super::{DemoDoor, github, keyless};
use crate::domain::{OperatorName, Role};
use stand_in::{Scenario, StandIn, StandInOptions};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// The sites of the demo; also the annotated example of a `console.toml`.
const FILE: &str = include_str!("console.toml");
/// What the demo's sites call the stand-in, whose port is not known when they are written.
const STAND_IN: &str = "http://stand-in.localhost";
/// The stand-in takes any token that is there.
const TOKEN: &str = "demo";
const TOOLS: [&str; 4] = ["bash", "curl", "openssl", "jq"];

/// What `raxx-console demo` was told.
#[derive(Debug, Clone)]
pub struct DemoOptions {
    /// The console's port; 0 takes a free one.
    pub port: u16,
    /// The stand-in's port; 0 takes a free one.
    pub github_port: u16,
    /// Where the database is kept; a folder that vanishes at the end unless given.
    pub data: Option<PathBuf>,
    /// Another `console.toml` than the built-in one.
    pub config: Option<PathBuf>,
    /// One beat of a played run.
    pub pace: Duration,
    /// A stand-in that runs elsewhere already.
    pub github_url: Option<String>,
}

/// A demo that runs. Dropping it ends it hard; [`Self::stop`] ends it well.
pub struct Demo {
    console: Running,
    key: String,
    stand_in: Option<StandIn>,
    stand_in_url: String,
    /// Where the database is, unless another folder was given; it goes with the demo.
    _folder: tempfile::TempDir,
}

/// Starts a console and its stand-in.
///
/// # Errors
/// [`StartError`], in one line.
pub async fn start(options: &DemoOptions) -> Result<Demo, StartError> {
    let secret = secret(options)?;
    let (stand_in, stand_in_url) = if let Some(url) = &options.github_url {
        (None, url.trim_end_matches('/').to_owned())
    } else {
        let stand_in = start_stand_in(options.github_port, String::new(), &secret, options.pace).await?;
        let url = stand_in.url();
        (Some(stand_in), url)
    };
    let folder = tempfile::tempdir()?;
    let data = options.data.clone().unwrap_or_else(|| folder.path().to_owned());
    let database_url = format!("sqlite://{}", data.join("console.db").display());
    let (key, door) = door(&database_url, &stand_in_url).await?;
    let file = file(options, &stand_in_url)?;
    let config = Config {
        database_url,
        addr: SocketAddr::from((Ipv4Addr::LOCALHOST, options.port)),
        public_url: None,
        keys: Keys {
            current: secret,
            previous: None,
        },
        webhook_secret: None,
        github: github::Options {
            api_url: stand_in_url.clone(),
            api_version: "2022-11-28".to_owned(),
            identity: github::Identity::Token(TOKEN.into()),
        },
        keyless: keyless::Options {
            issuer: stand_in_url.clone(),
            sites: file.callback_auth,
            timing: keyless::Timing::default(),
        },
        sites: file.sites,
        sessions: file.sessions,
        retention: file.retention,
        provider: file.provider,
        provider_secret: None,
        trusted_proxies: file.trusted_proxies,
        limits: Limits::default(),
        health_every: Duration::from_secs(5),
    };
    let console = run::start(config, Some(door)).await?;
    if let Some(stand_in) = &stand_in {
        stand_in.set_console_url(format!("http://{}", console.addr()));
    }
    Ok(Demo {
        console,
        key,
        stand_in,
        stand_in_url,
        _folder: folder,
    })
}

/// Starts the stand-in alone, for a console at `console_url` that comes and goes.
///
/// # Errors
/// [`StartError`], in one line.
pub async fn start_stand_in_alone(options: &DemoOptions, console_url: String) -> Result<StandIn, StartError> {
    let secret = secret(options)?;
    start_stand_in(options.github_port, console_url, &secret, options.pace).await
}

impl Demo {
    /// The link that opens the console, signed in.
    pub fn url(&self) -> String {
        format!("http://{}/demo/{}", self.console.addr(), self.key)
    }

    /// The stand-in's pages, where a person chooses what happens.
    pub fn stand_in_url(&self) -> &str {
        &self.stand_in_url
    }

    /// Ends the demo.
    pub async fn stop(self) {
        drop(self.stand_in);
        self.console.stop().await;
    }
}

async fn start_stand_in(
    port: u16,
    console_url: String,
    secret: &Secret,
    pace: Duration,
) -> Result<StandIn, StartError> {
    tools_are_there()?;
    let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let options = StandInOptions {
        addr,
        console_url,
        callback_secret: secret.expose().to_owned(),
        pace,
        id_token: true,
        play: true,
        default_scenario: Scenario::Succeed,
        record: None,
    };
    StandIn::start(options)
        .await
        .map_err(|error| StartError::Listen { addr, error })
}

/// The callback secret of this demo. Where a console and a stand-in are started apart, the environment gives it.
fn secret(options: &DemoOptions) -> Result<Secret, StartError> {
    let name = "CONSOLE_CALLBACK_SECRET";
    match std::env::var(name) {
        Ok(text) => Ok(text
            .parse()
            .map_err(|error| ConfigError::new(format!("{name} {error}")))?),
        Err(_) if options.github_url.is_some() => {
            let line = format!("{name} is not set: with --github-url it must be the secret of that stand-in");
            Err(ConfigError::new(line).into())
        }
        Err(_) => Secret::generate().map_err(|error| ConfigError::new(format!("no randomness: {error}")).into()),
    }
}

/// The demo's operator, and the key that opens the console as them.
async fn door(database_url: &str, stand_in_url: &str) -> Result<(String, DemoDoor), StartError> {
    let store = run::open_store(database_url).await?;
    let name: OperatorName = "you".parse().map_err(|error| ConfigError::new(format!("{error}")))?;
    if store.account(&name).await?.is_none() {
        let source = Source::command_line();
        let added = people::add(&store, name.clone(), Role::Admin, &source).await;
        added.map_err(|refusal| ConfigError::new(refusal.detail))?;
    }
    let account = people::find(&store, &name).await;
    let operator = account.map_err(|refusal| ConfigError::new(refusal.detail))?.operator.id;
    store.close().await;
    let key = opaque::generate().map_err(|error| ConfigError::new(format!("no randomness: {error}")))?;
    let door = DemoDoor {
        stand_in: stand_in_url.to_owned(),
        key_sha256: opaque::fingerprint(&key),
        operator,
    };
    Ok((key, door))
}

/// The demo's `console.toml`, with the stand-in's address in place.
fn file(options: &DemoOptions, stand_in_url: &str) -> Result<ConsoleFile, StartError> {
    let mut file = match &options.config {
        Some(path) => read_file(path)?,
        None => parse_file(FILE, "the demo's console.toml")?,
    };
    for site in &mut file.sites {
        site.url = site.url.replace(STAND_IN, stand_in_url);
        site.health_url = site.health_url.take().map(|url| url.replace(STAND_IN, stand_in_url));
    }
    Ok(file)
}

/// The action's scripts need these; without one every run would be silent, and the demo a riddle.
fn tools_are_there() -> Result<(), StartError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = |tool: &&str| std::env::split_paths(&path).any(|folder| folder.join(tool).is_file());
    let missing: Vec<&str> = TOOLS.into_iter().filter(|tool| !is_there(tool)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let line = format!(
        "the demo plays runs with the real action, which needs {}: install them",
        missing.join(", ")
    );
    Err(ConfigError::new(line).into())
}
