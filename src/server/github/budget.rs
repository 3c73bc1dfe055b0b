//! One budget of requests for the whole console: GitHub's rate limits, primary and secondary, obeyed.
//!
//! Source: <https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api>. Only reading waits
//! for it: a dispatch or a cancel is an operator's wish, is made once, and gets GitHub's own answer.

use super::{LookupFailed, answer};
use crate::domain::Timestamp;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use std::sync::{Arc, Mutex, PoisonError};

/// Reading stops when so many requests are left: they are kept for what operators ask for.
const RESERVE: i64 = 50;
/// GitHub asks for at least a minute, and for ever more, when it does not say how long.
const UNSAID_MS: i64 = 60_000;
/// The longest that one answer can close the budget for.
const LONGEST_MS: i64 = 60 * 60 * 1000;

/// The budget. Clones are the same one.
#[derive(Debug, Clone, Default)]
pub(super) struct Budget(Arc<Mutex<Spent>>);

#[derive(Debug, Default)]
struct Spent {
    closed: Option<Closed>,
    /// How many answers in a row refused without saying for how long.
    refusals: u32,
}

#[derive(Debug, Clone, Copy)]
struct Closed {
    until: Timestamp,
    why: &'static str,
}

impl Budget {
    /// Whether a request may be made at `now`.
    ///
    /// # Errors
    /// [`LookupFailed`], which says from when on.
    pub(super) fn check(&self, now: Timestamp) -> Result<(), LookupFailed> {
        let spent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        spent
            .closed
            .filter(|closed| closed.until > now)
            .map_or(Ok(()), |closed| Err(closed.into()))
    }

    /// Learns from any answer of GitHub how much may still be asked.
    ///
    /// # Errors
    /// [`LookupFailed`] when this answer is a refusal because of a rate limit.
    pub(super) fn learn(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
        now: Timestamp,
    ) -> Result<(), LookupFailed> {
        let mut spent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let refused = refused_until(status, headers, body, spent.refusals, now);
        spent.refusals = if refused.is_some() { spent.refusals + 1 } else { 0 };
        if let Some(closed) = refused.or_else(|| nearly_spent(headers)) {
            let until = closed.until.min(now.plus_millis(LONGEST_MS));
            tracing::warn!(%until, "GitHub's {}", closed.why);
            spent.closed = Some(Closed { until, ..closed });
        }
        refused.map_or(Ok(()), |closed| Err(closed.into()))
    }
}

impl From<Closed> for LookupFailed {
    fn from(closed: Closed) -> Self {
        Self {
            reason: format!("GitHub's {}; it may be asked again at {}", closed.why, closed.until),
            not_before: Some(closed.until),
            is_gone: false,
        }
    }
}

/// When a refusal for a rate limit ends; `None` for any other answer.
fn refused_until(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    refusals: u32,
    now: Timestamp,
) -> Option<Closed> {
    if !matches!(status, StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS) {
        return None;
    }
    let why = "secondary rate limit is exceeded";
    if let Some(seconds) = number(headers, RETRY_AFTER.as_str()) {
        let until = now.plus_millis(seconds * 1000);
        return Some(Closed { until, why });
    }
    if number(headers, "x-ratelimit-remaining") == Some(0)
        && let Some(until) = reset(headers)
    {
        let why = "rate limit is used up";
        return Some(Closed { until, why });
    }
    // A 403 is a rate limit only when it says so; otherwise the token may not.
    let says_so =
        status == StatusCode::TOO_MANY_REQUESTS || answer::message(body).to_ascii_lowercase().contains("rate limit");
    says_so.then(|| {
        let until = now.plus_millis(UNSAID_MS << refusals.min(6));
        Closed { until, why }
    })
}

/// So little is left that it is kept for what operators ask for; where the limit itself is small, less is kept.
fn nearly_spent(headers: &HeaderMap) -> Option<Closed> {
    let reserve = number(headers, "x-ratelimit-limit").map_or(0, |limit| RESERVE.min(limit / 10));
    let why = "rate limit is nearly used up, and the rest is kept for deploys";
    let until = reset(headers)?;
    (number(headers, "x-ratelimit-remaining")? <= reserve).then_some(Closed { until, why })
}

/// When the hour's requests are given anew.
fn reset(headers: &HeaderMap) -> Option<Timestamp> {
    number(headers, "x-ratelimit-reset").map(|seconds| Timestamp::from_millis(seconds * 1000))
}

/// A header that is a number of seconds or requests.
fn number(headers: &HeaderMap, name: &str) -> Option<i64> {
    let number: i64 = headers.get(name)?.to_str().ok()?.trim().parse().ok()?;
    (0..=i64::from(u32::MAX)).contains(&number).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::{Budget, UNSAID_MS};
    use crate::domain::Timestamp;
    use reqwest::StatusCode;
    use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn headers(pairs: &[(&'static str, i64)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, i64)| (HeaderName::from_static(name), HeaderValue::from(*value));
        pairs.iter().map(pair).collect()
    }

    /// For how long the budget is closed once it has seen these answers, in milliseconds.
    fn closed_after(answers: &[(StatusCode, HeaderMap, &str)]) -> i64 {
        let budget = Budget::default();
        for (status, headers, body) in answers {
            let _refused = budget.learn(*status, headers, body.as_bytes(), NOW);
        }
        let failed = budget.check(NOW).err();
        failed
            .and_then(|failed| failed.not_before)
            .map_or(0, |until| until.millis_since(NOW))
    }

    #[test]
    fn a_refusal_that_does_not_say_how_long_is_waited_out_ever_longer() {
        let refusal = (StatusCode::TOO_MANY_REQUESTS, HeaderMap::new(), "");
        assert_eq!(closed_after(std::slice::from_ref(&refusal)), UNSAID_MS);
        assert_eq!(closed_after(&[refusal.clone(), refusal.clone()]), 2 * UNSAID_MS);
        let good = (StatusCode::OK, HeaderMap::new(), "");
        assert_eq!(
            closed_after(&[refusal.clone(), good, refusal]),
            UNSAID_MS,
            "a good answer ends the row"
        );
    }

    #[test]
    fn a_token_that_may_not_is_no_rate_limit() {
        let body = r#"{"message":"Resource not accessible by personal access token"}"#;
        assert_eq!(closed_after(&[(StatusCode::FORBIDDEN, HeaderMap::new(), body)]), 0);
        let body = r#"{"message":"You have exceeded a secondary rate limit."}"#;
        assert_eq!(
            closed_after(&[(StatusCode::FORBIDDEN, HeaderMap::new(), body)]),
            UNSAID_MS
        );
    }

    #[test]
    fn the_last_requests_of_the_hour_are_kept_for_operators() {
        let left = |limit, remaining| {
            let reset = NOW.as_millis() / 1000 + 600;
            let pairs = [
                ("x-ratelimit-limit", limit),
                ("x-ratelimit-remaining", remaining),
                ("x-ratelimit-reset", reset),
            ];
            closed_after(&[(StatusCode::OK, headers(&pairs), "")])
        };
        assert_eq!((left(5_000, 51), left(5_000, 50)), (0, 600_000));
        assert_eq!(
            (left(60, 7), left(60, 6)),
            (0, 600_000),
            "less where the limit is small"
        );
    }

    #[test]
    fn no_answer_closes_it_for_more_than_an_hour() {
        let answer = (StatusCode::FORBIDDEN, headers(&[("retry-after", 86_400)]), "");
        assert_eq!(closed_after(&[answer]), super::LONGEST_MS);
    }
}
