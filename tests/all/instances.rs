//! Several instances on one PostgreSQL: each serves everything, one leads, and a claim is whoever's made it. And the
//! console that deploys itself.

use crate::postgres::intent;
use crate::support::database::{database_of, execute, is_postgres};
use crate::support::process::{Process, command, port};
use crate::support::wire::Wire;
use crate::support::{SITES, TestConsole, config_with, people, player, stand_in};
use raxx_console::domain::{DeployId, State};
use raxx_console::server::demo::stand_in::{Scenario, StandIn};
use raxx_console::server::dispatcher::Dispatcher;
use raxx_console::server::github::Github;
use raxx_console::server::run::{self, Running};
use raxx_console::server::store::{Presence, Store};
use reqwest::Client;
use serde_json::{Value, json};
use sqlx::{AnyConnection, Connection as _, Row as _};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use uuid::Uuid;

/// Waits until `is_so`, and fails when that takes too long.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let waited = tokio::time::timeout(Duration::from_mins(1), async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    assert!(waited.await.is_ok(), "never: {what}");
}

/// A site's health address. Each instance asks at a path of its own, and so betrays that it leads.
struct Pulse {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Pulse {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let noted = asked.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = [0; 1024];
                let read = stream.read(&mut head).await.unwrap_or(0);
                let head = String::from_utf8_lossy(&head[..read]).into_owned();
                if let Some(path) = head.split(' ').nth(1) {
                    noted.lock().unwrap().push(path.to_owned());
                }
                let answer = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                let _answered = stream.write_all(answer.as_bytes()).await;
            }
        });
        Self { url, asked }
    }

    /// Two sites, the first of which has its pulse taken at `path`.
    fn sites(&self, path: &str) -> String {
        let health = format!("health_url = \"{}/{path}\"\nrepository =", self.url);
        SITES.replacen("repository =", &health, 1)
    }

    fn asked_by(&self, path: &str) -> usize {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|asked| asked[1..] == *path).count()
    }

    /// Waits until that instance has asked so many times more.
    async fn beats(&self, path: &str, more: usize) {
        let before = self.asked_by(path);
        until(path, async || self.asked_by(path) >= before + more).await;
    }
}

/// Two instances in this process. The first one leads.
struct Two {
    first: TestConsole,
    second: Running,
    pulse: Pulse,
}

/// An instance on the database of `data`, which takes the pulse at `path`.
async fn instance(data: &TempDir, github: &StandIn, pulse: &Pulse, path: &str) -> Running {
    let mut config = config_with(data, &github.url(), &pulse.sites(path));
    config.health_every = Duration::from_millis(300);
    run::start(config, None).await.unwrap()
}

impl Two {
    async fn start(scenario: Scenario) -> Self {
        let (data, github, pulse) = (
            tempfile::tempdir().unwrap(),
            stand_in(scenario).await,
            Pulse::start().await,
        );
        let running = instance(&data, &github, &pulse, "first").await;
        pulse.beats("first", 1).await;
        let second = instance(&data, &github, &pulse, "second").await;
        let http = people::client_with_token(&running, &[]).await;
        let first = TestConsole {
            running,
            github,
            http,
            data,
        };
        Self { first, second, pulse }
    }

    fn url(&self, turn: usize, path: &str) -> String {
        let addr = [self.first.running.addr(), self.second.addr()][turn % 2];
        format!("http://{addr}{path}")
    }

    async fn read(&self, turn: usize, id: DeployId) -> Value {
        read(&self.first.http, &self.url(turn, ""), id).await
    }

    /// Asks one of them for a deploy.
    async fn deploy(&self, turn: usize, site: &str) -> DeployId {
        deploy(&self.first.http, &self.url(turn, ""), site).await
    }
}

async fn deploy(http: &Client, url: &str, site: &str) -> DeployId {
    let body = json!({ "site": site, "confirmation": site });
    let response = http
        .post(format!("{url}/api/internal/deploys"))
        .json(&body)
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 201);
    let record: Value = response.json().await.unwrap();
    record["id"].as_str().unwrap().parse().unwrap()
}

async fn read(http: &Client, url: &str, id: DeployId) -> Value {
    let response = http.get(format!("{url}/api/internal/deploys/{id}")).send().await;
    response.unwrap().json().await.unwrap()
}

/// The states that a deploy went through.
fn story(record: &Value) -> Vec<String> {
    let timeline = record["timeline"].as_array().unwrap().iter();
    timeline
        .map(|entry| entry["state"].as_str().unwrap().to_owned())
        .collect()
}

