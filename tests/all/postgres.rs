//! What only a server can do to a console: refuse it, go away and come back, and be shared. Run with
//! `TEST_DATABASE=postgres`; on SQLite there is nothing to see here.

use crate::support::database::{Server, database_of, execute, is_postgres, number, shared};
use crate::support::wire::Wire;
use crate::support::{Callback, SITES, TestConsole, binary, config, config_on, console, now, refused, stand_in};
use raxx_console::domain::{AuditAction, AuditFilter, Deploy, DeployId, State};
use raxx_console::server::audit::{Verdict, verify};
use raxx_console::server::config::Config;
use raxx_console::server::demo::stand_in::Scenario;
use raxx_console::server::dispatcher::Dispatcher;
use raxx_console::server::github::Github;
use raxx_console::server::run::{self, Running};
use raxx_console::server::store::{Instance, Intent, OpenError, Recorded, Standing, Store, StoreError};
use raxx_console::server::{audit, clock};
use reqwest::Response;
use serde_json::{Value, json};
use sqlx::{AnyConnection, Connection as _, Row as _};
use std::process::Command;
use std::task::Poll;
use std::time::Duration;

/// Waits until `is_so`, and fails when that takes too long.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let waited = tokio::time::timeout(Duration::from_mins(1), async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    assert!(waited.await.is_ok(), "never: {what}");
}

async fn count(url: &str, sql: &'static str) -> i64 {
    let mut database = AnyConnection::connect(url).await.unwrap();
    let row = sqlx::query(sql).fetch_one(&mut database).await.unwrap();
    row.get(0)
}

/// The console in one line and with exit code 2.
fn refusal(url: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("console.toml"), SITES).unwrap();
    let output = Command::new(binary())
        .current_dir(folder.path())
        .env_clear()
        .env("CONSOLE_CALLBACK_SECRET", crate::support::SECRET)
        .env("GITHUB_DISPATCH_TOKEN", "t")
        .env("PORT", "0")
        .env("DATABASE_URL", url)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), said.lines().count()), (Some(2), 1), "{said}");
    said
}

#[test]
fn a_server_that_refuses_is_named_without_the_password() {
    if !is_postgres() {
        return;
    }
    let password = |url: &str| url.split([':', '@']).nth(2).unwrap().to_owned();
    let missing = shared().url("nobody_made_this");
    let said = refusal(&missing);
    assert!(
        said.contains("does not exist") && said.contains("/nobody_made_this"),
        "{said}"
    );
    assert!(!said.contains(&password(&missing)), "{said}");
    let wrong = missing.replace(&password(&missing), "hunter2");
    let said = refusal(&wrong);
    assert!(
        said.contains("password authentication failed") && !said.contains("hunter2"),
        "{said}"
    );
}

#[tokio::test]
async fn a_database_that_cannot_hold_every_character_is_refused() {
    if !is_postgres() {
        return;
    }
    let sql = "CREATE DATABASE narrow TEMPLATE template0 ENCODING 'LATIN1'";
    execute(&shared().url("postgres"), sql).await;
    let error = Store::open(&shared().url("narrow")).await.unwrap_err();
    assert!(
        matches!(&error, OpenError::Encoding(found) if found == "LATIN1"),
        "{error}"
    );
}

