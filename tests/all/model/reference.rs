//! What a console should make of what happens: a model by the words of the docs, that shares no rule with the console.

use super::steps::Click;
use raxx_console::domain::SENDER_GAP;
use std::collections::{BTreeMap, BTreeSet};

/// Both sites are lost after ten minutes of silence, and can be closed by hand five minutes after an unknown dispatch.
pub(super) const SILENT_MS: i64 = 600_000;
pub(super) const GRACE_MS: i64 = 300_000;
const FORCE_MS: i64 = 60_000;

/// How far along a state is.
pub(super) fn rank(state: &str) -> usize {
    match state {
        "requested" => 0,
        "dispatching" => 1,
        "dispatch_unknown" => 2,
        "queued" => 3,
        "running" => 4,
        "lost" => 5,
        "succeeded" | "failed" | "cancelled" | "dispatch_failed" => 6,
        other => panic!("no such state: {other}"),
    }
}

pub(super) fn is_finished(state: &str) -> bool {
    rank(state) == 6
}

#[derive(Debug, Clone, Default)]
pub(super) struct Model {
    /// In the order in which they were asked for.
    pub deploys: Vec<Deploy>,
    /// What each `Idempotency-Key` was used for.
    keys: BTreeMap<usize, (Click, usize)>,
    /// Every callback that was taken, by its id: its deploy and its body.
    pub deliveries: BTreeMap<String, (usize, String)>,
    /// What was done, in the words of the audit trail.
    pub audit: Vec<&'static str>,
}

#[derive(Debug, Clone)]
pub(super) struct Deploy {
    /// Once the console has said it.
    pub id: String,
    pub site: usize,
    pub run: Option<i64>,
    /// How often GitHub was asked to start it.
    pub posts: usize,
    /// The first, and the re-runs.
    pub attempts: BTreeMap<i64, Attempt>,
}

#[derive(Debug, Clone)]
pub(super) struct Attempt {
    pub state: &'static str,
    pub by: Option<&'static str>,
    pub cancel_requested: bool,
    pub cancel_forced: bool,
    pub cancel_sent_at: Option<i64>,
    pub conflict: bool,
    pub log: String,
    /// The highest number of each job's reports; of those that named a step, too.
    seqs: BTreeMap<&'static str, (i64, i64)>,
    dispatched_at: i64,
    heard_at: i64,
}

/// A callback as it is sent.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    pub id: String,
    pub deploy: usize,
    pub is_authentic: bool,
    pub is_well_formed: bool,
    pub run: i64,
    pub attempt: i64,
    pub job: &'static str,
    pub seq: i64,
    pub status: &'static str,
    pub step: bool,
    pub log: Option<(&'static str, bool)>,
    pub body: String,
}

/// What the console should answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Answer {
    pub status: u16,
    /// The result of a callback, any of these, and the state.
    pub result: Option<(Vec<&'static str>, &'static str)>,
    /// The deploys of which the answer names one.
    pub deploys: Vec<usize>,
}

/// How an attempt of a run stands on GitHub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stands {
    Waits,
    Runs,
    Ended(&'static str),
}

/// What GitHub's list of runs says of a deploy.
pub(super) enum Listing {
    NotGiven,
    HasNone,
    Has(i64),
}

/// What GitHub told the console in a step of the reconciler.
#[derive(Debug, Clone, Default)]
pub(super) struct Told {
    /// The run of each deploy that was in a list that GitHub gave.
    pub listed: BTreeMap<usize, i64>,
    /// How each attempt stands that GitHub was asked about and told of.
    pub stands: BTreeMap<(i64, i64), Stands>,
    /// The latest attempt of each of those runs.
    pub latest: BTreeMap<i64, i64>,
    /// The runs whose cancellation GitHub took.
    pub cancelled: BTreeSet<i64>,
}

/// Which attempts that GitHub did not tell of are lost, when they are silent for too long.
pub(super) enum Losing<'a> {
    All,
    /// The clock has jumped, so a look may still be due: those of which the console says so.
    As(&'a dyn Fn(&str, i64) -> bool),
}

