//! The ID token: whether to believe it, and who it says has signed in.
//!
//! Source: OpenID Connect Core 1.0, section 3.1.3.7,
//! <https://openid.net/specs/openid-connect-core-1_0.html#IDTokenValidation>.

use super::error::{OidcError, plain};
use super::provider::Metadata;
use openidconnect::core::{
    CoreGenderClaim, CoreJsonWebKey, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm, CoreTokenType,
};
use openidconnect::{
    AccessToken, AccessTokenHash, AdditionalClaims, ClaimsVerificationError, ClientId, EmptyExtraTokenFields, IdToken,
    IdTokenClaims, IdTokenFields, IdTokenVerifier, Nonce, OAuth2TokenResponse, StandardTokenResponse, TokenResponse,
    UserInfoClaims,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::HashMap;
use std::time::{Duration, SystemTime};

/// How far the provider's clock may be from this machine's, on either side.
const SKEW: Duration = Duration::from_mins(1);
/// How old an ID token may be: it was asked for a moment ago.
const OLDEST: Duration = Duration::from_mins(10);
/// How long a subject may be, in bytes (section 2).
const LONGEST_SUBJECT: usize = 255;
/// How much of a name is kept, in characters.
const NAME_CHARS: usize = 100;

/// Signatures that only the provider can make. With `HS256` and its like, a secret that we hold too would do;
/// with `none`, nothing at all.
const ALGORITHMS: [CoreJwsSigningAlgorithm; 5] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];

/// What the token endpoint answers.
pub(super) type Tokens = StandardTokenResponse<
    IdTokenFields<
        OtherClaims,
        EmptyExtraTokenFields,
        CoreGenderClaim,
        CoreJweContentEncryptionAlgorithm,
        CoreJwsSigningAlgorithm,
    >,
    CoreTokenType,
>;
/// What an ID token says.
pub(super) type Claims = IdTokenClaims<OtherClaims, CoreGenderClaim>;
/// What the userinfo endpoint says.
pub(super) type Userinfo = UserInfoClaims<OtherClaims, CoreGenderClaim>;
type Token = IdToken<OtherClaims, CoreGenderClaim, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm>;

/// The claims that OpenID Connect does not define, by their names.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct OtherClaims {
    #[serde(flatten)]
    claims: HashMap<String, Value>,
}

impl AdditionalClaims for OtherClaims {}

impl OtherClaims {
    /// The groups in the claim `name`, which is a list of texts or one text. `None` where there is no such claim.
    pub(super) fn groups(&self, name: &str) -> Result<Option<Vec<String>>, OidcError> {
        match self.claims.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(group)) => Ok(Some(vec![group.clone()])),
            Some(list) => Vec::deserialize(list)
                .map(Some)
                .map_err(|_| OidcError::Provider(format!("its claim `{name}` is neither a list of texts nor a text"))),
        }
    }
}

/// What the ID token says, if it is the provider's, for this client and this browser, and of now.
pub(super) fn verify<'a>(
    tokens: &'a Tokens,
    client_id: &ClientId,
    nonce: &Nonce,
    metadata: &Metadata,
) -> Result<&'a Claims, ClaimsVerificationError> {
    let token = tokens.id_token().ok_or_else(|| other("there is no ID token"))?;
    let (issuer, keys) = (metadata.issuer().clone(), metadata.jwks().clone());
    // The client's secret is not given, so that nothing can count as signed with it.
    let verifier = IdTokenVerifier::new_public_client(client_id.clone(), issuer, keys)
        .set_allowed_algs(ALGORITHMS)
        // Further audiences are the provider's affair as long as the token was made for us: `check_party`.
        .set_other_audience_verifier_fn(|_| true)
        .set_time_fn(|| (SystemTime::now() - SKEW).into())
        .set_issue_time_verifier_fn(|issued_at| check_issue_time(issued_at.timestamp()));
    let claims = token.claims(&verifier, nonce)?;
    check_party(claims, client_id)?;
    check_not_before(claims)?;
    check_access_token(claims, token, tokens.access_token(), &verifier)?;
    let subject = claims.subject();
    if !(1..=LONGEST_SUBJECT).contains(&subject.len()) || subject.chars().any(char::is_control) {
        return Err(other("the subject is empty, longer than 255 bytes, or no text"));
    }
    Ok(claims)
}

/// What people call who has signed in: what they chose themselves, else their address, else the subject.
pub(super) fn name(claims: &Claims, userinfo: Option<&Userinfo>) -> String {
    let of_userinfo = userinfo.into_iter().flat_map(|userinfo| {
        [
            userinfo.preferred_username().map(|name| name.as_str()),
            userinfo.email().map(|email| email.as_str()),
        ]
    });
    [
        claims.preferred_username().map(|name| name.as_str()),
        claims.email().map(|email| email.as_str()),
    ]
    .into_iter()
    .chain(of_userinfo)
    .flatten()
    .map(short)
    .find(|name| !name.is_empty())
    .unwrap_or_else(|| short(claims.subject()))
}

/// Several audiences: the token must say that it was made for us. One: it may say so (steps 3 to 5).
fn check_party(claims: &Claims, client_id: &ClientId) -> Result<(), ClaimsVerificationError> {
    let refuse = |text: &str| Err(ClaimsVerificationError::InvalidAudience(text.to_owned()));
    match claims.authorized_party() {
        Some(party) if party != client_id => refuse("the authorized party is somebody else"),
        None if claims.audiences().len() > 1 => refuse("there are several, and no authorized party"),
        _ => Ok(()),
    }
}

fn check_issue_time(issued_at: i64) -> Result<(), String> {
    let now = seconds_now();
    if issued_at > now + seconds(SKEW) {
        return Err("issued in the future".to_owned());
    }
    if issued_at < now - seconds(OLDEST + SKEW) {
        return Err("issued more than ten minutes ago".to_owned());
    }
    Ok(())
}

/// RFC 7519, section 4.1.5: a number of seconds, perhaps with a fraction.
#[allow(clippy::cast_precision_loss)] // Today's seconds fit.
fn check_not_before(claims: &Claims) -> Result<(), ClaimsVerificationError> {
    let Some(not_before) = claims.additional_claims().claims.get("nbf") else {
        return Ok(());
    };
    match not_before.as_f64() {
        Some(not_before) if not_before <= (seconds_now() + seconds(SKEW)) as f64 => Ok(()),
        Some(_) => Err(other("not valid yet")),
        None => Err(other("`nbf` is no time")),
    }
}

/// Section 3.1.3.8: the access token is the one that came with this ID token.
fn check_access_token(
    claims: &Claims,
    token: &Token,
    access_token: &AccessToken,
    verifier: &IdTokenVerifier<'_, CoreJsonWebKey>,
) -> Result<(), ClaimsVerificationError> {
    let Some(hash) = claims.access_token_hash() else {
        return Ok(());
    };
    let algorithm = token
        .signing_alg()
        .map_err(ClaimsVerificationError::SignatureVerification)?;
    let key = token
        .signing_key(verifier)
        .map_err(ClaimsVerificationError::SignatureVerification)?;
    match AccessTokenHash::from_token(access_token, algorithm, key) {
        Ok(expected) if expected == *hash => Ok(()),
        _ => Err(other("`at_hash` does not belong to the access token")),
    }
}

fn short(name: &str) -> String {
    plain(name).trim().chars().take(NAME_CHARS).collect()
}

fn other(text: &str) -> ClaimsVerificationError {
    ClaimsVerificationError::Other(text.to_owned())
}

fn seconds_now() -> i64 {
    crate::server::clock::now().as_millis() / 1000
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}
