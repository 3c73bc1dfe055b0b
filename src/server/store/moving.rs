//! Copies a record into another database, whole or not at all.
//!
//! Whoever else has one of the two open is waited for, and then refused. So the copy is of one moment, and nothing comes
//! behind it. In the target everything is one transaction, which is read back and compared before it is committed:
//! what was cut off was never there.

use super::engine::{Engine, Location};
use super::schema::{Digest, Schema, Table, Value};
use super::{OpenError, Standing, migrate};
use futures::TryStreamExt as _;
use sqlx::{AnyConnection, AssertSqlSafe, Connection};
use std::pin::pin;

/// How much goes into one statement.
const MOST_ROWS: usize = 100;
const MOST_BYTES: usize = 1024 * 1024;

/// Why a record was not copied. Whatever it is, the target holds nothing of it.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// One of the two cannot be used.
    #[error("{which}: {error}")]
    Open {
        /// Which one.
        which: Side,
        /// Why.
        error: OpenError,
    },
    /// One of the two failed midway.
    #[error("{which}: {error}. Nothing was copied")]
    Failed {
        /// Which one.
        which: Side,
        /// How.
        error: sqlx::Error,
    },
    /// Both are one.
    #[error("both addresses are of one database")]
    Same,
    /// There is no source.
    #[error("the source does not exist")]
    Missing,
    /// The source lacks migrations.
    #[error(
        "the source lacks {0} of the migrations that this console has: start this console with it once, stop it, and \
         copy then"
    )]
    Older(usize),
    /// A database has a migration that this binary does not know.
    #[error("{which} was made by a newer console: it has migration {migration}. Use that console's own binary")]
    Newer {
        /// Which one.
        which: Side,
        /// The first such migration.
        migration: i64,
    },
    /// A migration was changed, or stopped midway.
    #[error("{which} has a migration {migration} that is not this console's, or stopped midway")]
    Other {
        /// Which one.
        which: Side,
        /// Its number.
        migration: i64,
    },
    /// The target has tables of an older console.
    #[error("the target holds the tables of an older console: give a new database")]
    OldTarget,
    /// The target cannot be written.
    #[error("the target cannot be written")]
    ReadOnly,
    /// The target holds something.
    #[error("the target is not empty: {0} holds rows. Give a new database")]
    NotEmpty(String),
    /// Somebody else has one of the two open.
    #[error("{which} is in use{by}: stop the console, and whatever else has it open, and copy then")]
    InUse {
        /// Which one.
        which: Side,
        /// Who they are, where that is told; begins with a space.
        by: String,
    },
    /// PostgreSQL has no such character.
    #[error(
        "the row of {table} with the key {key} has a NUL character in `{column}`, and PostgreSQL cannot hold it. Nothing \
         was copied"
    )]
    Nul {
        /// Its table.
        table: String,
        /// Its key.
        key: String,
        /// The column.
        column: String,
    },
    /// What was read back is not what was written.
    #[error("{0} was not the same when it was read back. Nothing was copied")]
    Different(String),
    /// The commit was not answered.
    #[error(
        "the target did not answer the commit: {0}. It holds either everything or nothing: copy again; if the target is \
         refused as not empty, everything is there"
    )]
    Unanswered(sqlx::Error),
}

/// One of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// What is copied.
    Source,
    /// Where it goes.
    Target,
}

impl std::fmt::Display for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Source => "the source",
            Self::Target => "the target",
        })
    }
}

impl Side {
    fn open(self, error: OpenError) -> CopyError {
        match error {
            OpenError::InUse(by) => CopyError::InUse { which: self, by },
            error => CopyError::Open { which: self, error },
        }
    }

    fn failed(self) -> impl Fn(sqlx::Error) -> CopyError {
        move |error| CopyError::Failed { which: self, error }
    }
}

/// How far a copy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress<'a> {
    /// The table.
    pub table: &'a str,
    /// How many of its rows.
    pub rows: u64,
    /// How many bytes are in them.
    pub bytes: u64,
    /// Whether those are all, and were read back as they were written.
    pub is_done: bool,
}

