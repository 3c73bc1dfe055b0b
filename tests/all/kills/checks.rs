//! Holds the record against what clients were told.

use super::ledger::{Click, Kind, Ledger, Post, Story};
use super::picture::{Picture, Row};
use super::world::World;
use raxx_console::domain::{DeployId, State};
use std::collections::{BTreeMap, BTreeSet};

/// What clients knew before and after the record was read. All that they knew before must be in it, and nothing that
/// they did not send until after.
pub(super) struct Known {
    pub before: Ledger,
    pub after: Ledger,
    pub posts: BTreeMap<DeployId, Vec<Post>>,
}

/// Checks every deploy of the picture, and that none is missing from `from` on.
pub(super) fn check(world: &World, picture: &Picture, known: &Known, from: Option<DeployId>) {
    for damage in &picture.damage {
        world.wrong(Kind::Inconsistent, damage.as_str());
    }
    let owed = known.before.deploys.iter();
    for (id, click) in owed.filter(|(id, _)| from.is_none_or(|from| **id >= from)) {
        match picture.deploys.get(id) {
            Some(row) => click_is_there(world, *id, row, click),
            None => world.wrong(
                Kind::Lost,
                format!("{id}, a deploy that was acknowledged, is not on record"),
            ),
        }
    }
    for id in known.posts.keys().filter(|id| from.is_none_or(|from| **id >= from)) {
        if !picture.deploys.contains_key(id) {
            world.wrong(Kind::Lost, format!("{id} was dispatched, and is not on record"));
        }
    }
    let mut keys = BTreeMap::new();
    let mut taken = BTreeMap::new();
    for (id, row) in &picture.deploys {
        if let Some(other) = row.key.as_ref().and_then(|key| keys.insert(key.clone(), *id)) {
            world.wrong(Kind::Doubled, format!("{id} and {other} come from one click"));
        }
        if row.active != row.state.is_active() {
            world.wrong(
                Kind::Inconsistent,
                format!("{id} is {} and active: {}", row.state.as_str(), row.active),
            );
        }
        if row.active
            && let Some(other) = taken.insert(row.site.clone(), *id)
        {
            world.wrong(Kind::Doubled, format!("{id} and {other} are active on {}", row.site));
        }
        story_is_there(world, *id, row, known);
        timeline_agrees(world, *id, row);
    }
}

fn click_is_there(world: &World, id: DeployId, row: &Row, click: &Click) {
    let found = Click {
        operator: row.operator.clone(),
        site: row.site.clone(),
        key: row.key.clone().unwrap_or_default(),
    };
    if found != *click {
        world.wrong(
            Kind::Inconsistent,
            format!("{id} is on record as {found:?}, and was {click:?}"),
        );
    }
    match row.audited {
        1 => {}
        0 => world.wrong(Kind::Lost, format!("the audit trail does not know of {id}")),
        more => world.wrong(
            Kind::Doubled,
            format!("the audit trail says {more} times that {id} was asked for"),
        ),
    }
}

/// The log is the first so many reports, at least those that were acknowledged, each once; and the state is theirs.
fn story_is_there(world: &World, id: DeployId, row: &Row, known: &Known) {
    let nothing = Story::default();
    let before = known.before.stories.get(&id).unwrap_or(&nothing);
    let after = known.after.stories.get(&id).unwrap_or(&nothing);
    let log = match row.log() {
        Ok(log) => log,
        Err(wrong) => return world.wrong(Kind::Inconsistent, format!("the log of {id}: {wrong}")),
    };
    let Some(pieces) = (0..=after.sent.len()).rev().find(|pieces| after.log(*pieces) == log) else {
        return log_differs(world, id, &log, after);
    };
    if pieces < before.acknowledged {
        let lost = &before.sent[pieces..before.acknowledged];
        let lost: Vec<&str> = lost.iter().map(|piece| piece.delivery.as_str()).collect();
        world.wrong(
            Kind::Lost,
            format!("the log has nothing of {lost:?}, which were acknowledged"),
        );
    }
    let stored: BTreeSet<&str> = row.deliveries.iter().map(String::as_str).collect();
    let expected: BTreeSet<&str> = after.sent[..pieces]
        .iter()
        .map(|piece| piece.delivery.as_str())
        .collect();
    if stored != expected {
        world.wrong(
            Kind::Inconsistent,
            format!("{id} has the log of {expected:?}, and as deliveries {stored:?}"),
        );
    }
    if let Some(state) = after.state(pieces).filter(|state| *state != row.state) {
        let kind = if before.state(before.acknowledged) == Some(state) {
            Kind::Lost
        } else {
            Kind::Inconsistent
        };
        world.wrong(
            kind,
            format!("{id} is {}, and was reported {}", row.state.as_str(), state.as_str()),
        );
    }
}

fn log_differs(world: &World, id: DeployId, log: &str, story: &Story) {
    for piece in &story.sent {
        let times = log.matches(piece.text.as_str()).count();
        if times > 1 {
            return world.wrong(
                Kind::Doubled,
                format!("the log has {times} times what {} said", piece.delivery),
            );
        }
    }
    let missing = story.sent[..story.acknowledged]
        .iter()
        .find(|piece| !log.contains(&piece.text));
    match missing {
        Some(piece) => world.wrong(Kind::Lost, format!("the log has nothing of {}", piece.delivery)),
        None => world.wrong(Kind::Inconsistent, format!("the log of {id} is out of order")),
    }
}

fn timeline_agrees(world: &World, id: DeployId, row: &Row) {
    let ranks: Vec<u8> = row.events.iter().map(|(state, _)| state.rank()).collect();
    let last = row.events.last().map(|(state, _)| *state);
    if row.events.first().map(|(state, _)| *state) != Some(State::Requested)
        || last != Some(row.state)
        || !ranks.is_sorted()
    {
        world.wrong(
            Kind::Inconsistent,
            format!("{id} is {}, with the timeline {:?}", row.state.as_str(), row.events),
        );
    }
}

/// When all is quiet, every click has led somewhere, once. `found_dispatching` are those that a kill, or a database
/// that was away, has cut off in a dispatch: they alone may have gone to GitHub or not.
pub(super) fn check_the_end(world: &World, picture: &Picture, known: &Known, found_dispatching: &BTreeSet<DeployId>) {
    for (id, row) in &picture.deploys {
        if !known.before.deploys.contains_key(id) {
            world.wrong(Kind::Doubled, format!("{id} is on record, and nobody was told of it"));
        }
        let posts = known.posts.get(id).map_or(0, Vec::len);
        let is_told = known.before.stories.get(id).is_some_and(Story::is_told);
        match (row.state, posts) {
            (State::Succeeded | State::Failed, 1) if is_told => {}
            (State::DispatchFailed, 0) if found_dispatching.contains(id) => {}
            (State::DispatchFailed, 0) => {
                world.wrong(
                    Kind::Lost,
                    format!("{id} was not dispatched, though no kill fell into its dispatch"),
                );
            }
            (state, posts) => {
                let state = state.as_str();
                world.wrong(
                    Kind::Inconsistent,
                    format!("{id} has ended as {state}, with {posts} dispatches"),
                );
            }
        }
    }
}
