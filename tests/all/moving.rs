//! `db copy`: a record moves to another database, whole or not at all, and nothing of it changes.

use crate::support::database::{database_of, execute, is_postgres, shared};
use crate::support::people::{PASSWORD, browser};
use crate::support::{SITES, TestConsole, binary, config_on, console, stand_in};
use raxx_console::domain::{AuditAction, DeployId, Role};
use raxx_console::server::audit::{Source, Verdict, verify};
use raxx_console::server::demo::stand_in::Scenario;
use raxx_console::server::digest::sha256_hex;
use raxx_console::server::store::{CopyError, Side, Standing, Store, copy};
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, Row as _};
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// A database that is not there yet, of the kind that this run is about; or the other kind.
fn new_database(folder: &TempDir, name: &str, postgres: bool) -> String {
    if postgres {
        let place = folder.path().join(name);
        return shared().empty(&format!("n{}", &sha256_hex(place.as_os_str().as_encoded_bytes())[..20]));
    }
    format!("sqlite://{}", folder.path().join(name).display())
}

fn db(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(binary());
    command.current_dir(folder.path()).env_clear().arg("db").args(arguments);
    command.envs(variables.iter().copied());
    command.output().unwrap()
}

/// Copies with the binary, and expects it to succeed; returns what it said.
fn copied(from: &str, to: &str) -> String {
    let output = db(&["copy", "--from", from, "--to", to], &[]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    for url in [from, to] {
        if let Some(password) = url.split([':', '@']).nth(2) {
            assert!(!said.contains(password), "{said}");
        }
    }
    said
}

/// Copies with the binary, and expects one line that says all of `words`.
fn refuses(from: &str, to: &str, words: &[&str]) {
    let output = db(&["copy"], &[("DATABASE_URL", from), ("TARGET_DATABASE_URL", to)]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), said.lines().count()), (Some(2), 1), "{said}");
    for word in words {
        assert!(said.contains(word), "`{word}` is missing in: {said}");
    }
}

/// Every row of every table, by the database's own list of tables, and not by the console's.
async fn rows(url: &str) -> BTreeMap<String, Vec<String>> {
    let tables = if url.starts_with("postgres") {
        "SELECT CAST(tablename AS TEXT) FROM pg_tables WHERE schemaname = 'public'"
    } else {
        "SELECT name FROM sqlite_master WHERE type = 'table'"
    };
    let mut database = AnyConnection::connect(url).await.unwrap();
    let mut all = BTreeMap::new();
    for table in sqlx::query(tables).fetch_all(&mut database).await.unwrap() {
        let table: String = table.get(0);
        if table == "_sqlx_migrations" {
            continue;
        }
        let sql = AssertSqlSafe(format!("SELECT * FROM {table}"));
        let found = sqlx::query(sql).fetch_all(&mut database).await.unwrap();
        let value = |row: &sqlx::any::AnyRow, name: &str| match row.try_get::<Option<String>, _>(name) {
            Ok(text) => format!("{name}={text:?}"),
            Err(_) => format!("{name}={:?}", row.get::<Option<i64>, _>(name)),
        };
        let mut rows: Vec<String> = found
            .iter()
            .map(|row| {
                let mut values: Vec<String> = row.column_names.keys().map(|name| value(row, name)).collect();
                values.sort();
                values.join(" ")
            })
            .collect();
        rows.sort();
        all.insert(table, rows);
    }
    database.close().await.unwrap();
    all
}

