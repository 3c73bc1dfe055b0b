//! What the headers of any of GitHub's answers say about the token and the clock.

use crate::domain::Timestamp;
use reqwest::header::{DATE, HeaderMap};
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

/// What the headers of any answer say about the token and the clock.
#[derive(Debug, Clone)]
pub struct Greeting {
    /// How far this machine's clock is ahead of GitHub's, in milliseconds, as far as one answer can prove it: negative
    /// when it is behind, 0 when it may be right, and `None` without a `Date`.
    pub ahead_ms: Option<i64>,
    /// Whether it was an App that asked, and not a token's owner.
    pub is_app: bool,
    /// The scopes of a classic token; `None` for a token of another kind.
    pub scopes: Option<Vec<String>>,
    /// When the token ends, where it does.
    pub expires_at: Option<Timestamp>,
}

impl Greeting {
    /// What these headers say, of an answer to a request that was made and answered at these moments.
    pub(super) fn read(headers: &HeaderMap, asked_at: Timestamp, answered_at: Timestamp) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let date = text(DATE.as_str()).and_then(http_date);
        let scopes = |list: &str| {
            let scopes = list.split(',').map(str::trim).filter(|scope| !scope.is_empty());
            scopes.map(str::to_owned).collect()
        };
        Self {
            is_app: false,
            ahead_ms: date.map(|date| ahead_ms(date, asked_at, answered_at)),
            scopes: text("x-oauth-scopes").map(scopes),
            expires_at: text("github-authentication-token-expiration").and_then(expiration),
        }
    }
}

/// How far a clock that read `asked_at` and `answered_at` is certainly ahead of one that said `date` in between.
///
/// `Date` has whole seconds, so it meant a moment of the second that it names.
fn ahead_ms(date: Timestamp, asked_at: Timestamp, answered_at: Timestamp) -> i64 {
    let ahead = asked_at.millis_since(date.plus_millis(1000));
    let behind = date.millis_since(answered_at);
    if ahead > 0 { ahead } else { -behind.max(0) }
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`.
fn http_date(text: &str) -> Option<Timestamp> {
    let format =
        format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");
    Some(timestamp(PrimitiveDateTime::parse(text, &format).ok()?.assume_utc()))
}

/// `2026-12-01 08:00:00 UTC`, or with an offset such as `+0100` in place of `UTC`.
fn expiration(text: &str) -> Option<Timestamp> {
    let utc = format_description!("[year]-[month]-[day] [hour]:[minute]:[second] UTC");
    let offset = format_description!(
        "[year]-[month]-[day] [hour]:[minute]:[second] [offset_hour sign:mandatory][offset_minute]"
    );
    let moment = PrimitiveDateTime::parse(text, &utc)
        .map(PrimitiveDateTime::assume_utc)
        .or_else(|_| OffsetDateTime::parse(text, &offset));
    Some(timestamp(moment.ok()?))
}

fn timestamp(moment: OffsetDateTime) -> Timestamp {
    Timestamp::from_millis(moment.unix_timestamp() * 1000)
}

#[cfg(test)]
mod tests {
    use super::{ahead_ms, expiration, http_date};
    use crate::domain::Timestamp;

    #[test]
    fn only_what_is_certain_counts_as_a_wrong_clock() {
        let date = Timestamp::from_millis(1_000_000);
        let ahead = |asked, answered| ahead_ms(date, Timestamp::from_millis(asked), Timestamp::from_millis(answered));
        assert_eq!(ahead(1_000_900, 1_000_950), 0, "the second that it names");
        assert_eq!(ahead(999_000, 1_009_000), 0, "a slow answer proves nothing");
        assert_eq!(ahead(1_007_000, 1_008_000), 6_000);
        assert_eq!(ahead(990_000, 993_000), -7_000);
    }

    #[test]
    fn times_are_read_as_github_writes_them() {
        let date = http_date("Sun, 06 Nov 1994 08:49:37 GMT").map(|date| date.to_string());
        assert!(date.is_some_and(|date| date.starts_with("1994-11-06T08:49:37")));
        for (text, expected) in [
            ("2026-12-01 08:00:00 UTC", "2026-12-01T08:00:00"),
            ("2026-12-01 08:00:00 +0100", "2026-12-01T07:00:00"),
        ] {
            let moment = expiration(text).map(|moment| moment.to_string());
            assert!(moment.is_some_and(|moment| moment.starts_with(expected)), "{text}");
        }
    }
}
