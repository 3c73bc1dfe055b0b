//! Deploys as deployments on GitHub, for the sites that want it: told once each, in order, and never in a deploy's way.
//! Time is simulated; no test waits for it.

use crate::support::{Callback, SITES, Setup, TestConsole, config_with};
use raxx_console::domain::{DeployId, DeploymentState, Timestamp};
use raxx_console::server::clock;
use raxx_console::server::config::parse_file;
use raxx_console::server::demo::stand_in::{Deployment, DeploymentFault, Fault, Scenario};
use raxx_console::server::github::Github;
use serde_json::{Value, json};

/// A second, and a day, in milliseconds.
const SECOND: i64 = 1_000;
const DAY: i64 = 24 * 60 * 60;

/// The usual sites, each of which wants it.
fn wanting() -> String {
    SITES.replace("workflow =", "github_deployments = true\nworkflow =")
}

/// A console whose teller a test leads through time.
struct Scene {
    console: TestConsole,
    began: Timestamp,
}

impl Scene {
    async fn with(scenario: Scenario, file: &str) -> Self {
        let setup = Setup {
            scenario,
            file: file.to_owned(),
            ..Setup::default()
        };
        Self {
            console: setup.start().await,
            began: clock::now(),
        }
    }

    async fn new() -> Self {
        Self::with(Scenario::Queued, &wanting()).await
    }

    /// A deploy of `site` whose run and commit are known.
    async fn bound(&self, site: &str) -> Callback {
        let callback = self.console.bound(site).await;
        let reconciler = self.console.running.reconciler();
        reconciler.look_now(callback.deploy);
        reconciler.step(clock::now()).await.unwrap();
        callback
    }

    /// Tells GitHub what is new so many seconds from the beginning.
    async fn step(&self, second: i64) {
        let now = self.began.plus_millis(second * SECOND);
        self.console.running.deployments().step(now).await.unwrap();
    }

    async fn report(&self, callback: &Callback) {
        let mut callback = callback.clone();
        // A delivery's id serves one deploy only.
        callback.id = format!("{}-{}", callback.deploy, callback.id);
        assert_eq!(self.console.report(&callback).await.status(), 200);
    }

    async fn read(&self, id: DeployId) -> Value {
        self.console.read(id).await
    }

    /// The deploys that are looked at from now on.
    async fn followed(&self) -> Vec<DeployId> {
        let far = self.began.plus_millis(DAY * SECOND);
        let followed = self.console.running.store().followed(far).await.unwrap();
        followed.iter().map(|followed| followed.deploy.id).collect()
    }

    /// The one deployment that there is.
    fn only(&self) -> Deployment {
        let mut all = self.console.github.deployments();
        assert_eq!(all.len(), 1, "{all:#?}");
        all.remove(0)
    }

    /// How often GitHub was asked in this way about deployments.
    fn calls(&self, method: &str) -> usize {
        let asked = self.console.github.asked();
        let about = |path: &str| path.split('/').any(|part| part == "deployments");
        asked
            .iter()
            .filter(|asked| asked.method == method && about(&asked.path))
            .count()
    }

    fn nothing_was_asked(&self) {
        assert_eq!((self.calls("GET"), self.calls("POST")), (0, 0));
    }

    /// Stops the console, and starts it again with this file.
    async fn restarted(self, file: &str) -> Self {
        let TestConsole {
            running, github, data, ..
        } = self.console;
        running.stop().await;
        let config = config_with(&data, &github.url(), file);
        Self {
            console: TestConsole::start(config, github, data).await,
            began: self.began,
        }
    }
}

fn states(deployment: &Deployment) -> Vec<&str> {
    deployment.statuses.iter().map(|status| status.state.as_str()).collect()
}

#[tokio::test]
async fn github_is_told_nothing_unless_a_site_wants_it() {
    let scene = Scene::with(Scenario::Queued, SITES).await;
    let callback = scene.bound("docs").await;
    scene.step(30).await;
    scene.report(&callback.says("success")).await;
    scene.step(60).await;
    scene.nothing_was_asked();
    let record = scene.read(callback.deploy).await;
    assert!(record.get("github_deployment").is_none(), "{record:#}");
    let mixed = SITES.replacen("workflow =", "github_deployments = true\nworkflow =", 1);
    let scene = Scene::with(Scenario::Queued, &mixed).await;
    scene.bound("docs").await;
    scene.step(30).await;
    scene.nothing_was_asked();
    let wrong = parse_file(
        &SITES.replacen("workflow =", "github_deployments = 1\nworkflow =", 1),
        "f",
    );
    assert!(wrong.is_err_and(|error| error.to_string().contains("boolean")));
}