#[tokio::test]
async fn the_server_is_looked_at_and_nothing_is_made() {
    if !is_postgres() {
        return;
    }
    let url = shared().empty("looked_at");
    let all = std::fs::read_dir(crate::support::repository().join("migrations"))
        .unwrap()
        .count();
    assert_eq!(Standing::of(&url).await.unwrap(), Standing::Pending(all));
    let tables = "SELECT COUNT(*) FROM pg_tables WHERE schemaname = 'public'";
    assert_eq!(count(&url, tables).await, 0);
    Store::open(&url).await.unwrap().close().await;
    assert_eq!(Standing::of(&url).await.unwrap(), Standing::Current);
    for (statement, standing) in [
        (
            "ALTER DATABASE looked_at SET default_transaction_read_only = on",
            Standing::ReadOnly,
        ),
        (
            "ALTER DATABASE looked_at RESET default_transaction_read_only",
            Standing::Current,
        ),
        (
            "UPDATE _sqlx_migrations SET checksum = '\\x00' WHERE version = 2",
            Standing::Other(2),
        ),
        (
            "UPDATE _sqlx_migrations SET success = false WHERE version = 3",
            Standing::Other(3),
        ),
        (
            "DELETE FROM _sqlx_migrations WHERE version IN (2, 3)",
            Standing::Pending(2),
        ),
        (
            "UPDATE _sqlx_migrations SET version = 9999 WHERE version = 4",
            Standing::Newer(9999),
        ),
    ] {
        // The setting would keep its own removal out.
        let as_writer = format!("{url}?options=-c%20default_transaction_read_only%3Doff");
        execute(&as_writer, statement).await;
        assert_eq!(Standing::of(&url).await.unwrap(), standing, "{statement}");
    }
    // What cannot be read is not taken for nothing.
    execute(&url, "ALTER TABLE _sqlx_migrations RENAME COLUMN checksum TO other").await;
    assert!(Standing::of(&url).await.is_err());
}

/// What the doctor finds about the database at `url`.
fn doctor(url: &str) -> Vec<(String, String, String)> {
    let output = Command::new(binary())
        .args(["doctor", "--json"])
        .env_clear()
        .env("GITHUB_API_URL", "http://127.0.0.1:1")
        .env("DATABASE_URL", url)
        .output()
        .unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let word = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    let findings = report["findings"].as_array().unwrap().iter();
    let findings = findings.filter(|finding| word(finding, "check").starts_with("database"));
    findings
        .map(|finding| (word(finding, "check"), word(finding, "level"), word(finding, "message")))
        .collect()
}

#[tokio::test]
async fn the_doctor_names_settings_that_lose_what_was_acknowledged() {
    if !is_postgres() {
        return;
    }
    let console = console().await;
    let url = console.database();
    let found = doctor(&url);
    assert_eq!((found.len(), found[0].1.as_str()), (2, "ok"), "{found:?}");
    // The tests' own server has no fsync.
    assert_eq!(
        (found[1].0.as_str(), found[1].1.as_str()),
        ("database.durability", "warning")
    );
    assert!(found[1].2.ends_with("off is fsync"), "{found:?}");
    let name = url.rsplit('/').next().unwrap();
    execute(&url, format!("ALTER DATABASE {name} SET synchronous_commit = off")).await;
    assert!(doctor(&url)[1].2.ends_with("off is fsync, synchronous_commit"));
    let found = doctor(&shared().url("nobody_made_this"));
    assert_eq!((found.len(), found[0].1.as_str()), (1, "error"), "{found:?}");
    assert!(found[0].2.contains("console:…@"), "{found:?}");
}

#[tokio::test]
async fn a_commit_waits_for_the_disk_whatever_the_server_says() {
    if !is_postgres() {
        return;
    }
    let console = console().await;
    let (url, name) = (
        console.database(),
        console.database().rsplit('/').next().unwrap().to_owned(),
    );
    execute(&url, format!("ALTER DATABASE {name} SET synchronous_commit = off")).await;
    // Each of our transactions writes down what it was told.
    let sql = "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
               NEW.detail := json_build_object('commit', current_setting('synchronous_commit')); RETURN NEW; END $$";
    execute(&url, sql).await;
    let sql = "CREATE TRIGGER note BEFORE INSERT ON console_audit FOR EACH ROW EXECUTE FUNCTION note()";
    execute(&url, sql).await;
    let store = Store::open(&url).await.unwrap();
    let entry = audit::Source::command_line().does(AuditAction::DeployRequested);
    store.record_audit(&entry).await.unwrap();
    let row = store.audit_page(&AuditFilter::default(), 1).await.unwrap().remove(0);
    assert_eq!(row.detail["commit"], "on");
}

