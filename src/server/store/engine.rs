//! What differs between SQLite and PostgreSQL. Everything else in the store is one text for both.

mod alone;

pub(super) use alone::Location;

use super::{OpenError, StoreError};
use libsqlite3_sys::{
    SQLITE_BUSY, SQLITE_CANTOPEN, SQLITE_FULL, SQLITE_IOERR, SQLITE_LOCKED, SQLITE_NOMEM, SQLITE_READONLY,
};
use sqlx::any::install_default_drivers;
use sqlx::{Any, AnyConnection, AnyPool, AssertSqlSafe, Connection, Row, Transaction};
use std::path::Path;
use std::time::Duration;
use url::Url;

/// How long a write waits for another one, and a start for the server, before the store calls itself busy.
pub(super) const BUSY: Duration = Duration::from_secs(5);

/// SQLite 3.51.3 mended a bug that could corrupt a WAL database when it is reset.
const OLDEST_SQLITE: i32 = 3_051_003;

/// The lock that every writing transaction on PostgreSQL holds: "raxx" in ASCII.
const TAKE_WRITE_LOCK: &str = "SELECT pg_advisory_xact_lock(1918990456)";

/// Which database it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Engine {
    /// A file of our own.
    Sqlite,
    /// A server.
    Postgres,
}

impl Engine {
    /// The one that speaks at `url`.
    pub(super) fn of(url: &str) -> Result<Self, OpenError> {
        match url.split_once("://").map(|(scheme, _)| scheme) {
            Some("sqlite") => Ok(Self::Sqlite),
            Some("postgres" | "postgresql") => Ok(Self::Postgres),
            _ => Err(OpenError::Scheme),
        }
    }

    /// What must be so before the first connection; returns the address to connect to.
    pub(super) fn make_ready(self, url: &str) -> Result<String, OpenError> {
        install_default_drivers();
        if self == Self::Postgres {
            return Ok(url.to_owned());
        }
        check_sqlite(libsqlite3_sys::SQLITE_VERSION_NUMBER)?;
        make_folder(file_of(url))?;
        Ok(with_parameters(url, "mode=rwc"))
    }

    /// One connection, as it comes.
    pub(super) async fn connect(self, url: &str) -> Result<AnyConnection, OpenError> {
        let connecting = tokio::time::timeout(BUSY, AnyConnection::connect(url));
        let mut connection = connecting
            .await
            .map_err(|_| OpenError::Silent)?
            .map_err(OpenError::Connect)?;
        if self == Self::Postgres {
            let sql = "SELECT current_setting('server_encoding') AS encoding";
            let row = sqlx::query(sql).fetch_one(&mut connection).await;
            let encoding: String = row
                .and_then(|row| row.try_get("encoding"))
                .map_err(OpenError::Connect)?;
            if encoding != "UTF8" {
                return Err(OpenError::Encoding(encoding));
            }
        }
        Ok(connection)
    }

    /// How many connections there are at most for those who read, and for those who write. To a server two of these, so
    /// that one asks for the lock while the other commits; where a file is concerned, SQLite would have both try again
    /// and again.
    pub(super) fn connections(self) -> (u32, u32) {
        match self {
            Self::Sqlite => (8, 1),
            Self::Postgres => (6, 2),
        }
    }

    /// What every connection is told once.
    pub(super) async fn prepare(self, connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
        let busy = BUSY.as_millis();
        let settings = match self {
            Self::Sqlite => [
                format!("PRAGMA busy_timeout = {busy}"),
                "PRAGMA journal_mode = WAL".to_owned(),
                // FULL: what was acknowledged survives the loss of power, not only of the process.
                "PRAGMA synchronous = FULL".to_owned(),
                "PRAGMA foreign_keys = ON".to_owned(),
            ],
            Self::Postgres => [
                format!("SET lock_timeout = {busy}"),
                // No statement of ours takes long: one that does is stuck, and so is everybody behind it.
                "SET statement_timeout = '30s'".to_owned(),
                // A console that was cut off keeps the write lock no longer than this.
                "SET idle_in_transaction_session_timeout = '10s'".to_owned(),
                // As FULL above. What promises more, such as a copy on another server, stays.
                "SELECT set_config('synchronous_commit', 'on', false) \
                 WHERE current_setting('synchronous_commit') = 'off'"
                    .to_owned(),
            ],
        };
        for setting in settings {
            sqlx::query(AssertSqlSafe(setting)).execute(&mut *connection).await?;
        }
        Ok(())
    }

