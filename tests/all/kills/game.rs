//! The game: clients that never stop, consoles that are killed again and again, and a look at the record each time.

use super::aim::{Aim, Place};
use super::answers;
use super::checks::{Known, check, check_the_end};
use super::console::{Console, Stage};
use super::ledger::{Kind, Ledger};
use super::picture::Picture;
use super::report::Tally;
use super::world::{API_VERSIONS, Operator, SITES, World, console_toml, operators};
use super::{clicks, reports};
use crate::support::database::{Server, is_postgres, sqlite_in};
use crate::support::{SECRET, stand_in};
use raxx_console::domain::{DeployId, State, Timestamp};
use raxx_console::server::clock;
use raxx_console::server::demo::stand_in::Scenario;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

/// How long GitHub takes to answer a dispatch.
const LATENCY: Duration = Duration::from_millis(80);
/// How long everything may take to come to its end, once nobody clicks any more.
const END_WITHIN: Duration = Duration::from_mins(3);
/// The same, where something is wrong already.
const WRONG_END_WITHIN: Duration = Duration::from_secs(15);
/// How long after GitHub's answer a console that lives has it on record, in milliseconds.
const SETTLED_MS: i64 = 1_500;

/// How a game is played.
pub(super) struct Rules {
    pub name: &'static str,
    pub consoles: usize,
    pub kills: usize,
    pub seed: u64,
}

pub(super) struct Game {
    rules: Rules,
    world: Arc<World>,
    consoles: Vec<Console>,
    witness: Operator,
    database: String,
    server: Option<Arc<Server>>,
    folder: TempDir,
    random: fastrand::Rng,
    tally: Tally,
    /// Deploys before this one are checked once more at the end alone.
    from: Option<DeployId>,
    found_dispatching: BTreeSet<DeployId>,
    left_dispatching: bool,
    /// When the database was away.
    away: Vec<(Timestamp, Timestamp)>,
    clickers: JoinSet<()>,
    runs: JoinHandle<()>,
}

