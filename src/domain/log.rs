use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What an answer without a cursor holds at most: the last 64 KiB.
pub const LOG_TAIL_BYTES: u64 = 64 * 1024;
/// What an answer with a cursor holds at most.
pub const LOG_MORE_BYTES: u64 = 256 * 1024;
/// What a deploy's log may grow to, in bytes; what comes after is not kept, and a line in the log says so.
pub const LOG_CAP_BYTES: u64 = 64 * 1024 * 1024;

/// What stands in the log where the sender left something out.
pub const SENDER_GAP: &str = "[some output was left out here: more came than the workflow could send]\n";

/// A place in an attempt's log: how many of its bytes came before, in which edition of it.
///
/// A log only grows, until it is made whole from GitHub's: that is a new edition. Opaque to clients: they hand back
/// what they were given. `0` is the beginning of any edition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct LogCursor {
    edition: u32,
    offset: u64,
}

/// The text was not given out as a cursor.
#[derive(Debug, thiserror::Error)]
#[error("`after` must be a cursor from an earlier answer, or 0 for the beginning")]
pub struct InvalidCursor;

impl LogCursor {
    /// The place after `offset` bytes of an edition; the first one is 0.
    pub const fn at(edition: u32, offset: u64) -> Self {
        Self { edition, offset }
    }

    /// How many bytes of the log come before this place.
    pub const fn offset(self) -> u64 {
        self.offset
    }

    /// Whether this place is one in `edition`.
    pub const fn is_in(self, edition: u32) -> bool {
        self.edition == edition || self.offset == 0
    }
}

impl fmt::Display for LogCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.edition {
            0 => self.offset.fmt(f),
            edition => write!(f, "{edition}.{}", self.offset),
        }
    }
}

impl FromStr for LogCursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (edition, offset) = text.split_once('.').unwrap_or(("0", text));
        let edition: u32 = edition.parse().map_err(|_| InvalidCursor)?;
        let offset: u64 = offset.parse().map_err(|_| InvalidCursor)?;
        // The largest BIGINT: beyond it no log can reach.
        if i64::try_from(offset).is_err() {
            return Err(InvalidCursor);
        }
        Ok(Self { edition, offset })
    }
}

/// What stands in a text where a secret stood.
pub const MASKED: &str = "***";

/// Takes out the secrets that begin at the end of `before` and end in `after`, the text that follows it. What is over in
/// `before` keeps its length, in bytes: places in it are known already.
pub fn mask_seam(before: &mut String, after: &mut String, secrets: &[String]) {
    for secret in secrets {
        let mut cuts = secret.char_indices().map(|(at, _)| at).skip(1);
        if let Some(at) = cuts.find(|at| before.ends_with(&secret[..*at]) && after.starts_with(&secret[*at..])) {
            before.replace_range(before.len() - at.., &"*".repeat(at));
            after.replace_range(..secret.len() - at, MASKED);
        }
    }
}

/// A text without its escape sequences (ECMA-48): the control sequences, which end with a letter.
pub fn without_escapes(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character == '\u{1b}' {
            let _sequence = characters.by_ref().find(char::is_ascii_alphabetic);
        } else {
            plain.push(character);
        }
    }
    plain
}

/// A piece of a deploy's log, and where the next one begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogTail {
    /// The text as the sender gave it (NUL and known secrets removed). Hostile: render it as text only.
    pub text: String,
    /// The cursor for what comes next.
    pub after: String,
    /// Whether earlier lines exist that this answer left out.
    pub truncated: bool,
    /// Whether the cursor was one of an earlier edition: this is the new one's end, and what was read before is to be
    /// dropped.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub restarted: bool,
}

impl Default for LogTail {
    /// Nothing yet, at the beginning.
    fn default() -> Self {
        Self {
            text: String::new(),
            after: LogCursor::default().to_string(),
            truncated: false,
            restarted: false,
        }
    }
}
