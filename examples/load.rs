//! Loads a console: callbacks with logs, and browsers that poll, at once. `make load` runs it.
//!
//! It starts the binary on a database of its own, with a stand-in for GitHub in this process. Afterwards every log is
//! read back and compared, byte by byte, with what was acknowledged. Speeds are for comparing within one run: each is
//! shown beside what the cheapest request took at the same time.

#![allow(missing_docs)]

use axum::body::{Body, Bytes, to_bytes};
use clap::Parser;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use raxx_console::domain::{OperatorName, Role, Slug};
use raxx_console::server::audit::Source;
use raxx_console::server::auth::{people, token};
use raxx_console::server::demo::stand_in::{Scenario, StandIn, StandInOptions};
use raxx_console::server::signature::Secret;
use raxx_console::server::store::Store;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// How much of a log a report carries, in bytes.
const LOG_BYTES: usize = 4 * 1024;
/// How often a browser polls.
const POLL_EVERY: Duration = Duration::from_secs(2);
/// How long anything may take before it counts as an error.
const PATIENCE: Duration = Duration::from_secs(30);
/// Memory may be this much more in the last quarter than in the second: a tenth, and this many KiB.
const SLACK_KIB: u64 = 8 * 1024;

/// Load a console, and see that nothing is lost.
#[derive(Parser, Clone)]
struct Options {
    /// The binary to load.
    #[arg(long)]
    binary: PathBuf,
    /// For how long.
    #[arg(long, default_value_t = 120)]
    seconds: u32,
    /// Callbacks a second, over all sites. One deploy may report 600 times a minute.
    #[arg(long, default_value_t = 500)]
    rate: u32,
    /// Browsers that poll every 2 s, half of them the board, half a record.
    #[arg(long, default_value_t = 1000)]
    pollers: usize,
    /// Sites, each with one running deploy.
    #[arg(long, default_value_t = 64)]
    sites: usize,
    /// The address of an empty database; an `SQLite` file of its own unless given.
    #[arg(long)]
    database: Option<String>,
}

/// What was measured.
#[derive(Default)]
struct Seen {
    /// By what was asked for: how long each answer took.
    took: Mutex<BTreeMap<&'static str, Vec<Duration>>>,
    errors: Mutex<BTreeMap<String, usize>>,
    refused: Mutex<usize>,
}

impl Seen {
    fn took(&self, what: &'static str, since: Instant) {
        let mut took = self.took.lock().unwrap_or_else(PoisonError::into_inner);
        took.entry(what).or_default().push(since.elapsed());
    }

    fn error(&self, text: String) {
        let mut errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        *errors.entry(text).or_default() += 1;
    }

    fn refused(&self) {
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) += 1;
    }
}

/// A console that is loaded.
#[derive(Clone)]
struct Target {
    addr: SocketAddr,
    bearer: Arc<str>,
    seen: Arc<Seen>,
    until: Instant,
}

/// A connection of one's own, as a browser or a runner has it.
struct Wire {
    target: Target,
    open: Option<SendRequest<Body>>,
}

struct Answer {
    status: StatusCode,
    etag: Option<String>,
    body: Bytes,
}

impl Wire {
    fn new(target: &Target) -> Self {
        Self {
            target: target.clone(),
            open: None,
        }
    }

    async fn ask(&mut self, method: Method, path: &str, headers: &[(&str, &str)], body: Bytes) -> Outcome<Answer> {
        let asked = timeout(PATIENCE, self.ask_patiently(method, path, headers, body)).await;
        let asked = asked.unwrap_or_else(|_| Err("no answer within 30 s".into()));
        if asked.is_err() {
            self.open = None;
        }
        asked
    }

    async fn ask_patiently(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Outcome<Answer> {
        let mut request = Request::builder().method(method).uri(path).header("host", "x");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body))?;
        let mut open = match self.open.take().filter(|open| !open.is_closed()) {
            Some(open) => open,
            None => self.connect().await?,
        };
        open.ready().await?;
        let response = open.send_request(request).await?;
        let (head, body) = response.into_parts();
        let body = to_bytes(Body::new(body), usize::MAX).await?;
        self.open = Some(open);
        let etag = head.headers.get("etag").and_then(|value| value.to_str().ok());
        Ok(Answer {
            status: head.status,
            etag: etag.map(str::to_owned),
            body,
        })
    }

    async fn connect(&self) -> Outcome<SendRequest<Body>> {
        let stream = TcpStream::connect(self.target.addr).await?;
        stream.set_nodelay(true)?;
        let (open, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(open)
    }

    async fn get(&mut self, path: &str, etag: Option<&str>) -> Outcome<Answer> {
        let bearer = self.target.bearer.clone();
        let known = etag.map(|etag| ("if-none-match", etag));
        let headers: Vec<_> = [("authorization", &*bearer)].into_iter().chain(known).collect();
        self.ask(Method::GET, path, &headers, Bytes::new()).await
    }

    async fn json(&mut self, path: &str) -> Outcome<Value> {
        let answer = self.get(path, None).await?;
        if answer.status != StatusCode::OK {
            return Err(format!("{path}: {}", answer.status).into());
        }
        Ok(serde_json::from_slice(&answer.body)?)
    }
}

