//! What the tests share: a console of their own, and how to speak to it.

pub(crate) mod app;
pub(crate) mod database;
pub(crate) mod hook_listener;
pub(crate) mod issuer;
pub(crate) mod people;
pub(crate) mod process;
pub(crate) mod provider;
pub(crate) mod provider_key;
pub(crate) mod secrets;
pub(crate) mod wire;

use raxx_console::domain::{DeployId, DeployRecord};
use raxx_console::server::config::{Config, Limits, parse_file};
use raxx_console::server::demo::stand_in::{Scenario, StandIn, StandInOptions};
use raxx_console::server::run::{self, Running};
use raxx_console::server::signature::{Keys, Secret};
use raxx_console::server::webhooks::WebhookSecret;
use raxx_console::server::{github, keyless};
use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;
use tokio::sync::OnceCell;

/// The secret of the specification's own example.
pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
pub(crate) const PREVIOUS_SECRET: &str = "whsec_cHJldmlvdXMtc2VjcmV0LW9mLXRoZS1jb25zb2xl";
pub(crate) const DISPATCH_TOKEN: &str = "token-of-the-test";
/// The secret of GitHub's own example.
pub(crate) const WEBHOOK_SECRET: &str = "It's a Secret to Everybody";
pub(crate) const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) const SITES: &str = r#"
[[site]]
slug = "api-prod"
name = "API"
environment = "production"
url = "https://api.example.com"
repository = "raxx/api"
workflow = "deploy-api.yml"
inputs = { color = "green" }

[[site]]
slug = "docs"
name = "Docs"
environment = "staging"
url = "https://docs.example.com"
repository = "raxx/docs"
workflow = "deploy-docs.yml"
"#;

/// A console with a database and a GitHub of its own.
pub(crate) struct TestConsole {
    pub running: Running,
    pub github: StandIn,
    /// Speaks as the admin `ada`, with an API token.
    pub http: Client,
    pub data: TempDir,
}

/// A console before it is started: what differs from test to test.
pub(crate) struct Setup {
    pub scenario: Scenario,
    pub limits: Limits,
    pub api_version: &'static str,
    /// Its `console.toml`.
    pub file: String,
    pub public_url: Option<&'static str>,
    /// Whose tokens it believes; its GitHub's unless given.
    pub issuer: Option<String>,
    pub timing: keyless::Timing,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            scenario: Scenario::Queued,
            limits: Limits::default(),
            api_version: "2022-11-28",
            file: SITES.to_owned(),
            public_url: Some("https://console.example.com"),
            issuer: None,
            timing: keyless::Timing::default(),
        }
    }
}

pub(crate) async fn console() -> TestConsole {
    Setup::default().start().await
}

pub(crate) async fn console_with(scenario: Scenario) -> TestConsole {
    Setup {
        scenario,
        ..Setup::default()
    }
    .start()
    .await
}

pub(crate) async fn stand_in(scenario: Scenario) -> StandIn {
    let options = StandInOptions {
        addr: LOOPBACK,
        console_url: String::new(),
        callback_secret: SECRET.to_owned(),
        pace: Duration::from_millis(10),
        id_token: false,
        play: false,
        default_scenario: scenario,
        record: Some(secrets::file("exchanges")),
    };
    StandIn::start(options).await.unwrap()
}

pub(crate) fn config(data: &TempDir, github_url: &str) -> Config {
    config_with(data, github_url, SITES)
}

pub(crate) fn config_with(data: &TempDir, github_url: &str, file: &str) -> Config {
    config_on(database::database_of(data.path()), github_url, file)
}

pub(crate) fn config_on(database_url: String, github_url: &str, file: &str) -> Config {
    let file = parse_file(file, "console.toml").unwrap();
    Config {
        database_url,
        addr: LOOPBACK,
        public_url: Some("https://console.example.com".to_owned()),
        keys: Keys {
            current: SECRET.parse().unwrap(),
            previous: Some(PREVIOUS_SECRET.parse().unwrap()),
        },
        webhook_secret: Some(WebhookSecret::new(WEBHOOK_SECRET.into())),
        github: github::Options {
            api_url: github_url.to_owned(),
            api_version: "2022-11-28".to_owned(),
            identity: github::Identity::Token(DISPATCH_TOKEN.into()),
        },
        keyless: keyless::Options {
            issuer: github_url.to_owned(),
            sites: file.callback_auth,
            timing: keyless::Timing::default(),
        },
        sites: file.sites,
        sessions: file.sessions,
        retention: file.retention,
        provider: file.provider,
        provider_secret: Some(provider::CLIENT_SECRET.into()),
        trusted_proxies: file.trusted_proxies,
        limits: Limits::default(),
        health_every: Duration::from_hours(1),
    }
}

