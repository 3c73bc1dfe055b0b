//! The issuer's public keys: fetched when a token needs them, kept for a while, and fetched anew when one is missing.
//!
//! Its document is read here and not by `openidconnect`: that wants an endpoint for people to sign in at, and GitHub
//! has none.

use super::{Denied, Timing};
use crate::server::oidc::http::{Http, keeps_secrets};
use crate::server::oidc::{chain, plain};
use openidconnect::core::CoreJsonWebKey;
use openidconnect::{AsyncHttpClient, IssuerUrl, JsonWebKeySet, JsonWebKeySetUrl, http};
use serde::Deserialize;
use std::sync::{Arc, PoisonError, RwLock, Weak};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

/// OpenID Connect Discovery 1.0, section 4.
const DOCUMENT: &str = ".well-known/openid-configuration";

pub(super) type Keys = JsonWebKeySet<CoreJsonWebKey>;

/// The issuer, and the keys that are known of it.
pub(super) struct Issuer {
    url: IssuerUrl,
    http: Http,
    timing: Timing,
    known: RwLock<Option<Known>>,
    // Held while the issuer is asked, so that it is asked once however many callbacks wait for its keys.
    asked: Mutex<Option<Asked>>,
    /// Itself, for a question that goes on when whoever asked it has hung up.
    itself: Weak<Self>,
}

#[derive(Clone)]
struct Known {
    keys: Arc<Keys>,
    since: Instant,
}

struct Asked {
    at: Instant,
    answered: bool,
}

/// As much of the issuer's document as we need.
#[derive(Deserialize)]
struct Document {
    issuer: String,
    jwks_uri: JsonWebKeySetUrl,
}

impl Issuer {
    /// Nothing is fetched yet. `None` when tokens must not be believed on that address's word.
    pub(super) fn new(url: IssuerUrl, timing: Timing) -> Result<Option<Arc<Self>>, reqwest::Error> {
        if !keeps_secrets(url.url()) {
            return Ok(None);
        }
        let http = Http::new(timing.answer)?;
        Ok(Some(Arc::new_cyclic(|itself| Self {
            url,
            http,
            timing,
            known: RwLock::new(None),
            asked: Mutex::new(None),
            itself: itself.clone(),
        })))
    }

    pub(super) const fn url(&self) -> &IssuerUrl {
        &self.url
    }

    /// The keys. When they are too old and the issuer does not answer, the old ones: they are still the issuer's.
    pub(super) async fn keys(&self) -> Result<Arc<Keys>, Denied> {
        let old = match self.known() {
            Some(known) if known.since.elapsed() < self.timing.fresh_for => return Ok(known.keys),
            old => old.map(|known| known.keys),
        };
        match (self.fetch(old.as_ref()).await, old) {
            (Ok(Some(newer)), _) => Ok(newer),
            (_, Some(old)) => Ok(old),
            (Err(denied), None) => Err(denied),
            (Ok(None), None) => Err(Denied::Unreachable),
        }
    }

    /// Keys newer than those in `seen`, in which one is missing. `None` when the issuer was asked a moment ago: a
    /// forged token can name any key, and must not make us ask without end.
    pub(super) async fn newer_keys(&self, seen: &Arc<Keys>) -> Result<Option<Arc<Keys>>, Denied> {
        self.fetch(Some(seen)).await
    }

    fn known(&self) -> Option<Known> {
        // Whoever panicked while writing has written all or nothing.
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A sender that hangs up does not end the question: others wait for its answer, and nobody may keep us from it.
    async fn fetch(&self, seen: Option<&Arc<Keys>>) -> Result<Option<Arc<Keys>>, Denied> {
        let Some(itself) = self.itself.upgrade() else {
            return Err(Denied::Unreachable);
        };
        let seen = seen.cloned();
        let fetched = tokio::spawn(async move { itself.fetch_to_its_end(seen.as_ref()).await }).await;
        fetched.unwrap_or(Err(Denied::Unreachable))
    }

    async fn fetch_to_its_end(&self, seen: Option<&Arc<Keys>>) -> Result<Option<Arc<Keys>>, Denied> {
        let mut asked = self.asked.lock().await;
        if let Some(known) = self.known()
            && !seen.is_some_and(|seen| Arc::ptr_eq(seen, &known.keys))
        {
            // Another callback has fetched them meanwhile.
            return Ok(Some(known.keys));
        }
        match &*asked {
            Some(last) if last.answered && last.at.elapsed() < self.timing.again_after => return Ok(None),
            Some(last) if !last.answered && last.at.elapsed() < self.timing.after_failure => {
                return Err(Denied::Unreachable);
            }
            _ => {}
        }
        let last = asked.insert(Asked {
            at: Instant::now(),
            answered: false,
        });
        let answer = timeout(self.timing.answer, self.ask()).await;
        let keys = match answer.unwrap_or_else(|_| Err("it gave no answer in time".to_owned())) {
            Ok(keys) => Arc::new(keys),
            Err(reason) => {
                tracing::warn!(issuer = %*self.url, reason, "the keys that callbacks' tokens are signed with cannot be fetched");
                return Err(Denied::Unreachable);
            }
        };
        last.answered = true;
        tracing::info!(issuer = %*self.url, keys = keys.keys().len(), "the keys of callbacks' tokens are known");
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Some(Known {
            keys: keys.clone(),
            since: Instant::now(),
        });
        Ok(Some(keys))
    }

    /// Asks for the document and then for the keys; what went wrong, for the log.
    async fn ask(&self) -> Result<Keys, String> {
        let url = self.url.join(DOCUMENT).map_err(|error| chain(&error))?;
        let request = http::Request::get(url.as_str())
            .header(http::header::ACCEPT, "application/json")
            .body(Vec::new())
            .map_err(|error| chain(&error))?;
        let answer = self.http.call(request).await.map_err(|error| chain(&error))?;
        if answer.status() != http::StatusCode::OK {
            return Err(format!("its document: it answered {}", answer.status()));
        }
        let document: Document =
            serde_json::from_slice(answer.body()).map_err(|error| format!("its document: {}", chain(&error)))?;
        if document.issuer != **self.url {
            return Err(format!(
                "its document names another issuer: {}",
                plain(&document.issuer)
            ));
        }
        if !keeps_secrets(document.jwks_uri.url()) {
            return Err("its keys are not at an https address".to_owned());
        }
        let keys = Keys::fetch_async(&document.jwks_uri, &self.http).await;
        keys.map_err(|error| format!("its keys: {}", chain(&error)))
    }
}
