//! What can go wrong in a sign-in: one text for the log, another for the person at the browser.

use std::error::Error;

/// The most of a text from outside that is kept, in characters.
const TEXT_CHARS: usize = 600;

/// The options cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidOptions {
    /// The issuer is no address, or one that secrets must not be sent to.
    #[error("the issuer must be an https address (http on this machine alone), written exactly as the provider does")]
    Issuer,
    /// The redirect URL is no address.
    #[error("the redirect URL is not an address")]
    RedirectUrl,
    /// The HTTP client does not start.
    #[error("the HTTP client does not start: {0}")]
    Client(#[from] reqwest::Error),
}

/// A sign-in did not come to an identity. `Display` is for the log, [`Self::advice`] for the person.
///
/// Neither ever holds a code, a token, a verifier or the client's secret.
#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    /// The provider cannot be reached, says what it must not, or does not know this console.
    #[error("the identity provider cannot be used: {0}")]
    Provider(String),
    /// What came back is not what the provider would say to this browser, to this console, now.
    #[error("the sign-in was refused: {0}")]
    Refused(String),
    /// The sign-in began more than ten minutes ago.
    #[error("the sign-in began more than ten minutes ago")]
    TooLate,
    /// The provider itself said no (RFC 6749, section 4.1.2.1).
    #[error("the identity provider said no: {error}{}", in_words(.description.as_deref()))]
    Denied {
        /// The provider's code, such as `access_denied`.
        error: String,
        /// The provider's own words for people.
        description: Option<String>,
    },
}

impl OidcError {
    /// What the person who wanted to sign in should do.
    pub const fn advice(&self) -> &'static str {
        match self {
            Self::Provider(_) => {
                "The identity provider could not be used. Try again in a moment; if that does not help, the console's \
                 log says why."
            }
            Self::Refused(_) => {
                "The identity provider's answer could not be trusted, so nobody was signed in. Begin again from the \
                 sign-in page; if that does not help, the console's log says why."
            }
            Self::TooLate => "This sign-in began more than 10 minutes ago. Begin again from the sign-in page.",
            Self::Denied { .. } => {
                "The identity provider did not let you in. Sign in there with another account, or ask whoever runs \
                 it for access to this console."
            }
        }
    }
}

fn in_words(description: Option<&str>) -> String {
    description.map(|text| format!(": {text}")).unwrap_or_default()
}

/// A sign-in that is not to be believed.
pub(super) fn refused(text: &str) -> OidcError {
    OidcError::Refused(text.to_owned())
}

/// An error and all its causes.
pub(in crate::server) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    plain(&text)
}

/// A text from outside that fits into a line of the log.
pub(in crate::server) fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(TEXT_CHARS).collect()
}