    /// Takes back the time-outs, for migrations: another console may be at them, and a large table takes its time.
    pub(super) async fn be_patient(self, connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
        if self == Self::Postgres {
            for setting in [
                "lock_timeout",
                "statement_timeout",
                "idle_in_transaction_session_timeout",
            ] {
                sqlx::query(AssertSqlSafe(format!("SET {setting} = 0")))
                    .execute(&mut *connection)
                    .await?;
            }
        }
        Ok(())
    }

    /// A transaction that is the only one that writes, from its first statement on. So none of them ever starts
    /// from a picture that another one is just changing (docs/decisions/0005).
    pub(super) async fn begin(self, pool: &AnyPool) -> Result<Transaction<'static, Any>, StoreError> {
        if self == Self::Sqlite {
            return Ok(pool.begin_with("BEGIN IMMEDIATE").await?);
        }
        // A task of its own, because the caller may be dropped at any time, as when a browser hangs up. sqlx would
        // then give the connection back with a transaction open, and what others wrote in it would be lost.
        let pool = pool.clone();
        let begun = tokio::spawn(async move {
            let mut tx = pool.begin().await?;
            sqlx::query(TAKE_WRITE_LOCK).execute(&mut *tx).await?;
            Ok(tx)
        });
        begun.await.unwrap_or_else(|_| Err(sqlx::Error::WorkerCrashed.into()))
    }
}

/// Whether any session holds the advisory lock `key`. A file has one process, and whoever else held something is gone.
pub(super) async fn is_held(engine: Engine, pool: &AnyPool, key: i64) -> Result<bool, StoreError> {
    if engine == Engine::Sqlite {
        return Ok(false);
    }
    // Taken and given back within the statement, which is a transaction.
    let is_free: bool = sqlx::query_scalar("SELECT pg_try_advisory_xact_lock($1)")
        .bind(key)
        .fetch_one(pool)
        .await?;
    Ok(!is_free)
}

/// What an error of the database means to whoever asked.
pub(super) fn meaning(error: sqlx::Error) -> StoreError {
    match &error {
        sqlx::Error::PoolTimedOut => StoreError::Busy(error),
        sqlx::Error::Io(_) => StoreError::Away(error),
        sqlx::Error::Database(inner) => match inner.code().as_deref() {
            // Could not be serialized, deadlock, lock_timeout, statement_timeout, too many connections, no memory.
            Some("40001" | "40P01" | "55P03" | "57014" | "53300" | "53200") => StoreError::Busy(error),
            Some("53100") => StoreError::Full(error),
            // The server stops, has crashed, or is not there yet; or it ended a transaction that stood still; or it
            // takes no writes, as one that follows another.
            Some("57P01" | "57P02" | "57P03" | "25P03" | "25006") => StoreError::Away(error),
            Some(code) if code.len() == 5 && code.starts_with("08") => StoreError::Away(error),
            Some(code) => match primary_of_sqlite(code) {
                Some(SQLITE_BUSY | SQLITE_LOCKED | SQLITE_NOMEM) => StoreError::Busy(error),
                Some(SQLITE_FULL) => StoreError::Full(error),
                // The file cannot be read or written now: its disk or its folder is gone, or was made read-only.
                Some(SQLITE_IOERR | SQLITE_READONLY | SQLITE_CANTOPEN) => StoreError::Away(error),
                _ => StoreError::Database(error),
            },
            None => StoreError::Database(error),
        },
        _ => StoreError::Database(error),
    }
}

