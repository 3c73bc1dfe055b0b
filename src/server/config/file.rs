//! `console.toml`: the sites, and how people come in.

use super::site::DeclaredSite;
use super::{ConfigError, web_address};
use crate::domain::{Role, Site, Slug};
use crate::server::keyless::CallbackAuth;
use crate::server::retention::Retention;
use crate::server::store::SessionAges;
use ipnet::IpNet;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;
/// The longest time that can be given: a hundred years. Beyond the year 9999 no moment can be written.
const MOST_MS: i64 = 36_525 * DAY_MS;

/// What the file says.
#[derive(Debug, Clone)]
pub struct ConsoleFile {
    /// `[[site]]`, in the order of the file.
    pub sites: Vec<Site>,
    /// What each site's callbacks must show: `callback_auth` and `repository_id` of `[[site]]`.
    pub callback_auth: BTreeMap<Slug, CallbackAuth>,
    /// `[sessions]`: `idle` (2 h unless given) and `absolute` (24 h).
    pub sessions: SessionAges,
    /// `[retention]`: `log_age` and `log_total_mib`; without them logs are kept for ever.
    pub retention: Retention,
    /// `[oidc]`.
    pub provider: Option<Provider>,
    /// `trusted_proxies`.
    pub trusted_proxies: Vec<IpNet>,
}

/// An OpenID provider, and what its groups may do here.
#[derive(Debug, Clone)]
pub struct Provider {
    /// What the button calls it.
    pub name: String,
    /// Its issuer, as its discovery document has it, to the letter.
    pub issuer: String,
    /// What it knows this console as.
    pub client_id: String,
    /// What is asked for.
    pub scopes: Vec<String>,
    /// The claim that lists a person's groups.
    pub groups_claim: String,
    /// The role of each group. A person gets the greatest of theirs; without one, nobody comes in.
    pub roles: BTreeMap<String, Role>,
}

/// Reads a `console.toml`.
///
/// # Errors
/// [`ConfigError`] with the file and the line.
pub fn read_file(path: &Path) -> Result<ConsoleFile, ConfigError> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| {
        ConfigError::new(format!(
            "{shown}: {error}. CONSOLE_CONFIG names the file that declares the sites"
        ))
    })?;
    parse_file(&text, &shown.to_string())
}

/// Parses `text` as a `console.toml`; `shown` is what errors call it.
///
/// # Errors
/// [`ConfigError`] with the line.
pub fn parse_file(text: &str, shown: &str) -> Result<ConsoleFile, ConfigError> {
    let declared: Declared = toml::from_str(text).map_err(|error| {
        let line = error
            .span()
            .map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        let message = error.message().replace('\n', ", ");
        ConfigError::new(format!("{shown}:{line}: {message}"))
    })?;
    declared
        .into_file()
        .map_err(|error| ConfigError::new(format!("{shown}: {error}")))
}

fn checked(sites: Vec<Site>) -> Result<Vec<Site>, ConfigError> {
    let mut seen = std::collections::BTreeSet::new();
    if let Some(twice) = sites.iter().find(|site| !seen.insert(&site.slug)) {
        return Err(ConfigError::new(format!(
            "two sites have the slug `{}`: rename one of them",
            twice.slug
        )));
    }
    if sites.is_empty() {
        return Err(ConfigError::new("it declares no site: add a [[site]]"));
    }
    Ok(sites)
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Declared {
    #[serde(default)]
    site: Vec<DeclaredSite>,
    #[serde(default)]
    sessions: DeclaredSessions,
    #[serde(default)]
    retention: DeclaredRetention,
    oidc: Option<DeclaredProvider>,
    #[serde(default)]
    trusted_proxies: Vec<String>,
}

impl Declared {
    fn into_file(self) -> Result<ConsoleFile, ConfigError> {
        let callback_auth = self
            .site
            .iter()
            .map(DeclaredSite::callback_auth)
            .collect::<Result<BTreeMap<_, _>, _>>()?;
        let sites = self
            .site
            .into_iter()
            .map(DeclaredSite::into_site)
            .collect::<Result<Vec<_>, _>>()?;
        Ok(ConsoleFile {
            sites: checked(sites)?,
            callback_auth,
            sessions: self.sessions.into_ages()?,
            retention: self.retention.into_retention()?,
            provider: self.oidc.map(DeclaredProvider::into_provider).transpose()?,
            trusted_proxies: self
                .trusted_proxies
                .iter()
                .map(|text| proxy(text))
                .collect::<Result<_, _>>()?,
        })
    }
}

/// `[sessions]` as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct DeclaredSessions {
    idle: String,
    absolute: String,
}

