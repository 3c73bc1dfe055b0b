//! Which error belongs where: what a caller may know becomes an [`Refusal`]; the rest goes to the log,
//! and the caller learns only that the console failed.

use super::store::StoreError;
use crate::domain::{Problem, Refusal};

/// Seconds after which a caller should try again when the database was full: somebody has to make room first.
const FULL_RETRY_SECONDS: u64 = 10;
/// Seconds after which a caller should try again when the database was busy, or away.
const BUSY_RETRY_SECONDS: u64 = 2;

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        if let StoreError::Busy(_) = error {
            tracing::warn!(%error, "refused for now");
            let detail = "The database is busy. Nothing was changed; try again in a moment.";
            return Self::new(Problem::Unavailable, detail).with_retry_after(BUSY_RETRY_SECONDS);
        }
        if let StoreError::Full(_) = error {
            tracing::error!(%error, "refused for now: make room where the database is kept");
            let detail = "The database has no space left. Nothing was changed; try again once there is room.";
            return Self::new(Problem::Unavailable, detail).with_retry_after(FULL_RETRY_SECONDS);
        }
        if let StoreError::Away(_) = error {
            tracing::error!(%error, "refused for now");
            let detail =
                "The database went away. What you asked for may have been done or not: look again in a moment.";
            return Self::new(Problem::Unavailable, detail).with_retry_after(BUSY_RETRY_SECONDS);
        }
        tracing::error!(%error, "the store failed");
        Self::new(
            Problem::Internal,
            "The console could not use its database. Its log says why.",
        )
    }
}
