//! Takes each step to the console and to the model, and compares what they say.

use super::checks;
use super::picture::Picture;
use super::reference::{Answer, Listing, Losing, Model, Sent, Stands, Told};
use super::requests::{self, Prepared};
use super::steps::{Act, Change, Deed, Report, Step};
use super::world::{Reply, SITES, WORKFLOWS, World};
use raxx_console::domain::{DeployId, State};
use raxx_console::server::clock;
use raxx_console::server::demo::stand_in::{Fault, Run, RunStep, Scenario};
use raxx_console::server::github::Github;
use raxx_console::server::store::Instance;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::Duration;

/// A console and its model, side by side.
pub(super) struct Driver {
    pub world: World,
    pub model: Model,
    /// The record after the step before.
    pub before: Picture,
    /// What each address answered last: its `ETag` and its text.
    pub answers: HashMap<String, (String, String)>,
    /// Every callback that was sent, in order.
    sent: Vec<(Report, Sent)>,
    fault: Option<Fault>,
    /// Whether GitHub has refused for a limit since the start.
    limited: bool,
    /// When GitHub was last asked about all, since the start.
    asked_at: Option<i64>,
}

impl Driver {
    pub(super) async fn new() -> Self {
        let mut world = World::new().await;
        let before = world.picture().await;
        let mut model = Model::default();
        model.audit.extend(["operator_added", "token_created"]);
        Self {
            world,
            model,
            before,
            answers: HashMap::new(),
            sent: Vec::new(),
            fault: None,
            limited: false,
            asked_at: None,
        }
    }

    pub(super) async fn apply(&mut self, step: &Step) {
        match step {
            Step::Says(act) => self.say(&[act]).await,
            Step::Both(one, other) => self.say(&[one, other]).await,
            Step::Again { which, change } => self.say_again(*which, *change).await,
            Step::Dispatch(scenario) => self.dispatch(*scenario).await,
            Step::DiesInDispatch { sent } => self.die_in_dispatch(*sent).await,
            Step::Run { of, deed } => self.change_run(*of, *deed),
            Step::GithubIs(fault) => {
                self.fault = *fault;
                self.world.github.set_fault(*fault);
            }
            Step::Reconcile { after } => self.reconcile(*after).await,
            Step::Cancel { of, force, attempt } => self.cancel(*of, *force, *attempt).await,
            Step::CancelByForce { of, after } => {
                self.cancel(*of, false, None).await;
                self.world.pass(after * 1000);
                self.cancel(*of, true, None).await;
            }
            Step::Close {
                after,
                of,
                state,
                attempt,
            } => {
                self.world.pass(after * 1000);
                self.close(*of, state, *attempt).await;
            }
            Step::Restart { dies } => self.restart(*dies).await,
            Step::Jump(seconds) => self.world.pass(seconds * 1000),
        }
        let after = self.world.picture().await;
        if let Err(difference) = checks::agree(&self.model, &after) {
            panic!("{difference}");
        }
        checks::history_of_rows(&self.before, &after, matches!(step, Step::Says(_) | Step::Again { .. }));
        checks::posts(&self.model, &self.world.github.dispatches());
        let is_changed = after != self.before;
        self.before = after;
        checks::as_shown(self, is_changed).await;
    }

    /// The deploy of this age.
    fn aged(&self, age: usize) -> Option<usize> {
        let newest = self.model.deploys.len().checked_sub(1)?;
        Some(newest.saturating_sub(age))
    }

    /// The run that GitHub has for a deploy.
    fn run_of(&self, deploy: usize) -> Option<Run> {
        let mut runs = self.world.github.runs().into_iter();
        runs.find(|run| run.deploy_id == self.model.deploys[deploy].id)
    }

    async fn say(&mut self, acts: &[&Act]) {
        let mut prepared = Vec::new();
        for act in acts {
            match act {
                Act::Click(click) => prepared.push(Prepared::click(click)),
                Act::Report(report) => {
                    let Some(deploy) = self.aged(report.of) else { return };
                    let run = self.model.deploys[deploy].run;
                    let run = run.or_else(|| self.run_of(deploy).map(|run| run.id));
                    let one = requests::report(&self.model, report, deploy, run, self.sent.len(), self.world.now);
                    if let Prepared::Report { sent, .. } = &one {
                        self.sent.push((report.clone(), sent.clone()));
                    }
                    prepared.push(one);
                }
            }
        }
        self.send(&prepared).await;
    }

