//! Where a kill is aimed at, and where it fell.

use super::console::Stage;
use super::picture::Picture;
use super::world::{Moment, World};
use raxx_console::domain::State;
use std::fmt;
use std::time::Duration;
use tokio::sync::broadcast::Receiver;
use tokio::time::timeout;

/// How long something that is aimed at may not come before the kill falls anyway.
const LONGEST_AIM: Duration = Duration::from_secs(2);

/// What a kill waits for, before a random moment longer.
#[derive(Debug, Clone, Copy)]
pub(super) enum Aim {
    /// A moment in its start, before it listens.
    Start(Duration),
    /// The moment in its start when it finds what the last one left in a dispatch.
    Recovery,
    /// Something that a client or GitHub sees.
    Seen(Moment, Duration),
    /// Any moment.
    Any(Duration),
}

impl Aim {
    /// Throws the dice. `start` is how long a start takes, `latency` a call to GitHub.
    pub(super) fn draw(random: &mut fastrand::Rng, left_dispatching: bool, start: Duration, latency: Duration) -> Self {
        let mut within = |most: Duration| most.mul_f64(random.f64());
        let (short, start, call) = (
            within(Duration::from_millis(6)),
            within(start),
            within(latency.mul_f64(1.3)),
        );
        let any = within(Duration::from_millis(900));
        match random.u8(..20) {
            0..6 if left_dispatching => Self::Recovery,
            0..3 => Self::Start(start),
            3..6 => Self::Seen(Moment::ClickSent, short),
            6..9 => Self::Seen(Moment::ClickAcknowledged, short),
            9..13 => Self::Seen(Moment::PostArrived, call),
            13..15 => Self::Seen(Moment::ReportSent, short),
            15..17 => Self::Seen(Moment::ReportAcknowledged, short),
            _ => Self::Any(any),
        }
    }

    /// Whether it is the console's start that is aimed at.
    pub(super) fn is_at_start(self) -> bool {
        matches!(self, Self::Start(_) | Self::Recovery)
    }

    /// Waits for the moment, where it is not in a start.
    pub(super) async fn wait(self, mut moments: Receiver<Moment>) {
        match self {
            Self::Seen(wanted, more) => {
                let seen = async { while moments.recv().await.is_ok_and(|moment| moment != wanted) {} };
                let _in_time = timeout(LONGEST_AIM, seen).await;
                tokio::time::sleep(more).await;
            }
            Self::Any(more) | Self::Start(more) => tokio::time::sleep(more).await,
            Self::Recovery => {}
        }
    }
}

/// Where a kill fell, by what it left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    StartUp,
    Recovery,
    CommittedNotClaimed,
    ClaimedNotSent,
    InCall,
    InWrite,
    Idle,
}

impl Place {
    /// `stage` and `under_way` are from right before the kill, `picture` from after it.
    pub(super) fn of(stage: Stage, under_way: usize, picture: &Picture, world: &World) -> Self {
        match stage {
            Stage::Starting => return Self::StartUp,
            Stage::Recovering => return Self::Recovery,
            Stage::Listening | Stage::Ended => {}
        }
        let dispatching = picture.in_state(State::Dispatching);
        let posts = world.posts();
        if dispatching.iter().any(|id| !posts.contains_key(id)) {
            Self::ClaimedNotSent
        } else if !dispatching.is_empty() {
            Self::InCall
        } else if !picture.in_state(State::Requested).is_empty() {
            Self::CommittedNotClaimed
        } else if under_way > 0 {
            Self::InWrite
        } else {
            Self::Idle
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::StartUp => "in start-up",
            Self::Recovery => "in recovery",
            Self::CommittedNotClaimed => "between the commit of an intent and its claim",
            Self::ClaimedNotSent => "between the commit of a claim and its call",
            Self::InCall => "in a call to GitHub",
            Self::InWrite => "in a write that a client waited for",
            Self::Idle => "idle",
        })
    }
}