#[tokio::test]
async fn a_deploy_that_succeeds_is_told_step_by_step() {
    let scene = Scene::new().await;
    let callback = scene.bound("api-prod").await;
    scene.step(1).await;
    let deployment = scene.only();
    assert_eq!(states(&deployment), ["queued"]);
    let (id, record) = (callback.deploy, scene.read(callback.deploy).await);
    let wish = &deployment.wish;
    assert_eq!(
        (deployment.repository.as_str(), wish.environment.as_str()),
        ("raxx/api", "production")
    );
    assert_eq!(wish.production_environment, Some(true));
    assert_eq!(
        json!(wish.git_ref),
        record["head_sha"],
        "the commit, not where the branch is now"
    );
    assert_eq!(wish.task, format!("console:{id}"));
    assert_eq!(wish.description, "Deploy of API");
    assert_eq!(
        wish.payload,
        json!({ "console_deploy_id": id, "run_id": record["run_id"] })
    );

    scene.report(&callback.at("Build")).await;
    scene.step(2).await;
    scene.report(&callback.number(2).at("Release")).await;
    scene.step(3).await;
    scene.report(&callback.number(3).says("success")).await;
    scene.step(4).await;
    scene.step(5).await;
    let deployment = scene.only();
    assert_eq!(states(&deployment), ["queued", "in_progress", "success"], "each once");
    for status in &deployment.statuses {
        assert_eq!(status.log_url, format!("https://console.example.com/deploys/{id}"));
        assert_eq!(status.environment_url, "https://api.example.com");
    }
    assert_eq!(
        (scene.calls("GET"), scene.calls("POST")),
        (0, 4),
        "nothing had to be looked for"
    );
    let record = scene.read(id).await;
    let told = json!({ "id": deployment.id, "state": "success", "problem": null });
    assert_eq!(record["github_deployment"], told);
}

#[tokio::test]
async fn two_at_a_time_are_told_each_for_itself() {
    let scene = Scene::new().await;
    let (api, docs) = (scene.bound("api-prod").await, scene.bound("docs").await);
    scene.step(60).await;
    scene.report(&api.at("Build")).await;
    scene.report(&docs.says("failure")).await;
    scene.step(120).await;
    scene.report(&api.number(2).says("success")).await;
    scene.step(180).await;
    let mut all = scene.console.github.deployments();
    all.sort_by(|one, other| one.repository.cmp(&other.repository));
    let told: Vec<_> = all.iter().map(states).collect();
    assert_eq!(
        told,
        [vec!["queued", "in_progress", "success"], vec!["queued", "failure"]]
    );
    for (callback, deployment) in [api, docs].iter().zip(&all) {
        assert_eq!(deployment.wish.task, format!("console:{}", callback.deploy));
        let record = scene.read(callback.deploy).await;
        assert_eq!(record["github_deployment"]["id"], json!(deployment.id));
    }
    assert_eq!((scene.calls("GET"), scene.calls("POST")), (0, 7));
    assert_eq!(scene.followed().await, [], "all is told");
}

#[tokio::test]
async fn other_ends_have_their_own_words() {
    let scene = Scene::new().await;
    for (says, state, words) in [
        ("failure", "failure", "The deploy failed at Release."),
        ("cancelled", "error", "The deploy was cancelled."),
    ] {
        let callback = scene.bound("docs").await;
        scene.step(1).await;
        scene.report(&callback.at("Release").says(says)).await;
        scene.step(2).await;
        let deployment = scene.console.github.deployments().pop().unwrap();
        assert_eq!(deployment.wish.production_environment, Some(false));
        let last = deployment.statuses.last().unwrap();
        assert_eq!((last.state.as_str(), last.description.as_str()), (state, words));
    }
    let callback = scene.bound("docs").await;
    scene.step(3).await;
    let step = "x".repeat(128);
    scene.report(&callback.at(&step).says("failure")).await;
    scene.step(4).await;
    let deployment = scene.console.github.deployments().pop().unwrap();
    assert_eq!(
        states(&deployment).last(),
        Some(&"failure"),
        "GitHub takes 140 characters"
    );
}

#[tokio::test]
async fn what_comes_first_is_what_is_newest() {
    let scene = Scene::new().await;
    scene
        .console
        .github
        .set_deployment_fault(Some(DeploymentFault::Error500));
    let callback = scene.bound("docs").await;
    scene.step(1).await;
    scene.report(&callback.at("Build")).await;
    scene.step(60).await;
    scene.report(&callback.number(2).says("success")).await;
    scene.console.github.set_deployment_fault(None);
    scene.step(180).await;
    assert_eq!(states(&scene.only()), ["success"]);
    assert!(!DeploymentState::Queued.is_news_after(Some(DeploymentState::InProgress)));
}