    async fn say_again(&mut self, which: usize, change: Change) {
        let Some(index) = self.sent.len().checked_sub(1 + which % self.sent.len().max(1)) else {
            return;
        };
        let (report, sent) = self.sent[index].clone();
        let newest = self.model.deploys.len() - 1;
        let again = requests::again(&self.model, &report, sent, change, newest, self.world.now);
        self.send(&[again]).await;
    }

    /// Sends one request, or two at the same moment: then they may be taken in either order.
    async fn send(&mut self, requests: &[Prepared]) {
        let console = &self.world.console;
        let replies = match requests {
            [one, other] => {
                let (one, other) = tokio::join!(one.send(console), other.send(console));
                vec![one, other]
            }
            [one] => vec![one.send(console).await],
            _ => unreachable!(),
        };
        let after = self.world.picture().await;
        let mut difference = None;
        for order in [vec![0, 1], vec![1, 0]] {
            let order: Vec<usize> = order.into_iter().filter(|index| *index < requests.len()).collect();
            let mut model = self.model.clone();
            let agreed = order
                .iter()
                .try_for_each(|index| requests[*index].compare(&mut model, &replies[*index], self.world.now))
                .and_then(|()| checks::agree(&model, &after));
            match agreed {
                Ok(()) => {
                    self.model = model;
                    let refused = replies.iter().all(|reply| matches!(reply.status, 400 | 401));
                    assert!(!refused || after == self.before, "what was refused left a trace");
                    return;
                }
                Err(why) => difference = difference.or(Some(why)),
            }
        }
        panic!("{}", difference.unwrap());
    }

    async fn dispatch(&mut self, scenario: Scenario) {
        for workflow in WORKFLOWS {
            self.world.github.set_scenario(workflow, scenario);
        }
        let waiting = self.model.requested();
        let claimed = self.world.console.dispatcher.step().await.unwrap();
        assert_eq!(claimed, waiting.len(), "each that waits is claimed");
        self.until_dispatched().await;
        for deploy in waiting {
            self.model.deploys[deploy].posts += 1;
            let (state, names_the_run) = match scenario {
                Scenario::Queued => ("queued", true),
                Scenario::Refuse | Scenario::SecondaryLimit => ("dispatch_failed", false),
                _ => ("dispatch_unknown", false),
            };
            self.limited |= matches!(scenario, Scenario::SecondaryLimit | Scenario::Refuse429);
            let run = self.run_of(deploy).map(|run| run.id).filter(|_| names_the_run);
            self.model.dispatched(deploy, state, run, self.world.now);
        }
    }

