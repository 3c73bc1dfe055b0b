//! When to ask GitHub about which deploy: soon after the last word of it, then ever more rarely.

use super::reaper;
use crate::domain::{Attempt, Deploy, DeployId, Site, State, Timestamp};
use std::collections::{HashMap, HashSet};

/// After this long without a word of an active deploy GitHub is asked, in milliseconds.
const QUIET_MS: i64 = 15_000;
/// The first wait for what GitHub alone can tell: which run it is, and its commit.
const EAGER_MS: i64 = 2_000;
/// However often GitHub hints that something has changed, it is not asked sooner than this after the last time.
const LEAST_MS: i64 = 2_000;
/// The longest wait between two questions about an active deploy.
const CEILING_MS: i64 = 60_000;
/// The same for a finished one, of which only GitHub's confirmation is missing.
const FINISHED_CEILING_MS: i64 = 10 * 60_000;

/// Whose turn is when.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    turns: HashMap<Attempt, Turn>,
    began: bool,
}

#[derive(Debug)]
struct Turn {
    due: Timestamp,
    asked: Option<Timestamp>,
    /// Whether there was a hint since.
    hinted: bool,
    wait: i64,
    heard: Timestamp,
}

/// What a question came to.
#[derive(Debug)]
pub(super) struct Outcome {
    is_news: bool,
    is_eager: bool,
    heard: Timestamp,
    ceiling: i64,
    not_before: Option<Timestamp>,
    /// When the deploy is to be called lost, if GitHub still cannot say.
    lost_at: Option<Timestamp>,
}

impl Outcome {
    /// GitHub answered, with something new or not.
    pub(super) fn answered(deploy: &Deploy, is_news: bool) -> Self {
        Self {
            is_news,
            is_eager: is_eager(deploy),
            heard: deploy.last_word_at(),
            ceiling: if deploy.is_active() {
                CEILING_MS
            } else {
                FINISHED_CEILING_MS
            },
            not_before: None,
            lost_at: None,
        }
    }

    /// GitHub could not be asked, or did not say.
    pub(super) fn not_answered(deploy: &Deploy, site: Option<&Site>, not_before: Option<Timestamp>) -> Self {
        let may_be_lost = matches!(deploy.state, State::Queued | State::Running);
        let lost_at = deploy.last_word_at().plus_millis(reaper::silent_after(site));
        Self {
            not_before,
            lost_at: may_be_lost.then_some(lost_at),
            ..Self::answered(deploy, false)
        }
    }
}

impl Schedule {
    /// The attempts of `open` that are due at `now`. At the first call that is every one of them: what an earlier
    /// process heard is old.
    pub(super) fn due(&mut self, open: &[Deploy], hurried: &HashSet<DeployId>, now: Timestamp) -> Vec<Deploy> {
        let at_start = !std::mem::replace(&mut self.began, true);
        // One that was asked just now is kept: a hint may come about it.
        self.turns.retain(|attempt, turn| {
            let just_asked = turn.asked.is_some_and(|asked| now.millis_since(asked) < LEAST_MS);
            just_asked || open.iter().any(|deploy| deploy.attempt() == *attempt)
        });
        let mut due = open.to_vec();
        due.retain(|deploy| {
            let turn = self
                .turns
                .entry(deploy.attempt())
                .or_insert_with(|| Turn::new(deploy, at_start, now));
            turn.hear(deploy);
            if hurried.contains(&deploy.id) {
                turn.hurry(now);
            }
            turn.due <= now
        });
        due
    }

    /// Takes note of what a question came to.
    pub(super) fn asked(&mut self, attempt: Attempt, outcome: &Outcome, now: Timestamp) {
        let Some(turn) = self.turns.get_mut(&attempt) else {
            return;
        };
        (turn.asked, turn.hinted) = (Some(now), false);
        let least = if outcome.is_eager { EAGER_MS } else { QUIET_MS };
        turn.heard = outcome.heard;
        if let Some(not_before) = outcome.not_before {
            // Nothing was asked, so nothing was learned about how long to wait.
            turn.due = not_before;
        } else {
            turn.wait = if outcome.is_news {
                least
            } else {
                (turn.wait * 2).clamp(least, outcome.ceiling)
            };
            turn.due = now.plus_millis(turn.wait);
        }
        if let Some(lost_at) = outcome.lost_at.filter(|at| *at > now) {
            turn.due = turn.due.min(lost_at);
        }
    }
}

impl Turn {
    fn new(deploy: &Deploy, at_start: bool, now: Timestamp) -> Self {
        let heard = deploy.last_word_at();
        let (due, wait) = if is_eager(deploy) {
            (now, EAGER_MS / 2)
        } else if at_start {
            (now, QUIET_MS)
        } else {
            (heard.plus_millis(QUIET_MS), QUIET_MS)
        };
        Self {
            due,
            asked: None,
            hinted: false,
            wait,
            heard,
        }
    }

    /// Brings the question forward, but not too close to the last one.
    fn hurry(&mut self, now: Timestamp) {
        self.hinted = true;
        let soonest = self.asked.map_or(now, |asked| asked.plus_millis(LEAST_MS).max(now));
        self.due = self.due.min(soonest);
    }

    /// A word that came by itself puts the question off; a hint says that there is more to know.
    fn hear(&mut self, deploy: &Deploy) {
        if deploy.last_word_at() > self.heard && !is_eager(deploy) && !self.hinted {
            *self = Self {
                asked: self.asked,
                ..Self::new(deploy, false, deploy.last_word_at())
            };
        }
    }
}

/// Whether GitHub alone can tell what is missing.
fn is_eager(deploy: &Deploy) -> bool {
    deploy.state == State::DispatchUnknown || deploy.head_sha.is_none()
}