/// How many times GitHub was read at a path that ends so.
fn reads(github: &StandIn, end: &str) -> usize {
    github
        .asked()
        .iter()
        .filter(|asked| asked.method == "GET" && asked.path.ends_with(end))
        .count()
}

#[tokio::test]
async fn what_is_done_once_is_done_by_one_and_seen_by_all() {
    if !is_postgres() {
        return;
    }
    let two = Two::start(Scenario::Queued).await;
    let id = two.deploy(1, "docs").await;
    until("the run is known through the other", async || {
        two.read(0, id).await["state"] == "queued"
    })
    .await;
    let run = format!("/actions/runs/{}", two.read(1, id).await["run_id"]);
    until("GitHub is asked", async || reads(&two.first.github, &run) > 0).await;
    two.pulse.beats("first", 8).await;
    // It would be asked again after 15 s.
    assert_eq!(reads(&two.first.github, &run), 1);
    assert_eq!(two.pulse.asked_by("second"), 0);
    two.first.running.stop().await;
    two.pulse.beats("second", 1).await;
    until("the new leader asks", async || reads(&two.first.github, &run) > 1).await;
    assert_eq!(two.first.github.dispatches().len(), 1);
}

#[tokio::test]
async fn a_webhook_may_come_to_any_instance() {
    if !is_postgres() {
        return;
    }
    let two = Two::start(Scenario::Queued).await;
    let id = two.deploy(0, "docs").await;
    let run_id = two.first.until(id, "queued").await["run_id"].as_i64().unwrap();
    let run = format!("/actions/runs/{run_id}");
    until("GitHub is asked", async || reads(&two.first.github, &run) > 0).await;
    two.first.github.change_run(run_id, |run| run.conclude("success", None));
    let payload = json!({ "repository": { "full_name": "raxx/docs" }, "workflow_run": { "id": run_id } }).to_string();
    let url = two.url(1, crate::webhooks::PATH);
    let request = two.first.http.post(url).header("x-github-event", "workflow_run");
    let request = request
        .header("x-hub-signature-256", crate::webhooks::sign(&payload))
        .header("x-github-delivery", "one");
    assert_eq!(request.body(payload).send().await.unwrap().status(), 202);
    // Long before it would have been asked again.
    let looked = tokio::time::timeout(Duration::from_secs(10), two.first.until(id, "succeeded"));
    assert!(looked.await.is_ok());
}

#[tokio::test]
async fn a_leader_that_loses_its_connection_leads_no_more() {
    if !is_postgres() {
        return;
    }
    let two = Two::start(Scenario::Queued).await;
    let url = two.first.database();
    let mut database = AnyConnection::connect(&url).await.unwrap();
    // Whoever is quicker gets the lock: until that is the other one.
    until("the other one leads", async || {
        let sql = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted \
                   AND objid = 1818583396 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
        sqlx::query(sql).execute(&mut database).await.unwrap();
        let before = two.pulse.asked_by("first") + two.pulse.asked_by("second");
        until("one leads", async || {
            two.pulse.asked_by("first") + two.pulse.asked_by("second") > before + 4
        })
        .await;
        two.pulse.asked_by("second") > 0
    })
    .await;
    let first = two.pulse.asked_by("first");
    two.pulse.beats("second", 5).await;
    assert_eq!(two.pulse.asked_by("first"), first, "it goes on");
    // It still serves, and may claim again.
    let id = two.deploy(0, "docs").await;
    two.first.until(id, "queued").await;
    // And it leads again when it can.
    two.second.stop().await;
    two.pulse.beats("first", 1).await;
}

#[tokio::test]
async fn a_call_of_a_living_instance_is_left_to_it() {
    if !is_postgres() {
        return;
    }
    let two = Two::start(Scenario::Hold).await;
    let id = two.deploy(1, "docs").await;
    two.first.github.dispatched(1).await;
    // The leader looks for abandoned calls every second.
    two.pulse.beats("first", 8).await;
    assert_eq!(two.read(0, id).await["state"], "dispatching");
    two.first.github.release();
    let record = two.first.until(id, "queued").await;
    assert_eq!(story(&record), ["requested", "dispatching", "queued"]);
}