fn answer(status: u16) -> Answer {
    Answer {
        status,
        ..Answer::default()
    }
}

impl Model {
    /// Somebody presses Deploy.
    pub(super) fn click(&mut self, click: &Click, now: i64) -> Answer {
        let known = click.key.and_then(|key| self.keys.get(&key));
        let refused = |model: &mut Self, status, deploys| {
            model.audit.push("deploy_refused");
            Answer {
                deploys,
                ..answer(status)
            }
        };
        if !click.typed {
            return refused(self, 422, Vec::new());
        }
        if let Some((before, deploy)) = known {
            let (is_same, deploys) = (
                (before.site, before.reason) == (click.site, click.reason),
                vec![*deploy],
            );
            if !is_same {
                return refused(self, 422, deploys);
            }
            return Answer { deploys, ..answer(200) };
        }
        let taken: Vec<usize> = self.active_on(click.site).collect();
        if !taken.is_empty() {
            return refused(self, 409, taken);
        }
        let deploy = self.deploys.len();
        self.deploys.push(Deploy {
            id: String::new(),
            site: click.site,
            run: None,
            posts: 0,
            attempts: BTreeMap::from([(1, Attempt::new("requested", now))]),
        });
        if let Some(key) = click.key {
            self.keys.insert(key, (click.clone(), deploy));
        }
        self.audit.push("deploy_requested");
        Answer {
            deploys: vec![deploy],
            ..answer(201)
        }
    }

    /// The deploys of a site that have an attempt under way.
    pub(super) fn active_on(&self, site: usize) -> impl Iterator<Item = usize> {
        let deploys = self.deploys.iter().enumerate();
        deploys
            .filter(move |(_, deploy)| deploy.site == site && deploy.attempts.values().any(Attempt::is_active))
            .map(|(index, _)| index)
    }

    /// The newest deploy that has an attempt that can be closed by hand.
    pub(super) fn newest_closable(&self) -> Option<usize> {
        let can_be_closed = |attempt: &Attempt| matches!(attempt.state, "lost" | "dispatch_unknown");
        self.deploys
            .iter()
            .rposition(|deploy| deploy.attempts.values().any(can_be_closed))
    }

    /// A callback comes.
    pub(super) fn report(&mut self, sent: &Sent, now: i64) -> Answer {
        if !sent.is_authentic {
            return answer(401);
        }
        if !sent.is_well_formed {
            return answer(400);
        }
        let deploy = &mut self.deploys[sent.deploy];
        if let Some((before, body)) = self.deliveries.get(&sent.id) {
            if (*before, body) != (sent.deploy, &sent.body) {
                return answer(409);
            }
            return said(200, vec!["duplicate"], deploy.attempts[&1].state);
        }
        if deploy.run.is_some_and(|run| run != sent.run) {
            return answer(409);
        }
        self.deliveries
            .insert(sent.id.clone(), (sent.deploy, sent.body.clone()));
        deploy.report(sent, now)
    }

    /// The console is about to ask GitHub once for each deploy that waits: which those are.
    pub(super) fn requested(&self) -> Vec<usize> {
        let deploys = self.deploys.iter().enumerate();
        let waiting = deploys.filter(|(_, deploy)| deploy.attempts[&1].state == "requested");
        waiting.map(|(index, _)| index).collect()
    }

    /// GitHub was asked to start it: it named the run, refused, or nobody knows.
    pub(super) fn dispatched(&mut self, deploy: usize, state: &'static str, run: Option<i64>, now: i64) {
        let deploy = &mut self.deploys[deploy];
        deploy.run = run;
        let first = deploy.first();
        first.state = state;
        first.dispatched_at = now;
        if state != "dispatch_unknown" {
            first.by = Some("github");
            first.heard_at = now;
        }
    }

