//! The record: the only place with SQL.
//!
//! One SQL text serves SQLite and PostgreSQL, through `sqlx::Any`: `$1` placeholders, TEXT and BIGINT.
//! Every change of a deploy is one transaction that loads it, applies one event and writes it back
//! with the event, under a version that refuses a change made from an older picture.

mod attempts;
mod audit;
mod changes;
mod deployments;
mod health;
mod intents;
mod logs;
mod operators;
mod outside;
mod reads;
mod retention;
mod rows;
mod sessions;
mod standing;
mod tokens;
mod webhooks;

pub use audit::AuditEntry;
pub use changes::{Delivery, Receipt};
pub use deployments::{Followed, Setback};
pub use intents::{Intent, Recorded};
pub use logs::Streamed;
pub use operators::{Account, Link, NewOperator, Unchanged};
pub use outside::Workflow;
pub use sessions::{SessionAges, SessionRow};
pub use standing::Standing;

use sqlx::any::{AnyPoolOptions, install_default_drivers};
use sqlx::migrate::Migrator;
use sqlx::{AnyConnection, AnyPool, Connection, Transaction};
use std::path::Path;
use std::time::Duration;

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// SQLite 3.51.3 mended a bug that could corrupt a WAL database when it is reset.
const OLDEST_SQLITE: i32 = 3_051_003;

/// How long a write waits for another one before the store calls itself busy.
const BUSY: Duration = Duration::from_secs(5);

/// How often a change starts again when another one came between. Each loss is someone else's progress.
const TRIES: u32 = 16;

/// Why the store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another writer holds it for too long, or the pool is exhausted. Worth trying again.
    #[error("the database is busy: {0}")]
    Busy(sqlx::Error),
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
    #[error("`{0}` is no sqlite:// address")]
    Scheme(String),
    /// It cannot be connected to.
    #[error("{0}")]
    Connect(sqlx::Error),
    /// The tables cannot be brought up to date.
    #[error("the tables cannot be brought up to date: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let busy = match &error {
            sqlx::Error::PoolTimedOut => true,
            // SQLITE_BUSY and SQLITE_LOCKED with their extended codes: the low byte is 5 or 6.
            sqlx::Error::Database(inner) => inner
                .code()
                .and_then(|code| code.parse::<i32>().ok())
                .is_some_and(|code| matches!(code & 0xff, 5 | 6)),
            _ => false,
        };
        if busy { Self::Busy(error) } else { Self::Database(error) }
    }
}

/// The record's database. Clones share one pool.
#[derive(Debug, Clone)]
pub struct Store {
    pool: AnyPool,
}

impl Store {
    /// Opens the database at `url` (`sqlite://PATH`), makes it if it is missing, and brings its tables up to date.
    ///
    /// # Errors
    /// [`OpenError`] when the linked SQLite is too old, the file cannot be used, or a migration fails.
    pub async fn open(url: &str) -> Result<Self, OpenError> {
        check_sqlite(libsqlite3_sys::SQLITE_VERSION_NUMBER)?;
        let path = url
            .strip_prefix("sqlite://")
            .ok_or_else(|| OpenError::Scheme(url.to_owned()))?;
        make_folder(path.split('?').next().unwrap_or(path))?;
        install_default_drivers();
        let separator = if path.contains('?') { '&' } else { '?' };
        let url = format!("{url}{separator}mode=rwc");
        // A first connection without the pool: a pool would hide what is wrong behind its time-out.
        let mut first = AnyConnection::connect(&url).await.map_err(OpenError::Connect)?;
        prepare(&mut first).await.map_err(OpenError::Connect)?;
        first.close().await.map_err(OpenError::Connect)?;
        let pool = AnyPoolOptions::new()
            .max_connections(8)
            .acquire_timeout(BUSY)
            .after_connect(|connection, _| Box::pin(async move { prepare(connection).await }))
            .connect(&url)
            .await
            .map_err(OpenError::Connect)?;
        MIGRATIONS.run(&pool).await?;
        Ok(Self { pool })
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// [`StoreError`] when it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1").execute(&self.pool).await?;
        Ok(())
    }

    /// Closes every connection, so that the write-ahead log is folded into the file.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// A transaction that takes the write lock at once: one that upgraded later could fail midway.
    async fn begin(&self) -> Result<Transaction<'static, sqlx::Any>, StoreError> {
        Ok(self.pool.begin_with("BEGIN IMMEDIATE").await?)
    }
}

/// Every try met another writer; the caller may come back.
fn contended() -> StoreError {
    StoreError::Busy(sqlx::Error::PoolTimedOut)
}

async fn prepare(connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
    let busy_timeout = format!("PRAGMA busy_timeout = {}", BUSY.as_millis());
    let pragmas = [
        busy_timeout.as_str(),
        "PRAGMA journal_mode = WAL",
        // FULL: what was acknowledged survives the loss of power, not only of the process.
        "PRAGMA synchronous = FULL",
        "PRAGMA foreign_keys = ON",
    ];
    for pragma in pragmas {
        sqlx::query(sqlx::AssertSqlSafe(pragma))
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// Refuses a linked SQLite whose `version` number is older than 3.51.3.
fn check_sqlite(version: i32) -> Result<(), OpenError> {
    if version >= OLDEST_SQLITE {
        return Ok(());
    }
    let found = format!("{}.{}.{}", version / 1_000_000, version / 1000 % 1000, version % 1000);
    Err(OpenError::OldSqlite { found })
}

fn make_folder(file: &str) -> Result<(), OpenError> {
    let Some(folder) = Path::new(file).parent().filter(|folder| !folder.as_os_str().is_empty()) else {
        return Ok(());
    };
    std::fs::create_dir_all(folder).map_err(|error| OpenError::Folder {
        path: folder.display().to_string(),
        error,
    })
}

#[cfg(test)]
mod tests {
    use super::check_sqlite;

    #[test]
    fn an_sqlite_with_the_wal_reset_bug_is_refused() {
        assert!(check_sqlite(3_051_003).is_ok());
        let error = check_sqlite(3_051_002).map_err(|error| error.to_string());
        assert!(error.is_err_and(|text| text.contains("3.51.2") && text.contains("3.51.3")));
    }
}