#[tokio::test]
async fn an_instance_that_nobody_can_see_does_not_lead_and_claims_nothing() {
    if !is_postgres() {
        return;
    }
    let (data, github) = (tempfile::tempdir().unwrap(), stand_in(Scenario::Queued).await);
    let config = config_with(&data, &github.url(), SITES);
    let wire = Wire::to(&config.database_url).await;
    let mut presence = Presence::enter(&wire.url).await.unwrap();
    assert!(presence.beat(true).await);
    // The record itself is in reach.
    let store = Store::open(&config.database_url).await.unwrap();
    let id = DeployId::from_uuid(uuid::Uuid::now_v7());
    store.record_intent(&intent(&config, id), 100).await.unwrap();
    let client = Github::new(config.github.clone()).unwrap();
    let dispatcher = Dispatcher::new(store.clone(), presence.instance().clone(), client, &config.sites);
    wire.hangs(true);
    let beaten = tokio::time::timeout(Duration::from_mins(1), presence.beat(true)).await;
    assert!(!beaten.expect("it waits for ever"), "it goes on leading");
    assert_eq!(dispatcher.step().await.unwrap(), 0);
    assert_eq!(store.deploy(id).await.unwrap().unwrap().state, State::Requested);
    wire.hangs(false);
    until("it leads again", async || presence.beat(true).await).await;
    assert_eq!(dispatcher.step().await.unwrap(), 1);
    github.dispatched(1).await;
}

#[tokio::test]
async fn an_answer_that_comes_late_is_still_its_answer() {
    if !is_postgres() {
        return;
    }
    let two = Two::start(Scenario::Hold).await;
    let id = two.deploy(1, "docs").await;
    two.first.github.dispatched(1).await;
    // As if the one that calls had lost its connection for longer than the others wait.
    execute(&two.first.database(), "UPDATE console_deploys SET claimed_by = '-1'").await;
    two.first
        .github
        .change_run(two.first.github.runs()[0].id, |run| run.deploy_id.clear());
    two.first.until(id, "dispatch_unknown").await;
    two.first.github.release();
    let record = two.first.until(id, "queued").await;
    assert_eq!(record["run_id"], two.first.github.runs()[0].id);
    assert_eq!(
        story(&record),
        ["requested", "dispatching", "dispatch_unknown", "queued"]
    );
    assert_eq!(two.first.github.dispatches().len(), 1);
}

/// A leader in the middle of a call to GitHub, as a process, and beside it an instance that could lead next.
struct InCall {
    leader: Process,
    github: StandIn,
    pulse: Pulse,
    http: Client,
    /// Of the next one.
    url: String,
    id: DeployId,
    _next: Running,
    _data: TempDir,
}

async fn in_call() -> InCall {
    let (data, github, pulse) = (
        tempfile::tempdir().unwrap(),
        stand_in(Scenario::Hold).await,
        Pulse::start().await,
    );
    let database = database_of(data.path());
    let leader = Process::start(data.path(), &pulse.sites("leader"), &database, &github.url(), port()).await;
    pulse.beats("leader", 1).await;
    command(data.path(), &database, &["operator", "add", "ada", "--role", "admin"]);
    let token = command(data.path(), &database, &["token", "create", "--operator", "ada"]);
    let http = people::bearer(&token);
    let id = deploy(&http, &leader.url, "docs").await;
    github.dispatched(1).await;
    let next = instance(&data, &github, &pulse, "next").await;
    InCall {
        leader,
        github,
        pulse,
        http,
        url: format!("http://{}", next.addr()),
        id,
        _next: next,
        _data: data,
    }
}

#[tokio::test]
async fn the_next_leader_settles_what_a_killed_one_was_calling() {
    if !is_postgres() {
        return;
    }
    let InCall {
        leader: killed,
        github,
        pulse,
        http,
        url,
        id,
        _next,
        _data,
    } = in_call().await;
    assert_eq!(
        read(&http, &url, id).await["state"],
        "dispatching",
        "its call is under way"
    );
    assert_eq!(pulse.asked_by("next"), 0);
    killed.kill();
    pulse.beats("next", 1).await;
    until("its run is found", async || {
        read(&http, &url, id).await["state"] == "queued"
    })
    .await;
    let record = read(&http, &url, id).await;
    assert_eq!(
        story(&record),
        ["requested", "dispatching", "dispatch_unknown", "queued"]
    );
    assert_eq!(github.dispatches().len(), 1);
}

