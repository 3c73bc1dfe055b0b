//! Callbacks without a shared secret: the workflow shows the token that GitHub gives its run.
//!
//! A token says who runs, and GitHub's signature that it is so. It does not sign what is reported; whoever holds it may
//! speak for that run for the five minutes it lives. The protocol is in `docs/callbacks.md`.

mod issuer;
mod rule;
mod token;

pub use rule::CallbackAuth;
pub use token::RunClaims;

use crate::domain::{Slug, Timestamp};
use issuer::{Issuer, Keys};
use openidconnect::IssuerUrl;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use token::Unbelieved;

/// The issuer of github.com's workflows.
pub const PUBLIC_ISSUER: &str = "https://token.actions.githubusercontent.com";

/// What the console must know to believe tokens.
#[derive(Debug, Clone)]
pub struct Options {
    /// Who makes them: `GITHUB_OIDC_ISSUER`, [`PUBLIC_ISSUER`] unless set. To the letter.
    pub issuer: String,
    /// What each site wants to see. One that is not in here wants the secret.
    pub sites: BTreeMap<Slug, CallbackAuth>,
    /// How long things take and last.
    pub timing: Timing,
}

/// How long things take and last.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// How long the issuer may take to give its keys. A sender waits for 10 s.
    pub answer: Duration,
    /// How long its keys are used before they are fetched anew.
    pub fresh_for: Duration,
    /// How long it is not asked again for a key that it did not have.
    pub again_after: Duration,
    /// How long it is not asked again when it did not answer.
    pub after_failure: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            answer: Duration::from_secs(5),
            fresh_for: Duration::from_hours(1),
            again_after: Duration::from_mins(1),
            after_failure: Duration::from_secs(10),
        }
    }
}

/// The options cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidOptions {
    /// The issuer is no address, or one that anybody could answer for.
    #[error("the issuer must be an https address (http on this machine alone), written exactly as it does itself")]
    Issuer,
    /// The HTTP client does not start.
    #[error("the HTTP client does not start: {0}")]
    Client(#[from] reqwest::Error),
}

/// A token did not open anything.
#[derive(Debug, thiserror::Error)]
pub enum Denied {
    /// It cannot be checked: the issuer gives no keys.
    #[error("the issuer of tokens does not give its keys")]
    Unreachable,
    /// It is not to be believed. The reason is for the log, and holds no token.
    #[error("the token is not to be believed: {0}")]
    Refused(String),
}

/// Believes tokens, or does not.
pub struct Keyless {
    issuer: Arc<Issuer>,
    audience: String,
    sites: BTreeMap<Slug, CallbackAuth>,
}

impl Keyless {
    /// Takes the tokens that are made for `audience`, the console's public address. Nothing is fetched yet.
    ///
    /// # Errors
    /// [`InvalidOptions`] when they cannot be used.
    pub fn new(options: Options, audience: &str) -> Result<Self, InvalidOptions> {
        let issuer = IssuerUrl::new(options.issuer).map_err(|_| InvalidOptions::Issuer)?;
        let issuer = Issuer::new(issuer, options.timing)?.ok_or(InvalidOptions::Issuer)?;
        let keyless = Self {
            issuer,
            audience: audience.to_owned(),
            sites: options.sites,
        };
        if keyless.is_used() {
            let issuer = &**keyless.issuer.url();
            tracing::info!(
                issuer,
                audience,
                "workflows may show a token of this issuer, for this audience"
            );
        }
        Ok(keyless)
    }

    /// What a site wants to see.
    pub fn rule(&self, site: &Slug) -> CallbackAuth {
        self.sites.get(site).copied().unwrap_or_default()
    }

    /// Whether any site wants to see a token.
    fn is_used(&self) -> bool {
        self.sites.values().any(|auth| auth.repository_id().is_some())
    }

    /// What a token says of its run, if the issuer made it for this console and it is valid now.
    ///
    /// # Errors
    /// [`Denied`].
    pub async fn claims(&self, token: &str, now: Timestamp) -> Result<RunClaims, Denied> {
        if !self.is_used() {
            return Err(Denied::Refused("no site takes tokens".to_owned()));
        }
        let token = token::parse(token).map_err(refused)?;
        let verify = |keys: &Keys| token::verify(&token, self.issuer.url(), &self.audience, keys, now);
        // Without any key first: nobody is asked on account of what could not be right.
        let mut verdict = verify(&Keys::default());
        if matches!(verdict, Err(Unbelieved::UnknownKey)) {
            let keys = self.issuer.keys().await?;
            verdict = verify(&keys);
            if matches!(verdict, Err(Unbelieved::UnknownKey))
                && let Some(newer) = self.issuer.newer_keys(&keys).await?
            {
                verdict = verify(&newer);
            }
        }
        verdict.map_err(refused)
    }
}

fn refused(error: Unbelieved) -> Denied {
    Denied::Refused(match error {
        Unbelieved::UnknownKey => "it is signed with a key that the issuer does not have".to_owned(),
        Unbelieved::Because(reason) => reason,
    })
}
