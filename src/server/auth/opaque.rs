//! Random texts that open a door: in links, cookies and API tokens.

use crate::server::digest::sha256_hex;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// 32 bytes of the system's randomness, as 43 characters of base64url (RFC 4648, section 5).
///
/// # Errors
/// When the system has no randomness to give.
pub fn generate() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// What is kept of such a text. It is random, so a quick hash is enough: there is nothing to guess.
pub fn fingerprint(text: &str) -> String {
    sha256_hex(text.as_bytes())
}
