//! Puts a console together and serves it until it is told to stop.

use super::auth::password::Passwords;
use super::auth::people;
use super::auth::provider::ProviderDoor;
use super::auth::session::Sessions;
use super::config::{Config, ConfigError};
use super::deployments::Deployments;
use super::dispatcher::Dispatcher;
use super::github::Github;
use super::keyless::Keyless;
use super::leader::{self, Term};
use super::listener::Listener;
use super::mask::Mask;
use super::outside::OutsideWatch;
use super::reconciler::Reconciler;
use super::retention::{self, Retention};
use super::store::{OpenError, Presence, Store, StoreError, shown};
use super::together::Together;
use super::{Console, DemoDoor, Inner, health, router};
use crate::domain::Site;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Why the console does not start, in one line.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration.
    #[error("{0}")]
    Config(#[from] ConfigError),
    /// The database.
    #[error("DATABASE_URL={url}: {error}: {}", remedy(.url, .error))]
    Database {
        /// Its address, without a password.
        url: String,
        /// What is wrong with it.
        error: OpenError,
    },
    /// The database, once it was open.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The address to listen on.
    #[error(
        "{addr}: {error}: another program may have that port; choose another one, with PORT, or --port and --github-port in a demo"
    )]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// What is wrong with it.
        error: io::Error,
    },
    /// The operating system.
    #[error("{0}")]
    System(#[from] io::Error),
}

/// A console that listens and works. [`Self::stop`] it, or it goes on.
pub struct Running {
    addr: SocketAddr,
    set_up: Option<String>,
    store: Store,
    reconciler: Reconciler,
    outside: OutsideWatch,
    deployments: Deployments,
    stop: CancellationToken,
    stop_within: Duration,
    work: TaskTracker,
    gone: CancellationToken,
    presence: JoinHandle<()>,
}

/// Opens the record.
///
/// # Errors
/// [`StartError::Database`], with its address.
pub async fn open_store(url: &str) -> Result<Store, StartError> {
    Store::open(url).await.map_err(|error| cannot_open(url, error))
}

/// Says that this instance is there, and then opens the record: nobody brings a file up to date at which another works.
async fn enter(url: &str) -> Result<(Presence, Store), StartError> {
    let presence = Presence::enter(url).await.map_err(|error| cannot_open(url, error))?;
    Ok((presence, open_store(url).await?))
}

fn cannot_open(url: &str, error: OpenError) -> StartError {
    StartError::Database { url: shown(url), error }
}

fn remedy(url: &str, error: &OpenError) -> &'static str {
    if matches!(error, OpenError::AnotherConsole) {
        return "stop that one first, or give a PostgreSQL database, which several instances may share";
    }
    if url.starts_with("postgres") {
        return "give a PostgreSQL database that exists and answers, and in which the console may make tables";
    }
    "give a file that the console may write, such as sqlite://data/console.db, or a postgres:// address"
}

