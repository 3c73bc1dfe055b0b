//! A stand-in for GitHub on loopback: a stateful fake over real HTTP, with GitHub's routes and shapes.
//!
//! It plays runs by executing the composite action's own scripts, so every callback is real. The demo,
//! the server's tests and the browser's tests all use this one.

mod app;
mod connection;
mod deployments;
mod gate;
mod issuer;
mod pages;
mod plan;
mod play;
mod record;
mod repositories;
mod routes;
mod runs;
mod scenario;
mod state;

pub use app::{KnownApp, Lent};
pub use deployments::{Deployment, DeploymentFault, DeploymentStatus, DeploymentWish};
pub use gate::{Asked, Fault};
pub use repositories::SetUp;
pub use scenario::{Scenario, UnknownScenario};
pub use state::{Dispatch, Run, RunStep};

use connection::{Cut, CuttableListener};
use issuer::Issuer;
use play::Scripts;
use routes::Ctx;
use state::State;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

/// How long a test waits for a dispatch that it expects.
const PATIENCE: Duration = Duration::from_secs(20);

/// How a stand-in begins.
#[derive(Debug, Clone)]
pub struct StandInOptions {
    /// Where it listens; port 0 takes a free one.
    pub addr: SocketAddr,
    /// Where played runs send their callbacks.
    pub console_url: String,
    /// What they sign them with; with nothing, if it is empty.
    pub callback_secret: String,
    /// One beat of a played run: about a line of log.
    pub pace: Duration,
    /// Whether runs are given `id-token: write`, so that their callbacks come with a token, too.
    pub id_token: bool,
    /// Whether runs are played. If not they stay queued, and a test speaks for them.
    pub play: bool,
    /// What happens unless something else was chosen for the workflow.
    pub default_scenario: Scenario,
    /// The file that every exchange at GitHub's routes is added to, a line of JSON each.
    pub record: Option<PathBuf>,
}

/// A stand-in that runs. Clones are the same one; when the last is dropped it stops, and its runs with it.
#[derive(Clone)]
pub struct StandIn {
    shared: Arc<Shared>,
    addr: SocketAddr,
    _stop: Arc<DropGuard>,
}

/// What the routes and the played runs share.
struct Shared {
    state: Mutex<State>,
    console_url: Mutex<String>,
    callback_secret: String,
    pace: Duration,
    id_token: bool,
    play: bool,
    record: Option<PathBuf>,
    changed: Notify,
    released: watch::Sender<bool>,
    latency: Mutex<Duration>,
    scripts: Scripts,
    issuer: Issuer,
    stop: CancellationToken,
}

impl StandIn {
    /// Starts it; when this returns, its port answers.
    ///
    /// # Errors
    /// When the port is taken, or the scripts cannot be written to a temporary folder.
    pub async fn start(options: StandInOptions) -> io::Result<Self> {
        let listener = TcpListener::bind(options.addr).await?;
        let addr = listener.local_addr()?;
        let stop = CancellationToken::new();
        let shared = Arc::new(Shared {
            state: Mutex::new(State::new(options.default_scenario)),
            console_url: Mutex::new(options.console_url),
            callback_secret: options.callback_secret,
            pace: options.pace,
            id_token: options.id_token,
            play: options.play,
            record: options.record,
            changed: Notify::new(),
            released: watch::Sender::new(false),
            latency: Mutex::default(),
            scripts: Scripts::write()?,
            issuer: Issuer::new()?,
            stop: stop.clone(),
        });
        let service = routes::routes(shared.clone(), addr).into_make_service_with_connect_info::<Cut>();
        let stopped = stop.clone();
        tokio::spawn(async move {
            let serve = axum::serve(CuttableListener::new(listener), service);
            // Its end is the end of the process or of a test; nobody waits for open connections.
            let _ended = stopped.run_until_cancelled(serve.into_future()).await;
        });
        Ok(Self {
            shared,
            addr,
            _stop: Arc::new(stop.drop_guard()),
        })
    }

    /// Its base address, to be given as `GITHUB_API_URL`.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// GitHub's number of a repository.
    pub fn repository_id(name: &str) -> u64 {
        u64::from(issuer::repository_id(name))
    }

