//! A console on a database of its own, with a GitHub of its own, that does nothing by itself: its workers are stepped, its
//! clock is held, its router is called without a socket.

use super::picture::Picture;
use crate::support::database::{database_of, drop_database_of, is_postgres, sqlite_in};
use crate::support::{LOOPBACK, config_on};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, header};
use raxx_console::domain::{Role, Timestamp};
use raxx_console::server::audit::Source;
use raxx_console::server::auth::password::Passwords;
use raxx_console::server::auth::session::Sessions;
use raxx_console::server::auth::{people, token};
use raxx_console::server::config::Config;
use raxx_console::server::demo::stand_in::{Scenario, StandIn, StandInOptions};
use raxx_console::server::dispatcher::Dispatcher;
use raxx_console::server::github::Github;
use raxx_console::server::keyless::Keyless;
use raxx_console::server::mask::Mask;
use raxx_console::server::outside::OutsideWatch;
use raxx_console::server::reconciler::Reconciler;
use raxx_console::server::store::{Instance, Store};
use raxx_console::server::together::Together;
use raxx_console::server::{Console, Inner, clock, router};
use serde_json::Value;
use sqlx::{AnyConnection, Connection as _};
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;
use tempfile::TempDir;
use tower::ServiceExt as _;

pub(super) const SITES: [&str; 2] = ["api-prod", "docs"];
pub(super) const WORKFLOWS: [&str; 2] = ["deploy-api.yml", "deploy-docs.yml"];
const FILE: &str = r#"
[[site]]
slug = "api-prod"
name = "API"
environment = "production"
url = "https://api.example.com"
repository = "raxx/api"
workflow = "deploy-api.yml"
silent_after = "10m"
grace = "5m"

[[site]]
slug = "docs"
name = "Docs"
environment = "staging"
url = "https://docs.example.com"
repository = "raxx/docs"
workflow = "deploy-docs.yml"
silent_after = "10m"
grace = "5m"
"#;
const BEGAN: i64 = 1_764_000_000_000;
const MOST_BODY: usize = 4 * 1024 * 1024;

/// A password is hashed to make one of these, which takes longer than many a sequence of steps.
static PASSWORDS: LazyLock<Passwords> = LazyLock::new(|| Passwords::new().unwrap());

pub(super) struct World {
    pub console: Live,
    pub github: StandIn,
    pub now: i64,
    pub config: Config,
    database: AnyConnection,
    folder: TempDir,
}

/// A console between two restarts.
pub(super) struct Live {
    pub store: Store,
    pub dispatcher: Dispatcher,
    pub reconciler: Reconciler,
    router: Router,
    token: String,
}

/// What it answered.
pub(super) struct Reply {
    pub status: u16,
    pub etag: Option<String>,
    pub text: String,
    pub body: Value,
}

impl World {
    pub(super) async fn new() -> Self {
        hold_clock(BEGAN);
        let folder = tempfile::Builder::new()
            .prefix("model")
            .tempdir_in(quick_folder())
            .unwrap();
        let github = stand_in().await;
        let url = fresh_database(folder.path()).await;
        let config = config_on(url.clone(), &github.url(), FILE);
        let console = Live::start(&config, None).await;
        let database = AnyConnection::connect(&url).await.unwrap();
        Self {
            console,
            github,
            now: BEGAN,
            config,
            database,
            folder,
        }
    }

    /// Moves the clock of all that is in this world.
    pub(super) fn pass(&mut self, millis: i64) {
        self.now += millis;
        hold_clock(self.now);
    }

    /// Stops the console, or lets it die, and starts it again.
    pub(super) async fn restart(&mut self, dies: bool) {
        if !dies {
            self.console.store.close().await;
        }
        self.console = Live::start(&self.config, Some(self.console.token.clone())).await;
    }

    pub(super) async fn picture(&mut self) -> Picture {
        Picture::take(&mut self.database).await
    }
}

impl Drop for World {
    fn drop(&mut self) {
        clock::hold_on_this_thread(None);
        drop_database_of(self.folder.path());
    }
}

