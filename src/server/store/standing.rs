//! How the database stands, found out by looking alone: nothing is made, migrated or written.

use super::engine::{Engine, check_sqlite, file_of, with_parameters};
use super::{MIGRATIONS, OpenError};
use sqlx::any::install_default_drivers;
use sqlx::migrate::{AppliedMigration, Migrate, MigrateError};
use sqlx::{AnyConnection, Connection, Row};
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

/// PostgreSQL's word for a table that is not there. SQLite has only a text.
const UNDEFINED_TABLE: &str = "42P01";

/// How the database stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// There is none yet.
    Missing,
    /// Its tables are those that this binary knows.
    Current,
    /// It can be read and not written, by whoever looks.
    ReadOnly,
    /// So many migrations have not been applied.
    Pending(usize),
    /// It has a migration that this binary does not know.
    Newer(i64),
    /// A migration that was applied is not what this binary has by that number, or stopped midway.
    Other(i64),
}

impl Standing {
    /// Looks at the database at `url`.
    ///
    /// # Errors
    /// [`OpenError`] when it is there and cannot be read.
    pub async fn of(url: &str) -> Result<Self, OpenError> {
        install_default_drivers();
        match Engine::of(url)? {
            Engine::Sqlite => of_file(url).await,
            Engine::Postgres => of_server(url).await,
        }
    }
}

async fn of_file(url: &str) -> Result<Standing, OpenError> {
    check_sqlite(libsqlite3_sys::SQLITE_VERSION_NUMBER)?;
    let path = file_of(url);
    match path.try_exists() {
        Ok(true) => {}
        Ok(false) => return Ok(Standing::Missing),
        Err(error) => {
            let path = path.display().to_string();
            return Err(OpenError::Folder { path, error });
        }
    }
    // Without a write-ahead log nobody has it open, and SQLite would leave an empty one behind.
    let is_open = log_of(path).exists();
    let read_only = with_parameters(url, &format!("mode=ro&immutable={}", !is_open));
    let mut connection = Engine::Sqlite.connect(&read_only).await?;
    let standing = by_migrations(&mut connection).await?;
    connection.close().await.map_err(OpenError::Connect)?;
    let is_writable = OpenOptions::new().write(true).open(path).is_ok();
    Ok(standing.unless_read_only(!is_writable))
}

async fn of_server(url: &str) -> Result<Standing, OpenError> {
    let mut connection = Engine::Postgres.connect(url).await?;
    let standing = by_migrations(&mut connection).await?;
    let mut is_read_only = false;
    if standing == Standing::Current {
        let row = sqlx::query(
            "SELECT CASE WHEN pg_is_in_recovery() OR current_setting('default_transaction_read_only') = 'on' \
             OR NOT has_table_privilege('console_deploys', 'INSERT, UPDATE') THEN 1 ELSE 0 END AS read_only",
        );
        let row = row.fetch_one(&mut connection).await.map_err(OpenError::Connect)?;
        is_read_only = row.try_get::<i32, _>("read_only").map_err(OpenError::Connect)? == 1;
    }
    connection.close().await.map_err(OpenError::Connect)?;
    Ok(standing.unless_read_only(is_read_only))
}

impl Standing {
    fn unless_read_only(self, is_read_only: bool) -> Self {
        if self == Self::Current && is_read_only {
            return Self::ReadOnly;
        }
        self
    }
}

async fn by_migrations(connection: &mut AnyConnection) -> Result<Standing, OpenError> {
    let applied = applied(connection).await?;
    let halfway = if applied.is_empty() {
        None
    } else {
        connection.dirty_version(&MIGRATIONS.table_name).await?
    };
    Ok(halfway.map_or_else(|| compare(&applied), Standing::Other))
}

/// A setting of the server by which what was acknowledged can be lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weakness {
    /// `fsync = off`: a loss of power can destroy the database.
    Fsync,
    /// `full_page_writes = off`: so can this.
    FullPageWrites,
    /// `synchronous_commit = off`: the last moments before a crash can be lost. The console sets it for itself.
    SynchronousCommit,
}

impl Weakness {
    /// What the setting is called.
    pub fn setting(self) -> &'static str {
        match self {
            Self::Fsync => "fsync",
            Self::FullPageWrites => "full_page_writes",
            Self::SynchronousCommit => "synchronous_commit",
        }
    }

    /// Those of the server at `url`. A file has none.
    ///
    /// # Errors
    /// [`OpenError`] when it cannot be asked.
    pub async fn all_of(url: &str) -> Result<Vec<Self>, OpenError> {
        let engine = Engine::of(url)?;
        if engine == Engine::Sqlite {
            return Ok(Vec::new());
        }
        install_default_drivers();
        let mut connection = engine.connect(url).await?;
        let mut found = Vec::new();
        for weakness in [Self::Fsync, Self::FullPageWrites, Self::SynchronousCommit] {
            let row = sqlx::query("SELECT current_setting($1) AS value").bind(weakness.setting());
            let row = row.fetch_one(&mut connection).await.map_err(OpenError::Connect)?;
            if row.try_get::<String, _>("value").map_err(OpenError::Connect)? == "off" {
                found.push(weakness);
            }
        }
        connection.close().await.map_err(OpenError::Connect)?;
        Ok(found)
    }
}

/// Where SQLite keeps the write-ahead log of a database.
fn log_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

/// The migrations that were applied; none where there is no table of them.
async fn applied(connection: &mut AnyConnection) -> Result<Vec<AppliedMigration>, OpenError> {
    match connection.list_applied_migrations(&MIGRATIONS.table_name).await {
        Ok(applied) => Ok(applied),
        Err(MigrateError::Execute(sqlx::Error::Database(error)))
            if error.message().contains("no such table") || error.code().as_deref() == Some(UNDEFINED_TABLE) =>
        {
            Ok(Vec::new())
        }
        Err(error) => Err(error.into()),
    }
}

fn compare(applied: &[AppliedMigration]) -> Standing {
    for done in applied {
        match MIGRATIONS.iter().find(|ours| ours.version == done.version) {
            None => return Standing::Newer(done.version),
            Some(ours) if ours.checksum != done.checksum => return Standing::Other(done.version),
            Some(_) => {}
        }
    }
    match MIGRATIONS.iter().count().saturating_sub(applied.len()) {
        0 => Standing::Current,
        pending => Standing::Pending(pending),
    }
}
