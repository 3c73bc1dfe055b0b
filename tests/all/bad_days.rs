//! Days on which the database has no room, no disk or no time: 503 with `Retry-After`, nothing that was acknowledged is
//! lost, and work goes on when they are over.

use crate::support::database::{execute, hold, is_postgres, number, sqlite_in};
use crate::support::people::{bearer, client_with_token};
use crate::support::{Callback, DISPATCH_TOKEN, SECRET, SITES, binary, console, now, refused, stand_in};
use futures::future::join_all;
use raxx_console::domain::{DeployId, Role};
use raxx_console::server::demo::stand_in::{Scenario, StandIn};
use raxx_console::server::signature::Secret;
use reqwest::{Client, Response};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// What sets the console up, and then becomes it: `$1` is the binary.
const SET_UP: &str = r#"
"$1" operator add ada --role admin >/dev/null 2>&1
echo "token $("$1" token create --operator ada)"
exec "$1" serve
"#;

const BOARD: &str = "/api/internal/board";

/// The binary with a database that can run out of room.
struct Cramped {
    child: Child,
    url: String,
    http: Client,
    github: StandIn,
    data: PathBuf,
    folder: TempDir,
}

impl Cramped {
    /// `script` goes before [`SET_UP`]; `$2` is the folder of the database.
    async fn start(program: &[&str], script: &str) -> Self {
        let _before = rustls::crypto::ring::default_provider().install_default();
        let (folder, github) = (tempfile::tempdir().unwrap(), stand_in(Scenario::Queued).await);
        let data = folder.path().join("data");
        fs::create_dir(&data).unwrap();
        fs::write(folder.path().join("console.toml"), SITES).unwrap();
        let script = format!("{script}{SET_UP}");
        let arguments = [
            "sh",
            "-c",
            &script,
            "sh",
            binary().to_str().unwrap(),
            data.to_str().unwrap(),
        ]
        .map(str::to_owned);
        let all: Vec<String> = program.iter().map(|word| (*word).to_owned()).chain(arguments).collect();
        let mut child = Command::new(&all[0])
            .args(&all[1..])
            .current_dir(folder.path())
            .env("CONSOLE_CALLBACK_SECRET", SECRET)
            .env("GITHUB_DISPATCH_TOKEN", DISPATCH_TOKEN)
            .env("GITHUB_API_URL", github.url())
            .env("DATABASE_URL", sqlite_in(&data))
            .env("PORT", "0")
            .stdout(Stdio::piped())
            .stderr(fs::File::create(folder.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let said = tokio::task::spawn_blocking(move || {
            let mut lines = lines.map_while(Result::ok);
            let mut find = |start: &str| {
                lines
                    .find_map(|line| line.strip_prefix(start).map(str::to_owned))
                    .unwrap()
            };
            (find("token "), find("Open "))
        });
        let (token, url) = said.await.unwrap();
        Self {
            child,
            url: url.trim_end_matches('/').to_owned(),
            http: bearer(&token),
            github,
            data,
            folder,
        }
    }

    async fn create(&self, site: &str) -> Response {
        let body = json!({ "site": site, "confirmation": site });
        let url = format!("{}/api/internal/deploys", self.url);
        self.http.post(url).json(&body).send().await.unwrap()
    }

    async fn read(&self, id: DeployId, after: &str) -> Value {
        let url = format!("{}/api/internal/deploys/{id}?after={after}", self.url);
        self.http.get(url).send().await.unwrap().json().await.unwrap()
    }

    async fn until(&self, id: DeployId, state: &str) -> Value {
        let waited = tokio::time::timeout(Duration::from_secs(30), async {
            loop {
                let record = self.read(id, "0").await;
                if record["state"] == state {
                    return record;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        waited.await.expect("the state never came")
    }

    async fn report(&self, callback: &Callback) -> Response {
        let (body, time) = (callback.body.to_string(), now().to_string());
        let secret: Secret = SECRET.parse().unwrap();
        let url = format!("{}/api/internal/deploys/{}/status", self.url, callback.deploy);
        let request = self.http.post(url).header("webhook-id", &callback.id);
        let request = request.header("webhook-signature", secret.sign(&callback.id, &time, body.as_bytes()));
        request
            .header("webhook-timestamp", time)
            .body(body)
            .send()
            .await
            .unwrap()
    }

    /// Lives through it: `fill` takes the room away, `free` gives it back.
    async fn lives_through(self, fill: impl FnOnce(&Self), free: impl FnOnce(&Self)) {
        let docs: Value = self.create("docs").await.json().await.unwrap();
        let docs: DeployId = docs["id"].as_str().unwrap().parse().unwrap();
        let run = self.until(docs, "queued").await["run_id"].as_i64().unwrap();
        let callback = Callback::new(docs, run);
        self.github.set_scenario("deploy-api.yml", Scenario::Hold);
        let api: Value = self.create("api-prod").await.json().await.unwrap();
        let api: DeployId = api["id"].as_str().unwrap().parse().unwrap();
        self.github.dispatched(2).await;
        fill(&self);
        // What fits into what is left is taken, and then nothing is.
        let line = |seq: i64| format!("{seq}{}\n", ".".repeat(30_000));
        let mut taken = String::new();
        let mut seq = 0;
        let refusal = loop {
            seq += 1;
            let response = self.report(&callback.number(seq).prints(&line(seq))).await;
            if response.status() != 200 {
                break response;
            }
            taken.push_str(&line(seq));
            assert!(seq < 500, "there was room for all of it");
        };
        assert!(refusal.headers().contains_key("retry-after"));
        refused(refusal, 503, "unavailable").await;
        let started = self.create("docs").await.status();
        let log = || fs::read_to_string(self.folder.path().join("log")).unwrap();
        assert!(started == 409 || started == 503, "{started}: {}", log());
        // GitHub answers now, and the answer cannot be recorded: it is kept in hand.
        self.github.release();
        let said = self.read(api, "0").await;
        assert!(said["state"] == "dispatching" || said["title"].is_string(), "{said}");
        free(&self);
        self.until(api, "queued").await;
        assert_eq!(self.github.dispatches().len(), 2, "one call a deploy");
        let again = self.report(&callback.number(seq).prints(&line(seq))).await;
        assert_eq!(again.status(), 200);
        taken.push_str(&line(seq));
        let (mut log, mut after) = (String::new(), "0".to_owned());
        loop {
            let piece = self.read(docs, &after).await["log"].clone();
            if piece["text"] == "" {
                break;
            }
            log.push_str(piece["text"].as_str().unwrap());
            piece["after"].as_str().unwrap().clone_into(&mut after);
        }
        assert!(
            log == taken,
            "{} bytes were acknowledged, {} are there",
            taken.len(),
            log.len()
        );
        assert_eq!(
            self.report(&callback.number(seq + 1).says("success")).await.status(),
            200
        );
        self.until(docs, "succeeded").await;
    }
}

impl Drop for Cramped {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[tokio::test]
async fn a_disk_that_fails_is_503_and_nothing_acknowledged_is_lost() {
    if is_postgres() {
        return;
    }
    // Writing behind a file's first 4 KiB fails from now on: to SQLite that is a disk with an error.
    let limit = |console: &Cramped, soft: &str| {
        let (pid, limit) = (console.child.id().to_string(), format!("--fsize={soft}:"));
        let set = Command::new("prlimit").args(["--pid", &pid, &limit]).status().unwrap();
        assert!(set.success());
    };
    let console = Cramped::start(&["env"], "trap '' XFSZ\n").await;
    console
        .lives_through(|console| limit(console, "4096"), |console| limit(console, "unlimited"))
        .await;
}

#[tokio::test]
async fn a_disk_that_is_full_is_503_and_nothing_acknowledged_is_lost() {
    let namespace = ["unshare", "--user", "--map-root-user", "--mount"];
    let allowed = Command::new(namespace[0])
        .args(&namespace[1..])
        .args(["mount", "-t", "tmpfs", "none", "/mnt"])
        .output();
    if is_postgres() || !allowed.unwrap().status.success() {
        // Where the system lets nobody mount a disk of their own, the test above has to do.
        return;
    }
    let console = Cramped::start(&namespace, "mount -t tmpfs -o size=4m none \"$2\"\n").await;
    let inside = PathBuf::from(format!("/proc/{}/root", console.child.id()));
    let filler = inside.join(console.data.strip_prefix("/").unwrap()).join("filler");
    let fill = |_: &Cramped| {
        let mut file = fs::File::create(&filler).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
    };
    console.lives_through(fill, |_| fs::remove_file(&filler).unwrap()).await;
}

#[tokio::test]
async fn a_server_without_room_is_503_and_goes_on_when_there_is_some() {
    if !is_postgres() {
        return;
    }
    let console = console().await;
    let callback = console.bound("docs").await;
    let url = console.database();
    // What the server says when its disk is full, in the middle of a transaction.
    let sql = "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
               RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$";
    execute(&url, sql).await;
    execute(
        &url,
        "CREATE TRIGGER full_disk BEFORE INSERT ON console_deliveries FOR EACH ROW EXECUTE FUNCTION full_disk()",
    )
    .await;
    let response = console.report(&callback).await;
    assert_eq!(response.headers()["retry-after"], "10");
    let body = refused(response, 503, "unavailable").await;
    assert!(body["detail"].as_str().unwrap().contains("no space left"), "{body}");
    execute(&url, "DROP TRIGGER full_disk ON console_deliveries").await;
    assert_eq!(console.report(&callback).await.status(), 200);
}

#[tokio::test]
async fn another_writer_that_holds_on_is_503_for_whoever_deploys() {
    let console = console().await;
    let mut holder = hold(&console.database()).await;
    // The first ones wait for the other writer, and the others for a connection.
    for response in join_all((0..6).map(|_| console.create("docs"))).await {
        assert!(response.headers().contains_key("retry-after"));
        let body = refused(response, 503, "unavailable").await;
        assert!(
            body["detail"].as_str().unwrap().contains("Nothing was changed"),
            "{body}"
        );
    }
    sqlx::query("ROLLBACK").execute(&mut holder).await.unwrap();
    assert_eq!(console.create("docs").await.status(), 201);
}

#[tokio::test]
async fn whoever_reads_does_not_wait_for_those_who_wait_to_write() {
    let console = console().await;
    // That it was used, and a browser was seen, is noted once a minute: one has it behind it, the others have not.
    assert_eq!(console.status(&console.http, BOARD).await, 200);
    let fresh = client_with_token(&console.running, &[]).await;
    let browser = console.person("grace", Role::Viewer).await;
    let sql = "UPDATE console_sessions SET last_seen_at = last_seen_at - 120000";
    execute(&console.database(), sql).await;
    let url = console.database();
    let mut holder = hold(&url).await;
    let more_than_there_are_connections = 16;
    let writes = join_all((0..more_than_there_are_connections).map(|_| console.create("docs")));
    let reads = async {
        for reader in [&console.http, &console.http, &fresh, &browser] {
            assert_eq!(console.status(reader, BOARD).await, 200);
        }
        if is_postgres() {
            let all = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database()";
            let (of_the_console, of_this_test) = (9, 2);
            assert!(number(&url, all).await <= of_the_console + of_this_test);
        }
    };
    tokio::select! {
        _ = writes => panic!("a write was done before the reads"),
        () = reads => {}
    }
    sqlx::query("ROLLBACK").execute(&mut holder).await.unwrap();
}

/// A page while the database is away: a page, and no raw text.
#[tokio::test]
async fn a_page_without_a_record_is_a_page_that_says_so_and_comes_back_by_itself() {
    if !is_postgres() {
        return;
    }
    let server = crate::support::database::Server::start();
    let (data, github) = (tempfile::tempdir().unwrap(), stand_in(Scenario::Queued).await);
    let config = crate::support::config_on(server.database("pages"), &github.url(), SITES);
    let console = crate::support::TestConsole::start(config, github, data).await;
    let browser = console.person("grace", Role::Viewer).await;
    server.crash();
    let response = browser.get(console.url("/deploys")).send().await.unwrap();
    let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(response.status(), 503);
    assert!(header("content-type").starts_with("text/html"));
    assert_eq!(
        (header("refresh"), header("cache-control")),
        ("5".to_owned(), "no-store".to_owned())
    );
    assert!(response.headers().contains_key("retry-after"));
    assert!(header("content-security-policy").contains("style-src 'self'"));
    let text = response.text().await.unwrap();
    assert!(
        text.starts_with("<!DOCTYPE html>") && text.contains("cannot reach its record"),
        "{text}"
    );
    let fields = [("name", "grace"), ("password", crate::support::people::PASSWORD)];
    let response = console.form(&browser, "/sign-in", &fields).await;
    assert_eq!(response.status(), 503);
    assert!(
        response.headers().get("refresh").is_none(),
        "a form is not sent again by itself"
    );
    assert!(
        response.headers()["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/html")
    );
    // Programs get what they always get.
    let response = browser.get(console.url("/readyz")).send().await.unwrap();
    refused(response, 503, "unavailable").await;
    server.start_again();
}
