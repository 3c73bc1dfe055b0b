//! A console without its listener and without what it does by itself: its real routes over a real database.

use super::request;
use super::token;
use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use raxx_console::domain::{Attempt, AuditAction, AuditActor, Deploy, DeployId, Event, Run, Site, Timestamp};
use raxx_console::server::auth::password::Passwords;
use raxx_console::server::auth::session::Sessions;
use raxx_console::server::config::{Limits, parse_file};
use raxx_console::server::dispatcher::Dispatcher;
use raxx_console::server::github::{self, Github};
use raxx_console::server::keyless::{self, Keyless};
use raxx_console::server::mask::Mask;
use raxx_console::server::outside::OutsideWatch;
use raxx_console::server::reconciler::Reconciler;
use raxx_console::server::signature::Keys;
use raxx_console::server::store::{AuditEntry, Instance, Intent, Store};
use raxx_console::server::together::Together;
use raxx_console::server::webhooks::WebhookSecret;
use raxx_console::server::{Console, Inner, clock, router};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tower::ServiceExt as _;

/// The secret of the specification's own example.
pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
pub(crate) const PREVIOUS_SECRET: &str = "whsec_cHJldmlvdXMtc2VjcmV0LW9mLXRoZS1jb25zb2xl";
pub(crate) const DISPATCH_TOKEN: &str = "token-of-the-test";
/// The secret of GitHub's own example.
pub(crate) const WEBHOOK_SECRET: &str = "It's a Secret to Everybody";
pub(crate) const AUDIENCE: &str = "https://console.example.com";
pub(crate) const REPOSITORY_ID: u64 = 123_456;
/// The run of every deploy.
pub(crate) const RUN: i64 = 7;
/// How many deploys of each kind there can be: a deploy takes its site.
const SITES: usize = 300;

/// What a site's callbacks must show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Secret,
    Token,
    Both,
}

/// The console, and how many of its sites are used up.
pub(super) struct Scene {
    router: Router,
    store: Store,
    sites: Vec<Site>,
    used: usize,
    _folder: TempDir,
}

static CURRENT: Mutex<Option<(Runtime, Scene)>> = Mutex::new(None);

/// Does something with the scene, which is made anew when it is used up.
pub(super) fn with(act: impl AsyncFnOnce(&mut Scene)) {
    let mut current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
    if current.as_ref().is_none_or(|(_, scene)| scene.used + 1 >= SITES) {
        if let Some((runtime, scene)) = current.take() {
            runtime.block_on(scene.store.close());
        }
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().build().unwrap();
        let scene = runtime.block_on(Scene::new());
        *current = Some((runtime, scene));
    }
    if let Some((runtime, scene)) = current.as_mut() {
        runtime.block_on(act(scene));
    }
}

/// The number that tells the sites of one kind apart is at the end of the slug.
fn file() -> String {
    let kinds = [("secret", "secret"), ("token", "oidc"), ("both", "secret_and_oidc")];
    let sites = (0..SITES).flat_map(|number| kinds.map(|(kind, auth)| (number, kind, auth)));
    let site = |(number, kind, auth)| {
        format!(
            "[[site]]\nslug = \"{kind}-{number}\"\nname = \"{kind}\"\nenvironment = \"staging\"\n\
             url = \"https://example.com\"\nrepository = \"raxx/keyless\"\nworkflow = \"deploy.yml\"\n\
             callback_auth = \"{auth}\"\nrepository_id = {REPOSITORY_ID}\n"
        )
    };
    sites.map(site).collect()
}

impl Scene {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("console.db");
        let store = Store::open(&format!("sqlite://{}", path.display())).await.unwrap();
        let file = parse_file(&file(), "console.toml").unwrap();
        let issuer = token::issuer();
        let github = Github::new(github::Options {
            api_url: issuer.to_owned(),
            api_version: "2022-11-28".to_owned(),
            identity: github::Identity::Token(DISPATCH_TOKEN.into()),
        })
        .unwrap();
        let keys = Keys {
            current: SECRET.parse().unwrap(),
            previous: Some(PREVIOUS_SECRET.parse().unwrap()),
        };
        let keyless = keyless::Options {
            issuer: issuer.to_owned(),
            sites: file.callback_auth,
            timing: keyless::Timing {
                again_after: Duration::MAX,
                ..keyless::Timing::default()
            },
        };
        let mask = Mask::new(keys.clone(), github.clone());
        let reconciler = Reconciler::new(store.clone(), github.clone(), &file.sites, mask.clone());
        let console = Console::new(Inner {
            keys,
            mask,
            webhook_secret: Some(WebhookSecret::new(WEBHOOK_SECRET.into())),
            keyless: Keyless::new(keyless, AUDIENCE).unwrap(),
            base_url: AUDIENCE.to_owned(),
            passwords: Passwords::new().unwrap(),
            sessions: Sessions::new(store.clone(), file.sessions),
            provider: None,
            trusted_proxies: Vec::new(),
            dispatcher: Dispatcher::new(store.clone(), Instance::new(), github.clone(), &file.sites),
            outside: OutsideWatch::new(store.clone(), github.clone(), reconciler.clone(), &file.sites),
            reconciler,
            github,
            limits: Limits {
                callbacks_a_minute: i64::MAX,
                ..Limits::default()
            },
            board: Together::default(),
            demo: None,
            store: store.clone(),
            sites: file.sites.clone(),
        });
        Self {
            router: router::routes(console),
            store,
            sites: file.sites,
            used: 0,
            _folder: folder,
        }
    }

    /// A deploy of a site of its own, `queued`, bound to [`RUN`].
    pub(super) async fn deploy(&mut self, kind: Kind) -> DeployId {
        let index = self.used * 3 + kind as usize;
        self.used += 1;
        let at = clock::now();
        let id: DeployId = format!("0199a8f0-0000-7000-8000-{index:012x}").parse().unwrap();
        let intent = Intent {
            deploy: Deploy::requested(id, &self.sites[index], "ada", at),
            idempotency_key: None,
            request_sha256: String::new(),
            entry: AuditEntry {
                at,
                actor: AuditActor::Console,
                address: None,
                action: AuditAction::DeployRequested,
                subject: None,
                detail: BTreeMap::new(),
            },
        };
        self.store.record_intent(&intent, i64::MAX).await.unwrap();
        let run = Run {
            id: RUN,
            attempt: 1,
            url: None,
            head_sha: None,
        };
        for event in [Event::Claimed, Event::Accepted(run)] {
            self.store.change(id, &event, at).await.unwrap();
        }
        id
    }

    /// All that is on record of a deploy: what was last heard when is left out.
    pub(super) async fn record(&self, id: DeployId) -> Value {
        let mut deploy = self.store.deploy(id).await.unwrap().unwrap();
        deploy.last_heard_at = None;
        let mut told = vec![];
        let numbers = std::iter::once(1).chain(deploy.reruns.iter().map(|rerun| rerun.attempt));
        for attempt in numbers.map(|number| Attempt { deploy: id, number }) {
            told.push(json!({
                "log": self.store.streamed_log(attempt).await.unwrap().text,
                "timeline": self.store.timeline(attempt).await.unwrap(),
            }));
        }
        json!({ "deploy": deploy, "attempts": told })
    }

    /// The answer to a request: its status, and its JSON.
    pub(super) async fn ask(&self, request: Request<Body>) -> (StatusCode, Value) {
        let response = self.router.clone().oneshot(request).await.unwrap();
        request::read(response).await
    }
}

/// Seconds since the Unix epoch.
pub(super) fn seconds(now: Timestamp) -> i64 {
    now.as_millis() / 1000
}
