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
use super::mask::Mask;
use super::outside::OutsideWatch;
use super::reconciler::Reconciler;
use super::store::{OpenError, Store, StoreError, shown};
use super::{Console, DemoDoor, Inner, health, retention, router};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
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
    #[error("DATABASE_URL={url}: {error}: {}", remedy(.url))]
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
}

/// Opens the record.
///
/// # Errors
/// [`StartError::Database`], with its address.
pub async fn open_store(url: &str) -> Result<Store, StartError> {
    Store::open(url)
        .await
        .map_err(|error| StartError::Database { url: shown(url), error })
}

fn remedy(url: &str) -> &'static str {
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
    let store = open_store(&config.database_url).await?;
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
    let dispatcher = Dispatcher::new(store.clone(), github.clone(), &config.sites);
    dispatcher.recover().await?;
    let set_up = people::first_link(&store).await?;

    // From here on nothing can fail, and work begins.
    let mask = Mask::new(config.keys.clone(), github.clone());
    let reconciler = Reconciler::new(store.clone(), github.clone(), &config.sites, mask.clone());
    let outside = OutsideWatch::new(store.clone(), github.clone(), reconciler.clone(), &config.sites);
    let deployments = Deployments::new(store.clone(), github.clone(), &config.sites, &base_url);
    let sessions = Sessions::new(store.clone(), config.sessions);
    let (stop, work) = (CancellationToken::new(), TaskTracker::new());
    work.spawn(dispatcher.clone().run(stop.clone()));
    work.spawn(reconciler.clone().run(stop.clone()));
    work.spawn(reconciler.clone().run_logs(stop.clone()));
    work.spawn(outside.clone().run(stop.clone()));
    work.spawn(deployments.clone().run(stop.clone()));
    work.spawn(sessions.clone().forget_ended(stop.clone()));
    work.spawn(retention::keep(store.clone(), config.retention, stop.clone()));
    let (sites, every) = (config.sites.clone(), config.health_every);
    work.spawn(health::watch(store.clone(), sites, every, stop.clone()));
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
        demo,
    });
    if !addr.ip().is_loopback() && !console.is_secure() {
        tracing::warn!(
            "passwords travel in clear: put a proxy with TLS in front, and set CONSOLE_URL to its https:// address"
        );
    }
    let set_up = set_up.map(|link| console.link(&link.token));
    let stopped = stop.clone().cancelled_owned();
    work.spawn(async move {
        let service = router::routes(console).into_make_service_with_connect_info::<SocketAddr>();
        let served = axum::serve(listener, service).with_graceful_shutdown(stopped).await;
        if let Err(error) = served {
            tracing::error!(%error, "the listener failed");
        }
    });
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
    })
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