/// SQLite's result code without what extends it: its low byte. PostgreSQL's codes have five characters, SQLite's at
/// most four.
fn primary_of_sqlite(code: &str) -> Option<i32> {
    let code: i32 = code.parse().ok().filter(|_| code.len() < 5)?;
    Some(code & 0xff)
}

/// The address without what must not be shown: of a server, where it is and who asks, but no password.
pub fn shown(url: &str) -> String {
    if Engine::of(url).is_ok_and(|engine| engine == Engine::Sqlite) {
        return url.to_owned();
    }
    let Ok(mut url) = Url::parse(url) else {
        return "an address that cannot be read".to_owned();
    };
    // Parameters may hold a password as well. What this refuses, an address without a host, has none before it.
    url.set_query(None);
    url.set_fragment(None);
    if url.password().is_some() && url.set_password(Some("…")).is_err() {
        return format!("{}://…", url.scheme());
    }
    url.to_string().replace("%E2%80%A6", "…")
}

/// The file of an SQLite address.
pub(super) fn file_of(url: &str) -> &Path {
    let address = url.strip_prefix("sqlite://").unwrap_or(url);
    Path::new(address.split('?').next().unwrap_or(address))
}

/// An SQLite address with more parameters.
pub(super) fn with_parameters(url: &str, more: &str) -> String {
    let separator = if url.contains('?') { '&' } else { '?' };
    format!("{url}{separator}{more}")
}

/// Refuses a linked SQLite whose `version` number is older than 3.51.3.
pub(super) fn check_sqlite(version: i32) -> Result<(), OpenError> {
    if version >= OLDEST_SQLITE {
        return Ok(());
    }
    let found = format!("{}.{}.{}", version / 1_000_000, version / 1000 % 1000, version % 1000);
    Err(OpenError::OldSqlite { found })
}

fn make_folder(file: &Path) -> Result<(), OpenError> {
    let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) else {
        return Ok(());
    };
    std::fs::create_dir_all(folder).map_err(|error| OpenError::Folder {
        path: folder.display().to_string(),
        error,
    })
}

#[cfg(test)]
mod tests {
    use super::{SQLITE_BUSY, SQLITE_IOERR, check_sqlite, primary_of_sqlite, shown};

    #[test]
    fn an_sqlite_with_the_wal_reset_bug_is_refused() {
        assert!(check_sqlite(3_051_003).is_ok());
        let error = check_sqlite(3_051_002).map_err(|error| error.to_string());
        assert!(error.is_err_and(|text| text.contains("3.51.2") && text.contains("3.51.3")));
    }

    #[test]
    fn no_password_is_shown() {
        for (url, as_shown) in [
            ("sqlite://data/console.db", "sqlite://data/console.db"),
            ("postgres://db/console", "postgres://db/console"),
            (
                "postgres://ada:hunter2@db:5433/console",
                "postgres://ada:…@db:5433/console",
            ),
            (
                "postgresql://ada@db/console?password=hunter2",
                "postgresql://ada@db/console",
            ),
            ("postgres:///console?password=hunter2", "postgres:///console"),
            ("mysql://ada:hunter2@db/console", "mysql://ada:…@db/console"),
            ("postgres://ada:hunter2@db:port/", "an address that cannot be read"),
            ("hunter2", "an address that cannot be read"),
        ] {
            assert_eq!(shown(url), as_shown);
        }
    }

    #[test]
    fn the_codes_of_one_engine_are_not_taken_for_those_of_the_other() {
        assert_eq!(
            [
                primary_of_sqlite("5"),
                primary_of_sqlite("517"),
                primary_of_sqlite("778")
            ],
            [Some(SQLITE_BUSY), Some(SQLITE_BUSY), Some(SQLITE_IOERR)]
        );
        // A unique violation: 23505 & 0xff is 209; 40005 would have been taken for busy.
        assert_eq!([primary_of_sqlite("23505"), primary_of_sqlite("03077")], [None, None]);
    }
}
