//! Takes intents to GitHub: at most one call each, whatever happens in between.
//!
//! A claim is committed before the call leaves, with the instance of the console that makes it. So after a crash a
//! `requested` intent has certainly not been sent and is sent now, by whichever instance; and a `dispatching` one of an
//! instance that is not there any more may have been, and is never sent again.

use super::clock;
use super::github::Github;
use super::store::{Instance, Store, StoreError};
use crate::domain::{Deploy, DeployId, Effect, Event, Site, State};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long an intent can wait when its wake-up was missed, because the database was busy.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// How often the leader looks for calls whose instance is not there any more.
const LOOK_FOR_ABANDONED: Duration = Duration::from_secs(1);
/// How long the outcome of a call is kept in hand while the database does not take it.
const RECORD_RETRY: Duration = Duration::from_millis(500);

/// The dispatcher. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Dispatcher {
    store: Store,
    instance: Instance,
    github: Github,
    sites: Arc<[Site]>,
    due: Arc<Notify>,
    /// What was to be claimed when the database went away: it may be claimed by us, and then nobody calls.
    in_doubt: Arc<Mutex<HashSet<DeployId>>>,
    calls: TaskTracker,
}

impl Dispatcher {
    /// A dispatcher that does nothing until it is told to [`Self::run`] or [`Self::step`].
    pub fn new(store: Store, instance: Instance, github: Github, sites: &[Site]) -> Self {
        Self {
            store,
            instance,
            github,
            sites: sites.into(),
            due: Arc::new(Notify::new()),
            in_doubt: Arc::default(),
            calls: TaskTracker::new(),
        }
    }

    /// Says that an intent is waiting.
    pub fn wake(&self) {
        self.due.notify_one();
    }

    /// Tells the truth about what an instance left behind that is not there any more: what it was dispatching when it
    /// ended may or may not have reached GitHub.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn recover(&self) -> Result<(), StoreError> {
        let reason = "The console stopped while it was dispatching, so it does not know whether GitHub got it.";
        for id in self.store.abandoned_claims(&self.instance).await? {
            tracing::warn!(deploy = %id, "found in dispatching, and whoever claimed it is not there any more");
            self.give_up(id, reason).await?;
        }
        Ok(())
    }

    /// Recovers what instances leave behind while this one runs, until told to stop.
    pub async fn keep_recovering(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            if let Err(error) = self.recover().await {
                tracing::warn!(%error, "claims could not be looked at; trying again");
            }
            tokio::time::sleep(LOOK_FOR_ABANDONED).await;
        }
    }

    /// Dispatches whatever is due, until told to stop; then waits for the calls that are under way.
    pub async fn run(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            if let Err(error) = self.claim_until(&stop).await {
                tracing::error!(%error, "intents could not be claimed; trying again");
            }
            tokio::select! {
                () = stop.cancelled() => {}
                // Whether woken or not, look: the reason to wake may have come while we were looking.
                _woken = timeout(LOOK_AGAIN, self.due.notified()) => {}
            }
        }
        self.calls.close();
        self.calls.wait().await;
    }

    /// Claims every intent that waits and starts its call. Returns how many it claimed.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn step(&self) -> Result<usize, StoreError> {
        self.claim_until(&CancellationToken::new()).await
    }

    async fn claim_until(&self, stop: &CancellationToken) -> Result<usize, StoreError> {
        self.settle_doubts().await?;
        let mut claimed = 0;
        for intent in self.store.in_state(State::Requested).await? {
            if stop.is_cancelled() || !self.instance.is_there() {
                // It stays as it is: for another instance, or for the next start.
                break;
            }
            let change = self.store.claim(intent.id, &self.instance, clock::now()).await;
            if let Err(StoreError::Away(_)) = &change {
                self.doubts().insert(intent.id);
            }
            let Some((Effect::Moved, deploy)) = change? else {
                continue;
            };
            claimed += 1;
            let this = self.clone();
            self.calls.spawn(async move { this.dispatch(deploy).await });
        }
        Ok(claimed)
    }

    /// Claims of which nobody knew whether they are on record, because the answer to the commit was lost. Where one is,
    /// and is ours, nobody calls: the rule is that what is claimed is never sent later. One of another instance is its.
    async fn settle_doubts(&self) -> Result<(), StoreError> {
        let in_doubt: Vec<DeployId> = self.doubts().iter().copied().collect();
        if in_doubt.is_empty() {
            return Ok(());
        }
        let ours = self.store.claims_of(&self.instance).await?;
        for id in in_doubt {
            if ours.contains(&id) {
                tracing::warn!(deploy = %id, "found in dispatching after the database was away");
                let reason = "The database went away while the console was dispatching, so it does not know whether \
                              GitHub got it.";
                self.give_up(id, reason).await?;
            }
            self.doubts().remove(&id);
        }
        Ok(())
    }

    /// From now on the deploy's run is only ever looked for.
    async fn give_up(&self, id: DeployId, reason: &str) -> Result<(), StoreError> {
        let event = Event::Unanswered {
            reason: reason.to_owned(),
        };
        self.store.change(id, &event, clock::now()).await?;
        Ok(())
    }

    fn doubts(&self) -> MutexGuard<'_, HashSet<DeployId>> {
        self.in_doubt.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The one call, and its outcome on record.
    async fn dispatch(&self, deploy: Deploy) {
        let site = self.sites.iter().find(|site| site.slug == deploy.site);
        let event = match site {
            Some(site) => self.github.dispatch(site, &deploy).await,
            None => Event::NotSent {
                reason: "console.toml does not declare this site any more.".to_owned(),
            },
        };
        tracing::info!(deploy = %deploy.id, site = %deploy.site, ?event, "dispatched");
        // The call cannot be made again, so its outcome is worth waiting for.
        while let Err(error) = self.store.change(deploy.id, &event, clock::now()).await {
            tracing::error!(deploy = %deploy.id, %error, "the outcome of a dispatch could not be recorded; trying again");
            tokio::time::sleep(RECORD_RETRY).await;
        }
    }
}