    /// Says where the console is, once that is known.
    pub fn set_console_url(&self, url: String) {
        *lock(&self.shared.console_url) = url;
    }

    /// Chooses what happens to dispatches of a workflow file from now on.
    pub fn set_scenario(&self, workflow: &str, scenario: Scenario) {
        self.shared.state().choose(workflow, Some(scenario));
    }

    /// Every dispatch that ever arrived, refused ones too, oldest first.
    pub fn dispatches(&self) -> Vec<Dispatch> {
        self.shared.state().dispatches.clone()
    }

    /// Waits until `count` dispatches have arrived, or for 20 s; what has arrived by then.
    pub async fn dispatched(&self, count: usize) -> Vec<Dispatch> {
        let arrived = async {
            loop {
                let changed = self.shared.changed.notified();
                if self.dispatches().len() >= count {
                    return;
                }
                changed.await;
            }
        };
        let _in_time = tokio::time::timeout(PATIENCE, arrived).await;
        self.dispatches()
    }

    /// Every run, oldest first.
    pub fn runs(&self) -> Vec<Run> {
        self.shared.state().runs.clone()
    }

    /// Starts a run as a person does by hand: without the console. Its id.
    pub fn start_by_hand(&self, repository: &str, workflow: &str, by: &str) -> i64 {
        let ctx = Ctx {
            shared: self.shared.clone(),
            base: self.url(),
        };
        runs::start_by_hand(&ctx, repository, workflow, by)
    }

    /// Changes a run, where no one plays it.
    pub fn change_run(&self, id: i64, change: impl FnOnce(&mut Run)) {
        self.shared.state().change_run(id, change);
    }

    /// Deletes a run, as a person can on GitHub.
    pub fn delete_run(&self, id: i64) {
        self.shared.state().runs.retain(|run| run.id != id);
    }

    /// What is wrong with GitHub from now on while it is read; `None`: nothing.
    pub fn set_fault(&self, fault: Option<Fault>) {
        self.shared.state().fault = fault;
    }

    /// How long it takes from now on between a run's start and the answer to its dispatch; nothing unless given.
    pub fn set_latency(&self, latency: Duration) {
        *lock(&self.shared.latency) = latency;
    }

    /// Forgets which requests it was asked, and with them what was used of the rate limit: another hour has begun.
    pub fn forget_asked(&self) {
        self.shared.state().asked.clear();
    }

    /// Every deployment, oldest first.
    pub fn deployments(&self) -> Vec<Deployment> {
        self.shared.state().deployments.clone()
    }

    /// What happens to deployments and their statuses from now on; `None`: they are taken.
    pub fn set_deployment_fault(&self, fault: Option<DeploymentFault>) {
        self.shared.state().deployment_fault = fault;
    }

    /// From now on this App is known, and no token is taken but those that it is lent.
    pub fn know_app(&self, app: KnownApp) {
        self.shared.state().app = Some(app);
    }

    /// Every token that an App was lent, oldest first.
    pub fn lent(&self) -> Vec<Lent> {
        self.shared.state().lent.clone()
    }

    /// Takes back every token that an App was lent.
    pub fn revoke_lent(&self) {
        for lent in &mut self.shared.state().lent {
            lent.repositories.clear();
        }
    }

    /// The last requests to GitHub's own routes, oldest first.
    pub fn asked(&self) -> Vec<Asked> {
        self.shared.state().asked.iter().cloned().collect()
    }

    /// Changes how its repositories are set up, and what it says of tokens and of the time.
    pub fn set_up(&self, change: impl FnOnce(&mut SetUp)) {
        change(&mut self.shared.state().set_up);
    }

    /// Puts a workflow into a repository, on every branch, in place of the one that is there.
    pub fn put_workflow(&self, repository: &str, file: &str, text: &str) {
        self.set_up(|set_up| {
            set_up.files.insert(format!("{repository}/{file}"), text.to_owned());
        });
    }

    /// Lets every dispatch that is held go on.
    pub fn release(&self) {
        self.shared.released.send_replace(true);
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn console_url(&self) -> String {
        lock(&self.console_url).clone()
    }

    fn latency(&self) -> Duration {
        *lock(&self.latency)
    }
}

/// A panic elsewhere leaves the picture as it was; it is still the best there is.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
