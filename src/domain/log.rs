use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What an answer without a cursor holds at most: the last 64 KiB.
pub const LOG_TAIL_BYTES: u64 = 64 * 1024;
/// What an answer with a cursor holds at most.
pub const LOG_MORE_BYTES: u64 = 256 * 1024;
/// What a deploy's log may grow to, in bytes; what comes after is not kept, and a line in the log says so.
pub const LOG_CAP_BYTES: u64 = 64 * 1024 * 1024;

/// A place in a deploy's log: how many of its bytes came before.
///
/// Opaque to clients: they hand back what they were given. `0` is the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct LogCursor(u64);

/// The text was not given out as a cursor.
#[derive(Debug, thiserror::Error)]
#[error("`after` must be a cursor from an earlier answer, or 0 for the beginning")]
pub struct InvalidCursor;

impl LogCursor {
    /// The place after `offset` bytes.
    pub const fn at(offset: u64) -> Self {
        Self(offset)
    }

    /// How many bytes of the log come before this place.
    pub const fn offset(self) -> u64 {
        self.0
    }
}

impl fmt::Display for LogCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for LogCursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let offset: u64 = text.parse().map_err(|_| InvalidCursor)?;
        // The largest BIGINT: beyond it no log can reach.
        if i64::try_from(offset).is_err() {
            return Err(InvalidCursor);
        }
        Ok(Self(offset))
    }
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
}

impl Default for LogTail {
    /// Nothing yet, at the beginning.
    fn default() -> Self {
        Self {
            text: String::new(),
            after: LogCursor::default().to_string(),
            truncated: false,
        }
    }
}
