//! Signing in with OpenID Connect: the authorization code flow with PKCE.
//!
//! [`Oidc::begin`] gives the address to send the browser to, and what its session must keep; [`Oidc::finish`] takes
//! what the browser brought back, and says who it is. Nothing is believed that is not signed by the provider, for
//! this console, for this browser, a moment ago.
//!
//! Sources: OpenID Connect Core 1.0, <https://openid.net/specs/openid-connect-core-1_0.html>; PKCE is RFC 7636,
//! the issuer in the answer RFC 9207; RFC 9700 says what today's attacks are.

mod calls;
mod error;
pub(in crate::server) mod http;
mod provider;
mod token;

pub use error::{InvalidOptions, OidcError};
pub(in crate::server) use error::{chain, plain};

use super::clock;
use crate::domain::Timestamp;
use error::refused;
use openidconnect::core::CoreAuthenticationFlow;
use openidconnect::{
    AuthorizationCode, ClaimsVerificationError, ClientId, CsrfToken, Nonce, PkceCodeChallenge, PkceCodeVerifier,
    RedirectUrl, Scope, SignatureVerificationError,
};
use provider::{Metadata, Provider};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use token::{Claims, Tokens};
use url::Url;

/// How long somebody may take to sign in at the provider, in milliseconds.
const LONGEST_SIGN_IN_MS: i64 = 10 * 60 * 1000;

/// What the console must know of the provider.
#[derive(Debug, Clone)]
pub struct Options {
    /// The provider's address, exactly as it writes it itself.
    pub issuer: String,
    /// The console's name at the provider.
    pub client_id: String,
    /// The console's secret at the provider; none for a public client.
    pub client_secret: Option<SecretString>,
    /// Where the provider sends the browser back to.
    pub redirect_url: String,
    /// What is asked for beside `openid`.
    pub scopes: Vec<String>,
    /// The claim that lists somebody's groups. Not one that OpenID Connect defines itself, such as `email`.
    pub groups_claim: String,
    /// How long things take and last.
    pub timing: Timing,
}

/// How long things take and last.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// How long the provider may take for one answer, body and all.
    pub answer: Duration,
    /// How long its document and its keys are used before they are fetched anew.
    pub fresh_for: Duration,
    /// How often at most its keys are fetched because a token is signed with an unknown one.
    pub keys_again_after: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            answer: Duration::from_secs(10),
            fresh_for: Duration::from_hours(1),
            keys_again_after: Duration::from_mins(1),
        }
    }
}

/// The console as the provider's client. Clones share what was discovered.
#[derive(Clone)]
pub struct Oidc(Arc<Inner>);

struct Inner {
    provider: Provider,
    client_id: ClientId,
    client_secret: Option<SecretString>,
    redirect_url: RedirectUrl,
    scopes: Vec<Scope>,
    groups_claim: String,
}

/// What a browser's session keeps while its person is at the provider. It is taken once; `Debug` shows no secret.
#[derive(Debug, Serialize, Deserialize)]
pub struct Pending {
    state: CsrfToken,
    nonce: Nonce,
    verifier: PkceCodeVerifier,
    began_at: Timestamp,
}

/// What the browser brought back: the query of the redirect URL (RFC 6749, section 4.1.2). `Debug` shows no secret.
#[derive(Debug, Deserialize)]
pub struct Answer {
    /// Proof of the sign-in, for the token endpoint.
    pub code: Option<AuthorizationCode>,
    /// What [`Oidc::begin`] put into the address.
    pub state: Option<CsrfToken>,
    /// Who answers (RFC 9207).
    pub iss: Option<String>,
    /// The provider's code for why there is no `code`.
    pub error: Option<String>,
    /// The same in the provider's own words.
    pub error_description: Option<String>,
}

/// Somebody who has signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Who says so.
    pub issuer: String,
    /// Who it is: unique at the issuer, and never given to somebody else.
    pub subject: String,
    /// What to call them. Not unique, and they may change it: decide nothing by it.
    pub name: String,
    /// The groups that the provider counts them to.
    pub groups: Vec<String>,
}

impl fmt::Debug for Oidc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Oidc")
            .field("issuer", &**self.0.provider.issuer())
            .field("client_id", &*self.0.client_id)
            .finish_non_exhaustive()
    }
}

impl Oidc {
    /// A client for these options. Nothing is fetched yet.
    ///
    /// # Errors
    /// [`InvalidOptions`] when they cannot be used.
    pub fn new(options: Options) -> Result<Self, InvalidOptions> {
        // `openid` is asked for anyway.
        let scopes = options.scopes.into_iter().filter(|scope| scope != "openid");
        Ok(Self(Arc::new(Inner {
            provider: Provider::new(options.issuer, options.timing)?,
            client_id: ClientId::new(options.client_id),
            client_secret: options.client_secret,
            redirect_url: RedirectUrl::new(options.redirect_url).map_err(|_| InvalidOptions::RedirectUrl)?,
            scopes: scopes.map(Scope::new).collect(),
            groups_claim: options.groups_claim,
        })))
    }

