//! What time it is.

use crate::domain::Timestamp;
use std::cell::Cell;
use std::time::{SystemTime, UNIX_EPOCH};

thread_local! {
    static HELD: Cell<Option<Timestamp>> = const { Cell::new(None) };
}

/// The present moment by this machine's clock.
pub fn now() -> Timestamp {
    HELD.get().unwrap_or_else(by_the_machine)
}

/// Holds the clock of this thread at one moment, or with `None` lets it go again. A test leads a console through time
/// with it, on a runtime of one thread; nothing else calls it.
pub fn hold_on_this_thread(at: Option<Timestamp>) {
    HELD.set(at);
}

fn by_the_machine() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
