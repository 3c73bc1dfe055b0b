//! Takes out of a text what must not be stored: every secret that a workflow may print, and NUL, which PostgreSQL cannot
//! hold.

use super::github::Github;
use super::signature::Keys;
use crate::domain::MASKED;
use std::cmp::Reverse;
use std::fmt;

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

    /// All that there are now, and one more that is known at the moment. The longest first: one may begin another.
    pub fn secrets(&self, also: Option<&str>) -> Vec<String> {
        let known = self.keys.texts().chain(also).map(str::to_owned);
        let mut secrets: Vec<String> = known.chain(self.github.secrets()).collect();
        secrets.retain(|secret| !secret.is_empty());
        secrets.sort_by_key(|secret| Reverse(secret.len()));
        secrets
    }
}

/// Takes `secrets` out of all of these texts.
pub fn clean<'a>(texts: impl IntoIterator<Item = &'a mut String>, secrets: &[String]) {
    for text in texts {
        if text.contains('\0') {
            *text = text.replace('\0', "");
        }
        for secret in secrets {
            if text.contains(secret.as_str()) {
                *text = text.replace(secret.as_str(), MASKED);
            }
        }
    }
}

impl fmt::Debug for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mask").finish_non_exhaustive()
    }
}