    /// Begins a sign-in: where to send the browser, and what its session must keep until it comes back.
    ///
    /// # Errors
    /// [`OidcError::Provider`] when the provider cannot be discovered.
    pub async fn begin(&self) -> Result<(Url, Pending), OidcError> {
        let metadata = self.0.provider.metadata().await?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let (url, state, nonce) = self
            .0
            .client(&metadata)
            .authorize_url(
                CoreAuthenticationFlow::AuthorizationCode,
                CsrfToken::new_random,
                Nonce::new_random,
            )
            .add_scopes(self.0.scopes.iter().cloned())
            .set_pkce_challenge(challenge)
            .url();
        let pending = Pending {
            state,
            nonce,
            verifier,
            began_at: clock::now(),
        };
        Ok((url, pending))
    }

    /// Finishes a sign-in with what the browser brought back: who it is.
    ///
    /// # Errors
    /// [`OidcError`]; the sign-in must then begin again.
    pub async fn finish(&self, pending: Pending, answer: Answer) -> Result<Identity, OidcError> {
        pending.check(&answer)?;
        let metadata = self.0.provider.metadata().await?;
        check_issuer(&answer, &metadata)?;
        let code = answer.code.ok_or_else(|| refused("the answer has no code"))?;
        let tokens = self.0.exchange(&metadata, code, pending.verifier).await?;
        let claims = self.verify(&tokens, &pending.nonce, &metadata).await?;
        self.identify(&tokens, claims, &metadata).await
    }

    /// Checks the ID token, with newer keys where it is signed with an unknown one.
    async fn verify<'a>(
        &self,
        tokens: &'a Tokens,
        nonce: &Nonce,
        metadata: &Arc<Metadata>,
    ) -> Result<&'a Claims, OidcError> {
        let unknown = ClaimsVerificationError::SignatureVerification(SignatureVerificationError::NoMatchingKey);
        let mut verdict = token::verify(tokens, &self.0.client_id, nonce, metadata);
        if verdict.as_ref().is_err_and(|error| *error == unknown)
            && let Some(newer) = self.0.provider.newer_keys(metadata).await?
        {
            verdict = token::verify(tokens, &self.0.client_id, nonce, &newer);
        }
        verdict.map_err(|error| refused(&format!("the ID token is not to be believed: {}", chain(&error))))
    }

    /// Asks the userinfo endpoint only for what the ID token leaves out: many providers keep ID tokens short.
    async fn identify(&self, tokens: &Tokens, claims: &Claims, metadata: &Metadata) -> Result<Identity, OidcError> {
        let claim = &self.0.groups_claim;
        let mut userinfo = None;
        let mut groups = claims.additional_claims().groups(claim)?;
        if groups.is_none() && metadata.userinfo_endpoint().is_some() {
            let asked = userinfo.insert(self.0.userinfo(tokens, claims, metadata).await?);
            groups = asked.additional_claims().groups(claim)?;
        }
        Ok(Identity {
            issuer: metadata.issuer().to_string(),
            subject: claims.subject().to_string(),
            name: token::name(claims, userinfo.as_ref()),
            groups: groups.unwrap_or_default(),
        })
    }
}

impl Pending {
    /// Whether this answer is to this question, in time, and not a no.
    fn check(&self, answer: &Answer) -> Result<(), OidcError> {
        if clock::now().millis_since(self.began_at) > LONGEST_SIGN_IN_MS {
            return Err(OidcError::TooLate);
        }
        // Equality of these compares SHA-256 digests, so that its time tells nothing.
        if answer.state.as_ref() != Some(&self.state) {
            return Err(refused("the state is not what this browser's sign-in began with"));
        }
        match &answer.error {
            None => Ok(()),
            Some(error) => Err(OidcError::Denied {
                error: plain(error),
                description: answer.error_description.as_deref().map(plain),
            }),
        }
    }
}

/// RFC 9207, section 2.4: another provider's answer is not taken for this one's.
fn check_issuer(answer: &Answer, metadata: &Metadata) -> Result<(), OidcError> {
    let promised = metadata
        .additional_metadata()
        .authorization_response_iss_parameter_supported;
    match &answer.iss {
        Some(iss) if iss != metadata.issuer().as_str() => Err(refused("another issuer has answered")),
        None if promised => Err(refused(
            "the answer does not name its issuer, as this provider's answers do",
        )),
        _ => Ok(()),
    }
}
