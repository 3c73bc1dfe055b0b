//! Passwords: which are taken, and how they are kept.
//!
//! OWASP ASVS 5.0, 6.2: at least 12 characters, none of the guessable ones, no rules of composition, no
//! truncation. Kept as argon2id (RFC 9106) with the parameters of OWASP's Password Storage Cheat Sheet:
//! 19 MiB, two passes, one lane.

use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use secrecy::{ExposeSecret, SecretString};
use std::sync::Arc;
use tokio::sync::Semaphore;
use zxcvbn::{Score, zxcvbn};

const LEAST_CHARS: usize = 12;
const MOST_BYTES: usize = 512;
/// How many passwords are hashed at once: each takes 19 MiB and a core.
const AT_ONCE: usize = 2;

/// Why a password is not taken. The text says what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WeakPassword {
    /// Too short to withstand guessing.
    #[error("Use at least 12 characters: four unrelated words are easy to keep in mind.")]
    Short,
    /// Too long to be hashed in good time.
    #[error("Use at most 512 bytes.")]
    Long,
    /// Among those that are tried first, or made from the name.
    #[error(
        "This password is among those that are guessed first. Use four unrelated words, or let a password manager make one."
    )]
    Guessable,
}

/// Hashing failed; the system is out of memory or randomness.
#[derive(Debug, thiserror::Error)]
#[error("a password could not be hashed")]
pub struct HashFailed;

/// Hashes and checks passwords, a few at a time. Clones share the bound.
#[derive(Debug, Clone)]
pub struct Passwords {
    turns: Arc<Semaphore>,
    /// What an unknown account's password is checked against, so that it takes as long as a known one's.
    decoy: Arc<str>,
}

impl Passwords {
    /// Ready to hash.
    ///
    /// # Errors
    /// [`HashFailed`] when the system has no randomness.
    pub fn new() -> Result<Self, HashFailed> {
        let decoy = hash(&SecretString::from("nobody has this password"))?;
        Ok(Self {
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            decoy: decoy.into(),
        })
    }

    /// Waits for a turn. Whoever counts failures counts them while holding it.
    pub async fn turn(&self) -> Option<tokio::sync::OwnedSemaphorePermit> {
        Arc::clone(&self.turns).acquire_owned().await.ok()
    }

    /// The password as a PHC string.
    ///
    /// # Errors
    /// [`HashFailed`].
    pub async fn hash(&self, password: SecretString) -> Result<String, HashFailed> {
        let _turn = self.turn().await;
        tokio::task::spawn_blocking(move || hash(&password))
            .await
            .map_err(|_| HashFailed)?
    }

    /// Whether the password is the one that was hashed; without a hash it is not, and takes as long to say so.
    pub async fn verify(&self, password: SecretString, phc: Option<String>) -> bool {
        let decoy = Arc::clone(&self.decoy);
        let verified = tokio::task::spawn_blocking(move || {
            let against = phc.as_deref().unwrap_or(&decoy);
            let same = hasher()
                .verify_password(password.expose_secret().as_bytes(), against)
                .is_ok();
            same && phc.is_some()
        });
        verified.await.unwrap_or(false)
    }
}

/// Refuses what would be guessed. `name` is the operator's, which makes a bad password.
///
/// # Errors
/// [`WeakPassword`].
pub fn check(password: &SecretString, name: &str) -> Result<(), WeakPassword> {
    let text = password.expose_secret();
    if text.chars().count() < LEAST_CHARS {
        return Err(WeakPassword::Short);
    }
    if text.len() > MOST_BYTES {
        return Err(WeakPassword::Long);
    }
    if zxcvbn(text, &[name, "raxxconsole", "raxx", "console"]).score() < Score::Three {
        return Err(WeakPassword::Guessable);
    }
    Ok(())
}

fn hash(password: &SecretString) -> Result<String, HashFailed> {
    let hashed = hasher().hash_password(password.expose_secret().as_bytes());
    Ok(hashed.map_err(|_| HashFailed)?.to_string())
}

fn hasher() -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::default())
}

#[cfg(test)]
mod tests {
    use super::{WeakPassword, check, hasher};
    use secrecy::SecretString;

    fn checked(password: &str) -> Result<(), WeakPassword> {
        check(&SecretString::from(password), "ada")
    }

    #[test]
    fn what_is_guessed_first_is_refused() {
        assert_eq!(checked("hunter2"), Err(WeakPassword::Short));
        assert_eq!(checked(&"x".repeat(513)), Err(WeakPassword::Long));
        for guessable in [
            "password1234",
            "adaadaadaada",
            "qwertyuiop12",
            "aaaaaaaaaaaaaaaa",
            "raxxconsole1",
        ] {
            assert_eq!(checked(guessable), Err(WeakPassword::Guessable), "{guessable}");
        }
        assert_eq!(checked("correct lamp otter violin"), Ok(()));
    }

    #[test]
    fn the_parameters_are_owasps() {
        let argon2 = hasher();
        let params = argon2.params();
        assert_eq!((params.m_cost(), params.t_cost(), params.p_cost()), (19 * 1024, 2, 1));
    }
}
