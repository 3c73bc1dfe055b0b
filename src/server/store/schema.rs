//! The tables as the migrations of this binary make them: read from a new database in memory, so that no list of them
//! can go stale.

use super::{MIGRATIONS, OpenError};
use sha2::{Digest as _, Sha256};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Connection, Row};
use std::pin::pin;

/// Every table, each behind those that it refers to, and what a new database holds.
pub(super) struct Schema {
    pub(super) tables: Vec<Table>,
}

/// A table that holds something of the record.
pub(super) struct Table {
    pub(super) name: String,
    pub(super) columns: Vec<Column>,
    /// What a new database holds in it.
    pub(super) new: Digest,
    refers_to: Vec<String>,
}

/// A column, which is TEXT or BIGINT.
pub(super) struct Column {
    pub(super) name: String,
    pub(super) is_text: bool,
    pub(super) is_key: bool,
}

/// What stands in a row at a column.
pub(super) enum Value {
    /// TEXT.
    Text(Option<String>),
    /// BIGINT.
    Number(Option<i64>),
}

/// What a table holds, in whatever order: the number of its rows, and the sum of their SHA-256 in four lanes of 64
/// bits. Rows differ, because each table has a key. So two tables that have one digest hold the same rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Digest {
    pub(super) rows: u64,
    sum: [u64; 4],
}

impl Schema {
    /// The schema of this binary.
    ///
    /// # Errors
    /// [`OpenError`] when a migration fails, or a column is of a type that is not copied.
    pub(super) async fn of_this_binary() -> Result<Self, OpenError> {
        sqlx::any::install_default_drivers();
        let connecting = AnyConnection::connect("sqlite::memory:").await;
        let mut new = connecting.map_err(OpenError::Connect)?;
        MIGRATIONS.run_direct(None, &mut new, false).await?;
        let mut tables = tables_of(&mut new).await.map_err(OpenError::Connect)?;
        for table in &mut tables {
            table.new = table.digest(&mut new).await.map_err(OpenError::Connect)?;
        }
        new.close().await.map_err(OpenError::Connect)?;
        Ok(Self {
            tables: in_order(tables),
        })
    }
}

impl Table {
    /// Every row, in no order.
    pub(super) fn select(&self) -> String {
        format!("SELECT {} FROM \"{}\"", self.column_list(), self.name)
    }

    /// Puts in so many rows.
    pub(super) fn insert(&self, rows: usize) -> String {
        let width = self.columns.len();
        let row = |row: usize| {
            let places: Vec<_> = (1..=width).map(|place| format!("${}", row * width + place)).collect();
            format!("({})", places.join(", "))
        };
        let rows: Vec<_> = (0..rows).map(row).collect();
        format!(
            "INSERT INTO \"{}\" ({}) VALUES {}",
            self.name,
            self.column_list(),
            rows.join(", ")
        )
    }

    /// The values of a row that [`Self::select`] gave.
    pub(super) fn values(&self, row: &AnyRow) -> Result<Vec<Value>, sqlx::Error> {
        let value = |(place, column): (usize, &Column)| {
            if column.is_text {
                row.try_get(place).map(Value::Text)
            } else {
                row.try_get(place).map(Value::Number)
            }
        };
        self.columns.iter().enumerate().map(value).collect()
    }

    /// What it holds over there.
    pub(super) async fn digest(&self, connection: &mut AnyConnection) -> Result<Digest, sqlx::Error> {
        use futures::TryStreamExt as _;
        let mut digest = Digest::default();
        let query = sqlx::query(AssertSqlSafe(self.select()));
        let mut rows = pin!(query.fetch(connection));
        while let Some(row) = rows.try_next().await? {
            digest.add(&self.values(&row)?);
        }
        Ok(digest)
    }

    fn column_list(&self) -> String {
        let names: Vec<_> = self
            .columns
            .iter()
            .map(|column| format!("\"{}\"", column.name))
            .collect();
        names.join(", ")
    }
}

impl Value {
    /// Its length, about.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.as_ref().map_or(0, String::len),
            Self::Number(_) => size_of::<i64>(),
        }
    }
}

impl Digest {
    /// Adds a row.
    pub(super) fn add(&mut self, row: &[Value]) {
        let mut hash = Sha256::new();
        for value in row {
            match value {
                Value::Text(None) | Value::Number(None) => hash.update([0]),
                Value::Number(Some(number)) => {
                    hash.update([1]);
                    hash.update(number.to_be_bytes());
                }
                Value::Text(Some(text)) => {
                    hash.update([2]);
                    hash.update((text.len() as u64).to_be_bytes());
                    hash.update(text);
                }
            }
        }
        let hash = hash.finalize();
        for (lane, bytes) in self.sum.iter_mut().zip(hash.as_chunks::<8>().0) {
            *lane = lane.wrapping_add(u64::from_be_bytes(*bytes));
        }
        self.rows += 1;
    }
}

async fn tables_of(new: &mut AnyConnection) -> Result<Vec<Table>, sqlx::Error> {
    let names = sqlx::query(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' \
         AND name <> $1 ORDER BY name",
    );
    let names = names.bind(MIGRATIONS.table_name.as_ref()).fetch_all(&mut *new).await?;
    let mut tables = Vec::new();
    for row in names {
        let name: String = row.try_get("name")?;
        let columns = sqlx::query("SELECT name, type, pk FROM pragma_table_info($1) ORDER BY cid");
        let columns = columns.bind(&name).fetch_all(&mut *new).await?;
        let columns: Result<_, sqlx::Error> = columns.iter().map(|row| column(&name, row)).collect();
        let refers_to = sqlx::query("SELECT \"table\" AS name FROM pragma_foreign_key_list($1)");
        let refers_to = refers_to.bind(&name).fetch_all(&mut *new).await?;
        let refers_to: Result<_, sqlx::Error> = refers_to.iter().map(|row| row.try_get("name")).collect();
        tables.push(Table {
            name,
            columns: columns?,
            new: Digest::default(),
            refers_to: refers_to?,
        });
    }
    Ok(tables)
}

fn column(table: &str, row: &AnyRow) -> Result<Column, sqlx::Error> {
    let (name, kind): (String, String) = (row.try_get("name")?, row.try_get("type")?);
    let is_text = match kind.as_str() {
        "TEXT" => true,
        "BIGINT" => false,
        _ => {
            let problem = format!("{table}.{name} is {kind}, which is neither TEXT nor BIGINT");
            return Err(sqlx::Error::Configuration(problem.into()));
        }
    };
    let is_key = row.try_get::<i64, _>("pk")? > 0;
    Ok(Column { name, is_text, is_key })
}

/// Each behind those that it refers to.
fn in_order(mut tables: Vec<Table>) -> Vec<Table> {
    let mut ordered: Vec<Table> = Vec::new();
    while !tables.is_empty() {
        let is_free = |table: &Table| {
            let waits_for = |name: &String| *name != table.name && ordered.iter().all(|before| before.name != *name);
            !table.refers_to.iter().any(waits_for)
        };
        // In a circle nobody is first; then the database has the say.
        let next = tables.iter().position(is_free).unwrap_or(0);
        ordered.push(tables.remove(next));
    }
    ordered
}
