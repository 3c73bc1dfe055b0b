//! Finds out by reading what a dispatch left open: which run a `dispatch_unknown` became, and on which
//! commit a bound run runs.
//!
//! Only `GET`s, so it may ask as often as it likes; it asks at once, and then ever more rarely.

use super::clock;
use super::github::{Github, LookupFailed};
use super::store::{Store, StoreError};
use crate::domain::{Deploy, DeployId, Event, Run, Site, State};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// How often it looks whether something is due.
const BEAT: Duration = Duration::from_secs(1);
const FIRST_WAIT: Duration = Duration::from_secs(2);
const LONGEST_WAIT: Duration = Duration::from_mins(1);
/// After this long a missing commit is not asked for any more.
const WORTH_ASKING_MS: i64 = 24 * 60 * 60 * 1000;

/// Settles what is open, one question at a time.
#[derive(Debug)]
pub struct Settler {
    store: Store,
    github: Github,
    sites: Arc<[Site]>,
    asked: HashMap<DeployId, Asked>,
}

#[derive(Debug, Clone, Copy)]
struct Asked {
    next: Instant,
    wait: Duration,
}

impl Settler {
    /// A settler that has asked nothing yet.
    pub fn new(store: Store, github: Github, sites: &[Site]) -> Self {
        Self {
            store,
            github,
            sites: sites.into(),
            asked: HashMap::new(),
        }
    }

    /// Settles until told to stop.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(beat.tick()).await.is_some() {
            if let Err(error) = self.step().await {
                tracing::warn!(%error, "open questions could not be read; trying again");
            }
        }
    }

    /// Asks GitHub about every deploy that is due.
    async fn step(&mut self) -> Result<(), StoreError> {
        let mut open = self.store.in_state(State::DispatchUnknown).await?;
        open.extend(
            self.store
                .without_commit(clock::now().as_millis() - WORTH_ASKING_MS)
                .await?,
        );
        self.asked.retain(|id, _| open.iter().any(|deploy| deploy.id == *id));
        for deploy in open {
            if self.is_due(deploy.id) {
                self.settle(&deploy).await?;
            }
        }
        Ok(())
    }

    fn is_due(&mut self, id: DeployId) -> bool {
        let now = Instant::now();
        let asked = self.asked.entry(id).or_insert(Asked {
            next: now,
            wait: FIRST_WAIT / 2,
        });
        if asked.next > now {
            return false;
        }
        asked.wait = (asked.wait * 2).min(LONGEST_WAIT);
        asked.next = now + asked.wait;
        true
    }

    async fn settle(&self, deploy: &Deploy) -> Result<(), StoreError> {
        let Some(site) = self.sites.iter().find(|site| site.slug == deploy.site) else {
            return Ok(());
        };
        match self.ask(site, deploy).await {
            Ok(Some(run)) => {
                self.store.change(deploy.id, &Event::Found(run), clock::now()).await?;
            }
            Ok(None) => tracing::info!(deploy = %deploy.id, "GitHub lists no run for it yet"),
            Err(error) => tracing::warn!(deploy = %deploy.id, %error, "GitHub could not be asked"),
        }
        Ok(())
    }

    async fn ask(&self, site: &Site, deploy: &Deploy) -> Result<Option<Run>, LookupFailed> {
        match deploy.run_id {
            Some(run_id) => self.github.run(site, run_id).await.map(Some),
            None => self.github.find_run(site, deploy).await,
        }
    }
}