#[tokio::test]
async fn what_a_server_refuses_with_says_whether_it_is_worth_another_try() {
    if !is_postgres() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let url = database_of(folder.path());
    let store = Store::open(&url).await.unwrap();
    let entry = audit::Source::command_line().does(AuditAction::DeployRequested);
    for (code, expected) in [
        ("40P01", "busy"),
        ("55P03", "busy"),
        ("53100", "full"),
        ("57P03", "away"),
        ("25006", "away"),
        ("08006", "away"),
        ("0A000", "failed"),
        ("23514", "failed"),
    ] {
        let sql = format!(
            "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             RAISE EXCEPTION 'no' USING ERRCODE = '{code}'; END $$"
        );
        execute(&url, sql).await;
        let sql = "CREATE OR REPLACE TRIGGER refuse BEFORE INSERT ON console_audit \
                   FOR EACH ROW EXECUTE FUNCTION refuse()";
        execute(&url, sql).await;
        let found = match store.record_audit(&entry).await.unwrap_err() {
            StoreError::Busy(_) => "busy",
            StoreError::Full(_) => "full",
            StoreError::Away(_) => "away",
            StoreError::Database(_) | StoreError::Unreadable { .. } => "failed",
        };
        assert_eq!(found, expected, "{code}");
    }
}

async fn with_retry(response: Response) {
    assert!(response.headers().contains_key("retry-after"));
    refused(response, 503, "unavailable").await;
}

#[tokio::test]
async fn a_server_that_goes_away_and_comes_back_loses_nothing_acknowledged() {
    if !is_postgres() {
        return;
    }
    let server = Server::start();
    let (data, github) = (tempfile::tempdir().unwrap(), stand_in(Scenario::Queued).await);
    let config = config_on(server.database("restarted"), &github.url(), SITES);
    let console = TestConsole::start(config, github, data).await;
    let callback = console.bound("docs").await.prints("before\n");
    assert_eq!(console.report(&callback).await.status(), 200);
    server.crash();
    let next = callback.number(2).prints("after\n");
    let path = format!("/api/internal/deploys/{}", callback.deploy);
    let (report, create, read) = tokio::join!(
        console.report(&next),
        console.create("api-prod"),
        console.http.get(console.url(&path)).send(),
    );
    with_retry(report).await;
    with_retry(create).await;
    assert_eq!(read.unwrap().status(), 503);
    server.start_again();
    until("the report is taken", async || {
        console.report(&next).await.status() == 200
    })
    .await;
    let record = console.read(callback.deploy).await;
    assert_eq!(record["log"]["text"], "before\nafter\n");
    assert_eq!(record["state"], "running");
    let deploy = console.deploy("api-prod").await.deploy;
    console.until(deploy.id, "queued").await;
    assert_eq!(console.github.dispatches().len(), 2, "one call a deploy");
    let verdict = verify(console.running.store()).await.unwrap();
    assert!(matches!(verdict, Verdict::Intact { .. }), "{verdict:?}");
}

/// Two consoles on one database, and one GitHub.
struct Two {
    first: TestConsole,
    second: Running,
}

impl Two {
    async fn start() -> Self {
        let first = console().await;
        let config = config(&first.data, &first.github.url());
        let second = run::start(config, None).await.unwrap();
        Self { first, second }
    }

    /// Sends to one of them, in turn.
    async fn create(&self, turn: usize, site: &str) -> u16 {
        let addr = [self.first.running.addr(), self.second.addr()][turn % 2];
        let url = format!("http://{addr}/api/internal/deploys");
        let body = json!({ "site": site, "confirmation": site });
        let response = self.first.http.post(url).json(&body).send().await.unwrap();
        response.status().as_u16()
    }

    async fn report(&self, turn: usize, callback: &Callback) -> u16 {
        let addr = [self.first.running.addr(), self.second.addr()][turn % 2];
        let url = format!("http://{addr}/api/internal/deploys/{}/status", callback.deploy);
        let (body, time) = (callback.body.to_string(), now().to_string());
        let secret: raxx_console::server::signature::Secret = crate::support::SECRET.parse().unwrap();
        let request = self.first.http.post(url);
        let request = request
            .header("webhook-id", &callback.id)
            .header("webhook-signature", secret.sign(&callback.id, &time, body.as_bytes()))
            .header("webhook-timestamp", time);
        request.body(body).send().await.unwrap().status().as_u16()
    }
}

