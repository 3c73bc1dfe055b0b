//! kill -9 of the real binary at random moments, with clients that go on: nothing that was acknowledged may be lost, and
//! nothing be done twice. docs/testing.md says how to read what it prints.
//!
//! `KILLS` is how many, `KILLS_SEED` plays a game again as far as that goes, `CONSOLE_BINARY` names another binary.

mod aim;
mod answers;
mod checks;
mod clicks;
mod console;
mod game;
mod ledger;
mod picture;
mod report;
mod reports;
mod world;

use crate::support::database::is_postgres;
use game::{Game, Rules};

/// How many kills there are in a run of all tests.
const FEW: usize = 12;

fn rules(name: &'static str, consoles: usize) -> Rules {
    let number = |variable| std::env::var(variable).ok().map(|text| text.parse::<u64>().unwrap());
    let kills = number("KILLS").map_or(FEW, |kills| usize::try_from(kills).unwrap());
    let seed = number("KILLS_SEED").unwrap_or_else(|| fastrand::u64(..1_000_000));
    println!("{name}: {kills} kills, seed {seed}");
    Rules {
        name,
        consoles,
        kills,
        seed,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_console_is_killed_at_any_moment() {
    let name = if is_postgres() {
        "One console on PostgreSQL"
    } else {
        "One console on SQLite"
    };
    Game::new(rules(name, 1)).await.play().await;
}

/// Two share one database; SQLite is for one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_consoles_on_one_database_are_killed_at_any_moment() {
    if !is_postgres() {
        return;
    }
    Game::new(rules("Two consoles on one PostgreSQL", 2)).await.play().await;
}