#[tokio::test]
async fn a_lost_deploy_stays_as_it_was_told() {
    let scene = Scene::new().await;
    let callback = scene.bound("docs").await;
    scene.step(1).await;
    scene.console.github.set_fault(Some(Fault::Error500));
    let later = scene.began.plus_millis(3_600 * SECOND);
    scene.console.running.reconciler().step(later).await.unwrap();
    assert_eq!(scene.read(callback.deploy).await["state"], "lost");
    scene.step(3_601).await;
    assert_eq!(states(&scene.only()), ["queued"]);
    scene.report(&callback.says("success")).await;
    scene.step(3_602).await;
    assert_eq!(states(&scene.only()), ["queued", "success"]);
}

#[tokio::test]
async fn a_deploy_without_a_run_is_not_told() {
    for scenario in [Scenario::Refuse, Scenario::Error500] {
        let scene = Scene::with(scenario, &wanting()).await;
        let id = scene.console.deploy("docs").await.deploy.id;
        let ends = if scenario == Scenario::Refuse {
            "dispatch_failed"
        } else {
            "dispatch_unknown"
        };
        scene.console.until(id, ends).await;
        scene.step(60).await;
        scene.step(600).await;
        scene.nothing_was_asked();
    }
}

#[tokio::test]
async fn the_commit_is_waited_for_and_not_for_ever() {
    let scene = Scene::new().await;
    scene.console.github.set_fault(Some(Fault::Error500));
    scene.console.bound("docs").await;
    scene.step(3).await;
    scene.nothing_was_asked();
    scene.step(20).await;
    assert_eq!(scene.only().wish.git_ref, "main");
}

#[tokio::test]
async fn an_answer_that_is_lost_makes_no_second_deployment() {
    let scene = Scene::new().await;
    scene
        .console
        .github
        .set_deployment_fault(Some(DeploymentFault::DropCreated));
    let callback = scene.bound("docs").await;
    scene.step(1).await;
    let record = scene.read(callback.deploy).await;
    let problem = record["github_deployment"]["problem"].as_str().unwrap();
    assert!(problem.contains("could not be told"), "{problem}");
    assert!(states(&scene.only()).is_empty());
    scene.step(3).await;
    assert_eq!((scene.calls("GET"), scene.calls("POST")), (0, 1), "not at once");
    for second in [20, 40, 60] {
        scene.step(second).await;
    }
    assert_eq!(states(&scene.only()), ["queued"]);
    assert_eq!(
        scene.read(callback.deploy).await["github_deployment"]["problem"],
        Value::Null
    );
}

/// What a process leaves behind that ends between the call and the record of its answer.
#[tokio::test]
async fn a_deployment_that_was_created_before_a_crash_is_found() {
    for created in [true, false] {
        // This console leaves it to the test to take the steps.
        let scene = Scene::with(Scenario::Queued, SITES).await;
        let callback = scene.bound("docs").await;
        let (id, now, store) = (callback.deploy, scene.began, scene.console.running.store());
        store.follow(id, now).await.unwrap();
        let followed = store.followed(now).await.unwrap().remove(0);
        let until = now.plus_millis(30 * SECOND);
        assert!(store.claim_telling(&followed, now, until).await.unwrap());
        assert!(!store.claim_telling(&followed, now, until).await.unwrap(), "one claim");
        if created {
            let config = config_with(&scene.console.data, &scene.console.github.url(), SITES);
            let site = config.sites.iter().find(|site| site.slug.as_str() == "docs").unwrap();
            let github = Github::new(config.github.clone()).unwrap();
            github.create_deployment(site, &followed.deploy, now).await.unwrap();
        }
        let scene = scene.restarted(&wanting()).await;
        scene.step(10).await;
        assert_eq!(scene.calls("GET"), 0, "an answer may still be under way");
        scene.step(60).await;
        scene.report(&callback.says("success")).await;
        scene.step(61).await;
        assert_eq!(states(&scene.only()), ["queued", "success"], "{created}");
        assert_eq!(scene.calls("GET"), 1);
    }
}

#[tokio::test]
async fn a_restart_goes_on_where_it_was() {
    let scene = Scene::new().await;
    let callback = scene.bound("docs").await;
    scene.step(1).await;
    let scene = scene.restarted(&wanting()).await;
    scene.step(2).await;
    scene.report(&callback.says("success")).await;
    scene.step(3).await;
    assert_eq!(states(&scene.only()), ["queued", "success"]);
    // What had ended before a site wants it is not told afterwards.
    let scene = scene.restarted(SITES).await;
    let callback = scene.bound("docs").await;
    scene.report(&callback.says("success")).await;
    let scene = scene.restarted(&wanting()).await;
    scene.step(4).await;
    scene.only();
}

