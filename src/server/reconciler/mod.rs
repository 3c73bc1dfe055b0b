//! Gives GitHub the last word: reads how runs stand whenever nothing was heard of them for a while.
//!
//! Callbacks get lost: runners die, pending runs are replaced, networks fail, the console restarts. So a
//! callback is quick news, and what GitHub's API says is the end of the story. Only `GET`s are made here, and
//! cancels that an operator asked for; a dispatch is never made twice, nor by anybody but the dispatcher.
//!
//! It also finds which run a `dispatch_unknown` became, learns commits and re-runs, and, where GitHub cannot say either,
//! calls a silent deploy lost ([`reaper`]). Once a run has ended, it makes its log whole ([`logs`]).

mod logs;
mod reaper;
mod schedule;

use super::clock;
use super::github::{Github, LookupFailed};
use super::mask::Mask;
use super::store::{Hint, Store, StoreError};
use crate::domain::{Deploy, DeployId, Effect, Event, Observation, Site, Timestamp};
use schedule::{Outcome, Schedule};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// How often it looks whether something is due.
const BEAT: Duration = Duration::from_secs(1);
/// How many deploys are asked about at the same time; GitHub wants few requests at once.
const AT_ONCE: usize = 8;
/// After this long a finished deploy that GitHub has not confirmed is not asked about any more, in milliseconds.
const WORTH_ASKING_MS: i64 = 24 * 60 * 60 * 1000;

/// The reconciler. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Reconciler {
    store: Store,
    github: Github,
    sites: Arc<[Site]>,
    /// Held during a step, so that no two overlap.
    schedule: Arc<tokio::sync::Mutex<Schedule>>,
    hurried: Arc<Mutex<HashSet<DeployId>>>,
    hurry: Arc<Notify>,
    mask: Mask,
    /// Logs that could not be made whole yet.
    later: Arc<tokio::sync::Mutex<logs::Later>>,
}

impl Reconciler {
    /// A reconciler that does nothing until it is told to [`Self::run`] or [`Self::step`].
    pub fn new(store: Store, github: Github, sites: &[Site], mask: Mask) -> Self {
        Self {
            store,
            github,
            sites: sites.into(),
            schedule: Arc::default(),
            hurried: Arc::default(),
            hurry: Arc::default(),
            mask,
            later: Arc::default(),
        }
    }

