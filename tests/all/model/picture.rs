//! The rows of the record, as they stand in the database.

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Column as _, Row as _};
use std::collections::BTreeMap;

/// A row: its columns as texts; what is NULL is not there.
pub(super) type Row = BTreeMap<String, String>;

/// What the model test watches of the database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Picture {
    pub deploys: Vec<Row>,
    pub attempts: Vec<Row>,
    pub events: Vec<Row>,
    pub deliveries: Vec<Row>,
    pub log: Vec<Row>,
    pub audit: Vec<Row>,
}

impl Picture {
    pub(super) async fn take(database: &mut AnyConnection) -> Self {
        Self {
            deploys: rows(database, "console_deploys", "id").await,
            attempts: rows(database, "console_attempts", "deploy_id, attempt").await,
            events: rows(database, "console_deploy_events", "deploy_id, attempt, version").await,
            deliveries: rows(database, "console_deliveries", "id").await,
            log: rows(database, "console_log_chunks", "deploy_id, attempt, start_offset").await,
            audit: rows(database, "console_audit", "seq").await,
        }
    }

    /// The row of an attempt.
    pub(super) fn attempt(&self, deploy: &str, number: i64) -> Option<&Row> {
        if number == 1 {
            return self.deploys.iter().find(|row| row["id"] == deploy);
        }
        let number = number.to_string();
        let mut attempts = self.attempts.iter();
        attempts.find(|row| row["deploy_id"] == deploy && row["attempt"] == number)
    }

    /// The log of an attempt, put together; each piece must begin where the one before ended.
    pub(super) fn log(&self, deploy: &str, number: i64) -> String {
        let number = number.to_string();
        let mut text = String::new();
        let pieces = self.log.iter();
        let mut pieces: Vec<&Row> = pieces
            .filter(|row| row["deploy_id"] == deploy && row["attempt"] == number)
            .collect();
        pieces.sort_by_key(|row| row["start_offset"].parse::<usize>().unwrap());
        for piece in pieces {
            assert_eq!(
                piece["start_offset"],
                text.len().to_string(),
                "a piece of the log is out of place"
            );
            text.push_str(&piece["text"]);
            assert_eq!(
                piece["end_offset"],
                text.len().to_string(),
                "a piece of the log is out of place"
            );
        }
        text
    }

    /// What the audit trail says was done, sorted: a refusal is written down after it was answered for, so of two clicks
    /// at once the refused one may come last.
    pub(super) fn actions(&self) -> Vec<&str> {
        let mut actions: Vec<&str> = self.audit.iter().map(|row| row["action"].as_str()).collect();
        actions.sort_unstable();
        actions
    }
}

async fn rows(database: &mut AnyConnection, table: &str, order: &str) -> Vec<Row> {
    let sql = format!("SELECT * FROM {table} ORDER BY {order}");
    let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(database).await.unwrap();
    rows.iter().map(read).collect()
}

fn read(row: &AnyRow) -> Row {
    let columns = row.columns().iter().enumerate();
    let texts = columns.filter_map(|(index, column)| {
        let number = || {
            row.try_get::<Option<i64>, _>(index)
                .unwrap()
                .map(|number| number.to_string())
        };
        let text = row.try_get::<Option<String>, _>(index).unwrap_or_else(|_| number());
        Some((column.name().to_owned(), text?))
    });
    texts.collect()
}
