//! What is counted, and how it is printed.

use super::aim::Place;
use super::ledger::{Findings, Kind, Ledger};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How often a line says how far it has come, in kills.
const EVERY: usize = 10;

/// The count of a game.
pub(super) struct Tally {
    pub seed: u64,
    pub wanted: usize,
    /// SIGKILLs: of the consoles, and crashes of the database.
    pub consoles: usize,
    pub databases: usize,
    pub places: BTreeMap<Place, usize>,
    pub starts: Vec<Duration>,
    began: Instant,
}

impl Tally {
    pub(super) fn new(seed: u64, wanted: usize) -> Self {
        Self {
            seed,
            wanted,
            consoles: 0,
            databases: 0,
            places: BTreeMap::new(),
            starts: Vec::new(),
            began: Instant::now(),
        }
    }

    pub(super) fn kills(&self) -> usize {
        self.consoles + self.databases
    }

    /// The usual time of a start.
    pub(super) fn usual_start(&self) -> Duration {
        let mut starts = self.starts.clone();
        starts.sort_unstable();
        starts
            .get(starts.len() / 2)
            .copied()
            .unwrap_or(Duration::from_millis(100))
    }

    pub(super) fn progress(&self, ledger: &Ledger, findings: &Findings, before: usize) {
        if self.kills() / EVERY != before / EVERY {
            println!(
                "  {} of {} kills in {:.0?}: {} clicks and {} callbacks acknowledged, {} lost, {} doubled",
                self.kills(),
                self.wanted,
                self.began.elapsed(),
                ledger.deploys.len(),
                ledger.callbacks(),
                findings.count(Kind::Lost),
                findings.count(Kind::Doubled),
            );
        }
    }

    pub(super) fn print(&self, name: &str, ledger: &Ledger, findings: &Findings) {
        let took = self.began.elapsed();
        println!(
            "\n{name}, seed {} (KILLS_SEED={} plays it again, as far as that goes)",
            self.seed, self.seed
        );
        println!(
            "  kills          {}: {} of a console, {} of the database",
            self.kills(),
            self.consoles,
            self.databases
        );
        for (place, count) in &self.places {
            println!("                 {count:>5} {place}");
        }
        println!(
            "  acknowledged   {} clicks ({} more refused), {} callbacks, {} closed by hand",
            ledger.deploys.len(),
            ledger.refused,
            ledger.callbacks(),
            ledger.closed.len()
        );
        println!("  lost           {}", findings.count(Kind::Lost));
        println!("  doubled        {}", findings.count(Kind::Doubled));
        println!("  inconsistent   {}", findings.count(Kind::Inconsistent));
        println!("  a start takes  {:.0?}, all of it {took:.0?}", self.usual_start());
    }
}
