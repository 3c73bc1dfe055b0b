//! Of several instances on one database one leads: it alone does what is to be done once, such as asking GitHub.
//!
//! Leadership is a lock in the database ([`Presence`]), held by a connection and tried for at every beat. Work that is
//! under way when it is lost is dropped where it stands. That is harmless, and so is the moment in which two believe to
//! lead: a deploy is changed by `apply` alone, in a transaction of its own, and whatever must not be done twice is
//! claimed in the database.

use super::store::Presence;
use std::time::Duration;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How often an instance makes sure of its locks, or tries for the leader's.
const BEAT: Duration = Duration::from_secs(1);

/// What runs for as long as this instance leads.
pub struct Term {
    work: TaskTracker,
    over: CancellationToken,
}

impl Term {
    fn begin(duties: &impl Fn(&Term)) -> Self {
        let term = Self {
            work: TaskTracker::new(),
            over: CancellationToken::new(),
        };
        duties(&term);
        term.work.close();
        term
    }

    /// Does `duty` until the term is over, and drops it then. It is given what tells it so.
    pub fn spawn<F>(&self, duty: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let over = self.over.clone();
        let duty = over.clone().run_until_cancelled_owned(duty(over));
        self.work.spawn(duty);
    }

    async fn end(self) {
        self.over.cancel();
        self.work.wait().await;
    }
}

/// Does `duties` whenever this instance leads, until `stop`; stays there, as others see it, until `gone`.
pub async fn lead(mut presence: Presence, stop: CancellationToken, gone: CancellationToken, duties: impl Fn(&Term)) {
    let mut term: Option<Term> = None;
    while !gone.is_cancelled() {
        let stopping = stop.is_cancelled();
        if stopping && let Some(term) = term.take() {
            term.end().await;
        }
        let leads = presence.beat(!stopping).await;
        match term.take() {
            None if leads => {
                tracing::info!(instance = %presence.instance(), "this instance leads");
                term = Some(Term::begin(&duties));
            }
            Some(lost) if !leads => {
                lost.end().await;
                tracing::warn!(instance = %presence.instance(), "this instance does not lead any more");
            }
            unchanged => term = unchanged,
        }
        tokio::select! {
            () = gone.cancelled() => {}
            () = stop.cancelled(), if !stopping => {}
            () = sleep(BEAT) => {}
        }
    }
    presence.leave().await;
}
