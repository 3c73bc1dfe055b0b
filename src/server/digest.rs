//! Fingerprints: of requests, so that a retry is told from another; of tokens, so that what is kept opens nothing.

use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// Lower-case hex of the SHA-256 (FIPS 180-4) of `bytes`: 64 characters.
pub fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .fold(String::with_capacity(64), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}