/// A running deploy.
#[derive(Clone)]
struct Deploy {
    id: String,
    run_id: i64,
}

/// The log of report `seq` of a deploy: no two are alike.
fn log_of(deploy: &Deploy, seq: usize) -> String {
    let line = format!("{} {seq} {}\n", deploy.id, "compiling, linking, uploading ".repeat(2));
    let mut text = line.repeat(LOG_BYTES / line.len());
    text.push_str(&".".repeat(LOG_BYTES - text.len() - 1));
    text.push('\n');
    text
}

/// Reports for a deploy until the time is over; returns which reports were acknowledged.
async fn report(target: Target, deploy: Deploy, secret: Secret, every: Duration) -> (Deploy, Vec<usize>) {
    let (mut wire, mut kept) = (Wire::new(&target), Vec::new());
    let mut beat = interval(every);
    // What is late is made up for, as runners do.
    beat.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let path = format!("/api/internal/deploys/{}/status", deploy.id);
    for seq in 1.. {
        beat.tick().await;
        if Instant::now() >= target.until {
            break;
        }
        let body = json!({
            "schema": 1, "deploy_id": deploy.id, "run_id": deploy.run_id, "run_attempt": 1, "job": "deploy",
            "seq": seq, "status": "in_progress", "step": "Build",
            "log": { "text": log_of(&deploy, seq), "truncated": false },
        })
        .to_string();
        let id = format!("{}-{seq}", deploy.id);
        let at = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs()
            .to_string();
        let signature = secret.sign(&id, &at, body.as_bytes());
        let headers = [
            ("webhook-id", &*id),
            ("webhook-timestamp", &*at),
            ("webhook-signature", &*signature),
        ];
        let since = Instant::now();
        match wire.ask(Method::POST, &path, &headers, body.into()).await {
            Ok(answer) if answer.status == StatusCode::OK => {
                target.seen.took("a callback with 4 KiB of log", since);
                kept.push(seq);
            }
            Ok(answer) if answer.status == StatusCode::TOO_MANY_REQUESTS => target.seen.refused(),
            Ok(answer) => target.seen.error(format!("a callback: {}", answer.status)),
            Err(error) => target.seen.error(format!("a callback: {error}")),
        }
    }
    (deploy, kept)
}

/// Polls as a browser does: with the last answer's tag, and on a record with the log's cursor.
async fn poll(target: Target, deploy: Option<Deploy>, delay: Duration) {
    sleep(delay).await;
    let (mut wire, mut etag, mut cursor) = (Wire::new(&target), None::<String>, "0".to_owned());
    let mut beat = interval(POLL_EVERY);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let what = if deploy.is_some() {
        "a poll of a record"
    } else {
        "a poll of the board"
    };
    loop {
        beat.tick().await;
        if Instant::now() >= target.until {
            return;
        }
        let path = deploy.as_ref().map_or_else(
            || "/api/internal/board".to_owned(),
            |deploy| format!("/api/internal/deploys/{}?after={cursor}", deploy.id),
        );
        let since = Instant::now();
        match wire.get(&path, etag.as_deref()).await {
            Ok(answer) if answer.status == StatusCode::NOT_MODIFIED => target.seen.took(what, since),
            Ok(answer) if answer.status == StatusCode::OK => {
                target.seen.took(what, since);
                etag = answer.etag;
                // A browser reads its board on a machine of its own.
                if deploy.is_some() {
                    let said: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
                    if let Some(after) = said["log"]["after"].as_str() {
                        after.clone_into(&mut cursor);
                    }
                }
            }
            Ok(answer) => target.seen.error(format!("{what}: {}", answer.status)),
            Err(error) => target.seen.error(format!("{what}: {error}")),
        }
    }
}

/// The cheapest request there is, all the time, one after the other: what this machine can do just now.
async fn floor(target: Target) {
    let mut wire = Wire::new(&target);
    let mut beat = interval(Duration::from_millis(20));
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while Instant::now() < target.until {
        beat.tick().await;
        let since = Instant::now();
        match wire.ask(Method::GET, "/healthz", &[], Bytes::new()).await {
            Ok(_) => target.seen.took(FLOOR, since),
            Err(error) => target.seen.error(format!("{FLOOR}: {error}")),
        }
    }
}

const FLOOR: &str = "the floor: /healthz";

