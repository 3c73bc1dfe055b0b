//! Tells GitHub of deploys as deployments, for the sites that want it.
//!
//! A side channel: it reads the record and never changes a deploy, so that nothing here can delay, fail or move
//! one. What GitHub does not take is tried again, ever more rarely, for a day.
//!
//! Creating a deployment is not idempotent. So each call is claimed in the database before it leaves; where an
//! earlier one may have created the deployment, it is looked for first.

use super::clock;
use super::github::{Github, NotTold, Status};
use super::store::{Followed, Setback, Store, StoreError};
use crate::domain::{Deploy, DeploymentState, Site, Timestamp};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

/// How often it looks whether something is to be told.
const BEAT: Duration = Duration::from_secs(1);
/// For how long a claim keeps others away: longer than its calls take, two for a token and three about a deployment.
const CLAIM_MS: i64 = 60_000;
/// The first wait after a failure, doubled each time, and the longest.
const FIRST_WAIT_MS: i64 = 5_000;
const LONGEST_WAIT_MS: i64 = 10 * 60_000;
/// After so long a failure, or so long after the deploy's end, it is given up.
const WORTH_TELLING_MS: i64 = 24 * 60 * 60 * 1000;
/// How long a new run's commit is waited for: the branch may move, and GitHub asked soon names the commit.
const COMMIT_WAIT_MS: i64 = 10_000;

/// The teller. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Deployments {
    store: Store,
    github: Github,
    /// Those that want it.
    sites: Arc<[Site]>,
    base_url: Arc<str>,
    /// Held during a step, so that no two overlap.
    stepping: Arc<Mutex<()>>,
}

impl Deployments {
    /// A teller that does nothing until it is told to [`Self::run`] or [`Self::step`]. `base_url` is where people
    /// find the console.
    pub fn new(store: Store, github: Github, sites: &[Site], base_url: &str) -> Self {
        Self {
            store,
            github,
            sites: sites.iter().filter(|site| site.github_deployments).cloned().collect(),
            base_url: base_url.into(),
            stepping: Arc::default(),
        }
    }

    /// Tells until told to stop. Where no site wants it, there is nothing to do.
    pub async fn run(self, stop: CancellationToken) {
        while !self.sites.is_empty() && !stop.is_cancelled() {
            if let Some(Err(error)) = stop.run_until_cancelled(self.step(clock::now())).await {
                tracing::warn!(%error, "what GitHub is to be told could not be read or recorded; trying again");
            }
            let _stopped_or_beaten = stop.run_until_cancelled(tokio::time::sleep(BEAT)).await;
        }
    }

