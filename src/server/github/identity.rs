//! As whom the client speaks: with a token that it was given, or as a GitHub App.

use super::app::{App, AppKey};
use super::budget::Budget;
use super::{LookupFailed, UnusableOptions};
use reqwest::header::HeaderValue;
use reqwest::{Client, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use std::sync::Arc;

/// As whom the client speaks.
#[derive(Debug, Clone)]
pub enum Identity {
    /// With a token; nothing is assumed about its form.
    Token(SecretString),
    /// As a GitHub App, which borrows a token for each repository.
    App(AppKey),
}

impl Identity {
    /// Wants to write deployments as well. A token's permissions are what they are.
    pub fn want_deployments(&mut self) {
        if let Self::App(key) = self {
            key.also.push(("deployments", "write"));
        }
    }
}

/// An [`Identity`] at work.
#[derive(Clone)]
pub(super) enum Authority {
    Token { text: SecretString, header: HeaderValue },
    App(Arc<App>),
}

impl Authority {
    pub(super) fn new(
        identity: &Identity,
        client: &Client,
        api_url: &str,
        version: &HeaderValue,
        budget: &Budget,
    ) -> Result<Self, UnusableOptions> {
        Ok(match identity {
            Identity::Token(text) => Self::Token {
                text: text.clone(),
                header: bearer(text.expose_secret()).ok_or(UnusableOptions::Header)?,
            },
            Identity::App(key) => {
                let app = App::new(key.clone(), client.clone(), api_url, version.clone(), budget.clone());
                Self::App(Arc::new(app))
            }
        })
    }

    /// Whether it is an App's.
    pub(super) const fn is_app(&self) -> bool {
        matches!(self, Self::App(_))
    }

    /// `Authorization` for a path of the API: `/repos/OWNER/NAME/…`, or one that is about no repository.
    ///
    /// # Errors
    /// [`LookupFailed`] when GitHub lends the App no token for that repository.
    pub(super) async fn header(&self, path: &str) -> Result<HeaderValue, LookupFailed> {
        match self {
            Self::Token { header, .. } => Ok(header.clone()),
            Self::App(app) => match repository(path) {
                "" => app.as_itself(),
                repository => app.header(repository).await,
            },
        }
    }

    /// Learns from an answer that a borrowed token was not taken, so that the next request borrows another.
    pub(super) fn answered(&self, path: &str, status: StatusCode) {
        if let (Self::App(app), StatusCode::UNAUTHORIZED) = (self, status) {
            app.forget(repository(path));
        }
    }

    /// Every token that GitHub may still take, so that it can be kept out of logs.
    pub(super) fn secrets(&self) -> Vec<String> {
        match self {
            Self::Token { text, .. } => vec![text.expose_secret().to_owned()],
            Self::App(app) => app.tokens(),
        }
    }

    /// Where an operator finds it.
    pub(super) fn named(&self) -> &'static str {
        match self {
            Self::Token { .. } => "GITHUB_DISPATCH_TOKEN",
            Self::App(_) => "the App of GITHUB_APP_ID",
        }
    }
}

/// `Authorization` with this token; `None` when no header can carry it.
pub(super) fn bearer(token: &str) -> Option<HeaderValue> {
    let mut header = HeaderValue::from_str(&format!("Bearer {token}")).ok()?;
    header.set_sensitive(true);
    Some(header)
}

/// `OWNER/NAME` of a path of the API.
fn repository(path: &str) -> &str {
    let name = path.strip_prefix("/repos/").unwrap_or_default();
    let end = name.match_indices('/').nth(1).map_or(name.len(), |(end, _)| end);
    &name[..end]
}

#[cfg(test)]
mod tests {
    use super::repository;

    #[test]
    fn a_path_names_its_repository() {
        assert_eq!(repository("/repos/raxx/docs/actions/runs/1"), "raxx/docs");
        assert_eq!(repository("/repos/raxx/docs"), "raxx/docs");
        assert_eq!(repository("/app"), "");
    }
}
