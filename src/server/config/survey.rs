//! Everything that is wrong with a configuration, where `serve` stops at the first thing.

use super::{
    Config, ConfigError, ConsoleFile, Variables, addr, api_url, api_version, current_secret, database_url, file_path,
    identity, no_secret, nobodys_secret, previous_secret, public_url, read_file, secret, webhook_secret,
};
use crate::server::github;
use crate::server::signature::Keys;
use secrecy::SecretString;
use std::net::SocketAddr;
use std::path::PathBuf;

/// What can be known of a configuration, whatever is wrong with the rest of it.
pub struct Survey {
    /// As [`Config::database_url`], where it can be read.
    pub database_url: Option<String>,
    /// As [`Config::addr`], where it can be read.
    pub addr: Option<SocketAddr>,
    /// As [`Config::public_url`].
    pub public_url: Option<String>,
    /// As [`Config::keys`]; `None` also where no site wants signatures.
    pub keys: Option<Keys>,
    /// As [`Config::github`].
    pub github: Option<github::Options>,
    /// As [`Config::provider_secret`].
    pub provider_secret: Option<SecretString>,
    /// `CONSOLE_CONFIG`.
    pub path: PathBuf,
    /// What that file says, or what is wrong with it.
    pub file: Result<ConsoleFile, ConfigError>,
    /// What is wrong with the variables.
    pub wrong: Vec<ConfigError>,
}

impl Survey {
    /// Looks at the variables, and at the file that they name.
    pub fn take(variables: Variables<'_>) -> Self {
        let mut wrong = Vec::new();
        let previous = good(previous_secret(variables), &mut wrong).flatten();
        let identity = good(identity(variables), &mut wrong);
        good(webhook_secret(variables), &mut wrong);
        let api_url = good(api_url(variables), &mut wrong);
        let database_url = good(database_url(variables), &mut wrong);
        let addr = good(addr(variables), &mut wrong);
        let public_url = good(public_url(variables), &mut wrong).flatten();
        let provider_secret = good(secret(variables, "OIDC_CLIENT_SECRET"), &mut wrong).flatten();
        let path = file_path(variables);
        let file = read_file(&path);
        let current = current_secret(variables).and_then(|current| match (current, &file) {
            (Some(secret), _) => Ok(Some(secret)),
            // Nobody is told the one that stands in for it.
            (None, Ok(file)) => nobodys_secret(file).map(|_| None),
            (None, Err(_)) => Err(no_secret()),
        });
        let current = good(current, &mut wrong).flatten();
        // What `serve` refuses is wrong, even where this survey does not know why.
        if wrong.is_empty() && file.is_ok() {
            wrong.extend(Config::read(variables).err());
        }
        Self {
            database_url,
            addr,
            public_url,
            keys: current.map(|current| Keys { current, previous }),
            github: identity.zip(api_url).map(|(identity, api_url)| github::Options {
                api_url,
                api_version: api_version(variables),
                identity,
            }),
            provider_secret: provider_secret.map(SecretString::from),
            path,
            file,
            wrong,
        }
    }
}

/// The value, or else its error noted.
fn good<T>(read: Result<T, ConfigError>, wrong: &mut Vec<ConfigError>) -> Option<T> {
    read.map_err(|error| wrong.push(error)).ok()
}