/// The memory of a process every second, in KiB.
async fn memory(pid: u32, until: Instant) -> Vec<u64> {
    let mut found = Vec::new();
    let mut beat = interval(Duration::from_secs(1));
    while Instant::now() < until {
        beat.tick().await;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        found.extend(line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok()));
    }
    found
}

/// The console under load; it ends with us.
struct Served(Child);

impl Drop for Served {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

fn sites(count: usize) -> String {
    // We speak for many, as a proxy does.
    let site = |number| {
        format!(
            "[[site]]\nslug = \"site-{number}\"\nname = \"Site {number}\"\nenvironment = \"staging\"\n\
             url = \"https://site-{number}.example.com\"\nrepository = \"raxx/site-{number}\"\nworkflow = \"deploy.yml\"\n"
        )
    };
    let declared: String = (0..count).map(site).collect();
    format!("trusted_proxies = [\"127.0.0.1\"]\n{declared}")
}

/// An operator with this name, and a token of theirs.
async fn operator(store: &Store, name: &str) -> Outcome<String> {
    let (name, source): (OperatorName, _) = (name.parse()?, Source::command_line());
    people::add(store, name.clone(), Role::Admin, &source).await?;
    let operator = people::find(store, &name).await?.operator;
    let wanted = token::Wanted {
        name: "load".to_owned(),
        sites: Vec::new(),
        lives_ms: None,
    };
    let sites: Vec<Slug> = Vec::new();
    let (text, _) = token::create(store, &sites, &operator, wanted, &source).await?;
    Ok(format!("Bearer {text}"))
}

/// Asks for a deploy of a site, and waits until its run is known.
async fn deploy(target: &Target, bearer: &str, site: usize) -> Outcome<Deploy> {
    let mut wire = Wire::new(target);
    let slug = format!("site-{site}");
    let body = json!({ "site": slug, "confirmation": slug }).to_string();
    let headers = [("authorization", bearer), ("content-type", "application/json")];
    let answer = wire
        .ask(Method::POST, "/api/internal/deploys", &headers, body.into())
        .await?;
    let created: Value = serde_json::from_slice(&answer.body)?;
    let id = created["id"].as_str().ok_or_else(|| format!("no deploy: {created}"))?;
    loop {
        let record = wire.json(&format!("/api/internal/deploys/{id}")).await?;
        if let Some(run_id) = record["run_id"].as_i64() {
            let id = id.to_owned();
            return Ok(Deploy { id, run_id });
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// Whether the record has all that was acknowledged, and nothing else.
async fn is_whole(target: &Target, deploy: &Deploy, kept: &[usize]) -> Outcome<bool> {
    let (mut wire, mut cursor, mut log) = (Wire::new(target), "0".to_owned(), String::new());
    loop {
        let record = wire
            .json(&format!("/api/internal/deploys/{}?after={cursor}", deploy.id))
            .await?;
        let text = record["log"]["text"].as_str().unwrap_or_default();
        if text.is_empty() {
            break;
        }
        log.push_str(text);
        record["log"]["after"]
            .as_str()
            .unwrap_or_default()
            .clone_into(&mut cursor);
    }
    let sent: String = kept.iter().map(|seq| log_of(deploy, *seq)).collect();
    Ok(log == sent)
}

/// The value below which `percent` of them are.
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted
        .get((sorted.len() * percent / 100).min(sorted.len().saturating_sub(1)))
        .copied()
        .unwrap_or_default()
}

fn median(values: &[u64]) -> u64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

/// Prints what each kind of request took.
fn print_latencies(seen: &Seen, seconds: u32) {
    let mut took = std::mem::take(&mut *seen.took.lock().unwrap_or_else(PoisonError::into_inner));
    for took in took.values_mut() {
        took.sort_unstable();
    }
    let low = took.get(FLOOR).cloned().unwrap_or_default();
    println!(
        "{:<30} {:>9} {:>8} {:>10} {:>10} {:>7} {:>7}",
        "", "answers", "a second", "p50", "p99", "÷floor", "÷floor"
    );
    for (what, took) in &took {
        let [(p50, by50), (p99, by99)] = [50, 99].map(|percent| {
            let (found, floor) = (percentile(took, percent), percentile(&low, percent));
            (found, found.as_secs_f64() / floor.as_secs_f64().max(1e-6))
        });
        let rate = took.len() / seconds as usize;
        println!(
            "{what:<30} {:>9} {rate:>8} {:>7.1} ms {:>7.1} ms {by50:>7.1} {by99:>7.1}",
            took.len(),
            p50.as_secs_f64() * 1e3,
            p99.as_secs_f64() * 1e3,
        );
    }
}

/// Prints the memory; whether it grew.
fn print_memory(samples: &[u64]) -> bool {
    let quarter = samples.len() / 4;
    let (second, last) = (
        median(&samples[quarter..2 * quarter]),
        median(&samples[samples.len() - quarter..]),
    );
    let has_grown = last > second + second / 10 + SLACK_KIB;
    let word = if has_grown { "IT GREW" } else { "flat" };
    println!(
        "memory: {} MiB in the second quarter, {} MiB in the last: {word}",
        second / 1024,
        last / 1024
    );
    has_grown
}

/// A GitHub that takes every dispatch, and leaves what follows to us.
async fn github() -> Outcome<StandIn> {
    let started = StandIn::start(StandInOptions {
        addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        console_url: String::new(),
        callback_secret: String::new(),
        pace: Duration::from_secs(1),
        id_token: false,
        play: false,
        default_scenario: Scenario::Queued,
        record: None,
    })
    .await;
    Ok(started?)
}

async fn load(options: Options) -> Outcome<bool> {
    let folder = tempfile::tempdir()?;
    let secret = Secret::generate()?;
    let github = github().await?;
    let file = folder.path().join("console.toml");
    std::fs::write(&file, sites(options.sites))?;
    let sqlite = format!("sqlite://{}", folder.path().join("console.db").display());
    let database = options.database.clone().unwrap_or(sqlite);
    let store = Store::open(&database).await?;
    // One operator may ask for sixty deploys in a minute.
    let mut bearers = Vec::new();
    for number in 0..=options.sites / 50 {
        bearers.push(operator(&store, &format!("operator-{number}")).await?);
    }
    store.close().await;
    let addr = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?.local_addr()?;
    let served = Served(
        Command::new(&options.binary)
            .arg("serve")
            .env("CONSOLE_CONFIG", &file)
            .env("DATABASE_URL", &database)
            .env("CONSOLE_ADDR", addr.to_string())
            .env("CONSOLE_CALLBACK_SECRET", secret.expose())
            // It is masked wherever it stands in a log, so it must stand in none.
            .env("GITHUB_DISPATCH_TOKEN", "token-that-no-log-of-ours-has")
            .env("GITHUB_API_URL", github.url())
            .env("RUST_LOG", "warn")
            .stdout(Stdio::null())
            .spawn()?,
    );
    // Ours, after the console has its own: each poller has a connection.
    let files = getrlimit(Resource::Nofile);
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: files.maximum,
            ..files
        },
    )?;
    let mut target = Target {
        addr,
        bearer: bearers[0].as_str().into(),
        seen: Arc::default(),
        until: Instant::now(),
    };
    timeout(PATIENCE, async {
        while TcpStream::connect(addr).await.is_err() {
            sleep(Duration::from_millis(50)).await;
        }
    })
    .await?;
    let mut deploys = Vec::new();
    for site in 0..options.sites {
        deploys.push(deploy(&target, &bearers[site % bearers.len()], site).await?);
    }
    println!(
        "{} callbacks a second over {} deploys, and {} pollers, for {} s",
        options.rate, options.sites, options.pollers, options.seconds
    );
    target.until = Instant::now() + Duration::from_secs(options.seconds.into());
    let every = Duration::from_secs(1) * u32::try_from(options.sites)? / options.rate.max(1);
    let mut reports = JoinSet::new();
    for deploy in &deploys {
        reports.spawn(report(target.clone(), deploy.clone(), secret.clone(), every));
    }
    let mut others = JoinSet::new();
    others.spawn(floor(target.clone()));
    for number in 0..options.pollers {
        let record = (number % 2 == 1).then(|| deploys[number / 2 % deploys.len()].clone());
        let delay = POLL_EVERY * u32::try_from(number)? / u32::try_from(options.pollers)?;
        others.spawn(poll(target.clone(), record, delay));
    }
    let samples = memory(served.0.id(), target.until).await;
    let (reports, _) = (reports.join_all().await, others.join_all().await);
    let mut lost = Vec::new();
    for (deploy, kept) in &reports {
        if !is_whole(&target, deploy, kept).await? {
            lost.push(deploy.id.clone());
        }
    }
    print_latencies(&target.seen, options.seconds);
    let has_grown = print_memory(&samples);
    let acknowledged: usize = reports.iter().map(|(_, kept)| kept.len()).sum();
    println!(
        "{acknowledged} reports acknowledged; {} logs read back, {} not as acknowledged {}",
        reports.len(),
        lost.len(),
        lost.join(" ")
    );
    println!(
        "{} answers of 429",
        *target.seen.refused.lock().unwrap_or_else(PoisonError::into_inner)
    );
    let errors = target.seen.errors.lock().unwrap_or_else(PoisonError::into_inner);
    println!("{} errors", errors.values().sum::<usize>());
    for (text, count) in errors.iter() {
        println!("  {count} × {text}");
    }
    Ok(lost.is_empty() && !has_grown && errors.is_empty() && acknowledged > 0)
}

#[tokio::main]
async fn main() -> ExitCode {
    match load(Options::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
