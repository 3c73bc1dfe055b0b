//! A workflow's token: whether GitHub made it, for this console, just now; and what it says of the run.
//!
//! Source: <https://docs.github.com/en/actions/reference/security/oidc>; the checks are those of OpenID Connect
//! Core 1.0, section 3.1.3.7.

use super::issuer::Keys;
use crate::domain::Timestamp;
use crate::server::oidc::chain;
use openidconnect::core::{CoreGenderClaim, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm};
use openidconnect::{
    AdditionalClaims, ClaimsVerificationError, ClientId, IdToken, IdTokenVerifier, IssuerUrl, Nonce,
    SignatureVerificationError,
};
use serde::{Deserialize, Serialize};
use std::time::{Duration, UNIX_EPOCH};

/// How far GitHub's clock may be from this machine's, on either side.
const SKEW: Duration = Duration::from_mins(1);
/// GitHub's tokens have about 2 KiB.
const MOST_TOKEN: usize = 16 * 1024;

pub(super) type Token = IdToken<RunClaims, CoreGenderClaim, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm>;

/// What a token says of the run that holds it: all texts, numbers too. `sub` is not among them, as its form is the
/// repository's to choose.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunClaims {
    pub(super) repository_id: String,
    pub(super) workflow_ref: String,
    pub(super) event_name: String,
    pub(super) run_id: String,
    pub(super) run_attempt: String,
    nbf: Option<i64>,
}

impl AdditionalClaims for RunClaims {}

/// Why a token is not believed.
#[derive(Debug)]
pub(super) enum Unbelieved {
    /// It is signed with a key that is not among these. There may be newer ones.
    UnknownKey,
    /// Something else is wrong; what, for the log.
    Because(String),
}

/// Reads a token. Nothing in it is to be believed yet.
pub(super) fn parse(text: &str) -> Result<Token, Unbelieved> {
    if text.len() > MOST_TOKEN {
        return Err(because("it is too long"));
    }
    // What the parser would say may quote the token.
    text.parse()
        .map_err(|_| because("it cannot be read, or lacks a claim that GitHub's tokens have"))
}

/// What the token says, if the issuer made it for this audience and its time has come and is not over.
pub(super) fn verify(
    token: &Token,
    issuer: &IssuerUrl,
    audience: &str,
    keys: &Keys,
    now: Timestamp,
) -> Result<RunClaims, Unbelieved> {
    let seconds = now.as_millis() / 1000;
    let skew = i64::try_from(SKEW.as_secs()).unwrap_or_default();
    let earlier = UNIX_EPOCH + Duration::from_millis(now.as_millis().unsigned_abs()) - SKEW;
    let verifier = IdTokenVerifier::new_public_client(ClientId::new(audience.to_owned()), issuer.clone(), keys.clone())
        // What the header says decides nothing, and neither does what the keys say of themselves.
        .set_allowed_algs([CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256])
        .set_time_fn(move || earlier.into())
        .set_issue_time_verifier_fn(move |issued_at| {
            let came = issued_at.timestamp() <= seconds + skew;
            came.then_some(()).ok_or_else(|| "issued in the future".to_owned())
        });
    let claims = token
        .claims(&verifier, |_: Option<&Nonce>| Ok(()))
        .map_err(|error| match error {
            ClaimsVerificationError::SignatureVerification(SignatureVerificationError::NoMatchingKey) => {
                Unbelieved::UnknownKey
            }
            error => Unbelieved::Because(chain(&error)),
        })?;
    let claims = claims.additional_claims();
    if claims.nbf.is_some_and(|not_before| not_before > seconds + skew) {
        return Err(because("it is not valid yet"));
    }
    Ok(claims.clone())
}

fn because(text: &str) -> Unbelieved {
    Unbelieved::Because(text.to_owned())
}
