//! A copy of an SQLite file, taken while the console goes on.

use super::engine::{BUSY, Engine, file_of, with_parameters};
use super::{OpenError, Standing};
use sqlx::{AnyConnection, AssertSqlSafe, Connection, Row};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// Why there is no backup. Whatever it is, no file stands under the name that was given.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A server has its own way.
    #[error(
        "DATABASE_URL is a PostgreSQL, which has its own: `pg_dump --format=custom --no-owner --file={0} \
         --dbname=ADDRESS`; see docs/database.md"
    )]
    Server(String),
    /// There is nothing to copy.
    #[error("{0}: there is no such database")]
    Missing(String),
    /// The database cannot be opened.
    #[error("{0}")]
    Open(#[from] OpenError),
    /// Reading the database, or writing its copy, failed.
    #[error("the database could not be copied: {0}")]
    Copy(#[from] sqlx::Error),
    /// The file is there already.
    #[error("{0} is there already, and is not overwritten: give another name")]
    Exists(String),
    /// The file cannot be made.
    #[error("{path}: {error}")]
    File {
        /// Its path.
        path: String,
        /// Why.
        error: io::Error,
    },
    /// The copy is not sound, and so neither is the database.
    #[error("the copy is damaged, and so is the database, most likely: {0}")]
    Damaged(String),
}

/// Copies the SQLite database at `url` as it is at one moment, with all that was acknowledged before, into the new
/// `file`, for its owner's eyes alone. The copy is checked and on disk before it has its name. Returns its length in
/// bytes.
///
/// # Errors
/// [`BackupError`]; then there is no such file.
pub async fn backup(url: &str, file: &Path) -> Result<u64, BackupError> {
    let failed = |error| BackupError::File {
        path: file.display().to_string(),
        error,
    };
    if Engine::of(url)? == Engine::Postgres {
        return Err(BackupError::Server(file.display().to_string()));
    }
    if file.try_exists().map_err(failed)? {
        return Err(BackupError::Exists(file.display().to_string()));
    }
    if Standing::of(url).await? == Standing::Missing {
        return Err(BackupError::Missing(file_of(url).display().to_string()));
    }
    let folder = folder_of(file).map_err(failed)?;
    // Made with mode 0600, and gone with this function unless it gets its name.
    let mut copy = tempfile::Builder::new();
    let copy = copy
        .prefix(".raxx-console-backup-")
        .tempfile_in(&folder)
        .map_err(failed)?;
    copy_into(url, copy.path()).await?;
    copy.as_file().sync_all().map_err(failed)?;
    let bytes = copy.as_file().metadata().map_err(failed)?.len();
    match copy.persist_noclobber(file) {
        Ok(_) => {}
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(BackupError::Exists(file.display().to_string()));
        }
        Err(error) => return Err(failed(error.error)),
    }
    // The name too.
    File::open(&folder)
        .and_then(|folder| folder.sync_all())
        .map_err(failed)?;
    Ok(bytes)
}

/// Fills the empty file at `path`, and looks whether it is sound.
async fn copy_into(url: &str, path: &Path) -> Result<(), BackupError> {
    let url = with_parameters(url, "mode=rw");
    let mut connection = Engine::Sqlite.connect(&url).await?;
    let patience = format!("PRAGMA busy_timeout = {}", BUSY.as_millis());
    sqlx::query(AssertSqlSafe(patience)).execute(&mut connection).await?;
    let path = path.display().to_string();
    sqlx::query("VACUUM INTO $1")
        .bind(&path)
        .execute(&mut connection)
        .await?;
    let attached = sqlx::query("ATTACH DATABASE $1 AS copy").bind(&path);
    attached.execute(&mut connection).await?;
    let problem = first_problem(&mut connection).await?;
    connection.close().await?;
    problem.map_or(Ok(()), |problem| Err(BackupError::Damaged(problem)))
}

async fn first_problem(connection: &mut AnyConnection) -> Result<Option<String>, sqlx::Error> {
    let row = sqlx::query("PRAGMA copy.integrity_check(1)")
        .fetch_one(&mut *connection)
        .await?;
    let said: String = row.try_get(0)?;
    Ok(Some(said).filter(|said| said != "ok"))
}

fn folder_of(file: &Path) -> io::Result<PathBuf> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new(".")).canonicalize()
}