#[tokio::test]
async fn two_consoles_start_one_deploy_of_a_site_with_one_call() {
    if !is_postgres() {
        return;
    }
    let two = Two::start().await;
    let asked = (0..20).map(|turn| two.create(turn, "docs"));
    let mut statuses = futures::future::join_all(asked).await;
    statuses.sort_unstable();
    assert_eq!((statuses[0], &statuses[1..]), (201, &[409; 19][..]));
    let deploys = two.first.running.store().history(None, None, 10).await.unwrap();
    assert_eq!(deploys.len(), 1);
    two.first.until(deploys[0].id, "queued").await;
    // Both dispatchers look once more: there is nothing left to claim.
    assert!(two.second.store().in_state(State::Requested).await.unwrap().is_empty());
    assert_eq!(two.first.github.dispatches().len(), 1, "one call");
    let verdict = verify(two.second.store()).await.unwrap();
    assert!(matches!(verdict, Verdict::Intact { .. }), "{verdict:?}");
}

#[tokio::test]
async fn two_consoles_and_their_reconcilers_agree_on_what_was_reported() {
    if !is_postgres() {
        return;
    }
    let two = Two::start().await;
    let callback = two.first.bound("docs").await;
    let reports: Vec<Callback> = (1..=20)
        .map(|number| callback.number(number).prints("0123456789\n"))
        .collect();
    // Each report twice, once to either console, while both reconcilers ask GitHub about the same run.
    let sent = reports
        .iter()
        .flat_map(|report| [two.report(0, report), two.report(1, report)]);
    let asked = async {
        for _ in 0..5 {
            let later = clock::now().plus_millis(60_000);
            let (first, second) = (two.first.running.reconciler(), two.second.reconciler());
            let (one, other) = tokio::join!(first.step(later), second.step(later));
            assert!(one.is_ok() && other.is_ok());
        }
    };
    let (statuses, ()) = tokio::join!(futures::future::join_all(sent), asked);
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    let record = two.first.read(callback.deploy).await;
    assert_eq!(
        record["log"]["text"].as_str().unwrap().len(),
        20 * 11,
        "each once, none over another"
    );
    let url = two.first.database();
    let sql = "SELECT COUNT(*) FROM console_log_chunks a JOIN console_log_chunks b ON a.end_offset = b.start_offset";
    assert_eq!(count(&url, sql).await, 19, "the pieces follow each other without a gap");
    assert_eq!(count(&url, "SELECT COUNT(*) FROM console_deliveries").await, 20);
}

#[tokio::test]
async fn a_caller_who_hangs_up_leaves_no_transaction_behind() {
    if !is_postgres() {
        return;
    }
    // No console, which would use the connections in between, and finish what was left open.
    let folder = tempfile::tempdir().unwrap();
    let url = database_of(folder.path());
    let store = Store::open(&url).await.unwrap();
    let mut watcher = AnyConnection::connect(&url).await.unwrap();
    let entry = audit::Source::command_line().does(AuditAction::DeployRequested);
    for most in (0..12).cycle().take(60) {
        // A connection that waits in the pool, or else all the turns go into making one.
        store.ping().await.unwrap();
        nothing_is_open(&mut watcher, most).await;
        // Dropped after so many turns, wherever it was then.
        let mut work = Box::pin(store.record_audit(&entry));
        let mut turns = 0;
        std::future::poll_fn(|context| {
            turns += 1;
            if turns > most {
                return Poll::Ready(());
            }
            work.as_mut().poll(context).map(|_| ())
        })
        .await;
        drop(work);
        nothing_is_open(&mut watcher, most).await;
    }
}

/// No connection stands in a transaction. The server ends one that does after 10 s, and what it wrote is lost.
async fn nothing_is_open(watcher: &mut AnyConnection, turn: i32) {
    let sql = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() \
               AND xact_start IS NOT NULL";
    let closed = tokio::time::timeout(Duration::from_secs(8), async {
        while sqlx::query(sql)
            .fetch_one(&mut *watcher)
            .await
            .unwrap()
            .get::<i64, _>(0)
            > 0
        {
            tokio::task::yield_now().await;
        }
    });
    assert!(
        closed.await.is_ok(),
        "dropped after {turn} turns, it left a transaction open"
    );
}