#[tokio::test]
async fn a_site_that_wants_it_no_more_is_not_looked_at_for_ever() {
    let scene = Scene::new().await;
    let (api, docs) = (scene.bound("api-prod").await, scene.bound("docs").await);
    scene.step(60).await;
    assert_eq!(scene.followed().await, [api.deploy, docs.deploy]);
    let the_other = SITES.replacen("workflow =", "github_deployments = true\nworkflow =", 1);
    let scene = scene.restarted(&the_other).await;
    scene.step(120).await;
    assert_eq!(scene.followed().await, [api.deploy]);
}

#[tokio::test]
async fn after_a_success_a_failure_is_tried_again_soon() {
    let scene = Scene::new().await;
    let failing = |yes: bool| {
        let fault = yes.then_some(DeploymentFault::Error500);
        scene.console.github.set_deployment_fault(fault);
    };
    failing(true);
    let callback = scene.bound("docs").await;
    for second in 60..600 {
        scene.step(second).await;
    }
    failing(false);
    scene.step(1_200).await;
    assert_eq!(states(&scene.only()), ["queued"]);
    failing(true);
    scene.report(&callback.at("Build")).await;
    scene.step(1_201).await;
    failing(false);
    scene.step(1_211).await;
    assert_eq!(states(&scene.only()), ["queued", "in_progress"]);
}

#[tokio::test]
async fn a_refusal_is_said_once_and_the_deploy_goes_on() {
    for (fault, words) in [
        (DeploymentFault::Refuse403, "the permission `deployments: write`"),
        (DeploymentFault::Refuse422, "the ref of the deploy"),
    ] {
        let scene = Scene::new().await;
        scene.console.github.set_deployment_fault(Some(fault));
        let callback = scene.bound("docs").await;
        scene.step(1).await;
        let record = scene.read(callback.deploy).await;
        let problem = record["github_deployment"]["problem"].as_str().unwrap();
        assert!(problem.contains(words), "{problem}");
        assert_eq!((&record["state"], &record["notice"]), (&json!("queued"), &Value::Null));
        scene.report(&callback.says("success")).await;
        scene.console.github.set_deployment_fault(None);
        for second in [60, 3_600, DAY - 1] {
            scene.step(second).await;
        }
        assert_eq!(scene.calls("POST"), 1, "not again");
        let record = scene.read(callback.deploy).await;
        assert_eq!(
            (&record["state"], &record["failure"]),
            (&json!("succeeded"), &Value::Null)
        );
        // The next deploy is another matter.
        scene.bound("docs").await;
        scene.step(DAY).await;
        assert_eq!(states(&scene.only()), ["queued"]);
    }
}

#[tokio::test]
async fn failures_are_tried_again_ever_more_rarely_for_a_day() {
    let scene = Scene::new().await;
    scene
        .console
        .github
        .set_deployment_fault(Some(DeploymentFault::Error500));
    let callback = scene.bound("docs").await;
    for second in 1..=3_600 {
        scene.step(second).await;
    }
    let tries = scene.calls("POST");
    assert!((8..=14).contains(&tries), "5 s doubled to 10 min: {tries} in an hour");
    for minute in 61..=DAY / 60 + 20 {
        scene.step(minute * 60).await;
    }
    let tries = scene.calls("POST");
    scene.console.github.set_deployment_fault(None);
    scene.step(2 * DAY).await;
    assert_eq!(scene.calls("POST"), tries, "given up");
    assert_eq!(scene.read(callback.deploy).await["state"], "queued");
}

#[tokio::test]
async fn a_closed_budget_is_waited_for() {
    let scene = Scene::new().await;
    scene.console.github.set_fault(Some(Fault::RateLimited(600)));
    let callback = scene.bound("docs").await;
    for second in (20..600).step_by(10) {
        scene.step(second).await;
    }
    scene.nothing_was_asked();
    let problem = &scene.read(callback.deploy).await["github_deployment"]["problem"];
    assert!(problem.as_str().unwrap().contains("rate limit"), "{problem}");
    scene.console.github.set_fault(None);
    // As soon as GitHub wants to be asked: waiting taught nothing.
    scene.step(630).await;
    assert_eq!(states(&scene.only()), ["queued"]);
}

#[tokio::test]
async fn a_rate_limit_is_no_refusal_for_good() {
    let scene = Scene::new().await;
    scene
        .console
        .github
        .set_deployment_fault(Some(DeploymentFault::SecondaryLimit(300)));
    scene.bound("docs").await;
    scene.step(1).await;
    scene.console.github.set_deployment_fault(None);
    scene.step(200).await;
    assert_eq!(scene.calls("POST"), 1, "not before GitHub wants to be asked");
    scene.step(400).await;
    assert_eq!(states(&scene.only()), ["queued"]);
}
