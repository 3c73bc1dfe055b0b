//! The record: the only place with SQL.
//!
//! One SQL text serves SQLite and PostgreSQL, through `sqlx::Any`: `$1` placeholders, TEXT and BIGINT. What differs is
//! in `engine.rs`.
//! Every change of a deploy is one transaction that loads it, applies one event and writes it back
//! with the event, under a version that refuses a change made from an older picture.

mod attempts;
mod audit;
mod backup;
mod changes;
mod claims;
mod deployments;
mod engine;
mod health;
mod hints;
mod intents;
mod logs;
mod moving;
mod operators;
mod outside;
mod presence;
mod reads;
mod retention;
mod rows;
mod schema;
mod sessions;
mod standing;
mod tokens;
mod webhooks;

pub use audit::AuditEntry;
pub use backup::{BackupError, backup};
pub use changes::{Delivery, Printed, Receipt};
pub use deployments::{Followed, Setback};
pub use engine::shown;
pub use hints::Hint;
pub use intents::{Intent, Recorded};
pub use logs::Streamed;
pub use moving::{CopyError, Progress, Side, copy};
pub use operators::{Account, Link, NewOperator, Unchanged};
pub use outside::Workflow;
pub use presence::{Instance, Presence};
pub use sessions::{SessionAges, SessionRow};
pub use standing::{Standing, Weakness};

use engine::{BUSY, Engine};
use sqlx::any::{AnyArguments, AnyPoolOptions};
use sqlx::migrate::Migrator;
use sqlx::query::Query;
use sqlx::{Any, AnyPool, Connection, Transaction};
use std::time::Duration;
use tokio::time::timeout;

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// How often a change starts again when another one came between. Each loss is someone else's progress.
const TRIES: u32 = 16;
/// How long whoever reads waits for a sign of life to be noted.
const NOTED_WITHIN: Duration = Duration::from_secs(1);

/// Why the store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another writer holds it for too long, or the pool is exhausted. Worth trying again.
    #[error("the database is busy: {0}")]
    Busy(sqlx::Error),
    /// There is no space left where it is kept. Nothing was written. Worth trying again, once somebody has made some.
    #[error("the database has no space left: {0}")]
    Full(sqlx::Error),
    /// The server, or the file, went away. What was just being written may be there or not. Worth trying again.
    #[error("the database went away: {0}")]
    Away(sqlx::Error),
    /// Any other failure of the database.
    #[error("the database failed: {0}")]
    Database(sqlx::Error),
    /// A row holds what this version cannot read.
    #[error("a row of {table} cannot be read: {problem}")]
    Unreadable {
        /// Its table.
        table: &'static str,
        /// What is wrong with it.
        problem: String,
    },
}

/// Why the store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder of the database file cannot be made.
    #[error("{path}: {error}")]
    Folder {
        /// The folder.
        path: String,
        /// Why.
        error: std::io::Error,
    },
    /// The linked SQLite is too old to be trusted with a write-ahead log.
    #[error("the linked SQLite is {found}; 3.51.3 or newer is needed, older ones can corrupt a WAL database")]
    OldSqlite {
        /// Its version.
        found: String,
    },
    /// The address is of a kind that this build does not speak.
    #[error("it is neither a sqlite:// nor a postgres:// address")]
    Scheme,
    /// It cannot be connected to.
    #[error("{0}")]
    Connect(sqlx::Error),
    /// Nobody answers.
    #[error("no answer within 5 s")]
    Silent,
    /// Somebody else has it open, and it was to be used alone.
    #[error("it is in use{0}")]
    InUse(String),
    /// Its text is of a kind that cannot hold every character.
    #[error("its encoding is {0}, and must be UTF8")]
    Encoding(String),
    /// It is a file, and another console works on it.
    #[error("another console works on this file")]
    AnotherConsole,
    /// The server still sees this instance's connection before this one.
    #[error("the connection before has not ended yet")]
    StillThere,
    /// The tables cannot be brought up to date.
    #[error("the tables cannot be brought up to date: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        engine::meaning(error)
    }
}

/// The record's database. Clones share its connections.
#[derive(Debug, Clone)]
pub struct Store {
    /// For whoever reads.
    pool: AnyPool,
    /// For whoever writes. One does at a time, so the others stand in line for few connections, and leave the rest to
    /// readers.
    writing: AnyPool,
    engine: Engine,
}

impl Store {
    /// Opens the database at `url` (`sqlite://PATH` or `postgres://…`) and brings its tables up to date. A file is made
    /// if it is missing.
    ///
    /// # Errors
    /// [`OpenError`] when the linked SQLite is too old, the database cannot be used, or a migration fails.
    pub async fn open(url: &str) -> Result<Self, OpenError> {
        let engine = Engine::of(url)?;
        let url = engine.make_ready(url)?;
        // A first connection without a pool, which would hide what is wrong behind its time-out.
        let mut first = engine.connect(&url).await?;
        engine.prepare(&mut first).await.map_err(OpenError::Connect)?;
        first.close().await.map_err(OpenError::Connect)?;
        migrate(engine, &url).await?;
        let pool = |most| {
            AnyPoolOptions::new()
                .max_connections(most)
                .acquire_timeout(BUSY)
                // A server may have gone away meanwhile; a file is asked no faster for being asked twice.
                .test_before_acquire(engine == Engine::Postgres)
                .after_connect(move |connection, _| Box::pin(async move { engine.prepare(connection).await }))
                // A disk that fails or is full makes SQLite roll back by itself, and sqlx goes on to count a transaction in
                // which nothing can be begun any more. Such a connection is closed, and another one made.
                .before_acquire(|connection, _| Box::pin(async move { Ok(!connection.is_in_transaction()) }))
                .connect(&url)
        };
        let (readers, writers) = engine.connections();
        Ok(Self {
            pool: pool(readers).await.map_err(OpenError::Connect)?,
            writing: pool(writers).await.map_err(OpenError::Connect)?,
            engine,
        })
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// [`StoreError`] when it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1").execute(&self.pool).await?;
        Ok(())
    }

    /// Closes every connection, so that the write-ahead log of a file is folded into it.
    pub async fn close(&self) {
        self.pool.close().await;
        self.writing.close().await;
    }

    /// Notes what may lag behind, such as when somebody was last seen. Whoever reads waits for it a moment, but not until
    /// all who write have had their turn; what is not noted then, or fails, the next one to read notes.
    async fn note(&self, query: Query<'_, Any, AnyArguments>) {
        match timeout(NOTED_WITHIN, query.execute(&self.writing)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::debug!(%error, "a sign of life was not noted"),
            Err(_) => tracing::debug!("a sign of life was not noted: others write"),
        }
    }

    /// A transaction that takes the write lock at once: one that upgraded later could fail midway.
    async fn begin(&self) -> Result<Transaction<'static, Any>, StoreError> {
        self.engine.begin(&self.writing).await
    }
}

async fn migrate(engine: Engine, url: &str) -> Result<(), OpenError> {
    let one = AnyPoolOptions::new()
        .max_connections(1)
        .after_connect(move |connection, _| {
            Box::pin(async move {
                engine.prepare(connection).await?;
                engine.be_patient(connection).await
            })
        });
    let one = one.connect(url).await.map_err(OpenError::Connect)?;
    MIGRATIONS.run(&one).await?;
    one.close().await;
    Ok(())
}

/// Every try met another writer; the caller may come back.
fn contended() -> StoreError {
    StoreError::Busy(sqlx::Error::PoolTimedOut)
}
