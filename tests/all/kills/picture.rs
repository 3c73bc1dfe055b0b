//! The record as it stands in the database, behind the console's back: also while it is dead.

use crate::support::database::is_postgres;
use raxx_console::domain::{DeployId, State};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Connection as _, Row as _};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

/// The deploys from a moment on, with all that belongs to them.
#[derive(Debug, Default)]
pub(super) struct Picture {
    pub deploys: BTreeMap<DeployId, Row>,
    /// What the database says about its own soundness; empty when it has nothing to say.
    pub damage: Vec<String>,
}

/// A deploy's row and what hangs on it.
#[derive(Debug)]
pub(super) struct Row {
    pub site: String,
    pub operator: String,
    pub key: Option<String>,
    pub state: State,
    pub active: bool,
    pub log_bytes: i64,
    /// The timeline's states and notes, in order.
    pub events: Vec<(State, String)>,
    pub deliveries: Vec<String>,
    /// Where each piece of the log starts and ends, and its text, in order.
    pub chunks: Vec<(i64, i64, String)>,
    /// How often the audit trail says that it was asked for.
    pub audited: usize,
}

/// How long a server may take to come back after a crash.
const PATIENCE: Duration = Duration::from_secs(30);

impl Picture {
    /// Reads what a killed console's SQLite file holds. It is a copy with its write-ahead log that is read: whoever
    /// opens the file itself would mend it, and that is the next console's to do.
    async fn of_file(url: &str, from: &str, thorough: bool) -> Self {
        let file = Path::new(url.strip_prefix("sqlite://").unwrap());
        let copy = tempfile::tempdir().unwrap();
        for end in ["", "-wal"] {
            let name = format!("{}{end}", file.file_name().unwrap().to_str().unwrap());
            let from = file.with_file_name(&name);
            // Without a writer there may be no log.
            if from.exists() {
                std::fs::copy(from, copy.path().join(name)).unwrap();
            }
        }
        let copied = copy.path().join(file.file_name().unwrap());
        let mut database = AnyConnection::connect(&format!("sqlite://{}", copied.display()))
            .await
            .unwrap();
        let mut picture = Self::default();
        picture.read(&mut database, from).await;
        let checks: &[&'static str] = if thorough {
            &["PRAGMA integrity_check", "PRAGMA foreign_key_check"]
        } else {
            &["PRAGMA quick_check", "PRAGMA foreign_key_check"]
        };
        for check in checks {
            for row in sqlx::query(*check).fetch_all(&mut database).await.unwrap() {
                let found: String = row.try_get(0).unwrap();
                if found != "ok" {
                    picture.damage.push(format!("{check}: {found}"));
                }
            }
        }
        database.close().await.unwrap();
        picture
    }

    /// Reads a PostgreSQL at one moment, while others may write on.
    async fn of_server(url: &str, from: &str, thorough: bool) -> Self {
        let mut database = connect(url).await;
        let mut picture = Self::default();
        sqlx::query("BEGIN ISOLATION LEVEL REPEATABLE READ")
            .execute(&mut database)
            .await
            .unwrap();
        picture.read(&mut database, from).await;
        sqlx::query("COMMIT").execute(&mut database).await.unwrap();
        if thorough {
            sqlx::query("CREATE EXTENSION IF NOT EXISTS amcheck")
                .execute(&mut database)
                .await
                .unwrap();
            let sql = "SELECT c.relname::text, bt_index_parent_check(c.oid, true, true)::text FROM pg_class c \
                       JOIN pg_index i ON i.indexrelid = c.oid JOIN pg_am a ON a.oid = c.relam \
                       WHERE a.amname = 'btree' AND c.relnamespace = 'public'::regnamespace";
            if let Err(error) = sqlx::query(sql).fetch_all(&mut database).await {
                picture.damage.push(format!("amcheck: {error}"));
            }
        }
        database.close().await.unwrap();
        picture
    }

    /// Everything from the deploy `from` on; `thorough` also reads every index.
    pub(super) async fn take(url: &str, from: Option<DeployId>, thorough: bool) -> Self {
        let from = from.map_or_else(String::new, |id| id.to_string());
        if is_postgres() {
            Self::of_server(url, &from, thorough).await
        } else {
            Self::of_file(url, &from, thorough).await
        }
    }