    /// An operator wants it stopped. `takes` says what GitHub answers about a run: 202, 409 or 404.
    pub(super) fn cancel(
        &mut self,
        deploy: usize,
        force: bool,
        attempt: Option<i64>,
        takes: impl FnOnce(i64) -> u16,
        now: i64,
    ) -> Answer {
        let Deploy { run, attempts, .. } = &mut self.deploys[deploy];
        let number = present(attempts);
        let present = attempts.get_mut(&number).unwrap();
        if attempt.is_some_and(|attempt| attempt != number) || !present.is_active() {
            return answer(409);
        }
        if force {
            if present.cancel_forced || present.cancel_sent_at.is_none_or(|sent| now < sent + FORCE_MS) {
                return answer(409);
            }
            (present.cancel_forced, present.cancel_sent_at) = (true, None);
            self.audit.push("cancel_requested");
        } else if !present.cancel_requested {
            present.cancel_requested = true;
            self.audit.push("cancel_requested");
        }
        if present.state == "requested" {
            present.ends("cancelled", "operator");
            return answer(200);
        }
        let Some(run) = run.filter(|_| present.cancel_sent_at.is_none()) else {
            return answer(200);
        };
        match takes(run) {
            202 => {
                present.cancel_sent_at = Some(now);
                answer(200)
            }
            409 => answer(409),
            _ => answer(502),
        }
    }

    /// An operator closes it by hand; GitHub was asked for its run.
    pub(super) fn close(
        &mut self,
        deploy: usize,
        state: &'static str,
        attempt: Option<i64>,
        list: Listing,
        now: i64,
    ) -> Answer {
        let Deploy { run, attempts, .. } = &mut self.deploys[deploy];
        let number = present(attempts);
        let present = attempts.get_mut(&number).unwrap();
        let is_unknown = present.state == "dispatch_unknown";
        let may = match present.state {
            "lost" => state != "dispatch_failed",
            "dispatch_unknown" => state == "dispatch_failed" && now >= present.dispatched_at + GRACE_MS,
            _ => false,
        };
        if attempt.is_some_and(|attempt| attempt != number) || !may {
            return answer(409);
        }
        if is_unknown && !matches!(list, Listing::HasNone) {
            if let Listing::Has(found) = list {
                *run = Some(found);
                present.is_found(now);
            }
            return answer(409);
        }
        present.ends(state, "operator");
        self.audit.push("deploy_closed");
        answer(200)
    }

    /// The console asks GitHub about all that it is not sure of.
    pub(super) fn reconcile(&mut self, told: &Told, losing: &Losing<'_>, now: i64) {
        for (index, deploy) in self.deploys.iter_mut().enumerate() {
            if deploy.run.is_none()
                && deploy.first().state == "dispatch_unknown"
                && let Some(run) = told.listed.get(&index)
            {
                deploy.run = Some(*run);
                deploy.first().is_found(now);
            }
            let Some(run) = deploy.run else { continue };
            let id = deploy.id.clone();
            for (number, attempt) in &mut deploy.attempts {
                if let Some(stands) = told.stands.get(&(run, *number)) {
                    attempt.observe(*stands, now);
                } else if attempt.may_be_lost(now) && losing.says(&id, *number) {
                    attempt.state = "lost";
                }
                let wishes = attempt.cancel_requested && attempt.cancel_sent_at.is_none() && attempt.is_active();
                if wishes && told.cancelled.contains(&run) {
                    attempt.cancel_sent_at = Some(now);
                }
            }
            for number in 2..=told.latest.get(&run).copied().unwrap_or(1) {
                deploy
                    .attempts
                    .entry(number)
                    .or_insert_with(|| Attempt::new("queued", now));
            }
        }
    }
}

impl Losing<'_> {
    fn says(&self, deploy: &str, attempt: i64) -> bool {
        match self {
            Self::All => true,
            Self::As(console) => console(deploy, attempt),
        }
    }
}

impl Deploy {
    pub(super) fn first(&mut self) -> &mut Attempt {
        self.attempts.get_mut(&1).unwrap()
    }

