//! What the provider says about itself, its endpoints and its keys: fetched when needed, and kept for a while.
//!
//! Source: OpenID Connect Discovery 1.0, <https://openid.net/specs/openid-connect-discovery-1_0.html>.

use super::Timing;
use super::error::{InvalidOptions, OidcError, chain};
use super::http::{Http, HttpFailed, keeps_secrets};
use openidconnect::core::{
    CoreAuthDisplay, CoreClaimName, CoreClaimType, CoreClientAuthMethod, CoreGrantType, CoreJsonWebKey,
    CoreJweContentEncryptionAlgorithm, CoreJweKeyManagementAlgorithm, CoreResponseMode, CoreResponseType,
    CoreSubjectIdentifierType,
};
use openidconnect::{
    AdditionalProviderMetadata, DiscoveryError, IssuerUrl, JsonWebKeySet, ProviderMetadata, UserInfoUrl,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// The provider's document, with its keys.
pub(super) type Metadata = ProviderMetadata<
    MoreMetadata,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

/// What later specifications added to the document.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct MoreMetadata {
    /// The provider names itself in every answer (RFC 9207, section 3).
    #[serde(default)]
    pub(super) authorization_response_iss_parameter_supported: bool,
}

impl AdditionalProviderMetadata for MoreMetadata {}

/// The provider, and what is known of it.
pub(super) struct Provider {
    pub(super) http: Http,
    issuer: IssuerUrl,
    timing: Timing,
    // Held while something is fetched, so that it is fetched once however many people sign in.
    known: Mutex<Option<Known>>,
}

struct Known {
    metadata: Arc<Metadata>,
    since: Instant,
    keys_asked_again: Option<Instant>,
}

impl Provider {
    pub(super) fn new(issuer: String, timing: Timing) -> Result<Self, InvalidOptions> {
        let issuer = IssuerUrl::new(issuer).map_err(|_| InvalidOptions::Issuer)?;
        if !keeps_secrets(issuer.url()) {
            return Err(InvalidOptions::Issuer);
        }
        Ok(Self {
            http: Http::new(timing.answer)?,
            issuer,
            timing,
            known: Mutex::new(None),
        })
    }

    pub(super) const fn issuer(&self) -> &IssuerUrl {
        &self.issuer
    }

    /// The document and the keys, discovered unless they are known already.
    pub(super) async fn metadata(&self) -> Result<Arc<Metadata>, OidcError> {
        let mut known = self.known.lock().await;
        if let Some(known) = known
            .as_ref()
            .filter(|known| known.since.elapsed() < self.timing.fresh_for)
        {
            return Ok(known.metadata.clone());
        }
        let discovered = Metadata::discover_async(self.issuer.clone(), &self.http).await;
        let metadata = Arc::new(discovered.map_err(unusable)?);
        check_endpoints(&metadata)?;
        tracing::info!(issuer = %*self.issuer, keys = metadata.jwks().keys().len(), "the identity provider is known");
        *known = Some(Known {
            metadata: metadata.clone(),
            since: Instant::now(),
            keys_asked_again: None,
        });
        Ok(metadata)
    }

    /// The document with keys newer than those of `seen`, in which a key is missing: providers change their keys
    /// at any time (OpenID Connect Core 1.0, section 10.1.1). `None` while they were asked for a moment ago.
    pub(super) async fn newer_keys(&self, seen: &Arc<Metadata>) -> Result<Option<Arc<Metadata>>, OidcError> {
        let mut known = self.known.lock().await;
        let Some(known) = known.as_mut() else {
            return Ok(None);
        };
        if !Arc::ptr_eq(&known.metadata, seen) {
            // Somebody else's sign-in has fetched them meanwhile.
            return Ok(Some(known.metadata.clone()));
        }
        let pause = self.timing.keys_again_after;
        if known.keys_asked_again.is_some_and(|asked| asked.elapsed() < pause) {
            return Ok(None);
        }
        known.keys_asked_again = Some(Instant::now());
        let keys = JsonWebKeySet::fetch_async(seen.jwks_uri(), &self.http).await;
        let metadata = Metadata::clone(seen).set_jwks(keys.map_err(unusable)?);
        tracing::info!(issuer = %*self.issuer, keys = metadata.jwks().keys().len(), "fetched the keys once more");
        known.metadata = Arc::new(metadata);
        Ok(Some(known.metadata.clone()))
    }
}

fn check_endpoints(metadata: &Metadata) -> Result<(), OidcError> {
    let Some(token_endpoint) = metadata.token_endpoint() else {
        return Err(OidcError::Provider("its document names no token endpoint".to_owned()));
    };
    let needed = [
        metadata.authorization_endpoint().url(),
        token_endpoint.url(),
        metadata.jwks_uri().url(),
    ];
    let mut endpoints = needed
        .into_iter()
        .chain(metadata.userinfo_endpoint().map(UserInfoUrl::url));
    match endpoints.find(|url| !keeps_secrets(url)) {
        Some(url) => Err(OidcError::Provider(format!("its endpoint {url} is not https"))),
        None => Ok(()),
    }
}

fn unusable(error: DiscoveryError<HttpFailed>) -> OidcError {
    let hint = match &error {
        DiscoveryError::Validation(_) => "; write the issuer exactly as the provider does, to the last slash",
        DiscoveryError::Response(..) | DiscoveryError::Parse(_) => "; look whether the issuer is right",
        _ => "",
    };
    OidcError::Provider(format!("{}{hint}", chain(&error)))
}