#[tokio::test]
async fn a_leader_that_hangs_is_replaced() {
    if !is_postgres() {
        return;
    }
    let (data, github, pulse) = (
        tempfile::tempdir().unwrap(),
        stand_in(Scenario::Queued).await,
        Pulse::start().await,
    );
    let database = database_of(data.path());
    let hangs = Process::start(data.path(), &pulse.sites("hangs"), &database, &github.url(), port()).await;
    pulse.beats("hangs", 1).await;
    let _next = instance(&data, &github, &pulse, "next").await;
    hangs.hang();
    // Its connection is open, and says nothing: after 10 s the server ends it.
    pulse.beats("next", 1).await;
}

#[tokio::test]
async fn an_instance_that_is_asked_to_stop_claims_nothing_and_finishes_its_call() {
    if !is_postgres() {
        return;
    }
    let InCall {
        leader: stopped,
        github,
        pulse,
        http,
        url,
        id,
        _next,
        _data,
    } = in_call().await;
    stopped.ask_to_stop();
    // Leadership is given back at once, while the call is still under way.
    pulse.beats("next", 4).await;
    assert_eq!(read(&http, &url, id).await["state"], "dispatching");
    let body = json!({ "site": "api-prod", "confirmation": "api-prod" });
    let late = http
        .post(format!("{}/api/internal/deploys", stopped.url))
        .json(&body)
        .send()
        .await;
    assert!(late.is_err(), "nobody listens there any more");
    github.release();
    let status = stopped.ended().await;
    assert_eq!(status.code(), Some(0));
    let record = read(&http, &url, id).await;
    assert_eq!(story(&record), ["requested", "dispatching", "queued"]);
    assert_eq!(github.dispatches().len(), 1);
}

#[tokio::test]
async fn many_intents_through_two_instances_are_one_call_each() {
    if !is_postgres() {
        return;
    }
    let (data, github) = (tempfile::tempdir().unwrap(), stand_in(Scenario::Queued).await);
    let site = |number: usize| {
        SITES
            .split("[[site]]")
            .last()
            .unwrap()
            .replacen("\"docs\"", &format!("\"s{number}\""), 1)
    };
    let sites: String = (0..16).map(|number| format!("[[site]]{}", site(number))).collect();
    let mut consoles = Vec::new();
    for _ in 0..2 {
        let config = config_with(&data, &github.url(), &sites);
        consoles.push(run::start(config, None).await.unwrap());
    }
    let http = people::client_with_token(&consoles[0], &[]).await;
    let urls: Vec<String> = consoles
        .iter()
        .map(|console| format!("http://{}", console.addr()))
        .collect();
    let asked = (0..16).map(|number| {
        let (http, url) = (http.clone(), urls[number % 2].clone());
        async move { deploy(&http, &url, &format!("s{number}")).await }
    });
    let ids = futures::future::join_all(asked).await;
    for id in &ids {
        until("it is queued", async || {
            read(&http, &urls[0], *id).await["state"] == "queued"
        })
        .await;
    }
    let mut called: Vec<String> = github
        .dispatches()
        .iter()
        .map(|call| call.inputs["console_deploy_id"].to_string())
        .collect();
    called.sort_unstable();
    called.dedup();
    assert_eq!((called.len(), github.dispatches().len()), (16, 16));
    let mut database = AnyConnection::connect(&database_of(data.path())).await.unwrap();
    let sql = "SELECT COUNT(DISTINCT claimed_by), COUNT(claimed_by) FROM console_deploys";
    let row = sqlx::query(sql).fetch_one(&mut database).await.unwrap();
    assert_eq!(
        (row.get::<i64, _>(0), row.get::<i64, _>(1)),
        (2, 16),
        "both had their share"
    );
}

#[tokio::test]
async fn a_second_console_on_one_file_is_refused() {
    if is_postgres() {
        return;
    }
    let (data, github) = (tempfile::tempdir().unwrap(), stand_in(Scenario::Queued).await);
    let start = || run::start(config_with(&data, &github.url(), SITES), None);
    let first = start().await.unwrap();
    let Err(refused) = start().await else {
        panic!("two consoles")
    };
    let said = refused.to_string();
    assert!(
        said.contains("another console works on this file") && said.contains("PostgreSQL"),
        "{said}"
    );
    // Commands work meanwhile.
    let listed = command(data.path(), &database_of(data.path()), &["operator", "list"]);
    assert_eq!(listed, "");
    // A start that overlaps with the end of the one before waits for it.
    let (next, ()) = tokio::join!(start(), first.stop());
    next.unwrap().stop().await;
}

