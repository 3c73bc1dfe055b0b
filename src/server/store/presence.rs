//! That this instance of the console is there, and whether it is the one that leads: two locks, which end with it.
//!
//! On PostgreSQL they are session-level advisory locks of one connection that does nothing else. They end when the
//! instance ends or its connection breaks, however that happens. An SQLite file has one instance, which leads: a lock
//! on a file beside it holds others off.

use super::OpenError;
use super::engine::{Engine, file_of};
use sqlx::{AnyConnection, Connection};
use std::fmt;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

/// The lock of the instance that leads: "lead" in ASCII. Those of instances are negative, and the write lock is another.
const LEADER: i64 = 1_818_583_396;
/// After this long without an answer the connection is as good as gone.
const PATIENCE: Duration = Duration::from_secs(3);
/// The server ends the connection of an instance that does not speak for so long, as one that hangs or is cut off, and
/// with it the locks. It is longer than a beat and [`PATIENCE`], so that by then the instance has stopped to lead.
const LEASE: &str = "SET idle_session_timeout = '10s'";
/// For so long a start waits for the one before to stop.
const HANDOVER: Duration = Duration::from_secs(10);

/// This instance of the console, told from others. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Instance {
    key: i64,
    is_there: Arc<AtomicBool>,
}

impl Instance {
    /// A new one, which is there.
    pub fn new() -> Self {
        // The variant of a UUID makes it negative, and 62 bits of it are random.
        let (_, random) = Uuid::now_v7().as_u64_pair();
        Self {
            key: random.cast_signed(),
            is_there: Arc::new(AtomicBool::new(true)),
        }
    }

    /// Whether others can see that it is there. While they cannot, it must claim nothing.
    pub fn is_there(&self) -> bool {
        self.is_there.load(Ordering::Relaxed)
    }
}

impl Default for Instance {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.key.fmt(f)
    }
}

/// The locks of an instance.
#[derive(Debug)]
pub struct Presence {
    instance: Instance,
    leads: bool,
    hold: Hold,
}

#[derive(Debug)]
enum Hold {
    /// Locked for as long as it is open.
    File { _lock: Option<File> },
    /// None while it is broken.
    Session {
        url: String,
        connection: Option<AnyConnection>,
    },
}

impl Presence {
    /// Says to others that this instance is there.
    ///
    /// # Errors
    /// [`OpenError`] when the database cannot be reached, or is a file at which another console works.
    pub async fn enter(url: &str) -> Result<Self, OpenError> {
        let (engine, instance) = (Engine::of(url)?, Instance::new());
        let url = engine.make_ready(url)?;
        let hold = match engine {
            Engine::Sqlite => Hold::File {
                _lock: lock_beside(file_of(&url)).await?,
            },
            Engine::Postgres => {
                let connection = Some(session(&url, &instance).await?);
                Hold::Session { url, connection }
            }
        };
        Ok(Self {
            instance,
            leads: false,
            hold,
        })
    }

    /// The instance.
    pub fn instance(&self) -> &Instance {
        &self.instance
    }

    /// Makes sure of the locks: takes the leader's when it is free and wanted, gives it back when it is not wanted any
    /// more, and finds out whether what was held is held still. Returns whether this instance leads.
    pub async fn beat(&mut self, wants_to_lead: bool) -> bool {
        let (was_there, led) = (self.instance.is_there(), self.leads);
        let held = match &mut self.hold {
            Hold::File { .. } => Ok(wants_to_lead),
            Hold::Session { url, connection } => {
                let holding = hold(url, &self.instance, connection, led, wants_to_lead);
                let held = timeout(PATIENCE, holding).await;
                held.unwrap_or_else(|_| Err("no answer within 3 s".to_owned()))
            }
        };
        if let (Err(reason), Hold::Session { connection, .. }) = (&held, &mut self.hold) {
            // Whatever it held is not ours any more, or not for certain.
            *connection = None;
            if was_there {
                tracing::warn!(reason, "the connection that shows that this instance is there broke");
            }
        }
        self.instance.is_there.store(held.is_ok(), Ordering::Relaxed);
        self.leads = held.unwrap_or(false);
        self.leads
    }

    /// Gives everything back.
    pub async fn leave(self) {
        self.instance.is_there.store(false, Ordering::Relaxed);
        if let Hold::Session {
            connection: Some(connection),
            ..
        } = self.hold
        {
            let _in_time = timeout(PATIENCE, connection.close()).await;
        }
    }
}

/// One beat on PostgreSQL; whether the leader's lock is held.
async fn hold(
    url: &str,
    instance: &Instance,
    connection: &mut Option<AnyConnection>,
    led: bool,
    wants_to_lead: bool,
) -> Result<bool, String> {
    if connection.is_none() {
        let new = session(url, instance).await;
        *connection = Some(new.map_err(|error| error.to_string())?);
    }
    let Some(open) = connection else { return Ok(false) };
    let leads = match (led, wants_to_lead) {
        (false, true) => try_lock(open, LEADER).await,
        (true, false) => {
            let given_back = sqlx::query("SELECT pg_advisory_unlock($1)").bind(LEADER);
            given_back.execute(open).await.map(|_| false)
        }
        _ => sqlx::query("SELECT 1").execute(open).await.map(|_| led),
    };
    leads.map_err(|error| error.to_string())
}

/// A connection that holds the lock of `instance`.
async fn session(url: &str, instance: &Instance) -> Result<AnyConnection, OpenError> {
    let mut connection = Engine::Postgres.connect(url).await?;
    sqlx::query(LEASE)
        .execute(&mut connection)
        .await
        .map_err(OpenError::Connect)?;
    if try_lock(&mut connection, instance.key)
        .await
        .map_err(OpenError::Connect)?
    {
        return Ok(connection);
    }
    // The server has not noticed yet that the connection before is gone.
    Err(OpenError::StillThere)
}

async fn try_lock(connection: &mut AnyConnection, key: i64) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT pg_try_advisory_lock($1)")
        .bind(key)
        .fetch_one(connection)
        .await
}

/// Locks the file beside an SQLite database, once the console before has stopped. Not the database itself, whose own
/// locks would go when we close it. Where the file system has no locks, nothing is held.
async fn lock_beside(database: &Path) -> Result<Option<File>, OpenError> {
    let mut path = database.as_os_str().to_owned();
    path.push(".lock");
    let path = PathBuf::from(path);
    let failed = |error| OpenError::Folder {
        path: path.display().to_string(),
        error,
    };
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(failed)?;
    let (since, mut told) = (Instant::now(), false);
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::Error(error)) => {
                tracing::warn!(%error, "nothing keeps a second console from this file: it cannot be locked");
                return Ok(None);
            }
            Err(TryLockError::WouldBlock) if since.elapsed() >= HANDOVER => return Err(OpenError::AnotherConsole),
            Err(TryLockError::WouldBlock) => {
                if !std::mem::replace(&mut told, true) {
                    tracing::info!("another console works on this file; waiting until it has stopped");
                }
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}