impl Default for DeclaredSessions {
    fn default() -> Self {
        Self {
            idle: "2h".to_owned(),
            absolute: "24h".to_owned(),
        }
    }
}

impl DeclaredSessions {
    fn into_ages(self) -> Result<SessionAges, ConfigError> {
        let (idle_ms, absolute_ms) = (millis(&self.idle), millis(&self.absolute));
        let wrong = |key: &str| {
            ConfigError::new(format!(
                "[sessions]: `{key}` must be a time from a minute to 100 years, such as `2h`"
            ))
        };
        let ages = SessionAges {
            idle_ms: idle_ms
                .filter(|millis| *millis >= MINUTE_MS)
                .ok_or_else(|| wrong("idle"))?,
            absolute_ms: absolute_ms
                .filter(|millis| *millis >= MINUTE_MS)
                .ok_or_else(|| wrong("absolute"))?,
        };
        Ok(ages)
    }
}

/// `[retention]` as it is written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct DeclaredRetention {
    log_age: Option<String>,
    log_total_mib: Option<u32>,
}

impl DeclaredRetention {
    fn into_retention(self) -> Result<Retention, ConfigError> {
        let age = |text: String| {
            let age = millis(&text).filter(|age| *age >= DAY_MS);
            age.ok_or_else(|| ConfigError::new("[retention]: `log_age` must be from a day to 100 years, such as `90d`"))
        };
        Ok(Retention {
            age_ms: self.log_age.map(age).transpose()?,
            total_bytes: self.log_total_mib.map(|mib| u64::from(mib) * 1024 * 1024),
        })
    }
}

/// `[oidc]` as it is written; [`Provider`] says what each key means.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DeclaredProvider {
    name: Option<String>,
    issuer: String,
    client_id: String,
    #[serde(default = "usual_scopes")]
    scopes: Vec<String>,
    #[serde(default = "usual_groups")]
    groups_claim: String,
    roles: BTreeMap<String, Role>,
}

fn usual_scopes() -> Vec<String> {
    ["openid", "profile", "email"].map(str::to_owned).to_vec()
}

fn usual_groups() -> String {
    "groups".to_owned()
}

impl DeclaredProvider {
    fn into_provider(self) -> Result<Provider, ConfigError> {
        if self.roles.is_empty() {
            return Err(ConfigError::new(
                "[oidc]: `roles` is empty, so nobody could come in: give a group its role, such as `{ ops = \"admin\" }`",
            ));
        }
        // The issuer is compared to the letter, a slash at its end and all.
        web_address("[oidc]: `issuer`", &self.issuer)?;
        Ok(Provider {
            name: self.name.unwrap_or_else(|| "your organisation".to_owned()),
            issuer: self.issuer,
            client_id: self.client_id,
            scopes: self.scopes,
            groups_claim: self.groups_claim,
            roles: self.roles,
        })
    }
}

/// A proxy's address, or a network of them.
fn proxy(text: &str) -> Result<IpNet, ConfigError> {
    let parsed = text
        .parse::<IpNet>()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    parsed.map_err(|_| {
        ConfigError::new(format!(
            "trusted_proxies: `{text}` must be an address or a network, such as `10.0.0.0/8`"
        ))
    })
}

/// Milliseconds of a time such as `10m`, which is no longer than a hundred years.
pub(super) fn millis(text: &str) -> Option<i64> {
    let millis = i64::try_from(humantime::parse_duration(text).ok()?.as_millis()).ok()?;
    (millis <= MOST_MS).then_some(millis)
}
