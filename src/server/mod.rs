//! Everything native: the server's half of the console.

pub mod audit;
pub mod auth;
pub mod callback;
pub mod clock;
pub mod commands;
pub mod config;
pub mod demo;
pub mod deployments;
pub mod deploys;
pub mod digest;
pub mod dispatcher;
pub mod doctor;
pub mod error;
pub mod github;
pub mod health;
pub mod keyless;
pub mod leader;
mod listener;
pub mod mask;
pub mod oidc;
pub mod outside;
pub mod reconciler;
pub mod retention;
pub mod router;
pub mod run;
pub mod signature;
pub mod store;
pub mod tagged;
pub mod telemetry;
pub mod together;
pub mod webhooks;

use crate::domain::{About, Caller, Gate, OperatorId, Refusal, Site};
use auth::password::Passwords;
use auth::provider::ProviderDoor;
use auth::session::Sessions;
use config::Limits;
use deploys::BoardReading;
use dispatcher::Dispatcher;
use github::Github;
use ipnet::IpNet;
use keyless::Keyless;
use mask::Mask;
use outside::OutsideWatch;
use reconciler::Reconciler;
use signature::Keys;
use std::sync::Arc;
use store::Store;
use together::Together;
use webhooks::WebhookSecret;

/// What the routes share. Clones are cheap and speak of the same console.
#[derive(Clone)]
pub struct Console(Arc<Inner>);

/// The parts of a [`Console`].
pub struct Inner {
    /// The record.
    pub store: Store,
    /// The sites, in the order of `console.toml`.
    pub sites: Vec<Site>,
    /// What callbacks are signed with.
    pub keys: Keys,
    /// What must not be stored.
    pub mask: Mask,
    /// What GitHub signs its webhooks with, where it sends any.
    pub webhook_secret: Option<WebhookSecret>,
    /// Checks the tokens that workflows show instead, or as well.
    pub keyless: Keyless,
    /// The address that people open, without a slash at its end.
    pub base_url: String,
    /// Hashes and checks passwords.
    pub passwords: Passwords,
    /// Who is signed in.
    pub sessions: Sessions,
    /// The OpenID provider, where there is one.
    pub provider: Option<ProviderDoor>,
    /// The proxies whose word on a client's address is taken.
    pub trusted_proxies: Vec<IpNet>,
    /// Calls GitHub.
    pub dispatcher: Dispatcher,
    /// Finds out how runs stand.
    pub reconciler: Reconciler,
    /// Watches for runs from outside.
    pub outside: OutsideWatch,
    /// GitHub, for what an operator asks of it beside deploys.
    pub github: Github,
    /// How much is too much.
    pub limits: Limits,
    /// The board, which is read once for all who look at it.
    pub board: Together<Result<Arc<BoardReading>, Refusal>>,
    /// Set in a demo.
    pub demo: Option<DemoDoor>,
}

/// What a console knows of the demo that it is.
#[derive(Debug, Clone)]
pub struct DemoDoor {
    /// Where the stand-in for GitHub is.
    pub stand_in: String,
    /// The SHA-256 of what stands in the link that opens the demo, signed in.
    pub key_sha256: String,
    /// Whom the link signs in.
    pub operator: OperatorId,
}

impl Console {
    /// Puts the parts together.
    pub fn new(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    /// What a page that is drawn now says about this console, to `me`.
    pub fn about(&self, me: Option<Caller>, gate: Option<Gate>) -> About {
        About {
            me,
            gate,
            stand_in: self.demo.as_ref().map(|demo| demo.stand_in.clone()),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            now: clock::now(),
        }
    }

    /// Whether people reach it over https, so that cookies may be bound to that.
    pub fn is_secure(&self) -> bool {
        self.base_url.starts_with("https://")
    }

    /// The address of a one-time link.
    pub fn link(&self, token: &str) -> String {
        format!("{}/set-up/{token}", self.base_url)
    }

    /// The site with this slug, if `console.toml` declares it.
    pub fn site(&self, slug: &str) -> Option<&Site> {
        self.sites.iter().find(|site| site.slug.as_str() == slug)
    }
}

impl std::ops::Deref for Console {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}
