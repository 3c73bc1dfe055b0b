//! To have a database to oneself, for a copy of all of it.

use super::{BUSY, Engine, OpenError, StoreError, file_of, meaning, with_parameters};
use sqlx::{AnyConnection, Connection, Row};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// How often it is asked whether somebody else has gone.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

impl Engine {
    /// One connection to a database that is there, while nobody else has one. It may take its time.
    ///
    /// # Errors
    /// [`OpenError::InUse`] when somebody else still has one after [`BUSY`].
    pub(in crate::server::store) async fn connect_alone(self, url: &str) -> Result<AnyConnection, OpenError> {
        if self == Self::Postgres {
            let mut connection = self.connect(url).await?;
            self.prepare(&mut connection).await.map_err(in_use)?;
            // Of the session: it is still held when the snapshot is taken, and no writer came between.
            let locked = sqlx::query("SELECT pg_advisory_lock(1918990456)")
                .execute(&mut connection)
                .await;
            locked.map_err(in_use)?;
            be_alone(&mut connection).await?;
            self.be_patient(&mut connection).await.map_err(OpenError::Connect)?;
            return Ok(connection);
        }
        let mut connection = self.connect(&with_parameters(url, "mode=rw")).await?;
        // Before it is read for the first time. Then the first reading takes a lock that only one process can have,
        // and that everybody who has it open is in the way of.
        let exclusive = sqlx::query("PRAGMA locking_mode = EXCLUSIVE")
            .execute(&mut connection)
            .await;
        exclusive.map_err(OpenError::Connect)?;
        self.prepare(&mut connection).await.map_err(in_use)?;
        Ok(connection)
    }

    /// A transaction that sees one moment, however long it takes.
    pub(in crate::server::store) const fn begin_snapshot(self) -> &'static str {
        match self {
            Self::Sqlite => "BEGIN",
            Self::Postgres => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        }
    }
}

/// A failure to be alone with the database.
fn in_use(error: sqlx::Error) -> OpenError {
    match meaning(error) {
        StoreError::Busy(_) => OpenError::InUse(String::new()),
        StoreError::Full(error) | StoreError::Away(error) | StoreError::Database(error) => OpenError::Connect(error),
        StoreError::Unreadable { table, problem } => OpenError::InUse(format!(" {table}: {problem}")),
    }
}

/// Waits until no other client is connected to this database of a server.
async fn be_alone(connection: &mut AnyConnection) -> Result<(), OpenError> {
    let sql = "SELECT CAST(usename AS TEXT) || ' ' || COALESCE(application_name, '') AS other FROM pg_stat_activity \
               WHERE datname = current_database() AND pid <> pg_backend_pid() AND usesysid IS NOT NULL \
               AND COALESCE(backend_type, 'client backend') = 'client backend'";
    let since = Instant::now();
    loop {
        let other = sqlx::query(sql).fetch_optional(&mut *connection).await;
        let Some(other) = other.map_err(OpenError::Connect)? else {
            return Ok(());
        };
        if since.elapsed() > BUSY {
            let other: String = other.try_get("other").map_err(OpenError::Connect)?;
            return Err(OpenError::InUse(format!(" by a connection of {}", other.trim())));
        }
        sleep(LOOK_AGAIN).await;
    }
}

/// Where a database is, so that two addresses of one are known as such.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::server::store) enum Location {
    /// A file that is there.
    File(PathBuf),
    /// A file that is not there yet.
    NewFile,
    /// A server's own number, a database and a schema of it.
    Server(String),
}

impl Location {
    /// Looks it up.
    pub(in crate::server::store) async fn of(url: &str) -> Result<Self, OpenError> {
        let engine = Engine::of(url)?;
        if engine == Engine::Sqlite {
            return Ok(file_of(url).canonicalize().map_or(Self::NewFile, Self::File));
        }
        let mut connection = engine.connect(url).await?;
        let sql = "SELECT system_identifier || '/' || current_database() || '/' || current_schema() AS place \
                   FROM pg_control_system()";
        let row = sqlx::query(sql).fetch_one(&mut connection).await;
        let place = row.and_then(|row| row.try_get("place")).map_err(OpenError::Connect)?;
        connection.close().await.map_err(OpenError::Connect)?;
        Ok(Self::Server(place))
    }
}
