//! What clients were told, and what is therefore owed to them. It outlives every console.

use raxx_console::domain::{DeployId, State, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// Everything that was acknowledged so far, and what is on its way.
#[derive(Debug, Default, Clone)]
pub(super) struct Ledger {
    /// Every key that was ever sent, with who sent it.
    pub keys: BTreeMap<String, Click>,
    /// What became of the deploys of which somebody was told.
    pub deploys: BTreeMap<DeployId, Click>,
    /// What their workflows have said.
    pub stories: BTreeMap<DeployId, Story>,
    /// Clicks that were refused for good, such as on a site that was taken.
    pub refused: usize,
    /// Deploys that were closed by hand, because no run came of their dispatch.
    pub closed: BTreeSet<DeployId>,
    /// Requests that have been sent and not been answered.
    pub under_way: usize,
}

/// A click on Deploy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Click {
    pub operator: String,
    pub site: String,
    pub key: String,
}

/// What a workflow reports of its deploy, in this order; one after the other is sent, until it is acknowledged.
#[derive(Debug, Clone, Default)]
pub(super) struct Story {
    pub sent: Vec<Arc<Piece>>,
    pub acknowledged: usize,
}

/// One report.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    pub delivery: String,
    pub text: String,
    /// How it leaves the deploy.
    pub state: State,
}

impl Story {
    /// The log once so many of its pieces are in it.
    pub(super) fn log(&self, pieces: usize) -> String {
        self.sent[..pieces].iter().map(|piece| piece.text.as_str()).collect()
    }

    /// The state once so many pieces are known; `None` before the first.
    pub(super) fn state(&self, pieces: usize) -> Option<State> {
        Some(self.sent.get(pieces.checked_sub(1)?)?.state)
    }

    /// Whether its workflow has said how it ended, and knows that it was heard.
    pub(super) fn is_told(&self) -> bool {
        self.state(self.acknowledged).is_some_and(State::is_finished)
    }
}

impl Ledger {
    /// How many callbacks were acknowledged.
    pub(super) fn callbacks(&self) -> usize {
        self.stories.values().map(|story| story.acknowledged).sum()
    }
}

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Something that was acknowledged is not there.
    Lost,
    /// Something is there, or was done, twice.
    Doubled,
    /// The record, or two answers, contradict each other.
    Inconsistent,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lost => "LOST",
            Self::Doubled => "DOUBLED",
            Self::Inconsistent => "INCONSISTENT",
        })
    }
}

/// What was found wrong, each once, with the kill after which it was first seen.
#[derive(Debug, Default)]
pub(super) struct Findings {
    known: BTreeMap<(Kind, String), usize>,
    pub kills: usize,
}

impl Findings {
    pub(super) fn add(&mut self, kind: Kind, what: impl Into<String>) {
        let kills = self.kills;
        self.known
            .entry((kind, what.into()))
            .or_insert_with_key(|(kind, what)| {
                println!("  after {kills} kills: {kind}: {what}");
                kills
            });
    }

    pub(super) fn count(&self, kind: Kind) -> usize {
        self.known.keys().filter(|(of, _)| *of == kind).count()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.known.is_empty()
    }
}

/// One POST to dispatch that reached GitHub.
#[derive(Debug, Clone)]
pub(super) struct Post {
    /// Which console sent it.
    pub console: usize,
    /// When its run began.
    pub at: Timestamp,
}