impl Game {
    /// Everything that there is before the first start.
    pub(super) async fn new(rules: Rules) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("console.toml"), console_toml()).unwrap();
        let server = if is_postgres() {
            let server = tokio::task::spawn_blocking(Server::start_durable).await.unwrap();
            Some(Arc::new(server))
        } else {
            None
        };
        let database = match &server {
            Some(server) => {
                let server = server.clone();
                tokio::task::spawn_blocking(move || server.database("killed"))
                    .await
                    .unwrap()
            }
            None => sqlite_in(folder.path()),
        };
        let github = stand_in(Scenario::Queued).await;
        github.set_latency(LATENCY);
        let mut operators = operators(&database, 2 * SITES + 1).await;
        let consoles: Vec<Console> = (0..rules.consoles)
            .map(|number| {
                let variables = [
                    ("CONSOLE_CALLBACK_SECRET", SECRET),
                    ("GITHUB_DISPATCH_TOKEN", "token-of-the-test"),
                    ("GITHUB_API_URL", &github.url()),
                    ("GITHUB_API_VERSION", API_VERSIONS[number]),
                    ("DATABASE_URL", &database),
                ];
                Console::new(number, folder.path(), &variables)
            })
            .collect();
        let doors = consoles.iter().map(|console| console.url.clone()).collect();
        let world = Arc::new(World::new(github, doors, rules.seed));
        let witness = operators.pop().unwrap();
        let mut clickers = JoinSet::new();
        for (number, operator) in operators.into_iter().enumerate() {
            let dice = world.dice(number as u64);
            // Two for each site: mostly one of them finds it taken.
            clickers.spawn(clicks::click_on(world.clone(), operator, number % SITES, dice));
        }
        let runs = tokio::spawn(reports::play_runs(world.clone()));
        Self {
            random: world.dice(999_999),
            tally: Tally::new(rules.seed, rules.kills),
            rules,
            world,
            consoles,
            witness,
            database,
            server,
            folder,
            from: None,
            found_dispatching: BTreeSet::new(),
            left_dispatching: false,
            away: Vec::new(),
            clickers,
            runs,
        }
    }

    /// Plays it to its end. Fails when anything was lost, doubled or inconsistent.
    pub(super) async fn play(mut self) {
        while self.tally.kills() < self.rules.kills {
            let before = self.tally.kills();
            self.kill_once().await;
            self.world.findings().kills = self.tally.kills();
            self.tally
                .progress(&self.world.ledger(), &self.world.findings(), before);
            // Another hour of GitHub's rate limit.
            self.world.github.forget_asked();
            while let Some(unexpected) = self.clickers.try_join_next() {
                unexpected.expect("a client failed");
            }
        }
        self.come_to_rest().await;
        self.tally
            .print(self.rules.name, &self.world.ledger(), &self.world.findings());
        if !self.world.findings().is_empty() {
            let kept = self.folder.keep();
            panic!("see above; the consoles' logs are in {}", kept.display());
        }
    }

    /// One kill, of one console, of all, of the database, or of both.
    async fn kill_once(&mut self) {
        let start = self.tally.usual_start();
        let aim = Aim::draw(&mut self.random, self.left_dispatching, start, LATENCY);
        let victims = if aim.is_at_start() {
            self.stop_one_starting(aim).await
        } else {
            self.all_up().await;
            aim.wait(self.world.moments.subscribe()).await;
            self.draw_victims()
        };
        let crashes_database = self.server.is_some() && !aim.is_at_start() && self.random.u8(..6) == 0;
        let under_way = self.world.ledger().under_way;
        let stages: Vec<Stage> = victims.iter().map(|victim| self.consoles[*victim].stage()).collect();
        if crashes_database && self.random.bool() {
            self.crash_database().await;
        } else {
            for victim in &victims {
                self.consoles[*victim].kill().await;
            }
            if crashes_database {
                self.crash_database().await;
            }
            let picture = self.look(false).await;
            for stage in stages {
                let place = Place::of(stage, under_way, &picture, &self.world);
                *self.tally.places.entry(place).or_default() += 1;
                self.tally.consoles += 1;
            }
            self.left_dispatching = !picture.in_state(State::Dispatching).is_empty();
        }
    }

    /// Starts a console that is dead, and stops in the middle of that. Which one, for the kill.
    async fn stop_one_starting(&mut self, aim: Aim) -> Vec<usize> {
        let dead = self.consoles.iter().position(Console::is_dead);
        let number = if let Some(number) = dead {
            number
        } else {
            let number = self.random.usize(..self.consoles.len());
            self.consoles[number].kill().await;
            number
        };
        let console = &mut self.consoles[number];
        console.spawn();
        match aim {
            Aim::Recovery => drop(console.until(Stage::Recovering).await),
            aim => aim.wait(self.world.moments.subscribe()).await,
        }
        vec![number]
    }

    fn draw_victims(&mut self) -> Vec<usize> {
        let all = self.consoles.len();
        if all > 1 && self.random.u8(..4) > 0 {
            return vec![self.random.usize(..all)];
        }
        (0..all).collect()
    }

    /// Starts whoever is dead, and sees that each says the same in every way.
    async fn all_up(&mut self) {
        for console in &mut self.consoles {
            if console.is_dead() {
                console.spawn();
            }
        }
        for console in &mut self.consoles {
            let known = console.starts.len();
            console.up().await;
            self.tally.starts.extend_from_slice(&console.starts[known..]);
            answers::agree(&self.world, &self.witness, &console.url).await;
        }
    }

    async fn crash_database(&mut self) {
        let server = self.server.clone().unwrap();
        let from = clock::now();
        let crashed = tokio::task::spawn_blocking(move || {
            server.crash();
            server.start_again();
        });
        crashed.await.unwrap();
        self.away.push((from, clock::now()));
        self.tally.databases += 1;
    }

    /// Reads the record, and holds it against what clients know.
    async fn look(&mut self, thorough: bool) -> Picture {
        let from = if thorough { None } else { self.from };
        let (before, posts) = (self.world.ledger().clone(), self.world.posts().clone());
        let picture = Picture::take(&self.database, from, thorough).await;
        let after = self.world.ledger().clone();
        self.found_dispatching.extend(picture.in_state(State::Dispatching));
        if !self.away.is_empty() {
            // A console that lives through a crash of the database says so before anybody looks.
            let in_doubt = picture.deploys.iter().filter(|(_, row)| row.was_in_doubt());
            self.found_dispatching.extend(in_doubt.map(|(id, _)| *id));
        }
        let known = Known { before, after, posts };
        check(&self.world, &picture, &known, from);
        self.check_unknown(&picture);
        self.from = oldest_open(&known.before);
        picture
    }

    /// A console that lives knows what GitHub answered. So nobody may say of its dispatch that nobody knows.
    fn check_unknown(&self, picture: &Picture) {
        let posts = self.world.posts().clone();
        let given_up = picture.deploys.iter().filter(|(_, row)| row.was_given_up());
        for (id, _) in given_up {
            let Some([post]) = posts.get(id).map(Vec::as_slice) else {
                continue;
            };
            let (from, to) = (post.at.plus_millis(-SETTLED_MS), post.at.plus_millis(SETTLED_MS));
            let database_was_there = self.away.iter().all(|(gone, back)| *back < from || to < *gone);
            if database_was_there && self.consoles[post.console].lived(post.at, to) {
                let what = format!("{id} was called unknown, and the console that dispatched it lived");
                self.world.wrong(Kind::Inconsistent, what);
            }
        }
    }

    /// Nobody clicks any more; all that is under way comes to its end, and the whole record is read.
    async fn come_to_rest(&mut self) {
        self.all_up().await;
        self.world.quiet.cancel();
        let is_fine = self.world.findings().is_empty();
        let within = if is_fine { END_WITHIN } else { WRONG_END_WITHIN };
        let ended = timeout(within, async {
            while let Some(clicker) = self.clickers.join_next().await {
                clicker.expect("a client failed");
            }
            // The last report of a run may still wait for its acknowledgement.
            while self.world.ledger().stories.values().any(|story| !story.is_told()) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        if ended.await.is_err() {
            self.world
                .wrong(Kind::Lost, "a deploy that was acknowledged has not come to an end");
        }
        self.all_up().await;
        self.runs.abort();
        for console in &mut self.consoles {
            console.kill().await;
        }
        let picture = self.look(true).await;
        let ledger: Ledger = self.world.ledger().clone();
        let known = Known {
            before: ledger.clone(),
            after: ledger,
            posts: self.world.posts().clone(),
        };
        check_the_end(&self.world, &picture, &known, &self.found_dispatching);
        self.trail_is_whole().await;
    }

    async fn trail_is_whole(&self) {
        let mut verify = tokio::process::Command::new(super::console::binary());
        verify.args(["audit", "verify"]).current_dir(self.folder.path());
        let output = verify
            .env_clear()
            .env("DATABASE_URL", &self.database)
            .output()
            .await
            .unwrap();
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            self.world
                .wrong(Kind::Inconsistent, format!("the audit trail is broken: {said}"));
        }
    }
}

/// The oldest deploy of which not everything was acknowledged; the newest, when there is none.
fn oldest_open(ledger: &Ledger) -> Option<DeployId> {
    let told: HashMap<_, _> = ledger
        .stories
        .iter()
        .map(|(id, story)| (*id, story.is_told()))
        .collect();
    let is_open = |id: &&DeployId| !told.get(*id).copied().unwrap_or_default() && !ledger.closed.contains(*id);
    let mut ids = ledger.deploys.keys();
    ids.find(is_open).or_else(|| ledger.deploys.keys().next_back()).copied()
}
