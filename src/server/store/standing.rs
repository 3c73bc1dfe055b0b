//! How the database stands, found out by looking alone: nothing is made, migrated or written.

use super::{MIGRATIONS, OpenError, check_sqlite};
use sqlx::any::install_default_drivers;
use sqlx::migrate::{AppliedMigration, Migrate, MigrateError};
use sqlx::{AnyConnection, Connection};
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

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
    /// Looks at the database at `url` (`sqlite://PATH`).
    ///
    /// # Errors
    /// [`OpenError`] when it is there and cannot be read.
    pub async fn of(url: &str) -> Result<Self, OpenError> {
        check_sqlite(libsqlite3_sys::SQLITE_VERSION_NUMBER)?;
        let address = url
            .strip_prefix("sqlite://")
            .ok_or_else(|| OpenError::Scheme(url.to_owned()))?;
        let path = Path::new(address.split('?').next().unwrap_or(address));
        match path.try_exists() {
            Ok(true) => {}
            Ok(false) => return Ok(Self::Missing),
            Err(error) => {
                let path = path.display().to_string();
                return Err(OpenError::Folder { path, error });
            }
        }
        install_default_drivers();
        let separator = if address.contains('?') { '&' } else { '?' };
        // Without a write-ahead log nobody has it open, and SQLite would leave an empty one behind.
        let is_open = log_of(path).exists();
        let read_only = format!("{url}{separator}mode=ro&immutable={}", !is_open);
        let mut connection = AnyConnection::connect(&read_only).await.map_err(OpenError::Connect)?;
        let applied = applied(&mut connection).await?;
        let halfway = if applied.is_empty() {
            None
        } else {
            connection.dirty_version(&MIGRATIONS.table_name).await?
        };
        connection.close().await.map_err(OpenError::Connect)?;
        let standing = halfway.map_or_else(|| compare(&applied), Self::Other);
        let writable = OpenOptions::new().write(true).open(path).is_ok();
        Ok(if standing == Self::Current && !writable {
            Self::ReadOnly
        } else {
            standing
        })
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
        Err(MigrateError::Execute(sqlx::Error::Database(error))) if error.message().contains("no such table") => {
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
