//! What time it is.

use crate::domain::Timestamp;
use std::time::{SystemTime, UNIX_EPOCH};

/// The present moment by this machine's clock.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
