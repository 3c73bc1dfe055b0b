//! Why a job failed: what GitHub notes on its check run, or else what its log says last.
//!
//! Source: <https://docs.github.com/en/rest/checks/runs#list-check-run-annotations>. A job's id is its check
//! run's id.

use super::Github;
use super::reading::Part;
use super::shapes::{Annotation, Job};
use crate::domain::{Site, Timestamp, without_escapes};

/// What GitHub notes on every failed step; the reason is elsewhere.
const SAYS_NOTHING: &str = "Process completed with exit code";
/// The most of a reason that is kept, in characters.
const REASON_CHARS: usize = 1024;
/// How much of a log's end is looked at, in bytes.
const LOG_END: usize = 64 * 1024;
/// How many error lines of a log make a reason.
const ERROR_LINES: usize = 3;

impl Github {
    /// The reason for a failed job; `None` when GitHub gives none, or cannot be asked for it.
    pub(super) async fn reason(&self, site: &Site, job: &Job, now: Timestamp) -> Option<String> {
        let told = self.told(site, Some(job), now).await;
        if told.as_ref().is_some_and(|message| !message.starts_with(SAYS_NOTHING)) {
            return told;
        }
        let path = format!("/repos/{}/actions/jobs/{}/logs", site.repository, job.id);
        match self.read_text(&path, now, Part::End(LOG_END)).await.map(|log| log.text) {
            Ok(log) => last_words(&log).or(told),
            Err(error) => {
                tracing::warn!(job = job.id, %error, "the log of a failed job could not be read");
                told
            }
        }
    }

    /// The first failure that is noted on the job's check run, one that says something before one that does not.
    pub(super) async fn told(&self, site: &Site, job: Option<&Job>, now: Timestamp) -> Option<String> {
        let path = format!("/repos/{}/check-runs/{}/annotations", site.repository, job?.id);
        let annotations: Vec<Annotation> = match self.get(&path, &[], now).await {
            Ok(annotations) => annotations,
            Err(error) => {
                tracing::warn!(%error, "the annotations of a job could not be read");
                return None;
            }
        };
        let failures = || {
            annotations
                .iter()
                .filter(|annotation| annotation.annotation_level.as_deref() == Some("failure"))
                .filter_map(|annotation| annotation.message.as_deref().map(str::trim))
                .filter(|message| !message.is_empty())
        };
        let telling = failures().find(|message| !message.starts_with(SAYS_NOTHING));
        telling.or_else(|| failures().next()).map(shortened)
    }
}

/// The last error lines of a job's log; without any, its last line.
fn last_words(log: &str) -> Option<String> {
    let lines: Vec<&str> = log.lines().map(without_time).collect();
    let says_something = |line: &&str| !line.trim().is_empty() && !line.starts_with(SAYS_NOTHING);
    let errors: Vec<&str> = lines
        .iter()
        .filter_map(|line| line.strip_prefix("##[error]"))
        .filter(says_something)
        .collect();
    if !errors.is_empty() {
        let last = errors.len().saturating_sub(ERROR_LINES);
        return Some(shortened(&errors[last..].join("\n")));
    }
    // Up to the command's end; what comes after it is the runner tidying up.
    let end = lines
        .iter()
        .position(|line| line.starts_with("##[error]"))
        .unwrap_or(lines.len());
    let last = lines[..end]
        .iter()
        .rev()
        .find(|line| says_something(line) && !line.starts_with("##["));
    last.map(|line| shortened(line))
}

/// A line of a job's log begins with the moment that it was printed at.
pub(super) fn without_time(line: &str) -> &str {
    match line.trim_start_matches('\u{feff}').split_once(' ') {
        Some((moment, rest)) if moment.parse::<Timestamp>().is_ok() => rest,
        _ => line,
    }
}

/// Without colours and other controls, and not too long.
fn shortened(text: &str) -> String {
    let mut plain = without_escapes(text);
    plain.retain(|character| character == '\n' || !character.is_control());
    plain.trim().chars().take(REASON_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::last_words;

    #[test]
    fn the_last_error_lines_are_the_reason() {
        let log = "2026-01-01T00:00:00.1234567Z ##[group]Run make\n\
                   2026-01-01T00:00:01.1234567Z ##[error]\u{1b}[31mmissing key\u{1b}[0m\n\
                   2026-01-01T00:00:02.1234567Z ##[error]Process completed with exit code 2.\n\
                   2026-01-01T00:00:03.1234567Z Cleaning up orphan processes\n";
        assert_eq!(last_words(log).as_deref(), Some("missing key"));
    }

    #[test]
    fn without_error_lines_it_is_what_the_command_said_last() {
        let log = "2026-01-01T00:00:00.1Z one\n2026-01-01T00:00:00.2Z make: *** [all] Error 2\n\
                   2026-01-01T00:00:00.3Z ##[error]Process completed with exit code 2.\n\
                   2026-01-01T00:00:00.4Z Cleaning up orphan processes\n";
        assert_eq!(last_words(log).as_deref(), Some("make: *** [all] Error 2"));
        assert_eq!(last_words(""), None);
    }
}