/// Starts everything: the database, the background work, the listener. When it returns, the port answers.
///
/// # Errors
/// [`StartError`]; then nothing is left running.
pub async fn start(config: Config, demo: Option<DemoDoor>) -> Result<Running, StartError> {
    let mut options = config.github.clone();
    if config.sites.iter().any(|site| site.github_deployments) {
        options.identity.want_deployments();
    }
    let github = Github::new(options)
        .map_err(|error| ConfigError::new(format!("GITHUB_DISPATCH_TOKEN, GITHUB_API_VERSION: {error}")))?;
    let (presence, store) = enter(&config.database_url).await?;
    let listen = |error| StartError::Listen {
        addr: config.addr,
        error,
    };
    let listener = TcpListener::bind(config.addr).await.map_err(listen)?;
    let addr = listener.local_addr().map_err(listen)?;
    let base_url = config.public_url.unwrap_or_else(|| format!("http://{addr}"));
    let provider = config
        .provider
        .map(|provider| ProviderDoor::new(provider, config.provider_secret, &base_url))
        .transpose()
        .map_err(|error| ConfigError::new(format!("[oidc]: {error}")))?;
    let keyless = Keyless::new(config.keyless, &base_url)
        .map_err(|error| ConfigError::new(format!("GITHUB_OIDC_ISSUER: {error}")))?;
    let passwords = Passwords::new().map_err(|error| io::Error::other(error.to_string()))?;
    let dispatcher = Dispatcher::new(
        store.clone(),
        presence.instance().clone(),
        github.clone(),
        &config.sites,
    );
    dispatcher.recover().await?;
    let set_up = people::first_link(&store).await?;

    // From here on nothing can fail, and work begins.
    let mask = Mask::new(config.keys.clone(), github.clone());
    let reconciler = Reconciler::new(store.clone(), github.clone(), &config.sites, mask.clone());
    let outside = OutsideWatch::new(store.clone(), github.clone(), reconciler.clone(), &config.sites);
    let deployments = Deployments::new(store.clone(), github.clone(), &config.sites, &base_url);
    let sessions = Sessions::new(store.clone(), config.sessions);
    let (stop, gone, work) = (CancellationToken::new(), CancellationToken::new(), TaskTracker::new());
    work.spawn(dispatcher.clone().run(stop.clone()));
    let duties = Duties {
        store: store.clone(),
        dispatcher: dispatcher.clone(),
        reconciler: reconciler.clone(),
        outside: outside.clone(),
        deployments: deployments.clone(),
        sessions: sessions.clone(),
        retention: config.retention,
        sites: config.sites.clone(),
        health_every: config.health_every,
    };
    let leading = leader::lead(presence, stop.clone(), gone.clone(), move |term| duties.begin(term));
    let presence = tokio::spawn(leading);
    let console = Console::new(Inner {
        store: store.clone(),
        sites: config.sites,
        keys: config.keys,
        mask,
        webhook_secret: config.webhook_secret,
        keyless,
        base_url,
        provider,
        passwords,
        sessions,
        trusted_proxies: config.trusted_proxies,
        dispatcher,
        reconciler: reconciler.clone(),
        outside: outside.clone(),
        github,
        limits: config.limits,
        board: Together::default(),
        demo,
    });
    if !addr.ip().is_loopback() && !console.is_secure() {
        tracing::warn!(
            "passwords travel in clear: put a proxy with TLS in front, and set CONSOLE_URL to its https:// address"
        );
    }
    let set_up = set_up.map(|link| console.link(&link.token));
    let listener = Listener {
        socket: listener,
        trusted_proxies: console.trusted_proxies.clone(),
        limits: config.limits,
        routes: router::routes(console),
    };
    work.spawn(listener.serve(stop.clone()));
    work.close();
    tracing::info!(%addr, "listening");
    Ok(Running {
        addr,
        set_up,
        store,
        reconciler,
        outside,
        deployments,
        stop,
        stop_within: config.limits.stop_within,
        work,
        gone,
        presence,
    })
}

/// What is done once, however many instances there are.
struct Duties {
    store: Store,
    dispatcher: Dispatcher,
    reconciler: Reconciler,
    outside: OutsideWatch,
    deployments: Deployments,
    sessions: Sessions,
    retention: Retention,
    sites: Vec<Site>,
    health_every: Duration,
}

impl Duties {
    fn begin(&self, term: &Term) {
        let (sites, every) = (self.sites.clone(), self.health_every);
        term.spawn(|over| self.dispatcher.clone().keep_recovering(over));
        term.spawn(|over| self.reconciler.clone().run(over));
        term.spawn(|over| self.reconciler.clone().run_logs(over));
        term.spawn(|over| self.outside.clone().run(over));
        term.spawn(|over| self.deployments.clone().run(over));
        term.spawn(|over| self.sessions.clone().forget_ended(over));
        term.spawn(|over| retention::keep(self.store.clone(), self.retention, over));
        term.spawn(|over| health::watch(self.store.clone(), sites, every, over));
    }
}

impl Running {
    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The one-time link to the first set-up, while nobody can come in yet.
    pub fn set_up(&self) -> Option<&str> {
        self.set_up.as_deref()
    }

    /// Its record.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// What finds out how runs stand; a test steps it through time.
    pub fn reconciler(&self) -> &Reconciler {
        &self.reconciler
    }

    /// What watches for runs from outside; a test steps it through time.
    pub fn outside(&self) -> &OutsideWatch {
        &self.outside
    }

    /// What tells GitHub of deployments; a test steps it through time.
    pub fn deployments(&self) -> &Deployments {
        &self.deployments
    }

    /// Takes nothing new, finishes what is under way, and stops. What does not end in time, such as a request that
    /// never comes to its end, is cut off; nothing that was answered is lost with it.
    pub async fn stop(self) {
        self.stop.cancel();
        if timeout(self.stop_within, self.work.wait()).await.is_err() {
            tracing::warn!("something did not end in time, and is cut off");
        }
        // Only now: a call that was under way was ours to the end.
        self.gone.cancel();
        let _in_time = timeout(self.stop_within, self.presence).await;
        let _in_time = timeout(self.stop_within, self.store.close()).await;
    }
}

/// Waits for Ctrl-C or SIGTERM.
///
/// # Errors
/// When the operating system does not let us wait for them.
pub async fn asked_to_stop() -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        pressed = tokio::signal::ctrl_c() => pressed,
        _ = terminate.recv() => Ok(()),
    }
}
