//! What the clients share: who they are, where consoles are, and what they were told.

use super::ledger::{Findings, Kind, Ledger, Post};
use crate::support::people::bearer;
use raxx_console::domain::{DeployId, Role, Slug};
use raxx_console::server::audit::Source;
use raxx_console::server::auth::{people, token};
use raxx_console::server::demo::stand_in::StandIn;
use raxx_console::server::store::Store;
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

/// How many sites are deployed at the same time.
pub(super) const SITES: usize = 6;
/// The versions of GitHub's API that the consoles speak: by them GitHub's stand-in can tell who called.
pub(super) const API_VERSIONS: [&str; 2] = ["2022-11-28", "2026-03-10"];
/// How soon a request that was not answered is sent again.
const AGAIN: Duration = Duration::from_millis(40);
/// How long an answer is waited for; then it is asked again, as pages and workflows do.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// Something that a kill can be aimed at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    ClickSent,
    ClickAcknowledged,
    ReportSent,
    ReportAcknowledged,
    PostArrived,
}

pub(super) struct World {
    pub github: StandIn,
    /// Where the consoles are; clients take any.
    pub doors: Vec<String>,
    pub moments: broadcast::Sender<Moment>,
    /// Cancelled when nobody shall click any more.
    pub quiet: CancellationToken,
    pub seed: u64,
    ledger: Mutex<Ledger>,
    findings: Mutex<Findings>,
    posts: Mutex<BTreeMap<DeployId, Vec<Post>>>,
}

/// Somebody with an API token.
#[derive(Clone)]
pub(super) struct Operator {
    pub name: String,
    pub http: Client,
}

impl World {
    pub(super) fn new(github: StandIn, doors: Vec<String>, seed: u64) -> Self {
        Self {
            github,
            doors,
            moments: broadcast::Sender::new(1024),
            quiet: CancellationToken::new(),
            seed,
            ledger: Mutex::default(),
            findings: Mutex::default(),
            posts: Mutex::default(),
        }
    }

    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap()
    }

    pub(super) fn findings(&self) -> MutexGuard<'_, Findings> {
        self.findings.lock().unwrap()
    }

    pub(super) fn posts(&self) -> MutexGuard<'_, BTreeMap<DeployId, Vec<Post>>> {
        self.posts.lock().unwrap()
    }

    pub(super) fn wrong(&self, kind: Kind, what: impl Into<String>) {
        self.findings().add(kind, what);
    }

    /// Nobody needs to be aiming.
    pub(super) fn tell(&self, moment: Moment) {
        let _listeners = self.moments.send(moment);
    }

    /// A random one of the consoles.
    pub(super) fn door(&self, random: &mut fastrand::Rng) -> &str {
        &self.doors[random.usize(..self.doors.len())]
    }

    /// The dice of one of the actors: the same for the same seed.
    pub(super) fn dice(&self, actor: u64) -> fastrand::Rng {
        fastrand::Rng::with_seed(self.seed.wrapping_mul(1_000_003).wrapping_add(actor))
    }

    /// Sends until somebody answers for good; 5xx and 429 are "not now".
    pub(super) async fn insist(
        &self,
        random: &mut fastrand::Rng,
        moment: Moment,
        request: impl Fn(&str) -> RequestBuilder,
    ) -> Response {
        loop {
            let sending = request(self.door(random)).timeout(ANSWER_WITHIN).send();
            self.ledger().under_way += 1;
            self.tell(moment);
            let answer = sending.await;
            self.ledger().under_way -= 1;
            match answer {
                Ok(response) if is_final(response.status()) => return response,
                _ => tokio::time::sleep(AGAIN).await,
            }
        }
    }
}

fn is_final(status: StatusCode) -> bool {
    !status.is_server_error() && status != StatusCode::TOO_MANY_REQUESTS
}

/// The slug of a site.
pub(super) fn slug(site: usize) -> String {
    format!("site-{site}")
}

/// The consoles' `console.toml`. Who closes a dispatch by hand may do so soon: a killed console sends nothing late.
pub(super) fn console_toml() -> String {
    let mut file = String::new();
    for site in 0..SITES {
        let slug = slug(site);
        write!(
            file,
            "[[site]]\nslug = \"{slug}\"\nname = \"{slug}\"\nenvironment = \"test\"\nurl = \"https://{slug}.example\"\n\
             repository = \"raxx/{slug}\"\nworkflow = \"{slug}.yml\"\ngrace = \"2s\"\n\n"
        )
        .unwrap();
    }
    file
}

/// Lets people in, so that clients can speak for them.
pub(super) async fn operators(database: &str, count: usize) -> Vec<Operator> {
    // No console in this process has said which one its clients use.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let store = Store::open(database).await.unwrap();
    let source = Source::command_line();
    let sites: Vec<Slug> = (0..SITES).map(|site| slug(site).parse().unwrap()).collect();
    let mut operators = Vec::new();
    for number in 0..count {
        let name = format!("operator-{number}");
        let parsed = name.parse().unwrap();
        people::add(&store, name.parse().unwrap(), Role::Deployer, &source)
            .await
            .unwrap();
        let operator = people::find(&store, &parsed).await.unwrap().operator;
        let wanted = token::Wanted {
            name: "clicks".to_owned(),
            sites: Vec::new(),
            lives_ms: None,
        };
        let (text, _) = token::create(&store, &sites, &operator, wanted, &source).await.unwrap();
        operators.push(Operator {
            name,
            http: bearer(&text),
        });
    }
    store.close().await;
    operators
}