impl Setup {
    pub(crate) async fn start(self) -> TestConsole {
        let (data, github) = (tempfile::tempdir().unwrap(), stand_in(self.scenario).await);
        let mut config = config_with(&data, &github.url(), &self.file);
        config.limits = self.limits;
        config.github.api_version = self.api_version.to_owned();
        config.public_url = self.public_url.map(str::to_owned);
        config.keyless.timing = self.timing;
        if let Some(issuer) = self.issuer {
            config.keyless.issuer = issuer;
        }
        TestConsole::start(config, github, data).await
    }
}

impl TestConsole {
    /// Starts it, and lets `ada` in.
    pub(crate) async fn start(config: Config, github: StandIn, data: TempDir) -> Self {
        secrets::watch_logs();
        for secret in [
            SECRET,
            PREVIOUS_SECRET,
            DISPATCH_TOKEN,
            WEBHOOK_SECRET,
            provider::CLIENT_SECRET,
        ] {
            secrets::keep_secret(secret);
        }
        let sites: Vec<_> = config.sites.iter().map(|site| site.slug.clone()).collect();
        let running = run::start(config, None).await.unwrap();
        let http = people::client_with_token(&running, &sites).await;
        Self {
            running,
            github,
            http,
            data,
        }
    }

    /// Starts it, and tells its GitHub where callbacks go.
    pub(crate) async fn played(config: Config, github: StandIn, data: TempDir) -> Self {
        let console = Self::start(config, github, data).await;
        let url = format!("http://{}", console.running.addr());
        console.github.set_console_url(url);
        console
    }

