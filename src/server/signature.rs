//! Standard Webhooks 1.0.0, symmetric `v1`: HMAC-SHA256 over `id.timestamp.body`.
//!
//! Source: <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>;
//! HMAC is RFC 2104, its test vectors RFC 4231.

use crate::domain::Timestamp;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt;
use std::str::FromStr;

/// How far a callback's timestamp may be from this machine's clock, in seconds, on either side.
pub const TOLERANCE_SECONDS: i64 = 300;
/// How many signatures one callback may carry.
const MOST_SIGNATURES: usize = 4;
const PREFIX: &str = "whsec_";

/// A signing secret: `whsec_` and the base64 of 24 to 64 bytes. Its `Debug` shows nothing.
#[derive(Clone)]
pub struct Secret {
    text: String,
    key: Vec<u8>,
}

/// The text is no signing secret. The text itself is not repeated.
#[derive(Debug, thiserror::Error)]
#[error("must be `whsec_` and the base64 of 24 to 64 bytes; `raxx-console secret` prints a new one")]
pub struct InvalidSecret;

impl Secret {
    /// A new secret of 32 random bytes.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut key = vec![0; 32];
        getrandom::fill(&mut key)?;
        Ok(Self {
            text: format!("{PREFIX}{}", STANDARD.encode(&key)),
            key,
        })
    }

    /// The secret as people copy it. Only for handing it over.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// Signs a callback: the value of `webhook-signature`.
    pub fn sign(&self, id: &str, timestamp: &str, body: &[u8]) -> String {
        let tag = mac(&self.key, id, timestamp, body).finalize().into_bytes();
        format!("v1,{}", STANDARD.encode(tag))
    }
}

impl FromStr for Secret {
    type Err = InvalidSecret;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let encoded = text.strip_prefix(PREFIX).ok_or(InvalidSecret)?;
        let key = STANDARD.decode(encoded).map_err(|_| InvalidSecret)?;
        if !(24..=64).contains(&key.len()) {
            return Err(InvalidSecret);
        }
        Ok(Self {
            text: text.to_owned(),
            key,
        })
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The secrets that a callback may be signed with: the current one, and the one before while it is rotated.
#[derive(Debug, Clone)]
pub struct Keys {
    /// What is in use.
    pub current: Secret,
    /// What was in use before.
    pub previous: Option<Secret>,
}

/// A callback's three headers, as they came.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'a> {
    /// `webhook-id`.
    pub id: &'a str,
    /// `webhook-timestamp`: seconds since the Unix epoch.
    pub timestamp: &'a str,
    /// `webhook-signature`.
    pub signatures: &'a str,
}

/// The callback is not what the holder of a secret sent just now. It is told no more than that.
#[derive(Debug, PartialEq, Eq)]
pub struct NotAuthentic;

impl Keys {
    /// Checks the headers' form, the time, and the signature in constant time.
    ///
    /// # Errors
    /// [`NotAuthentic`], whatever is wrong.
    pub fn verify(&self, signed: Signed<'_>, body: &[u8], now: Timestamp) -> Result<(), NotAuthentic> {
        check_envelope(signed.id, signed.timestamp, now)?;
        let signatures: Vec<&str> = signed.signatures.split(' ').filter(|text| !text.is_empty()).collect();
        if signatures.len() > MOST_SIGNATURES {
            return Err(NotAuthentic);
        }
        let tags: Vec<Vec<u8>> = signatures
            .iter()
            .filter_map(|text| text.strip_prefix("v1,"))
            .filter_map(|encoded| STANDARD.decode(encoded).ok())
            .collect();
        let secrets = std::iter::once(&self.current).chain(&self.previous);
        let matches = |secret: &Secret| {
            tags.iter().any(|tag| {
                mac(&secret.key, signed.id, signed.timestamp, body)
                    .verify_slice(tag)
                    .is_ok()
            })
        };
        if secrets.into_iter().any(matches) {
            Ok(())
        } else {
            Err(NotAuthentic)
        }
    }

    /// Every secret's text, so that none of them is ever shown in a log.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.current).chain(&self.previous).map(Secret::expose)
    }
}

/// Checks the form of `webhook-id`, and that `webhook-timestamp` is close to now.
///
/// # Errors
/// [`NotAuthentic`], whatever is wrong.
pub fn check_envelope(id: &str, timestamp: &str, now: Timestamp) -> Result<(), NotAuthentic> {
    if is_delivery_id(id) && is_in_time(timestamp, now) {
        Ok(())
    } else {
        Err(NotAuthentic)
    }
}

fn mac(key: &[u8], id: &str, timestamp: &str, body: &[u8]) -> Hmac<Sha256> {
    let mut mac = keyed(key);
    for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
        mac.update(part);
    }
    mac
}

#[allow(clippy::expect_used)]
fn keyed(key: &[u8]) -> Hmac<Sha256> {
    // HMAC takes a key of any length (RFC 2104, section 2), so this cannot fail.
    Hmac::new_from_slice(key).expect("HMAC takes a key of any length")
}

fn is_delivery_id(id: &str) -> bool {
    (1..=128).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

fn is_in_time(timestamp: &str, now: Timestamp) -> bool {
    // `+1` and ` 1` parse as numbers elsewhere; the standard knows digits alone.
    if timestamp.is_empty() || !timestamp.bytes().all(|byte| byte.is_ascii_digit()) {
        return false;
    }
    let Ok(seconds) = timestamp.parse::<i64>() else {
        return false;
    };
    seconds.abs_diff(now.as_millis() / 1000) <= TOLERANCE_SECONDS.unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, sections 4.2, 4.3, 4.7: key, data, HMAC-SHA-256.
    #[test]
    fn hmac_agrees_with_rfc_4231() {
        let vectors: [(&[u8], &[u8], &str); 3] = [
            (
                &[0x0b; 20],
                b"Hi There",
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
            ),
            (
                b"Jefe",
                b"what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                &[0xaa; 131],
                b"Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
        ];
        for (key, data, expected) in vectors {
            let mut mac = keyed(key);
            mac.update(data);
            let tag: String = mac
                .finalize()
                .into_bytes()
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            assert_eq!(tag, expected);
        }
    }
}