    /// Waits for the calls that a step of the dispatcher began.
    async fn until_dispatched(&self) {
        let waited = tokio::time::timeout(Duration::from_secs(30), async {
            let under_way = || self.world.console.store.in_state(State::Dispatching);
            while !under_way().await.unwrap().is_empty() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        waited.await.expect("a dispatch never came to an end");
    }

    async fn die_in_dispatch(&mut self, sent: bool) {
        let Some(deploy) = self.model.requested().first().copied() else {
            return;
        };
        let id: DeployId = self.model.deploys[deploy].id.parse().unwrap();
        let site = self.model.deploys[deploy].site;
        let dying = Instance::new();
        let claim = self.world.console.store.claim(id, &dying, clock::now()).await;
        let (_, claimed) = claim.unwrap().unwrap();
        if sent {
            self.world.github.set_scenario(WORKFLOWS[site], Scenario::Queued);
            let github = Github::new(self.world.config.github.clone()).unwrap();
            github.dispatch(&self.world.config.sites[site], &claimed).await;
            self.model.deploys[deploy].posts += 1;
        }
        self.model.dispatched(deploy, "dispatch_unknown", None, self.world.now);
        self.world.restart(true).await;
        (self.limited, self.asked_at) = (false, None);
    }

    async fn restart(&mut self, dies: bool) {
        self.world.restart(dies).await;
        (self.limited, self.asked_at) = (false, None);
        assert!(
            self.world.picture().await == self.before,
            "a restart changed the record"
        );
    }

    fn change_run(&self, age: usize, deed: Deed) {
        let Some(run) = self.aged(age).and_then(|deploy| self.run_of(deploy)) else {
            return;
        };
        let (github, has_ended) = (&self.world.github, run.conclusion.is_some());
        match deed {
            Deed::IsDeleted => github.delete_run(run.id),
            Deed::IsListed(listed) => github.change_run(run.id, |run| run.hidden = !listed),
            Deed::RunsAgain if has_ended => github.change_run(run.id, |run| run.run_again("octocat")),
            Deed::Waits if run.status == "queued" => github.change_run(run.id, |run| run.status = "waiting"),
            Deed::Begins if !has_ended => github.change_run(run.id, begins),
            Deed::Ends(conclusion) if !has_ended => github.change_run(run.id, |run| run.conclude(conclusion, None)),
            _ => {}
        }
    }

    async fn reconcile(&mut self, after: i64) {
        self.world.pass(after * 1000);
        let (now, runs, from) = (
            self.world.now,
            self.world.github.runs(),
            self.world.github.asked().len(),
        );
        for deploy in &self.model.deploys {
            self.world.console.reconciler.look_now(deploy.id.parse().unwrap());
        }
        self.world.console.reconciler.step(clock::now()).await.unwrap();
        let told = self.told(&runs, from);
        // A clock that went back makes the console wait until it is as late again.
        let in_order = self.asked_at.is_none_or(|asked| now >= asked + 2000);
        self.asked_at = self.asked_at.max(Some(now));
        let picture = self.world.picture().await;
        let as_it_says = |deploy: &str, attempt: i64| {
            let row = picture.attempt(deploy, attempt);
            row.is_some_and(|row| row["state"] == "lost")
        };
        let losing = if in_order { Losing::All } else { Losing::As(&as_it_says) };
        let could_be_asked = in_order && self.fault.is_none() && !self.limited;
        if could_be_asked {
            checks::all_were_asked(&self.model, &told, &runs);
        }
        self.model.reconcile(&told, &losing, now);
        if could_be_asked {
            checks::all_wishes_arrived(&self.model, &runs);
        }
    }

    /// What GitHub told since it was asked for the `from`th time, when its runs stood like this.
    fn told(&mut self, runs: &[Run], from: usize) -> Told {
        let asked = self.world.github.asked();
        let mut told = Told::default();
        for asked in &asked[from..] {
            if asked.method == "GET" && self.fault == Some(Fault::Drop) {
                // The stand-in has an answer on record that nobody heard.
                continue;
            }
            self.limited |= matches!(asked.status, 403 | 429);
            let path: Vec<&str> = asked.path.split('/').skip(5).collect();
            match (path.as_slice(), asked.status) {
                (["workflows", workflow, "runs"], 200 | 304) => {
                    let site = WORKFLOWS.iter().position(|known| known == workflow).unwrap();
                    self.list(site, runs, &mut told);
                }
                (["runs", run, "attempts", attempt, "jobs"], 200 | 304) => {
                    let (id, attempt) = (run.parse().unwrap(), attempt.parse().unwrap());
                    let run = runs.iter().find(|run| run.id == id).unwrap();
                    told.stands.insert((id, attempt), stands(run, attempt).unwrap());
                    told.latest.insert(id, run.attempt);
                }
                (["runs", run, "cancel" | "force-cancel"], 202) => {
                    told.cancelled.insert(run.parse().unwrap());
                }
                _ => {}
            }
        }
        told
    }

    /// The runs of a site's deploys that GitHub lists.
    fn list(&self, site: usize, runs: &[Run], told: &mut Told) {
        for (index, deploy) in self.model.deploys.iter().enumerate() {
            let run = runs.iter().find(|run| run.deploy_id == deploy.id && !run.hidden);
            if let Some(run) = run.filter(|_| deploy.site == site) {
                told.listed.insert(index, run.id);
            }
        }
    }

    async fn cancel(&mut self, age: usize, force: bool, attempt: Option<i64>) {
        let Some(deploy) = self.aged(age) else { return };
        let runs = self.world.github.runs();
        let body = with_attempt(json!({ "force": force }), attempt);
        let reply = self.intervene(deploy, "cancel", &body).await;
        let takes = |id: i64| match runs.iter().find(|run| run.id == id) {
            None => 404,
            Some(run) if run.conclusion.is_some() => 409,
            Some(_) => 202,
        };
        let answer = self.model.cancel(deploy, force, attempt, takes, self.world.now);
        assert_eq!(reply.status, answer.status, "cancel: {}", reply.text);
    }

    /// The newest deploy means the newest that can be closed, where there is one: mostly there is none.
    async fn close(&mut self, age: usize, state: &'static str, attempt: Option<i64>) {
        let closable = self.model.newest_closable().filter(|_| age == 0);
        let Some(deploy) = closable.or_else(|| self.aged(age)) else {
            return;
        };
        let (runs, from) = (self.world.github.runs(), self.world.github.asked().len());
        let body = with_attempt(json!({ "state": state, "reason": "the site says so" }), attempt);
        let reply = self.intervene(deploy, "override", &body).await;
        let told = self.told(&runs, from);
        let is_heard = self.fault != Some(Fault::Drop);
        let was_listed = is_heard
            && self.world.github.asked()[from..]
                .iter()
                .any(|asked| asked.path.ends_with("/runs") && matches!(asked.status, 200 | 304));
        let list = match told.listed.get(&deploy) {
            Some(run) => Listing::Has(*run),
            None if was_listed => Listing::HasNone,
            None => Listing::NotGiven,
        };
        let answer = self.model.close(deploy, state, attempt, list, self.world.now);
        assert_eq!(reply.status, answer.status, "close: {}", reply.text);
    }

    async fn intervene(&self, deploy: usize, how: &str, body: &Value) -> Reply {
        let path = format!("/api/internal/deploys/{}/{how}", self.model.deploys[deploy].id);
        self.world.console.post(&path, &[], body).await
    }
}

impl Prepared {
    /// What the model makes of it, against what the console answered.
    fn compare(&self, model: &mut Model, reply: &Reply, now: i64) -> Result<(), String> {
        let answer = match self {
            Self::Click { click, .. } => model.click(click, now),
            Self::Report { sent, .. } => model.report(sent, now),
        };
        let Answer {
            status,
            result,
            deploys,
        } = &answer;
        let named = match self {
            Self::Click { .. } => reply.body["id"].as_str().or_else(|| reply.body["deploy_id"].as_str()),
            Self::Report { .. } => None,
        };
        if let (201, [new]) = (reply.status, deploys.as_slice()) {
            named.unwrap_or_default().clone_into(&mut model.deploys[*new].id);
        }
        let is_named = deploys.is_empty() || deploys.iter().any(|deploy| named == Some(&model.deploys[*deploy].id));
        let says = result.as_ref().is_none_or(|(results, state)| {
            results.iter().any(|result| reply.body["result"] == *result) && reply.body["state"] == *state
        });
        if reply.status == *status && is_named && says {
            return Ok(());
        }
        let site = match self {
            Self::Click { click, .. } => SITES[click.site],
            Self::Report { .. } => "callback",
        };
        Err(format!(
            "{site}: expected {answer:?}, and it was {}: {}",
            reply.status, reply.text
        ))
    }
}

fn with_attempt(mut body: Value, attempt: Option<i64>) -> Value {
    if let Some(attempt) = attempt {
        body["attempt"] = attempt.into();
    }
    body
}

fn begins(run: &mut Run) {
    run.status = "in_progress";
    run.steps = vec![RunStep {
        name: "Build".to_owned(),
        status: "in_progress",
        conclusion: None,
        started_at: Some(clock::now()),
        completed_at: None,
    }];
}

/// How an attempt of a run stands, if the run has it.
pub(super) fn stands(run: &Run, attempt: i64) -> Option<Stands> {
    let mut attempts = std::iter::once(run).chain(&run.earlier);
    let run = attempts.find(|run| run.attempt == attempt)?;
    Some(match (run.status, run.conclusion) {
        (_, Some("success")) => Stands::Ended("succeeded"),
        (_, Some("cancelled")) => Stands::Ended("cancelled"),
        (_, Some(_)) => Stands::Ended("failed"),
        ("in_progress", None) => Stands::Runs,
        _ => Stands::Waits,
    })
}