/// A console that was used for a while, and has stopped: its database, and a deploy that ended.
async fn used() -> (TempDir, String, DeployId) {
    let console = console().await;
    console.person("grace", Role::Viewer).await;
    let callback = console.bound("docs").await;
    assert_eq!(
        console
            .report(&callback.prints("ünïcode \u{1b}[31m🚀\n"))
            .await
            .status(),
        200
    );
    assert_eq!(console.report(&callback.number(2).says("success")).await.status(), 200);
    let body = serde_json::json!({ "site": "api-prod", "confirmation": "api-prod", "reason": "it's \"due\"\n\\" });
    let response = console.post("/api/internal/deploys", &body).send().await.unwrap();
    let deploy = response.json::<serde_json::Value>().await.unwrap()["id"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    console.until(deploy, "queued").await;
    let url = console.database();
    console.running.stop().await;
    // Nothing and an empty text are two things.
    execute(
        &url,
        "INSERT INTO console_site_health (site, status, detail, since) VALUES ('a', 'healthy', '', 1)",
    )
    .await;
    execute(
        &url,
        "INSERT INTO console_site_health (site, status, detail, since) VALUES ('b', 'healthy', NULL, 1)",
    )
    .await;
    (console.data, url, callback.deploy)
}

/// A console on `url`, as it was before it moved.
async fn goes_on(url: String, data: TempDir, deploy: DeployId) {
    let github = stand_in(Scenario::Queued).await;
    let console = TestConsole::start(config_on(url, &github.url(), SITES), github, data).await;
    let record = console.read(deploy).await;
    assert_eq!(
        (&record["state"], &record["log"]["text"]),
        (&"succeeded".into(), &"ünïcode \u{1b}[31m🚀\n".into())
    );
    assert_eq!(console.sign_in(&browser(), "grace", PASSWORD).await.status(), 303);
    assert_eq!(
        console.create("api-prod").await.status(),
        409,
        "the active deploy holds its site"
    );
    let verdict = verify(console.running.store()).await.unwrap();
    assert!(matches!(verdict, Verdict::Intact { .. }), "{verdict:?}");
    assert_eq!(console.create("docs").await.status(), 201);
}

#[tokio::test]
async fn a_record_moves_there_and_back_and_nothing_of_it_changes() {
    let (data, url, deploy) = used().await;
    let before = rows(&url).await;
    assert!(
        before.len() >= 14 && before["console_deploys"].len() == 2,
        "{before:#?}"
    );
    let there = new_database(&data, "there.db", false);
    let said = copied(&url, &there);
    assert_eq!(rows(&there).await, before);
    for (table, rows) in &before {
        let line = said.lines().find(|line| line.split_whitespace().next() == Some(table));
        let line = line.unwrap_or_else(|| panic!("{table} is missing in: {said}"));
        assert_eq!(
            line.split_whitespace().nth(1),
            Some(rows.len().to_string().as_str()),
            "{line}"
        );
    }
    assert!(said.contains("set DATABASE_URL to sqlite://"), "{said}");
    let back = new_database(&data, "back.db", is_postgres());
    copied(&there, &back);
    assert_eq!(rows(&back).await, before);
    assert_eq!(rows(&url).await, before, "the source is left as it is");
    goes_on(back, data, deploy).await;
}

#[tokio::test]
async fn a_log_of_64_mib_comes_along() {
    let (data, url, deploy) = used().await;
    let sql = "WITH RECURSIVE piece(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM piece WHERE n < 2048) \
               INSERT INTO console_log_chunks (deploy_id, attempt, start_offset, end_offset, text) \
               SELECT $1, 1, n * 32768, (n + 1) * 32768, $2 FROM piece";
    let mut database = AnyConnection::connect(&url).await.unwrap();
    let text = "0123456789abcdeé\n".repeat(2048)[..32_768].to_owned();
    let inserted = sqlx::query(sql)
        .bind(deploy.to_string())
        .bind(text)
        .execute(&mut database)
        .await;
    inserted.unwrap();
    database.close().await.unwrap();
    let to = new_database(&data, "to.db", is_postgres());
    let said = copied(&url, &to);
    assert!(said.contains("64.0 MiB") || said.contains("64.1 MiB"), "{said}");
    let sql = "SELECT COUNT(*) FROM console_log_chunks WHERE LENGTH(text) > 30000";
    let mut database = AnyConnection::connect(&to).await.unwrap();
    let count: i64 = sqlx::query(sql).fetch_one(&mut database).await.unwrap().get(0);
    assert_eq!(count, 2048);
}

#[tokio::test]
async fn more_rows_come_along_than_one_statement_can_hold() {
    let (data, url, deploy) = used().await;
    // SQLite binds 32 766 values at most, PostgreSQL 65 535. These are seven a row.
    let sql = format!(
        "WITH RECURSIVE event(n) AS (SELECT 1000 UNION ALL SELECT n + 1 FROM event WHERE n < 11000) \
         INSERT INTO console_deploy_events (deploy_id, version, at, state, actor, attempt) \
         SELECT '{deploy}', n, n, 'succeeded', 'console', 1 FROM event"
    );
    execute(&url, sql).await;
    let to = new_database(&data, "to.db", is_postgres());
    copied(&url, &to);
    assert_eq!(rows(&to).await, rows(&url).await);
}

#[tokio::test]
async fn what_would_not_be_a_copy_is_refused() {
    let (data, url, _) = used().await;
    let to = new_database(&data, "to.db", is_postgres());
    let missing = new_database(&data, "nobody/made/this.db", false);
    refuses(&missing, &to, &["source does not exist"]);
    refuses("mysql://ada:hunter2@db/x", &to, &["mysql://ada:…@db/x", "sqlite://"]);
    refuses(&url, "", &["--to ADDRESS", "TARGET_DATABASE_URL_FILE"]);
    refuses(&url, &url, &["both addresses are of one database"]);
    let otherwise = if is_postgres() {
        format!("{url}?application_name=other")
    } else {
        url.replace("/console.db", "/./console.db")
    };
    refuses(&url, &otherwise, &["both addresses are of one database"]);
    let full = database_of(tempfile::tempdir().unwrap().path());
    let store = Store::open(&full).await.unwrap();
    store
        .record_audit(&Source::command_line().does(AuditAction::DeployRequested))
        .await
        .unwrap();
    store.close().await;
    refuses(&url, &full, &["the target is not empty: console_audit"]);
    execute(&full, "UPDATE _sqlx_migrations SET version = 9999 WHERE version = 4").await;
    refuses(&full, &to, &["the source was made by a newer console", "9999"]);
    refuses(&url, &full, &["the target was made by a newer console"]);
    execute(&full, "DELETE FROM _sqlx_migrations WHERE version IN (5, 9999)").await;
    refuses(
        &full,
        &to,
        &[
            "the source lacks 2 of the migrations",
            "start this console with it once",
        ],
    );
    refuses(&url, &full, &["the target holds the tables of an older console"]);
    // None of that made or filled the target.
    copied(&url, &to);
}

#[tokio::test]
async fn the_addresses_may_come_as_files() {
    let (data, url, _) = used().await;
    let to = new_database(&data, "to.db", is_postgres());
    let (one, other) = (data.path().join("from"), data.path().join("to"));
    std::fs::write(&one, &url).unwrap();
    std::fs::write(&other, format!("{to}\n")).unwrap();
    let [one, other] = [&one, &other].map(|path| path.to_str().unwrap());
    let output = db(
        &["copy"],
        &[("DATABASE_URL_FILE", one), ("TARGET_DATABASE_URL_FILE", other)],
    );
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(rows(&to).await, rows(&url).await);
}

#[tokio::test]
async fn a_console_that_runs_is_no_source_and_no_target() {
    let console = console().await;
    let to = new_database(&console.data, "to.db", is_postgres());
    refuses(&console.database(), &to, &["the source is in use", "stop the console"]);
    let (_data, url, _) = used().await;
    let empty = new_database(&console.data, "empty.db", is_postgres());
    let store = Store::open(&empty).await.unwrap();
    refuses(&url, &empty, &["the target is in use", "stop the console"]);
    store.close().await;
    copied(&url, &empty);
}

#[tokio::test]
async fn whoever_is_about_to_go_is_waited_for() {
    if !is_postgres() {
        return;
    }
    let (data, url, _) = used().await;
    let to = new_database(&data, "to.db", true);
    let mut other = AnyConnection::connect(&url).await.unwrap();
    let copying = tokio::task::spawn_blocking({
        let (from, to) = (url.clone(), to.clone());
        move || copied(&from, &to)
    });
    // It has seen us by now, and looks again.
    let looks = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() \
                 AND pid <> pg_backend_pid() AND query LIKE '%FROM pg_stat_activity%'";
    while sqlx::query(looks).fetch_one(&mut other).await.unwrap().get::<i64, _>(0) == 0 {
        assert!(!copying.is_finished(), "it waited for nobody");
        tokio::task::yield_now().await;
    }
    other.close().await.unwrap();
    copying.await.unwrap();
    assert_eq!(rows(&to).await, rows(&url).await);
}

#[tokio::test]
async fn what_comes_out_otherwise_than_it_went_in_is_not_kept() {
    let (data, url, _) = used().await;
    let to = new_database(&data, "to.db", is_postgres());
    Store::open(&to).await.unwrap().close().await;
    let empty = rows(&to).await;
    if is_postgres() {
        let sql = "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                   NEW.detail := 'other'; RETURN NEW; END $$";
        execute(&to, sql).await;
        let sql = "CREATE TRIGGER spoil BEFORE INSERT ON console_site_health FOR EACH ROW EXECUTE FUNCTION spoil()";
        execute(&to, sql).await;
    } else {
        let sql = "CREATE TRIGGER spoil AFTER INSERT ON console_site_health BEGIN \
                   UPDATE console_site_health SET detail = 'other' WHERE site = NEW.site; END";
        execute(&to, sql).await;
    }
    refuses(
        &url,
        &to,
        &["console_site_health was not the same", "Nothing was copied"],
    );
    assert_eq!(rows(&to).await, empty);
}

#[tokio::test]
async fn a_character_that_postgresql_has_not_is_named_and_nothing_is_copied() {
    if !is_postgres() {
        return;
    }
    let data = tempfile::tempdir().unwrap();
    let (from, to) = (
        new_database(&data, "from.db", false),
        new_database(&data, "to.db", true),
    );
    Store::open(&from).await.unwrap().close().await;
    let sql = "INSERT INTO console_site_health (site, status, detail, since) \
               VALUES ('api-prod', 'healthy', 'a' || char(0) || 'b', 1)";
    execute(&from, sql).await;
    refuses(
        &from,
        &to,
        &[
            "console_site_health",
            "api-prod",
            "`detail`",
            "NUL",
            "Nothing was copied",
        ],
    );
    let other = new_database(&data, "other.db", false);
    copied(&from, &other);
    assert_eq!(rows(&from).await, rows(&other).await);
}

const HALFWAY: &str = "halfway through";

/// Another process that stands still in the middle of the copy.
fn stands_halfway(from: &str, to: &str) -> std::process::Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["moving::the_process_that_copies", "--exact", "--nocapture"])
        .env("COPY_FROM", from)
        .env("COPY_TO", to)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok);
    assert!(
        lines.any(|line| line.contains(HALFWAY)),
        "the copy ended before it was halfway"
    );
    child
}