/// An address that leads to one port or another.
async fn door(to: Arc<AtomicU16>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut outside, _)) = listener.accept().await {
            let to = to.clone();
            tokio::spawn(async move {
                if let Ok(mut inside) = TcpStream::connect(("127.0.0.1", to.load(Ordering::SeqCst))).await {
                    let _done = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
                }
            });
        }
    });
    url
}

/// A console of its own process, its GitHub whose runs call back to `console_url`, and an admin's client.
async fn to_be_deployed(data: &TempDir, console_url: &str, port: u16) -> (Process, StandIn, Client) {
    let github = player(Scenario::Succeed, crate::support::SECRET, false).await;
    github.set_console_url(console_url.to_owned());
    let database = database_of(data.path());
    let process = Process::start(data.path(), SITES, &database, &github.url(), port).await;
    command(data.path(), &database, &["operator", "add", "ada", "--role", "admin"]);
    let token = command(data.path(), &database, &["token", "create", "--operator", "ada"]);
    (process, github, people::bearer(&token))
}

/// Waits until something of the run is on record.
async fn until_it_streams(http: &Client, url: &str, id: DeployId) {
    until("its log comes", async || {
        read(http, url, id).await["log"]["text"]
            .as_str()
            .is_some_and(|text| !text.is_empty())
    })
    .await;
}

/// It ended well, with each line of its log once.
async fn ended_right(http: &Client, url: &str, id: DeployId) {
    until("it succeeds", async || {
        read(http, url, id).await["state"] == "succeeded"
    })
    .await;
    let record = read(http, url, id).await;
    assert_eq!(record["conclusion_conflict"], false);
    let whole = deploy(http, url, "docs").await;
    until("an undisturbed one succeeds", async || {
        read(http, url, whole).await["state"] == "succeeded"
    })
    .await;
    assert_eq!(record["log"]["text"], read(http, url, whole).await["log"]["text"]);
}

#[tokio::test]
async fn a_console_that_is_stopped_in_its_own_deploy_ends_it_right() {
    let (data, port) = (tempfile::tempdir().unwrap(), port());
    let url = format!("http://127.0.0.1:{port}");
    let (process, github, http) = to_be_deployed(&data, &url, port).await;
    let id = deploy(&http, &url, "docs").await;
    until_it_streams(&http, &url, id).await;
    process.ask_to_stop();
    assert_eq!(process.ended().await.code(), Some(0));
    // Its run calls while nobody is there.
    let nobody = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    drop(nobody.accept().await.unwrap());
    drop(nobody);
    let _again = Process::start(data.path(), SITES, &database_of(data.path()), &github.url(), port).await;
    ended_right(&http, &url, id).await;
}

#[tokio::test]
async fn a_console_that_is_replaced_in_its_own_deploy_ends_it_right() {
    if !is_postgres() {
        return;
    }
    let (data, first, second) = (tempfile::tempdir().unwrap(), port(), port());
    let to = Arc::new(AtomicU16::new(first));
    let url = door(to.clone()).await;
    let (process, github, http) = to_be_deployed(&data, &url, first).await;
    let id = deploy(&http, &url, "docs").await;
    until_it_streams(&http, &url, id).await;
    let _next = Process::start(data.path(), SITES, &database_of(data.path()), &github.url(), second).await;
    to.store(second, Ordering::SeqCst);
    process.ask_to_stop();
    assert_eq!(process.ended().await.code(), Some(0));
    ended_right(&http, &url, id).await;
}

#[tokio::test]
async fn an_instance_that_others_cannot_see_claims_nothing() {
    let (data, github) = (tempfile::tempdir().unwrap(), stand_in(Scenario::Queued).await);
    let config = config_with(&data, &github.url(), SITES);
    let store = Store::open(&config.database_url).await.unwrap();
    let id = DeployId::from_uuid(Uuid::now_v7());
    let intent = crate::postgres::intent(&config, id);
    store.record_intent(&intent, 100).await.unwrap();
    for is_there in [false, true] {
        let presence = Presence::enter(&config.database_url).await.unwrap();
        let (instance, client) = (presence.instance().clone(), Github::new(config.github.clone()).unwrap());
        let dispatcher = Dispatcher::new(store.clone(), instance, client, &config.sites);
        if is_there {
            assert_eq!(dispatcher.step().await.unwrap(), 1);
        } else {
            presence.leave().await;
            assert_eq!(dispatcher.step().await.unwrap(), 0);
            let deploy = store.deploy(id).await.unwrap().unwrap();
            assert_eq!(deploy.state, State::Requested, "for whoever is there");
        }
    }
    github.dispatched(1).await;
}
