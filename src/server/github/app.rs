//! A GitHub App: it signs who it is, and borrows a token for one repository at a time.
//!
//! Sources: <https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-json-web-token-jwt-for-a-github-app>,
//! <https://docs.github.com/en/rest/apps/apps#create-an-installation-access-token-for-an-app>.

use super::budget::Budget;
use super::identity::bearer;
use super::shapes::{Installation, InstallationToken};
use super::{LookupFailed, answer};
use crate::domain::Timestamp;
use crate::server::clock;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use reqwest::header::{ACCEPT, HeaderValue};
use reqwest::{Client, RequestBuilder, StatusCode};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// GitHub takes a JWT that lives at most ten minutes; its clock may be behind ours.
const JWT_BEGINS_S: i64 = -60;
const JWT_ENDS_S: i64 = 9 * 60;
/// A token that ends within this time is not used any more: a call must not outlive it.
const SPARE_MS: i64 = 5 * 60 * 1000;
/// For so long a failure answers those who waited for it.
const FAILURE_KEPT_MS: i64 = 2_000;

/// What a GitHub App is known by, and may do.
#[derive(Clone)]
pub struct AppKey {
    id: String,
    key: Arc<RsaKeyPair>,
    /// Permissions that are borrowed beside `actions: write`, with their level, where the installation has them.
    pub also: Vec<(&'static str, &'static str)>,
}

/// The text is no private key of a GitHub App.
#[derive(Debug, thiserror::Error)]
#[error("is no RSA private key in PEM: give the file that GitHub let you download, BEGIN and END lines and all")]
pub struct UnusableKey;

impl AppKey {
    /// The App with this id (or client id) and private key, in PEM as GitHub gives it (PKCS #1), or PKCS #8.
    /// Line breaks may be written as `\n`.
    ///
    /// # Errors
    /// [`UnusableKey`].
    pub fn new(id: String, pem: &SecretString) -> Result<Self, UnusableKey> {
        let pem = pem.expose_secret().replace("\\n", "\n");
        let key = match PrivateKeyDer::from_pem_slice(pem.as_bytes()) {
            Ok(PrivateKeyDer::Pkcs1(key)) => RsaKeyPair::from_der(key.secret_pkcs1_der()),
            Ok(PrivateKeyDer::Pkcs8(key)) => RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()),
            _ => return Err(UnusableKey),
        };
        Ok(Self {
            id,
            key: Arc::new(key.map_err(|_| UnusableKey)?),
            // The notes on a failed job are its check run's.
            also: vec![("checks", "read")],
        })
    }

    /// A JSON Web Token (RFC 7519) that says who the App is, signed with RS256.
    fn jwt(&self, now: Timestamp) -> Result<String, LookupFailed> {
        let seconds = now.as_millis() / 1000;
        let claims = json!({ "iat": seconds + JWT_BEGINS_S, "exp": seconds + JWT_ENDS_S, "iss": self.id });
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&json!({ "alg": "RS256", "typ": "JWT" })), part(&claims));
        let mut signature = vec![0; self.key.public().modulus_len()];
        self.key
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                signed.as_bytes(),
                &mut signature,
            )
            .map_err(|_| LookupFailed::because("the App's private key does not sign"))?;
        Ok(format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature)))
    }
}

impl fmt::Debug for AppKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The App at work.
pub(super) struct App {
    key: AppKey,
    client: Client,
    api_url: String,
    version: HeaderValue,
    budget: Budget,
    /// By repository.
    of_repositories: Mutex<HashMap<String, Arc<Borrowings>>>,
}

/// The tokens that were borrowed for one repository.
#[derive(Default)]
struct Borrowings {
    /// Held while a token is borrowed, so that no two are at once; and why none was, the last time.
    borrowing: tokio::sync::Mutex<Option<(Timestamp, LookupFailed)>>,
    /// Those that have not ended, the newest at the end.
    tokens: Mutex<Vec<Borrowed>>,
}

#[derive(Clone)]
struct Borrowed {
    token: SecretString,
    header: HeaderValue,
    ends: Timestamp,
    refused: bool,
}

impl App {
    pub(super) fn new(key: AppKey, client: Client, api_url: &str, version: HeaderValue, budget: Budget) -> Self {
        Self {
            key,
            client,
            api_url: api_url.to_owned(),
            version,
            budget,
            of_repositories: Mutex::default(),
        }
    }

    /// `Authorization` for a repository: a token that is at hand, or else a new one.
    pub(super) async fn header(&self, repository: &str) -> Result<HeaderValue, LookupFailed> {
        let borrowings = self.of(repository);
        if let Some(header) = borrowings.header() {
            return Ok(header);
        }
        let mut failed = borrowings.borrowing.lock().await;
        if let Some(header) = borrowings.header() {
            return Ok(header);
        }
        // Whoever waited here has waited for this answer.
        if let Some((at, why)) = &*failed
            && clock::now().millis_since(*at) < FAILURE_KEPT_MS
        {
            return Err(why.clone());
        }
        let borrowed = match self.borrow(repository).await {
            Ok(borrowed) => borrowed,
            Err(why) => {
                *failed = Some((clock::now(), why.clone()));
                return Err(why);
            }
        };
        let header = borrowed.header.clone();
        borrowings.put(borrowed);
        Ok(header)
    }