/// Copies the record at `from` into the database at `to`, which must be empty and may be new. `tell` learns how far it
/// is. The source is left as it is.
///
/// # Errors
/// [`CopyError`]; then the target holds nothing, except where the commit was not answered.
pub async fn copy(from: &str, to: &str, tell: &mut (dyn FnMut(Progress<'_>) + Send)) -> Result<(), CopyError> {
    can_be_read(from).await?;
    can_be_filled(to).await?;
    if Location::of(from).await.map_err(|error| Side::Source.open(error))?
        == Location::of(to).await.map_err(|error| Side::Target.open(error))?
    {
        return Err(CopyError::Same);
    }
    let schema = Schema::of_this_binary().await;
    let schema = schema.map_err(|error| Side::Source.open(error))?;
    let mut source = alone(Side::Source, from).await?;
    let mut target = new_target(to).await?;
    let (one, other) = (engine_of(Side::Source, from)?, engine_of(Side::Target, to)?);
    copy_tables(&schema, (&mut source, one), (&mut target, other), tell).await?;
    let closed = target.close().await;
    // It is committed: what fails from here on is no failure of the copy.
    let _ = (closed, source.close().await);
    Ok(())
}

async fn copy_tables(
    schema: &Schema,
    (source, from): (&mut AnyConnection, Engine),
    (target, engine): (&mut AnyConnection, Engine),
    tell: &mut (dyn FnMut(Progress<'_>) + Send),
) -> Result<(), CopyError> {
    let begun = source.begin_with(from.begin_snapshot()).await;
    let mut reading = begun.map_err(Side::Source.failed())?;
    let mut writing = target.begin().await.map_err(Side::Target.failed())?;
    for table in &schema.tables {
        let found = table.digest(&mut writing).await.map_err(Side::Target.failed())?;
        if found != table.new {
            return Err(CopyError::NotEmpty(table.name.clone()));
        }
    }
    // What a new database holds comes from the source as well.
    for table in schema.tables.iter().rev().filter(|table| table.new.rows > 0) {
        let sql = format!("DELETE FROM \"{}\"", table.name);
        let emptied = sqlx::query(AssertSqlSafe(sql)).execute(&mut *writing).await;
        emptied.map_err(Side::Target.failed())?;
    }
    for table in &schema.tables {
        let (digest, bytes) = copy_table(table, &mut reading, (&mut writing, engine), tell).await?;
        let written = table.digest(&mut writing).await.map_err(Side::Target.failed())?;
        if written != digest {
            return Err(CopyError::Different(table.name.clone()));
        }
        tell(Progress {
            table: &table.name,
            rows: digest.rows,
            bytes,
            is_done: true,
        });
    }
    writing.commit().await.map_err(CopyError::Unanswered)?;
    reading.rollback().await.map_err(Side::Source.failed())
}

/// Copies the rows of one table; returns what was read of them, and how many bytes.
async fn copy_table(
    table: &Table,
    reading: &mut AnyConnection,
    (writing, engine): (&mut AnyConnection, Engine),
    tell: &mut (dyn FnMut(Progress<'_>) + Send),
) -> Result<(Digest, u64), CopyError> {
    let (mut digest, mut bytes) = (Digest::default(), 0);
    let (mut batch, mut batch_bytes) = (Vec::new(), 0);
    let query = sqlx::query(AssertSqlSafe(table.select()));
    let mut rows = pin!(query.fetch(reading));
    while let Some(row) = rows.try_next().await.map_err(Side::Source.failed())? {
        let row = table.values(&row).map_err(Side::Source.failed())?;
        if engine == Engine::Postgres {
            has_no_nul(table, &row)?;
        }
        digest.add(&row);
        batch_bytes += row.iter().map(Value::bytes).sum::<usize>();
        batch.push(row);
        if batch.len() == MOST_ROWS || batch_bytes >= MOST_BYTES {
            bytes += batch_bytes as u64;
            insert(table, std::mem::take(&mut batch), writing).await?;
            batch_bytes = 0;
            tell(Progress {
                table: &table.name,
                rows: digest.rows,
                bytes,
                is_done: false,
            });
        }
    }
    insert(table, batch, writing).await?;
    Ok((digest, bytes + batch_bytes as u64))
}

async fn insert(table: &Table, rows: Vec<Vec<Value>>, writing: &mut AnyConnection) -> Result<(), CopyError> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut query = sqlx::query(AssertSqlSafe(table.insert(rows.len())));
    for value in rows.into_iter().flatten() {
        query = match value {
            Value::Text(text) => query.bind(text),
            Value::Number(number) => query.bind(number),
        };
    }
    query.execute(writing).await.map_err(Side::Target.failed())?;
    Ok(())
}

/// It is not taken out: a row of the audit trail would no longer be what was written.
fn has_no_nul(table: &Table, row: &[Value]) -> Result<(), CopyError> {
    let is_nul = |value: &Value| matches!(value, Value::Text(Some(text)) if text.contains('\0'));
    let Some(place) = row.iter().position(is_nul) else {
        return Ok(());
    };
    let key = table.columns.iter().zip(row).filter(|(column, _)| column.is_key);
    let key = key.map(|(_, value)| match value {
        Value::Text(text) => text.clone().unwrap_or_default(),
        Value::Number(number) => number.unwrap_or_default().to_string(),
    });
    Err(CopyError::Nul {
        table: table.name.clone(),
        key: key.collect::<Vec<_>>().join(", "),
        column: table.columns[place].name.clone(),
    })
}

/// Whether there is a record of this binary's tables at `from`.
async fn can_be_read(from: &str) -> Result<(), CopyError> {
    let which = Side::Source;
    match Standing::of(from).await.map_err(|error| which.open(error))? {
        Standing::Current | Standing::ReadOnly => Ok(()),
        Standing::Missing => Err(CopyError::Missing),
        Standing::Pending(missing) => Err(CopyError::Older(missing)),
        Standing::Newer(migration) => Err(CopyError::Newer { which, migration }),
        Standing::Other(migration) => Err(CopyError::Other { which, migration }),
    }
}

/// Whether `to` has this binary's tables, or none.
async fn can_be_filled(to: &str) -> Result<(), CopyError> {
    let which = Side::Target;
    match Standing::of(to).await.map_err(|error| which.open(error))? {
        Standing::Missing | Standing::Current => Ok(()),
        Standing::Pending(missing) if missing == super::MIGRATIONS.iter().count() => Ok(()),
        Standing::Pending(_) => Err(CopyError::OldTarget),
        Standing::ReadOnly => Err(CopyError::ReadOnly),
        Standing::Newer(migration) => Err(CopyError::Newer { which, migration }),
        Standing::Other(migration) => Err(CopyError::Other { which, migration }),
    }
}

/// The target with its tables, and nobody else in it.
async fn new_target(to: &str) -> Result<AnyConnection, CopyError> {
    let open = |error| Side::Target.open(error);
    let engine = engine_of(Side::Target, to)?;
    let url = engine.make_ready(to).map_err(open)?;
    migrate(engine, &url).await.map_err(open)?;
    alone(Side::Target, to).await
}

async fn alone(which: Side, url: &str) -> Result<AnyConnection, CopyError> {
    let connected = engine_of(which, url)?.connect_alone(url).await;
    connected.map_err(|error| which.open(error))
}

fn engine_of(which: Side, url: &str) -> Result<Engine, CopyError> {
    Engine::of(url).map_err(|error| which.open(error))
}