    /// Tells GitHub what is new at `now`, one after the other, as GitHub wants it. Returns of how many deploys.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn step(&self, now: Timestamp) -> Result<usize, StoreError> {
        let _one_at_a_time = self.stepping.lock().await;
        // From the beginning, so that a deploy is told of that ends while the console does not run; and none that
        // had ended before its site wanted it.
        for (id, site) in self.store.active_and_not_followed().await? {
            if self.sites.iter().any(|wanting| wanting.slug == site) {
                self.store.follow(id, now).await?;
            }
        }
        let mut told = 0;
        for followed in self.store.followed(now).await? {
            told += usize::from(self.look_at(&followed, now).await?);
        }
        Ok(told)
    }

    /// Whether GitHub took something.
    async fn look_at(&self, followed: &Followed, now: Timestamp) -> Result<bool, StoreError> {
        let deploy = &followed.deploy;
        let site = self.sites.iter().find(|site| site.slug == deploy.site);
        let news = DeploymentState::of(deploy).filter(|state| state.is_news_after(followed.told));
        match (site, news) {
            (Some(site), Some(state)) if !is_too_late(followed, now) => {
                if awaits_its_commit(followed, now) {
                    return Ok(false);
                }
                self.tell(site, followed, state, now).await
            }
            // It is waited for what may still come.
            (Some(_), None) if deploy.is_active() => Ok(false),
            _ => {
                if let (Some(_), Some(state)) = (site, news) {
                    let state = state.as_str();
                    tracing::warn!(deploy = %deploy.id, state, "GitHub is not told any more: it was tried for a day");
                }
                self.store.unfollow(deploy.id).await?;
                Ok(false)
            }
        }
    }

    async fn tell(
        &self,
        site: &Site,
        followed: &Followed,
        state: DeploymentState,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let id = followed.deploy.id;
        if !self
            .store
            .claim_telling(followed, now, now.plus_millis(CLAIM_MS))
            .await?
        {
            return Ok(false);
        }
        let status = Status {
            state,
            description: words(&followed.deploy, state),
            log_url: format!("{}/deploys/{id}", self.base_url),
        };
        let told = match self.deployment(site, followed, now).await? {
            Ok(deployment) => self.github.tell_deployment(site, deployment, &status, now).await,
            Err(not_told) => Err(not_told),
        };
        match told {
            Ok(()) => {
                tracing::debug!(deploy = %id, state = state.as_str(), "GitHub was told of the deployment");
                self.store.record_told(id, state, now).await?;
                Ok(true)
            }
            Err(not_told) => {
                self.store
                    .record_setback(id, &setback(followed, &not_told, now))
                    .await?;
                Ok(false)
            }
        }
    }

    /// GitHub's id of the deployment: known, found, or of one that is created now.
    async fn deployment(
        &self,
        site: &Site,
        followed: &Followed,
        now: Timestamp,
    ) -> Result<Result<i64, NotTold>, StoreError> {
        if let Some(known) = followed.deployment {
            return Ok(Ok(known));
        }
        let deploy = &followed.deploy;
        let found = match followed.begun_at {
            Some(_) => self.github.find_deployment(site, deploy, now).await,
            // Nobody has set out to create it yet.
            None => Ok(None),
        };
        let deployment = match found {
            Ok(Some(found)) => Ok(found),
            Ok(None) => self.github.create_deployment(site, deploy, now).await,
            Err(failed) => Err(failed.into()),
        };
        if let Ok(deployment) = deployment {
            self.store.record_deployment(deploy.id, deployment).await?;
        }
        Ok(deployment)
    }
}

/// Whether it has failed for too long, or is about a deploy that ended too long ago.
fn is_too_late(followed: &Followed, now: Timestamp) -> bool {
    let long_ago = |since: Option<Timestamp>| since.is_some_and(|since| now.millis_since(since) >= WORTH_TELLING_MS);
    long_ago(followed.failing_since) || long_ago(followed.deploy.finished_at)
}

fn awaits_its_commit(followed: &Followed, now: Timestamp) -> bool {
    let deploy = &followed.deploy;
    let since = deploy.dispatched_at.unwrap_or(deploy.requested_at);
    followed.begun_at.is_none() && deploy.head_sha.is_none() && now.millis_since(since) < COMMIT_WAIT_MS
}

/// What comes of a failure: another try later, or none.
fn setback(followed: &Followed, not_told: &NotTold, now: Timestamp) -> Setback {
    let (id, since) = (followed.deploy.id, followed.failing_since.unwrap_or(now));
    let (tries, again_at) = match not_told {
        NotTold::Refused(_) => {
            tracing::warn!(deploy = %id, "GitHub does not take the deployment, and is not told again: {not_told}");
            (followed.tries + 1, None)
        }
        NotTold::NotNow(failed) => {
            let wait = (FIRST_WAIT_MS << followed.tries.min(10)).min(LONGEST_WAIT_MS);
            let again_at = failed.not_before.unwrap_or_else(|| now.plus_millis(wait));
            tracing::info!(deploy = %id, %again_at, "GitHub could not be told of the deployment: {failed}");
            // A closed budget says itself how long to wait: nothing is learned from it.
            (followed.tries + u32::from(failed.not_before.is_none()), Some(again_at))
        }
    };
    Setback {
        problem: not_told.to_string(),
        tries,
        since,
        again_at,
    }
}

/// A deployment is public where its repository is: no names of people, no reasons.
fn words(deploy: &Deploy, state: DeploymentState) -> String {
    match state {
        DeploymentState::Queued => "The run is queued.".to_owned(),
        DeploymentState::InProgress => "The run is under way.".to_owned(),
        DeploymentState::Success => "The deploy succeeded.".to_owned(),
        DeploymentState::Failure => {
            let step = deploy.failure.as_ref().and_then(|failure| failure.step.as_deref());
            step.map_or("The deploy failed.".to_owned(), |step| {
                format!("The deploy failed at {step}.")
            })
        }
        DeploymentState::Error => "The deploy was cancelled.".to_owned(),
    }
}
