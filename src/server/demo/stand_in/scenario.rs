use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

macro_rules! scenarios {
    ($($(#[doc = $doc:literal])+ $variant:ident = $word:literal,)+) => {
        /// What the stand-in does with a dispatch.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        pub enum Scenario {
            $($(#[doc = $doc])+ #[serde(rename = $word)] $variant,)+
        }

        impl Scenario {
            /// Each of them, in the order in which they are offered.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// Its name.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// What it does, for people.
            pub const fn description(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),+)),+ }
            }
        }
    };
}

scenarios! {
    /// The run succeeds.
    Succeed = "succeed",
    /// The run fails at a step, with a reason.
    Fail = "fail",
    /// The run succeeds, ten times as slowly.
    Slow = "slow",
    /// The run is cancelled halfway.
    Cancelled = "cancelled",
    /// Refused: 422, unexpected inputs.
    Refuse = "refuse",
    /// Refused: 401, bad credentials.
    Refuse401 = "refuse-401",
    /// Refused: 403, not accessible.
    Refuse403 = "refuse-403",
    /// Refused: 404, not found.
    Refuse404 = "refuse-404",
    /// Not now: 429, with Retry-After.
    Refuse429 = "refuse-429",
    /// Refused: 403, the rate limit is used up for two minutes.
    RateLimited = "rate-limited",
    /// Refused: 403, the secondary rate limit is exceeded, with Retry-After.
    SecondaryLimit = "secondary-limit",
    /// Answers 500; no run starts.
    Error500 = "error-500",
    /// Answers 502; no run starts.
    Error502 = "error-502",
    /// Accepts, then answers 500 all the same.
    Error500Accepted = "error-500-accepted",
    /// Accepts, then drops the connection without an answer.
    Drop = "drop",
    /// Accepts, and never answers.
    Hang = "hang",
    /// Accepts, and answers only when a test releases it.
    Hold = "hold",
    /// Accepts with 204, which names no run.
    NoDetails = "no-details",
    /// Answers as the newer API version does: the run is always named, and may not be asked for.
    NewVersion = "new-version",
    /// Accepts; the run goes on and finishes, and never calls back.
    Silent = "silent",
    /// Accepts; the run stays queued.
    Queued = "queued",
    /// Accepts; the run waits for an approval.
    Approval = "approval",
    /// Accepts; the run is pending until a newer one takes its place, and is then cancelled.
    Replaced = "replaced",
    /// Accepts; the runner dies in the middle of a step, and GitHub notices a while later.
    DeadRunner = "dead-runner",
    /// Accepts; the run is deleted halfway.
    Deleted = "deleted",
    /// The run succeeds slowly; a cancel is answered 409.
    CancelRefused = "cancel-refused",
    /// The run succeeds slowly; a cancel is taken and has no effect, only force has.
    Deaf = "deaf",
    /// Answers 200 with something that is not JSON.
    NotJson = "not-json",
    /// Answers 200 with a body that does not end.
    Huge = "huge",
    /// Answers 307 to another address.
    Redirect = "redirect",
}

impl Scenario {
    /// The status that a run begins with.
    pub(super) const fn first_status(self) -> &'static str {
        match self {
            Self::Approval => "waiting",
            Self::Replaced => "pending",
            _ => "queued",
        }
    }

    /// Whether a beat takes ten times as long.
    pub(super) const fn is_slow(self) -> bool {
        matches!(self, Self::Slow | Self::CancelRefused | Self::Deaf)
    }
}

/// There is no scenario by this name.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no scenario: choose one of {names}", names = names())]
pub struct UnknownScenario(String);

fn names() -> String {
    Scenario::ALL
        .iter()
        .map(|scenario| scenario.as_str())
        .collect::<Vec<_>>()
        .join(", ")
}

impl FromStr for Scenario {
    type Err = UnknownScenario;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.iter().find(|scenario| scenario.as_str() == text);
        found
            .copied()
            .ok_or_else(|| UnknownScenario(text.chars().take(40).collect()))
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