/// An intent for `docs`.
pub(crate) fn intent(config: &Config, id: DeployId) -> Intent {
    let site = config.sites.iter().find(|site| site.slug.as_str() == "docs").unwrap();
    Intent {
        deploy: Deploy::requested(id, site, "ada", clock::now()),
        idempotency_key: Some("once".to_owned()),
        request_sha256: "same".to_owned(),
        entry: audit::Source::command_line().does(AuditAction::DeployRequested),
    }
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_not_taken_for_none() {
    if !is_postgres() {
        return;
    }
    let (data, github) = (tempfile::tempdir().unwrap(), stand_in(Scenario::Queued).await);
    let config = config(&data, &github.url());
    let wire = Wire::to(&config.database_url).await;
    let store = Store::open(&wire.url).await.unwrap();
    let id = DeployId::from_uuid(uuid::Uuid::now_v7());
    let intent = intent(&config, id);
    wire.cut_at_next_commit();
    let lost = store.record_intent(&intent, 100).await;
    assert!(matches!(lost, Err(StoreError::Away(_))), "{lost:?}");
    until(
        "the same request finds its deploy",
        async || matches!(store.record_intent(&intent, 100).await, Ok(Recorded::Again(deploy)) if deploy.id == id),
    )
    .await;
    let dispatcher = Dispatcher::new(
        store.clone(),
        Instance::new(),
        Github::new(config.github.clone()).unwrap(),
        &config.sites,
    );
    wire.cut_at_next_commit();
    let lost = dispatcher.step().await;
    assert!(matches!(lost, Err(StoreError::Away(_))), "{lost:?}");
    until("the claim is on record", async || {
        store.deploy(id).await.unwrap().unwrap().state == State::Dispatching
    })
    .await;
    assert_eq!(dispatcher.step().await.unwrap(), 0);
    let deploy = store.deploy(id).await.unwrap().unwrap();
    assert_eq!(deploy.state, State::DispatchUnknown);
    assert!(deploy.notice.unwrap().contains("database went away"));
    assert!(github.dispatches().is_empty());
}

#[tokio::test]
async fn the_board_reads_the_ends_of_logs_and_not_the_logs() {
    if !is_postgres() {
        return;
    }
    let sites: Vec<String> = (0..32).map(|site| format!("site-{site}")).collect();
    let declared = |slug: &String| {
        format!(
            "[[site]]\nslug = \"{slug}\"\nname = \"{slug}\"\nenvironment = \"staging\"\nrepository = \"raxx/{slug}\"\n\
             workflow = \"deploy.yml\"\nurl = \"https://{slug}.example.com\"\n"
        )
    };
    let file: String = sites.iter().map(declared).collect();
    let (data, github) = (tempfile::tempdir().unwrap(), stand_in(Scenario::Queued).await);
    let url = database_of(data.path());
    let console = TestConsole::start(config_on(url.clone(), &github.url(), &file), github, data).await;
    for site in &sites {
        console.bound(site).await;
    }
    for sql in [
        "INSERT INTO console_log_chunks (deploy_id, attempt, start_offset, end_offset, text) \
         SELECT id, 1, (piece - 1) * 100, piece * 100, repeat('.', 99) || chr(10) \
         FROM console_deploys, generate_series(1, 500) piece ORDER BY piece, id",
        // As the server does by itself after a minute. What it knows then makes it choose another way.
        "ANALYZE",
    ] {
        execute(&url, sql).await;
    }
    // Rows that change often take many pages, from which the server concludes that there are many of them.
    for _ in 0..20 {
        execute(&url, "UPDATE console_deploys SET log_bytes = 50000").await;
    }
    let read = "SELECT COALESCE(SUM(seq_tup_read + idx_tup_fetch), 0) FROM pg_stat_user_tables \
                WHERE relname = 'console_log_chunks'";
    let (before, mut looks) = (number(&url, read).await, 0);
    until("the server says what it has read", async || {
        let board = console
            .http
            .get(console.url("/api/internal/board"))
            .send()
            .await
            .unwrap();
        assert!(board.text().await.unwrap().contains("....."));
        looks += 1;
        number(&url, read).await > before
    })
    .await;
    // Of each log its last 4 KiB are 41 or 42 pieces of 500, and a few are looked at to find where they begin.
    let found = number(&url, read).await - before;
    assert!(
        found <= looks * 32 * 50,
        "{looks} looks at the board read {found} pieces"
    );
}
