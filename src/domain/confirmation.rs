use super::Slug;

/// Proof that an operator typed the site's slug: it cannot be had in any other way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Confirmation(());

/// What was typed is not the slug.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the confirmation must be exactly `{expected}`: no spaces around it, same case")]
pub struct ConfirmationMismatch {
    /// The slug that would have matched.
    pub expected: String,
}

impl Confirmation {
    /// Compares byte by byte. Nothing is trimmed and no case is folded: the friction is the point.
    ///
    /// # Errors
    /// [`ConfirmationMismatch`] when `typed` differs from the slug in any way.
    pub fn check(slug: &Slug, typed: &str) -> Result<Self, ConfirmationMismatch> {
        if typed == slug.as_str() {
            return Ok(Self(()));
        }
        Err(ConfirmationMismatch {
            expected: slug.to_string(),
        })
    }
}
