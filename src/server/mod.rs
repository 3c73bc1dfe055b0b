//! Everything native: the server's half of the console.

pub mod callback;
pub mod clock;
pub mod config;
pub mod demo;
pub mod deploys;
pub mod dispatcher;
pub mod error;
pub mod github;
pub mod health;
pub mod oidc;
pub mod router;
pub mod run;
pub mod settle;
pub mod signature;
pub mod store;
pub mod telemetry;

use crate::domain::{About, Site};
use config::Limits;
use dispatcher::Dispatcher;
use signature::Keys;
use std::sync::Arc;
use store::Store;

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
    /// The address that people open, where a proxy stands in front.
    pub public_url: Option<String>,
    /// Whose word a request is, until operators can sign in.
    pub operator: String,
    /// Calls GitHub.
    pub dispatcher: Dispatcher,
    /// How much is too much.
    pub limits: Limits,
    /// Set in a demo: where the stand-in for GitHub is.
    pub stand_in: Option<String>,
}

impl Console {
    /// Puts the parts together.
    pub fn new(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    /// What a page that is drawn now says about this console.
    pub fn about(&self) -> About {
        About {
            operator: self.operator.clone(),
            stand_in: self.stand_in.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            now: clock::now(),
        }
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