    async fn read(&mut self, database: &mut AnyConnection, from: &str) {
        let sql =
            "SELECT id, site, operator, idempotency_key, state, active, log_bytes FROM console_deploys WHERE id >= $1";
        for row in sqlx::query(sql).bind(from).fetch_all(&mut *database).await.unwrap() {
            self.deploys.insert(id(&row, "id"), Row::new(&row));
        }
        let sql = "SELECT deploy_id, state, note FROM console_deploy_events WHERE deploy_id >= $1 ORDER BY version";
        for row in sqlx::query(sql).bind(from).fetch_all(&mut *database).await.unwrap() {
            let note: Option<String> = row.get("note");
            let event = (state(&row), note.unwrap_or_default());
            if let Some(deploy) = self.row(&row) {
                deploy.events.push(event);
            }
        }
        let sql = "SELECT deploy_id, id FROM console_deliveries WHERE deploy_id >= $1";
        for row in sqlx::query(sql).bind(from).fetch_all(&mut *database).await.unwrap() {
            let delivery = row.get("id");
            if let Some(deploy) = self.row(&row) {
                deploy.deliveries.push(delivery);
            }
        }
        let sql = "SELECT deploy_id, start_offset, end_offset, text FROM console_log_chunks WHERE deploy_id >= $1 \
                   ORDER BY start_offset";
        for row in sqlx::query(sql).bind(from).fetch_all(&mut *database).await.unwrap() {
            let chunk = (row.get("start_offset"), row.get("end_offset"), row.get("text"));
            if let Some(deploy) = self.row(&row) {
                deploy.chunks.push(chunk);
            }
        }
        let sql = "SELECT detail FROM console_audit WHERE action = 'deploy_requested' AND at >= $1";
        for row in sqlx::query(sql)
            .bind(made_at(from))
            .fetch_all(&mut *database)
            .await
            .unwrap()
        {
            let detail: serde_json::Value = serde_json::from_str(row.get("detail")).unwrap();
            let id: DeployId = detail["deploy"].as_str().unwrap().parse().unwrap();
            if let Some(deploy) = self.deploys.get_mut(&id) {
                deploy.audited += 1;
            }
        }
    }

    /// The deploy that a row belongs to. One that belongs to none is damage.
    fn row(&mut self, row: &AnyRow) -> Option<&mut Row> {
        let id = id(row, "deploy_id");
        if !self.deploys.contains_key(&id) {
            self.damage.push(format!("a row belongs to {id}, which is not there"));
        }
        self.deploys.get_mut(&id)
    }

    /// How many are in this state.
    pub(super) fn in_state(&self, state: State) -> Vec<DeployId> {
        let found = self.deploys.iter().filter(|(_, row)| row.state == state);
        found.map(|(id, _)| *id).collect()
    }
}

impl Row {
    fn new(row: &AnyRow) -> Self {
        Self {
            site: row.get("site"),
            operator: row.get("operator"),
            key: row.get("idempotency_key"),
            state: state(row),
            active: row.get::<i64, _>("active") == 1,
            log_bytes: row.get("log_bytes"),
            events: Vec::new(),
            deliveries: Vec::new(),
            chunks: Vec::new(),
            audited: 0,
        }
    }

    /// Whether somebody has taken the console that dispatched it for dead, by the words of the dispatcher; an answer that
    /// did not come in time has other words.
    pub(super) fn was_given_up(&self) -> bool {
        self.is_unknown_because("was dispatching")
    }

    /// Whether the console that dispatched it could not tell, because its database had gone away.
    pub(super) fn was_in_doubt(&self) -> bool {
        self.is_unknown_because("The database went away")
    }

    fn is_unknown_because(&self, words: &str) -> bool {
        let is_so = |(state, note): &(State, String)| *state == State::DispatchUnknown && note.contains(words);
        self.events.iter().any(is_so)
    }

    /// The log, if its pieces lie end to end.
    pub(super) fn log(&self) -> Result<String, String> {
        let (mut log, mut end) = (String::new(), 0);
        for (from, to, text) in &self.chunks {
            if *from != end || to - from != i64::try_from(text.len()).unwrap() {
                return Err(format!("a piece lies from {from} to {to}, after {end}"));
            }
            log.push_str(text);
            end = *to;
        }
        if end == self.log_bytes {
            Ok(log)
        } else {
            Err(format!("it has {end} bytes, and log_bytes says {}", self.log_bytes))
        }
    }
}

fn id(row: &AnyRow, column: &str) -> DeployId {
    row.get::<String, _>(column).parse().unwrap()
}

fn state(row: &AnyRow) -> State {
    let word: String = row.get("state");
    State::ALL.into_iter().find(|state| state.as_str() == word).unwrap()
}

/// When a deploy's id was made, in milliseconds: a UUIDv7 begins with it. Its click is written down no sooner.
fn made_at(id: &str) -> i64 {
    let digits = id.replace('-', "");
    digits
        .get(..12)
        .map_or(0, |millis| i64::from_str_radix(millis, 16).unwrap())
}

/// Connects as soon as the server takes connections.
async fn connect(url: &str) -> AnyConnection {
    let begun = Instant::now();
    loop {
        match AnyConnection::connect(url).await {
            Ok(database) => return database,
            Err(error) => assert!(begun.elapsed() < PATIENCE, "the database does not come back: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