    /// `Authorization` for what is about no repository.
    pub(super) fn as_itself(&self) -> Result<HeaderValue, LookupFailed> {
        bearer(&self.key.jwt(clock::now())?).ok_or_else(|| LookupFailed::because("the App's id is no header"))
    }

    /// The token at hand was refused: the next request borrows another.
    pub(super) fn forget(&self, repository: &str) {
        for token in lock(&self.of(repository).tokens).iter_mut() {
            token.refused = true;
        }
    }

    /// Every token that has not ended.
    pub(super) fn tokens(&self) -> Vec<String> {
        let of_repositories = lock(&self.of_repositories);
        let texts = |borrowings: &Arc<Borrowings>| -> Vec<String> {
            let tokens = lock(&borrowings.tokens);
            tokens
                .iter()
                .map(|token| token.token.expose_secret().to_owned())
                .collect()
        };
        of_repositories.values().flat_map(texts).collect()
    }

    fn of(&self, repository: &str) -> Arc<Borrowings> {
        let mut of_repositories = lock(&self.of_repositories);
        of_repositories
            .entry(repository.to_ascii_lowercase())
            .or_default()
            .clone()
    }

    async fn borrow(&self, repository: &str) -> Result<Borrowed, LookupFailed> {
        let path = format!("/repos/{repository}/installation");
        let not_there = format!("the GitHub App is not installed for {repository}: install it there");
        let asked = self.client.get(format!("{}{path}", self.api_url));
        let installation: Installation = self.ask(asked, &not_there).await?;
        let permissions = self.permissions(repository, &installation)?;
        let url = format!("{}/app/installations/{}/access_tokens", self.api_url, installation.id);
        let name = repository.split('/').next_back().unwrap_or_default();
        let body = json!({ "repositories": [name], "permissions": permissions });
        let not_there = format!("the GitHub App was uninstalled for {repository} just now");
        let lent: InstallationToken = self.ask(self.client.post(url).json(&body), &not_there).await?;
        tracing::debug!(repository, until = %lent.expires_at, "GitHub lent the App a token");
        Ok(Borrowed {
            header: bearer(lent.token.expose_secret())
                .ok_or_else(|| LookupFailed::because("GitHub lent a token that no HTTP header can carry"))?,
            token: lent.token,
            ends: lent.expires_at,
            refused: false,
        })
    }

    /// No more than is needed: `actions: write`, and of the rest what the installation has.
    fn permissions(&self, repository: &str, installation: &Installation) -> Result<Value, LookupFailed> {
        if installation.suspended_at.is_some() {
            return Err(LookupFailed::because(format!(
                "the GitHub App is suspended for {repository}: whoever owns the repository can unsuspend it"
            )));
        }
        let has = |name: &str, level: &str| {
            let granted = installation.permissions.get(name).map(String::as_str);
            granted == Some("write") || granted == Some(level)
        };
        if !has("actions", "write") {
            return Err(LookupFailed::because(format!(
                "the GitHub App lacks the permission `actions: write` for {repository}: give it that in its settings, \
                 and accept it for the installation"
            )));
        }
        let also = self.key.also.iter().filter(|(name, level)| has(name, level));
        let all = also.chain(&[("actions", "write")]);
        let all: Map<String, Value> = all.map(|(name, level)| ((*name).to_owned(), json!(level))).collect();
        Ok(Value::Object(all))
    }

    /// Asks as the App itself, not for a repository.
    async fn ask<T: DeserializeOwned>(&self, request: RequestBuilder, not_there: &str) -> Result<T, LookupFailed> {
        let now = clock::now();
        let sent = request
            .header(reqwest::header::AUTHORIZATION, self.as_itself()?)
            .header(ACCEPT, super::MEDIA_TYPE)
            .header(super::VERSION_HEADER, self.version.clone())
            .send()
            .await;
        let response = sent
            .map_err(|error| LookupFailed::because(format!("GitHub could not be asked: {}", answer::chain(&error))))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = answer::bounded_body(response).await.map_err(LookupFailed::because)?;
        self.budget.learn(status, &headers, &body, now)?;
        let words = answer::message(&body);
        match status {
            StatusCode::OK | StatusCode::CREATED => serde_json::from_slice(&body)
                .map_err(|error| LookupFailed::because(format!("GitHub's answer cannot be read: {error}"))),
            StatusCode::UNAUTHORIZED => Err(LookupFailed::because(format!(
                "GitHub does not know the App{words}; look at GITHUB_APP_ID, GITHUB_APP_PRIVATE_KEY and this machine's \
                 clock"
            ))),
            StatusCode::NOT_FOUND => Err(LookupFailed::because(not_there)),
            status => Err(LookupFailed::because(format!(
                "GitHub lends the App no token: it answered {status}{words}"
            ))),
        }
    }
}

impl Borrowings {
    /// The newest token, while it can be used.
    fn header(&self) -> Option<HeaderValue> {
        let now = clock::now();
        let tokens = lock(&self.tokens);
        let newest = tokens
            .last()
            .filter(|token| !token.refused && token.ends.millis_since(now) > SPARE_MS)?;
        Some(newest.header.clone())
    }

    /// What has ended is no secret any more.
    fn put(&self, borrowed: Borrowed) {
        let now = clock::now();
        let mut tokens = lock(&self.tokens);
        tokens.retain(|token| token.ends > now);
        tokens.push(borrowed);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