    /// Says that GitHub is worth asking about this deploy now, to whichever instance leads.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn hint(&self, id: DeployId) -> Result<(), StoreError> {
        self.store.leave_hint(Hint::Deploy, &id.to_string()).await?;
        self.hurry.notify_one();
        Ok(())
    }

    /// The same within this instance, which leads.
    pub fn look_now(&self, id: DeployId) {
        self.hurried.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
        self.hurry.notify_one();
    }

    /// Reconciles until told to stop.
    pub async fn run(self, stop: CancellationToken) {
        // What was known of GitHub's answers is old where another instance has led meanwhile.
        *self.schedule.lock().await = Schedule::default();
        while !stop.is_cancelled() {
            if let Some(Err(error)) = stop.run_until_cancelled(self.step(clock::now())).await {
                tracing::warn!(%error, "open deploys could not be read; trying again");
            }
            let woken = timeout(BEAT, self.hurry.notified());
            let _stopped_or_beaten = stop.run_until_cancelled(woken).await;
        }
    }

    /// Asks GitHub about every deploy that is due at `now`. Returns how many it asked about.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn step(&self, now: Timestamp) -> Result<usize, StoreError> {
        let mut schedule = self.schedule.lock().await;
        self.hurry_hinted().await?;
        let hurried = std::mem::take(&mut *self.hurried.lock().unwrap_or_else(PoisonError::into_inner));
        let mut open = self.store.unconcluded(now.as_millis() - WORTH_ASKING_MS).await?;
        let added = self.add_hurried(&mut open, &hurried).await?;
        let due = schedule.due(&open, &hurried, now);
        self.keep_early(added, &due);
        for some in due.chunks(AT_ONCE) {
            let mut asking = JoinSet::new();
            for deploy in some.iter().cloned() {
                let this = self.clone();
                asking.spawn(async move { (deploy.attempt(), this.reconcile(deploy, now).await) });
            }
            while let Some(asked) = asking.join_next().await {
                match asked {
                    Ok((attempt, Ok(outcome))) => schedule.asked(attempt, &outcome, now),
                    Ok((attempt, Err(error))) => {
                        tracing::warn!(deploy = %attempt.deploy, %error, "what GitHub said was not recorded");
                    }
                    Err(error) => tracing::error!(%error, "a deploy could not be reconciled"),
                }
            }
        }
        Ok(due.len())
    }

    /// Takes the hints that came to any instance.
    async fn hurry_hinted(&self) -> Result<(), StoreError> {
        let hinted = self.store.take_hints(Hint::Deploy).await?;
        let mut hurried = self.hurried.lock().unwrap_or_else(PoisonError::into_inner);
        hurried.extend(hinted.iter().filter_map(|id| id.parse::<DeployId>().ok()));
        Ok(())
    }

    /// A deploy of which all is known, and yet there is a hint about it: its run may have been run again.
    /// Returns which those are.
    async fn add_hurried(
        &self,
        open: &mut Vec<Deploy>,
        hurried: &HashSet<DeployId>,
    ) -> Result<Vec<DeployId>, StoreError> {
        let mut added = Vec::new();
        for id in hurried {
            if open.iter().any(|deploy| deploy.id == *id) {
                continue;
            }
            if let Some(deploy) = self.store.deploy(*id).await?.filter(|deploy| deploy.run_id.is_some()) {
                open.push(deploy);
                added.push(*id);
            }
        }
        Ok(added)
    }

    /// A hint that came too soon after the last look waits for its time. Of an open deploy its turn keeps it.
    fn keep_early(&self, mut added: Vec<DeployId>, due: &[Deploy]) {
        added.retain(|id| !due.iter().any(|deploy| deploy.id == *id));
        let mut hurried = self.hurried.lock().unwrap_or_else(PoisonError::into_inner);
        hurried.extend(added);
    }

    async fn reconcile(&self, mut deploy: Deploy, now: Timestamp) -> Result<Outcome, StoreError> {
        let Some(site) = self.sites.iter().find(|site| site.slug == deploy.site) else {
            return self.not_answered(deploy, None, &undeclared(), now).await;
        };
        let mut found = false;
        if deploy.run_id.is_none() {
            match self.github.find_run(site, &deploy, now).await {
                Ok(Some(run)) => {
                    found = true;
                    let bound = self.store.change(deploy.id, &Event::Found(run), now).await?;
                    deploy = bound.map_or(deploy, |(_, deploy)| deploy);
                }
                Ok(None) => tracing::info!(deploy = %deploy.id, "GitHub lists no run for it yet"),
                Err(failed) => return self.not_answered(deploy, Some(site), &failed, now).await,
            }
        }
        let Some(run_id) = deploy.run_id else {
            return Ok(Outcome::answered(&deploy, false));
        };
        match self.github.observe(site, run_id, deploy.attempt().number, now).await {
            Ok(seen) => {
                if seen.latest > 1 && self.store.begin_reruns(deploy.id, seen.latest, now).await? > 0 {
                    tracing::info!(deploy = %deploy.id, attempt = seen.latest, "its run was run again on GitHub");
                    self.look_now(deploy.id);
                }
                self.answered(site, deploy, seen.observation, found, now).await
            }
            Err(failed) => self.not_answered(deploy, Some(site), &failed, now).await,
        }
    }

    async fn answered(
        &self,
        site: &Site,
        deploy: Deploy,
        observation: Observation,
        found: bool,
        now: Timestamp,
    ) -> Result<Outcome, StoreError> {
        let id = deploy.id;
        let Some((effect, deploy)) = self
            .store
            .change(deploy.attempt(), &Event::Observed(observation), now)
            .await?
        else {
            return Ok(Outcome::answered(&deploy, false));
        };
        tracing::debug!(deploy = %id, state = deploy.state.as_str(), ?effect, "GitHub was asked");
        self.deliver_cancel(site, &deploy, now).await?;
        let is_news = found || matches!(effect, Effect::Moved | Effect::Noted);
        Ok(Outcome::answered(&deploy, is_news))
    }

    /// A wish to cancel that did not reach GitHub: because no run was known, or because the call failed.
    async fn deliver_cancel(&self, site: &Site, deploy: &Deploy, now: Timestamp) -> Result<(), StoreError> {
        let undelivered = deploy.is_active() && deploy.cancel_requested && deploy.cancel_sent_at.is_none();
        let (true, Some(run_id)) = (undelivered, deploy.run_id) else {
            return Ok(());
        };
        match self.github.cancel(site, run_id, deploy.cancel_forced, now).await {
            Ok(()) => {
                self.store.change(deploy.attempt(), &Event::CancelSent, now).await?;
            }
            Err(error) => tracing::warn!(deploy = %deploy.id, %error, "its cancellation is still to be delivered"),
        }
        Ok(())
    }

    async fn not_answered(
        &self,
        deploy: Deploy,
        site: Option<&Site>,
        failed: &LookupFailed,
        now: Timestamp,
    ) -> Result<Outcome, StoreError> {
        tracing::warn!(deploy = %deploy.id, %failed, "GitHub cannot say how it stands");
        let deploy = match reaper::verdict(&deploy, site, failed, now) {
            Some(event) => {
                let changed = self.store.change(deploy.attempt(), &event, now).await?;
                changed.map_or(deploy, |(_, deploy)| deploy)
            }
            None => deploy,
        };
        Ok(Outcome::not_answered(&deploy, site, failed.not_before))
    }
}

fn undeclared() -> LookupFailed {
    LookupFailed {
        reason: "console.toml does not declare this site any more, so it cannot be asked about".to_owned(),
        not_before: None,
        is_gone: false,
    }
}