    /// The address of its database.
    pub(crate) fn database(&self) -> String {
        database::database_of(self.data.path())
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.running.addr())
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        self.http.post(self.url(path)).json(body)
    }

    /// Asks for a deploy, and expects a yes.
    pub(crate) async fn deploy(&self, site: &str) -> DeployRecord {
        let response = self.create(site).await;
        assert_eq!(response.status(), 201);
        response.json().await.unwrap()
    }

    pub(crate) async fn create(&self, site: &str) -> Response {
        let body = json!({ "site": site, "confirmation": site });
        self.post("/api/internal/deploys", &body).send().await.unwrap()
    }

    pub(crate) async fn read(&self, id: DeployId) -> Value {
        self.http
            .get(self.url(&format!("/api/internal/deploys/{id}")))
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap()
    }

    /// Waits until the deploy is in `state`.
    pub(crate) async fn until(&self, id: DeployId, state: &str) -> Value {
        let mut last = Value::Null;
        let waited = tokio::time::timeout(PATIENCE, async {
            loop {
                last = self.read(id).await;
                if last["state"] == state {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        assert!(waited.await.is_ok(), "never {state}: {last:#}");
        last
    }

    /// Waits until GitHub was read at a path that ends so.
    pub(crate) async fn until_asked(&self, end: &str) {
        let waited = tokio::time::timeout(PATIENCE, async {
            let is_there = || self.github.asked().iter().any(|asked| asked.path.ends_with(end));
            while !is_there() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        assert!(waited.await.is_ok(), "GitHub was never asked for {end}");
    }

    /// A deploy whose run is bound: `queued`, with GitHub's run id.
    pub(crate) async fn bound(&self, site: &str) -> Callback {
        let deploy = self.deploy(site).await.deploy;
        let record = self.until(deploy.id, "queued").await;
        Callback::new(deploy.id, record["run_id"].as_i64().unwrap())
    }

    /// Sends a callback, well signed.
    pub(crate) async fn report(&self, callback: &Callback) -> Response {
        self.send(&callback.id, now(), &SECRET.parse().unwrap(), callback).await
    }

    pub(crate) async fn send(&self, id: &str, timestamp: u64, secret: &Secret, callback: &Callback) -> Response {
        let body = callback.body.to_string();
        let timestamp = timestamp.to_string();
        let signature = secret.sign(id, &timestamp, body.as_bytes());
        self.send_raw(
            callback.deploy,
            &[
                ("webhook-id", id),
                ("webhook-timestamp", &timestamp),
                ("webhook-signature", &signature),
            ],
            body,
        )
        .await
    }

    pub(crate) async fn send_raw(
        &self,
        deploy: DeployId,
        headers: &[(&str, &str)],
        body: impl Into<reqwest::Body>,
    ) -> Response {
        let request = self
            .http
            .post(self.url(&format!("/api/internal/deploys/{deploy}/status")))
            .body(body);
        let request = headers
            .iter()
            .fold(request, |request, (name, value)| request.header(*name, *value));
        request.send().await.unwrap()
    }
}

/// A report about to be sent.
#[derive(Clone)]
pub(crate) struct Callback {
    pub deploy: DeployId,
    pub id: String,
    pub body: Value,
}

impl Callback {
    pub(crate) fn new(deploy: DeployId, run_id: i64) -> Self {
        let body = json!({
            "schema": 1, "deploy_id": deploy, "run_id": run_id, "run_attempt": 1,
            "job": "deploy", "seq": 1, "status": "in_progress",
        });
        Self {
            deploy,
            id: "delivery-1".to_owned(),
            body,
        }
    }

    /// The same with one value changed, as a delivery of its own.
    pub(crate) fn with(&self, key: &str, value: impl Into<Value>) -> Self {
        let mut changed = self.clone();
        changed.body[key] = value.into();
        changed
    }

    /// The next one: a later number, a new delivery.
    pub(crate) fn number(&self, seq: i64) -> Self {
        let mut next = self.with("seq", seq);
        next.id = format!("delivery-{seq}");
        next
    }

    pub(crate) fn says(&self, status: &str) -> Self {
        self.with("status", status)
    }

    pub(crate) fn at(&self, step: &str) -> Self {
        self.with("step", step)
    }

    pub(crate) fn prints(&self, text: &str) -> Self {
        self.with("log", json!({ "text": text, "truncated": false }))
    }
}

pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// Asserts a problem: its status, its media type, and the last part of its type.
pub(crate) async fn refused(response: Response, status: u16, problem: &str) -> Value {
    let media = response.headers()["content-type"].to_str().unwrap().to_owned();
    let (found, body) = (response.status().as_u16(), response.json::<Value>().await.unwrap());
    assert_eq!(
        (found, media.as_str()),
        (status, "application/problem+json"),
        "{body:#}"
    );
    assert_eq!(body["type"], format!("urn:raxx-console:problem:{problem}"));
    assert_eq!(body["status"], status);
    assert!(body["title"].is_string() && body["detail"].is_string());
    body
}

/// The binary under test.
pub(crate) fn binary() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_raxx-console"))
}

/// The repository's folder.
pub(crate) fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

static TOOLS: OnceCell<()> = OnceCell::const_new();

/// Fails with an instruction when a program is missing that the action's tests need.
pub(crate) async fn tools_are_there() {
    TOOLS
        .get_or_init(|| async {
            for tool in ["bash", "curl", "openssl", "jq", "shellcheck"] {
                let found = std::process::Command::new("which")
                    .arg(tool)
                    .output()
                    .unwrap()
                    .status
                    .success();
                assert!(found, "{tool} is missing: run `make setup`");
            }
        })
        .await;
}

/// A console whose GitHub plays runs with the real action, fast.
pub(crate) async fn playing(scenario: Scenario) -> TestConsole {
    let github = player(scenario, SECRET, false).await;
    let data = tempfile::tempdir().unwrap();
    let config = config(&data, &github.url());
    TestConsole::played(config, github, data).await
}

/// A GitHub that plays runs with the real action, fast.
pub(crate) async fn player(scenario: Scenario, callback_secret: &str, id_token: bool) -> StandIn {
    let options = StandInOptions {
        addr: LOOPBACK,
        console_url: String::new(),
        callback_secret: callback_secret.to_owned(),
        pace: Duration::from_millis(10),
        id_token,
        play: true,
        default_scenario: scenario,
        record: Some(secrets::file("exchanges")),
    };
    StandIn::start(options).await.unwrap()
}
