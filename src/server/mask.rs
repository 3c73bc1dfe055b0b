//! Takes out of a text what must not be stored: every secret that a workflow may print, and NUL, which PostgreSQL cannot
//! hold.

use super::github::Github;
use super::signature::Keys;
use std::fmt;

/// What stands in a text where a secret stood.
const MASKED: &str = "***";

/// The secrets of this console.
#[derive(Clone)]
pub struct Mask {
    keys: Keys,
    github: Github,
}

impl Mask {
    /// The keys of callbacks, and whatever GitHub takes from us.
    pub fn new(keys: Keys, github: Github) -> Self {
        Self { keys, github }
    }

    /// Takes them out of all of these texts, and one more that is known at the moment.
    pub fn clean<'a>(&self, texts: impl IntoIterator<Item = &'a mut String>, also: Option<&str>) {
        let lent = self.github.secrets();
        let secrets = || self.keys.texts().chain(lent.iter().map(String::as_str)).chain(also);
        for text in texts {
            if text.contains('\0') {
                *text = text.replace('\0', "");
            }
            for secret in secrets().filter(|secret| !secret.is_empty()) {
                if text.contains(secret) {
                    *text = text.replace(secret, MASKED);
                }
            }
        }
    }
}

impl fmt::Debug for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mask").finish_non_exhaustive()
    }
}
