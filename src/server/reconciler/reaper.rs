//! When a silent deploy is lost.

use crate::domain::{Deploy, Event, Site, State, Timestamp};
use crate::server::github::LookupFailed;
use std::time::Duration;

/// How long a deploy of a site that is not declared any more may be silent, in milliseconds.
const UNDECLARED_MS: i64 = 10 * 60 * 1000;

/// How long a deploy of this site may be silent, in milliseconds.
pub(super) fn silent_after(site: Option<&Site>) -> i64 {
    site.map_or(UNDECLARED_MS, |site| site.silent_after_ms)
}

/// Lost, when nothing was heard for too long and GitHub cannot say either. The site stays taken: a run may go on.
pub(super) fn verdict(deploy: &Deploy, site: Option<&Site>, failed: &LookupFailed, now: Timestamp) -> Option<Event> {
    let silent = now.millis_since(deploy.last_word_at());
    if !matches!(deploy.state, State::Queued | State::Running) || silent < silent_after(site) {
        return None;
    }
    let silent = Duration::from_secs(silent.unsigned_abs() / 1000);
    let reason = format!(
        "Nothing was heard for {}, and GitHub cannot say how the run stands: {}.",
        humantime::format_duration(silent),
        failed.reason
    );
    Some(Event::WentSilent { reason })
}
