//! A database for each test: an SQLite file, or with `TEST_DATABASE=postgres` one on a PostgreSQL of our own.

use super::repository;
use super::secrets::keep_secret;
use raxx_console::server::digest::sha256_hex;
use raxx_console::server::store::Store;
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _};
use std::collections::HashSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{LazyLock, Mutex};

/// The one that the tests of this process share.
static SHARED: LazyLock<Server> = LazyLock::new(Server::start);

/// Whether this run is about PostgreSQL.
pub(crate) fn is_postgres() -> bool {
    match std::env::var("TEST_DATABASE").as_deref() {
        Err(_) | Ok("sqlite") => false,
        Ok("postgres") => true,
        Ok(other) => panic!("TEST_DATABASE={other}: sqlite or postgres"),
    }
}

/// The address of the database that belongs to `folder`: the same for the same folder.
pub(crate) fn database_of(folder: &Path) -> String {
    if is_postgres() {
        SHARED.database(&name_of(folder))
    } else {
        sqlite_in(folder)
    }
}

/// Drops the database that belongs to `folder`, where it does not go with the folder: for a test that makes thousands.
pub(crate) fn drop_database_of(folder: &Path) {
    if is_postgres() {
        SHARED.discard(&name_of(folder));
    }
}

fn name_of(folder: &Path) -> String {
    format!("t{}", &sha256_hex(folder.as_os_str().as_encoded_bytes())[..20])
}

/// An SQLite file in `folder`, whatever this run is about.
pub(crate) fn sqlite_in(folder: &Path) -> String {
    format!("sqlite://{}", folder.join("console.db").display())
}

/// Does something to a database behind the console's back.
pub(crate) async fn execute(url: &str, sql: impl Into<String>) {
    sqlx::any::install_default_drivers();
    let mut database = AnyConnection::connect(url).await.unwrap();
    sqlx::query(AssertSqlSafe(sql.into()))
        .execute(&mut database)
        .await
        .unwrap();
    database.close().await.unwrap();
}

/// The number that a query finds behind the console's back, such as how many rows there are.
pub(crate) async fn number(url: &str, sql: impl Into<String>) -> i64 {
    sqlx::any::install_default_drivers();
    let mut database = AnyConnection::connect(url).await.unwrap();
    let sql = format!("SELECT CAST(({}) AS BIGINT)", sql.into());
    let found = sqlx::query_scalar(AssertSqlSafe(sql))
        .fetch_one(&mut database)
        .await
        .unwrap();
    database.close().await.unwrap();
    found
}

/// Keeps every writer out until the connection is closed or rolled back.
pub(crate) async fn hold(url: &str) -> AnyConnection {
    let statements: &[&str] = if is_postgres() {
        &["BEGIN", "SELECT pg_advisory_xact_lock(1918990456)"]
    } else {
        &["PRAGMA busy_timeout = 10000", "BEGIN IMMEDIATE"]
    };
    let mut holder = AnyConnection::connect(url).await.unwrap();
    for statement in statements {
        sqlx::query(*statement).execute(&mut holder).await.unwrap();
    }
    holder
}

/// A PostgreSQL that ends with whoever holds this, or with this process, however that ends (`scripts/postgres`).
pub(crate) struct Server {
    /// It ends when `line` does; nobody waits for it.
    _helper: Child,
    /// Without a database's name.
    address: String,
    line: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
    made: Mutex<HashSet<String>>,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::start_with("off")
    }

    /// One whose commits wait for the disk, as everywhere but in tests.
    pub(crate) fn start_durable() -> Self {
        Self::start_with("on")
    }

    fn start_with(fsync: &str) -> Self {
        let mut child = Command::new(repository().join("scripts/postgres"))
            .env("FSYNC", fsync)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Ctrl-C is for us; it ends when we do.
            .process_group(0)
            .spawn()
            .unwrap();
        let mut line = (
            child.stdin.take().unwrap(),
            BufReader::new(child.stdout.take().unwrap()),
        );
        let mut address = String::new();
        line.1.read_line(&mut address).unwrap();
        let address = address.trim_end().to_owned();
        assert!(
            address.starts_with("postgres://"),
            "PostgreSQL did not start: see above"
        );
        keep_secret(address.split([':', '@']).nth(2).unwrap());
        let server = Self {
            _helper: child,
            address,
            line: Mutex::new(line),
            made: Mutex::default(),
        };
        // Every other database is copied from this one.
        let template = server.url("migrated");
        server.create("migrated", "template0");
        wait_for(async move { Store::open(&template).await.unwrap().close().await });
        server
    }

    /// The address of the database of this name.
    pub(crate) fn url(&self, name: &str) -> String {
        format!("{}/{name}", self.address)
    }

    /// A migrated database of this name, made if it is new.
    pub(crate) fn database(&self, name: &str) -> String {
        let mut made = self.made.lock().unwrap();
        if made.insert(name.to_owned()) {
            self.create(name, "migrated");
        }
        self.url(name)
    }

    /// A database of this name without a table.
    pub(crate) fn empty(&self, name: &str) -> String {
        self.create(name, "template0");
        self.url(name)
    }

    fn create(&self, name: &str, template: &str) {
        let (url, sql) = (
            self.url("postgres"),
            format!("CREATE DATABASE {name} TEMPLATE {template}"),
        );
        wait_for(async move { execute(&url, sql).await });
    }

    fn discard(&self, name: &str) {
        self.made.lock().unwrap().remove(name);
        let (url, sql) = (self.url("postgres"), format!("DROP DATABASE {name} WITH (FORCE)"));
        wait_for(async move { execute(&url, sql).await });
    }

    /// Ends it as a crash would: nobody is told, nothing is written.
    pub(crate) fn crash(&self) {
        self.order("crash");
    }

    /// Starts it again, on the same port.
    pub(crate) fn start_again(&self) {
        self.order("start");
    }

    fn order(&self, order: &str) {
        let mut line = self.line.lock().unwrap();
        writeln!(line.0, "{order}").unwrap();
        let mut answer = String::new();
        line.1.read_line(&mut answer).unwrap();
        assert_eq!(answer, "done\n", "{order}");
    }
}

/// The server that the tests of this process share.
pub(crate) fn shared() -> &'static Server {
    &SHARED
}

/// Waits for a future from code that is not async itself.
fn wait_for(work: impl Future<Output = ()> + Send + 'static) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    std::thread::spawn(move || runtime.block_on(work)).join().unwrap();
}