/// Not a test of its own: the other process. Without its variables it has nothing to do.
#[tokio::test]
async fn the_process_that_copies() {
    let Ok(from) = std::env::var("COPY_FROM") else { return };
    let mut tables = 0;
    let mut tell = |progress: raxx_console::server::store::Progress<'_>| {
        tables += i32::from(progress.is_done);
        if tables == 8 {
            println!("{HALFWAY}");
            std::io::stdout().flush().unwrap();
            loop {
                std::thread::park();
            }
        }
    };
    copy(&from, &std::env::var("COPY_TO").unwrap(), &mut tell)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_copy_that_was_cut_off_is_none_and_nothing_is_written_meanwhile() {
    let (data, url, deploy) = used().await;
    let to = new_database(&data, "to.db", is_postgres());
    let mut child = stands_halfway(&url, &to);
    // Whoever wants to write to the source is told so: nothing is acknowledged that the copy has not.
    match Store::open(&url).await {
        Ok(store) => {
            let entry = Source::command_line().does(AuditAction::DeployRequested);
            let refused = store.record_audit(&entry).await.unwrap_err();
            assert!(refused.to_string().contains("busy"), "{refused}");
            store.close().await;
        }
        Err(error) => assert!(!is_postgres() && error.to_string().contains("locked"), "{error}"),
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(Standing::of(&to).await.unwrap(), Standing::Current);
    let left: usize = rows(&to).await.values().map(Vec::len).sum();
    assert_eq!(left, 1, "what every new database holds, and nothing else");
    copied(&url, &to);
    assert_eq!(rows(&to).await, rows(&url).await);
    goes_on(to, data, deploy).await;
}

#[tokio::test]
async fn a_target_that_ends_midway_holds_nothing() {
    if !is_postgres() {
        return;
    }
    let (data, url, _) = used().await;
    let server = crate::support::database::Server::start();
    let to = server.empty("midway");
    let mut tables = 0;
    let mut tell = |progress: raxx_console::server::store::Progress<'_>| {
        tables += i32::from(progress.is_done);
        if tables == 8 {
            server.crash();
        }
    };
    let failed = copy(&url, &to, &mut tell).await.unwrap_err();
    assert!(
        matches!(
            &failed,
            CopyError::Failed {
                which: Side::Target,
                ..
            }
        ),
        "{failed}"
    );
    server.start_again();
    let left: usize = rows(&to).await.values().map(Vec::len).sum();
    assert_eq!(left, 1, "what every new database holds, and nothing else");
    copied(&url, &to);
    drop(data);
}