    fn report(&mut self, sent: &Sent, now: i64) -> Answer {
        let first = self.attempts.get_mut(&1).unwrap();
        if self.run.is_none() && (first.state == "requested" || !first.is_active()) {
            // It has no run, and yet one speaks.
            first.conflict |= !first.is_active();
            first.prints(sent.log);
            return said(202, vec!["stored"], first.state);
        }
        if self.run.is_none() {
            self.run = Some(sent.run);
            if sent.attempt > 1 {
                first.state = "queued";
                first.by = Some("callback");
                first.heard_at = now;
            }
        }
        let attempt = self.attempts.entry(sent.attempt);
        attempt.or_insert_with(|| Attempt::new("queued", now)).report(sent, now)
    }
}

impl Attempt {
    fn new(state: &'static str, now: i64) -> Self {
        Self {
            state,
            by: None,
            cancel_requested: false,
            cancel_forced: false,
            cancel_sent_at: None,
            conflict: false,
            log: String::new(),
            seqs: BTreeMap::new(),
            dispatched_at: now,
            heard_at: i64::MIN,
        }
    }

    pub(super) fn is_active(&self) -> bool {
        !is_finished(self.state)
    }

    fn ends(&mut self, state: &'static str, by: &'static str) {
        (self.state, self.by) = (state, Some(by));
    }

    fn is_found(&mut self, now: i64) {
        (self.state, self.by, self.heard_at) = ("queued", Some("github"), now);
    }

    fn may_be_lost(&self, now: i64) -> bool {
        let silent = now - self.heard_at.max(self.dispatched_at);
        matches!(self.state, "queued" | "running") && silent >= SILENT_MS
    }

    fn prints(&mut self, log: Option<(&str, bool)>) {
        if let Some((text, truncated)) = log {
            if truncated {
                self.log.push_str(SENDER_GAP);
            }
            self.log.push_str(&text.replace('\0', ""));
        }
    }

    fn report(&mut self, sent: &Sent, now: i64) -> Answer {
        self.prints(sent.log);
        let ended = match sent.status {
            "success" => Some("succeeded"),
            "failure" => Some("failed"),
            "cancelled" => Some("cancelled"),
            _ => None,
        };
        if !self.is_active() {
            self.conflict |= ended.is_some_and(|ended| ended != self.state);
            return said(202, vec!["stored"], self.state);
        }
        self.heard_at = now;
        let (newest, newest_of_a_step) = self.seqs.entry(sent.job).or_insert((-1, -1));
        let results = if *newest_of_a_step > sent.seq {
            vec!["stale"]
        } else if *newest > sent.seq {
            // What the newer one said is nothing that an older one could undo.
            vec!["stale", "applied"]
        } else {
            vec!["applied"]
        };
        *newest = sent.seq.max(*newest);
        if sent.step {
            *newest_of_a_step = sent.seq.max(*newest_of_a_step);
        }
        match ended {
            Some(state) => self.ends(state, "callback"),
            None if rank(self.state) < rank("running") => (self.state, self.by) = ("running", Some("callback")),
            None => return said(200, results, self.state),
        }
        said(200, vec!["applied"], self.state)
    }

    fn observe(&mut self, stands: Stands, now: i64) {
        if !self.is_active() {
            if let Stands::Ended(state) = stands {
                self.conflict |= state != self.state;
            }
            return;
        }
        self.heard_at = now;
        match stands {
            Stands::Ended(state) => self.ends(state, "github"),
            Stands::Runs if rank(self.state) < rank("running") => (self.state, self.by) = ("running", Some("github")),
            Stands::Runs | Stands::Waits => {}
        }
    }
}

/// The attempt that an operator's wish is about: the one that is under way.
fn present(attempts: &BTreeMap<i64, Attempt>) -> i64 {
    if attempts[&1].is_active() {
        return 1;
    }
    let active = attempts.iter().rev().find(|(_, attempt)| attempt.is_active());
    active.map_or(1, |(number, _)| *number)
}

fn said(status: u16, results: Vec<&'static str>, state: &'static str) -> Answer {
    Answer {
        result: Some((results, state)),
        ..answer(status)
    }
}
