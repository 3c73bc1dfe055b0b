//! What the tests' identity provider signs with.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RsaKeyPair};
use serde_json::{Value, json};
use sha2::{Digest, Sha256, Sha384, Sha512};

/// How it signs: the names of RFC 7518, section 3.1, and RFC 8037. The console takes all but the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Rs256,
    Ps256,
    Es256,
    Es384,
    EdDsa,
    Rs512,
}

/// What the console takes.
pub(crate) const ALGORITHMS: [Algorithm; 5] = [
    Algorithm::Rs256,
    Algorithm::Ps256,
    Algorithm::Es256,
    Algorithm::Es384,
    Algorithm::EdDsa,
];

enum Pair {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

/// A private key with a name.
pub(crate) struct Key {
    pub kid: String,
    pub algorithm: Algorithm,
    pair: Pair,
}

impl Key {
    /// A new key; the RSA one is always the same, as making one takes too long.
    pub(crate) fn new(kid: &str, algorithm: Algorithm) -> Self {
        let pair = match algorithm {
            Algorithm::Rs256 | Algorithm::Ps256 | Algorithm::Rs512 => Pair::Rsa(rsa(include_str!("provider.pem"))),
            Algorithm::Es256 => Pair::Ec(ec(&signature::ECDSA_P256_SHA256_FIXED_SIGNING)),
            Algorithm::Es384 => Pair::Ec(ec(&signature::ECDSA_P384_SHA384_FIXED_SIGNING)),
            Algorithm::EdDsa => {
                let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
                Pair::Ed(Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap())
            }
        };
        Self {
            kid: kid.to_owned(),
            algorithm,
            pair,
        }
    }

    /// Another RSA key, that of the demo's stand-in.
    pub(crate) fn other(kid: &str) -> Self {
        Self {
            kid: kid.to_owned(),
            algorithm: Algorithm::Rs256,
            pair: Pair::Rsa(rsa(include_str!("../../../src/server/demo/stand_in/issuer.pem"))),
        }
    }

    /// The public half as a JSON Web Key.
    pub(crate) fn public(&self) -> Value {
        let mut key = match &self.pair {
            Pair::Rsa(pair) => {
                let PublicKeyComponents { n, e } = PublicKeyComponents::<Vec<u8>>::from(pair.public());
                json!({ "kty": "RSA", "n": base64url(&n), "e": base64url(&e) })
            }
            Pair::Ec(pair) => {
                // Uncompressed: 4, x, y (SEC 1, section 2.3.3).
                let point = &pair.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                let curve = if x.len() == 32 { "P-256" } else { "P-384" };
                json!({ "kty": "EC", "crv": curve, "x": base64url(x), "y": base64url(y) })
            }
            Pair::Ed(pair) => json!({ "kty": "OKP", "crv": "Ed25519", "x": base64url(pair.public_key().as_ref()) }),
        };
        key["kid"] = json!(self.kid);
        key["use"] = json!("sig");
        key
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair) => {
                let padding: &dyn signature::RsaEncoding = match self.algorithm {
                    Algorithm::Ps256 => &signature::RSA_PSS_SHA256,
                    Algorithm::Rs512 => &signature::RSA_PKCS1_SHA512,
                    _ => &signature::RSA_PKCS1_SHA256,
                };
                let mut signed = vec![0; pair.public().modulus_len()];
                pair.sign(padding, &random, message, &mut signed).unwrap();
                signed
            }
            Pair::Ec(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Pair::Ed(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }
}

impl Algorithm {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
            Self::Rs512 => "RS512",
        }
    }

    /// `at_hash`: the left half of the algorithm's own hash (OpenID Connect Core 1.0, section 3.1.3.6).
    pub(crate) fn half_hash(self, token: &str) -> String {
        let hash = match self {
            Self::Es384 => Sha384::digest(token).to_vec(),
            Self::EdDsa | Self::Rs512 => Sha512::digest(token).to_vec(),
            _ => Sha256::digest(token).to_vec(),
        };
        base64url(&hash[..hash.len() / 2])
    }
}

pub(crate) fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn ec(algorithm: &'static EcdsaSigningAlgorithm) -> EcdsaKeyPair {
    let random = SystemRandom::new();
    let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
    EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap()
}

fn rsa(pem: &str) -> RsaKeyPair {
    let lines = pem.lines().skip(1);
    let encoded: String = lines.filter(|line| !line.starts_with("-----")).collect();
    RsaKeyPair::from_pkcs8(&STANDARD.decode(encoded).unwrap()).unwrap()
}
