//! Takes intents to GitHub: at most one call each, whatever happens in between.
//!
//! A claim is committed before the call leaves. So after a crash a `requested` intent has certainly not
//! been sent and is sent now, and a `dispatching` one may have been, and is never sent again.

use super::clock;
use super::github::Github;
use super::store::{Store, StoreError};
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
/// How long the outcome of a call is kept in hand while the database does not take it.
const RECORD_RETRY: Duration = Duration::from_millis(500);

/// The dispatcher. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Dispatcher {
    store: Store,
    github: Github,
    sites: Arc<[Site]>,
    due: Arc<Notify>,
    /// What was to be claimed when the database went away: it may be claimed, and then nobody calls.
    in_doubt: Arc<Mutex<HashSet<DeployId>>>,
    calls: TaskTracker,
}

impl Dispatcher {
    /// A dispatcher that does nothing until it is told to [`Self::run`] or [`Self::step`].
    pub fn new(store: Store, github: Github, sites: &[Site]) -> Self {
        Self {
            store,
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

    /// Tells the truth about what an earlier process left behind: what was being dispatched when it ended
    /// may or may not have reached GitHub. To be called once, before [`Self::run`].
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn recover(&self) -> Result<(), StoreError> {
        let reason = "The console stopped while it was dispatching, so it does not know whether GitHub got it.";
        for deploy in self.store.in_state(State::Dispatching).await? {
            tracing::warn!(deploy = %deploy.id, "found in dispatching at start-up");
            let event = Event::Unanswered {
                reason: reason.to_owned(),
            };
            self.store.change(deploy.id, &event, clock::now()).await?;
        }
        Ok(())
    }

    /// Dispatches whatever is due, until told to stop; then waits for the calls that are under way.
    pub async fn run(self, stop: CancellationToken) {
        loop {
            if let Err(error) = self.step().await {
                tracing::error!(%error, "intents could not be claimed; trying again");
            }
            tokio::select! {
                () = stop.cancelled() => break,
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
        self.settle_doubts().await?;
        let mut claimed = 0;
        for intent in self.store.in_state(State::Requested).await? {
            let change = self.store.change(intent.id, &Event::Claimed, clock::now()).await;
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

    /// A claim of which nobody knows whether it is on record, because the answer to the commit was lost. It may be ours,
    /// and was not sent; or it is another console's, and was. So nobody knows, and GitHub is only ever asked.
    async fn settle_doubts(&self) -> Result<(), StoreError> {
        let in_doubt: Vec<DeployId> = self.doubts().iter().copied().collect();
        for id in in_doubt {
            let deploy = self.store.deploy(id).await?;
            if deploy.is_some_and(|deploy| deploy.state == State::Dispatching) {
                tracing::warn!(deploy = %id, "found in dispatching after the database was away");
                let reason = "The database went away while the console was dispatching, so it does not know whether \
                              GitHub got it.";
                let event = Event::Unanswered {
                    reason: reason.to_owned(),
                };
                self.store.change(id, &event, clock::now()).await?;
            }
            self.doubts().remove(&id);
        }
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