impl Live {
    /// As `run::start` does, without the listener and without anything that works by itself.
    async fn start(config: &Config, token: Option<String>) -> Self {
        let store = Store::open(&config.database_url).await.unwrap();
        let github = Github::new(config.github.clone()).unwrap();
        let base_url = config.public_url.clone().unwrap();
        let dispatcher = Dispatcher::new(store.clone(), Instance::new(), github.clone(), &config.sites);
        dispatcher.recover().await.unwrap();
        let mask = Mask::new(config.keys.clone(), github.clone());
        let reconciler = Reconciler::new(store.clone(), github.clone(), &config.sites, mask.clone());
        let outside = OutsideWatch::new(store.clone(), github.clone(), reconciler.clone(), &config.sites);
        let token = match token {
            Some(token) => token,
            None => token_of_ada(&store).await,
        };
        let console = Console::new(Inner {
            store: store.clone(),
            sites: config.sites.clone(),
            keys: config.keys.clone(),
            mask,
            webhook_secret: config.webhook_secret.clone(),
            keyless: Keyless::new(config.keyless.clone(), &base_url).unwrap(),
            base_url,
            provider: None,
            passwords: PASSWORDS.clone(),
            sessions: Sessions::new(store.clone(), config.sessions),
            trusted_proxies: Vec::new(),
            dispatcher: dispatcher.clone(),
            reconciler: reconciler.clone(),
            outside,
            github,
            limits: config.limits,
            board: Together::default(),
            demo: None,
        });
        Self {
            store,
            dispatcher,
            reconciler,
            router: router::routes(console),
            token,
        }
    }

    pub(super) async fn get(&self, path: &str, known: Option<&str>) -> Reply {
        let mut request = Request::get(path).header(header::AUTHORIZATION, format!("Bearer {}", self.token));
        if let Some(known) = known {
            request = request.header(header::IF_NONE_MATCH, known);
        }
        self.send(request.body(Body::empty()).unwrap()).await
    }

    /// Sends JSON as `ada`.
    pub(super) async fn post(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> Reply {
        let authorization = format!("Bearer {}", self.token);
        let own = [
            ("authorization", authorization.as_str()),
            ("content-type", "application/json"),
        ];
        self.raw(path, &[&own, headers].concat(), body.to_string()).await
    }

    pub(super) async fn raw(&self, path: &str, headers: &[(&str, &str)], body: String) -> Reply {
        let request = headers.iter().fold(Request::post(path), |request, (name, value)| {
            request.header(*name, *value)
        });
        self.send(request.body(Body::from(body)).unwrap()).await
    }

    async fn send(&self, request: Request<Body>) -> Reply {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let etag = response.headers().get(header::ETAG);
        let etag = etag.map(|etag| etag.to_str().unwrap().to_owned());
        let bytes = to_bytes(response.into_body(), MOST_BODY).await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        Reply {
            status,
            etag,
            body: serde_json::from_str(&text).unwrap_or_default(),
            text,
        }
    }
}

fn hold_clock(millis: i64) {
    clock::hold_on_this_thread(Some(Timestamp::from_millis(millis)));
}

/// Where a file is written without a disk, if there is such a place: every commit waits for the disk otherwise.
fn quick_folder() -> std::path::PathBuf {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        memory.to_owned()
    } else {
        std::env::temp_dir()
    }
}

/// A migrated database: a copy of one that was migrated once, as every database on PostgreSQL is.
async fn fresh_database(folder: &Path) -> String {
    static MIGRATED: tokio::sync::OnceCell<Vec<u8>> = tokio::sync::OnceCell::const_new();
    if is_postgres() {
        return database_of(folder);
    }
    let url = sqlite_in(folder);
    let file = folder.join("console.db");
    let migrated = MIGRATED.get_or_init(async || {
        Store::open(&url).await.unwrap().close().await;
        std::fs::read(&file).unwrap()
    });
    std::fs::write(&file, migrated.await).unwrap();
    url
}

async fn token_of_ada(store: &Store) -> String {
    let (source, name) = (Source::command_line(), "ada".parse().unwrap());
    people::add(store, name, Role::Admin, &source).await.unwrap();
    let ada = people::find(store, &"ada".parse().unwrap()).await.unwrap().operator;
    let wanted = token::Wanted {
        name: "tests".to_owned(),
        sites: Vec::new(),
        lives_ms: None,
    };
    token::create(store, &[], &ada, wanted, &source).await.unwrap().0
}

async fn stand_in() -> StandIn {
    let options = StandInOptions {
        addr: LOOPBACK,
        console_url: String::new(),
        callback_secret: String::new(),
        pace: Duration::ZERO,
        id_token: false,
        play: false,
        default_scenario: Scenario::Queued,
        record: None,
    };
    StandIn::start(options).await.unwrap()
}
