//! Starting with something wrong: one line that says what, where and how to mend it; exit code 2; no panic.

use crate::support::{SECRET, SITES, binary};
use std::fs;
use std::net::TcpListener;
use std::process::{Command, Output};
use tempfile::TempDir;

/// `serve` in a folder of its own, with a good configuration that a test then spoils.
struct Start {
    folder: TempDir,
    command: Command,
}

impl Start {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("console.toml"), SITES).unwrap();
        let mut command = Command::new(binary());
        command.current_dir(folder.path()).env_clear();
        for (name, value) in [
            ("CONSOLE_CALLBACK_SECRET", SECRET),
            ("GITHUB_DISPATCH_TOKEN", "t"),
            ("PORT", "0"),
        ] {
            command.env(name, value);
        }
        Self { folder, command }
    }

    fn set(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    fn unset(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    fn sites(self, text: &str) -> Self {
        fs::write(self.folder.path().join("console.toml"), text).unwrap();
        self
    }

    /// Runs it, and expects its refusal to say all of `words`.
    fn refuses(self, words: &[&str]) {
        self.refuses_and_hides(words, "nothing that is said by chance");
    }

    /// The same, and not to say `hidden`.
    fn refuses_and_hides(mut self, words: &[&str], hidden: &str) {
        let Output { status, stdout, stderr } = self.command.output().unwrap();
        let said = String::from_utf8(stderr).unwrap();
        assert_eq!(status.code(), Some(2), "{said}");
        assert_eq!(said.lines().count(), 1, "one line: {said}");
        assert!(stdout.is_empty() && !said.contains("panicked"), "{said}");
        assert!(!said.contains(hidden), "{said}");
        for word in words {
            assert!(said.contains(word), "`{word}` is missing in: {said}");
        }
    }
}

#[test]
fn missing_settings_are_named() {
    Start::new()
        .unset("CONSOLE_CALLBACK_SECRET")
        .refuses(&["CONSOLE_CALLBACK_SECRET", "raxx-console secret"]);
    Start::new()
        .unset("GITHUB_DISPATCH_TOKEN")
        .refuses(&["GITHUB_DISPATCH_TOKEN"]);
    Start::new()
        .set("CONSOLE_CONFIG", "elsewhere.toml")
        .refuses(&["elsewhere.toml", "CONSOLE_CONFIG"]);
}

#[test]
fn wrong_settings_are_named() {
    Start::new()
        .set("CONSOLE_CALLBACK_SECRET", "whsec_short")
        .refuses(&["CONSOLE_CALLBACK_SECRET", "24 to 64"]);
    Start::new()
        .set("CONSOLE_ADDR", "here")
        .refuses(&["CONSOLE_ADDR", "127.0.0.1:3000"]);
    Start::new().set("PORT", "99999").refuses(&["PORT", "65535"]);
    Start::new()
        .set("GITHUB_API_URL", "ftp://x")
        .refuses(&["GITHUB_API_URL", "http"]);
    Start::new()
        .set("DATABASE_URL", "mysql://x")
        .refuses(&["DATABASE_URL", "sqlite://", "postgres://"]);
}

#[test]
fn a_secret_may_come_as_a_file_and_only_one_way() {
    let start = Start::new().unset("CONSOLE_CALLBACK_SECRET");
    start
        .set("CONSOLE_CALLBACK_SECRET_FILE", "/nowhere/secret")
        .refuses(&["CONSOLE_CALLBACK_SECRET_FILE", "/nowhere/secret"]);
    Start::new()
        .set("CONSOLE_CALLBACK_SECRET_FILE", "x")
        .refuses(&["both set"]);
    let start = Start::new()
        .unset("CONSOLE_CALLBACK_SECRET")
        .unset("GITHUB_DISPATCH_TOKEN");
    let file = start.folder.path().join("secret");
    fs::write(&file, format!("{SECRET}\n")).unwrap();
    // The secret is taken: what is missing now is the next thing.
    start
        .set("CONSOLE_CALLBACK_SECRET_FILE", file.to_str().unwrap())
        .refuses(&["GITHUB_DISPATCH_TOKEN"]);
}

#[test]
fn a_webhook_secret_that_can_be_guessed_is_refused() {
    Start::new().set("GITHUB_WEBHOOK_SECRET", "hunter2").refuses(&[
        "GITHUB_WEBHOOK_SECRET",
        "16 characters",
        "openssl rand",
    ]);
}

#[test]
fn github_is_asked_with_a_token_or_as_an_app_and_not_as_both() {
    let app = || Start::new().unset("GITHUB_DISPATCH_TOKEN").set("GITHUB_APP_ID", "1");
    app().refuses(&["GITHUB_APP_PRIVATE_KEY is not set"]);
    app()
        .set("GITHUB_APP_PRIVATE_KEY", "no key")
        .refuses(&["GITHUB_APP_PRIVATE_KEY", "PEM"]);
    Start::new()
        .unset("GITHUB_DISPATCH_TOKEN")
        .set("GITHUB_APP_PRIVATE_KEY", "no key")
        .refuses(&["GITHUB_APP_ID is not set"]);
    Start::new()
        .set("GITHUB_APP_ID", "1")
        .refuses(&["GITHUB_DISPATCH_TOKEN", "both set"]);
}

#[test]
fn the_secret_may_be_left_out_where_no_site_wants_it() {
    let keyless = |file: String| file.replace("workflow =", "callback_auth = \"oidc\"\nrepository_id = 7\nworkflow =");
    let start = |file: &str| Start::new().unset("CONSOLE_CALLBACK_SECRET").sites(file);
    // It is not missed: what is wrong now is the next thing.
    start(&keyless(SITES.to_owned()))
        .set("GITHUB_OIDC_ISSUER", "http://token.example.com")
        .refuses(&["GITHUB_OIDC_ISSUER", "https"]);
    let both = keyless(SITES.to_owned()).replacen("\"oidc\"", "\"secret_and_oidc\"", 1);
    start(&both).refuses(&["CONSOLE_CALLBACK_SECRET", "raxx-console secret"]);
    let one = SITES.replacen(
        "workflow =",
        "callback_auth = \"oidc\"\nrepository_id = 7\nworkflow =",
        1,
    );
    start(&one).refuses(&["CONSOLE_CALLBACK_SECRET", "raxx-console secret"]);
}

#[test]
fn a_wrong_file_of_sites_is_refused_with_its_line() {
    let spoiled = |from: &str, to: &str| Start::new().sites(&SITES.replacen(from, to, 1));
    spoiled("environment =", "enviroment =").refuses(&["console.toml:5", "enviroment"]);
    spoiled("name = \"API\"", "name = 7").refuses(&["console.toml:4", "string"]);
    spoiled("slug = \"docs\"", "slug = \"api-prod\"").refuses(&["console.toml", "api-prod", "two sites"]);
    spoiled("slug = \"api-prod\"", "slug = \"API prod\"").refuses(&["console.toml:3", "API prod"]);
    spoiled("raxx/api", "api").refuses(&["api-prod", "repository", "owner/name"]);
    spoiled("deploy-api.yml", "../deploy.yml").refuses(&["workflow"]);
    spoiled("https://api.example.com", "api.example.com").refuses(&["url"]);
    spoiled("inputs = { color = \"green\" }", "silent_after = \"soon\"").refuses(&["silent_after", "10m"]);
    spoiled("inputs = { color", "inputs = { console_deploy_id").refuses(&["console_deploy_id"]);
    spoiled("[[site]]", "deployers = \"ada\"\n[[site]]").refuses(&["console.toml", "deployers"]);
    spoiled("[[site]]", "[sessions]\nidle = \"soon\"\n[[site]]").refuses(&["[sessions]", "idle", "2h"]);
    spoiled("[[site]]", "trusted_proxies = [\"proxy\"]\n[[site]]").refuses(&["trusted_proxies", "10.0.0.0/8"]);
    let auth = |value: &str| spoiled("inputs = { color = \"green\" }", &format!("callback_auth = {value}"));
    auth("\"oidc\"").refuses(&["api-prod", "repository_id", "gh api repos/raxx/api --jq .id"]);
    auth("\"secret_and_oidc\"").refuses(&["api-prod", "repository_id"]);
    auth("\"token\"").refuses(&["console.toml:9", "token", "secret_and_oidc"]);
    auth("\"oidc\"\nrepository_id = \"7\"").refuses(&["console.toml:10", "string"]);
    spoiled("[[site]]", "[retention]\nlog_age = \"1h\"\n[[site]]").refuses(&["[retention]", "log_age", "90d"]);
    let oidc = "[oidc]\nissuer = \"https://id.example.com\"\nclient_id = \"console\"\nroles = {}\n[[site]]";
    spoiled("[[site]]", oidc).refuses(&["[oidc]", "roles"]);
    spoiled("[[site]]", &oidc.replace("{}", "{ ops = \"owner\" }")).refuses(&["console.toml:5", "owner"]);
    spoiled("[[site]]", "[[site").refuses(&["console.toml:2"]);
    Start::new().sites("").refuses(&["no site"]);
}

#[test]
fn what_a_wrong_value_quotes_stays_on_its_line() {
    let spoiled = |from: &str, to: &str| Start::new().sites(&SITES.replacen(from, to, 1));
    for break_in_url in ["https://api\\n.example.com", "https://api.example.com/\\u001b[31m"] {
        let shown = break_in_url.replace("\\u001b", "\\u{1b}");
        spoiled("https://api.example.com", break_in_url).refuses(&[&format!("`url` is `{shown}`"), "http"]);
    }
    spoiled("[[site]]", "trusted_proxies = [\"a\\nb\"]\n[[site]]").refuses(&["`a\\nb`"]);
    spoiled("slug = \"api-prod\"", "slug = \"api\\nprod\"").refuses(&["api", "is no slug"]);
}

#[test]
fn a_time_is_no_longer_than_a_hundred_years() {
    let spoiled = |from: &str, to: &str| Start::new().sites(&SITES.replacen(from, to, 1));
    for (key, problem) in [
        ("silent_after = \"101years\"", "a second or more"),
        ("silent_after = \"999ms\"", "a second or more"),
        ("grace = \"290000000years\"", "`grace` must be a time"),
    ] {
        spoiled("inputs = { color = \"green\" }", key).refuses(&["api-prod", problem]);
    }
    spoiled("[[site]]", "[sessions]\nabsolute = \"101years\"\n[[site]]").refuses(&["absolute", "100 years"]);
    spoiled("[[site]]", "[retention]\nlog_age = \"101years\"\n[[site]]").refuses(&["log_age", "100 years"]);
}

#[test]
fn a_server_that_does_not_answer_is_named_without_its_password() {
    let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("postgres://console:hunter2@{unused}/console?password=hunter3");
    let shown = format!("postgres://console:…@{unused}/console: ");
    let start = Start::new();
    let file = start.folder.path().join("url");
    fs::write(&file, format!("{url}\n")).unwrap();
    start
        .set("DATABASE_URL_FILE", file.to_str().unwrap())
        .refuses_and_hides(&["DATABASE_URL", &shown, "refused", "PostgreSQL"], "hunter");
    Start::new()
        .set("DATABASE_URL", &url)
        .refuses_and_hides(&["DATABASE_URL", &shown], "hunter");
    Start::new()
        .set("DATABASE_URL", "postgres//console:hunter2@db/console")
        .refuses_and_hides(&["DATABASE_URL", "postgres://"], "hunter");
    Start::new()
        .set("DATABASE_URL", "postgres://console:hunter2@db:port/console")
        .refuses_and_hides(&["DATABASE_URL", "port"], "hunter");
    Start::new()
        .set("DATABASE_URL", &url)
        .set("DATABASE_URL_FILE", "x")
        .refuses_and_hides(&["DATABASE_URL_FILE", "both set"], "hunter");
}

#[test]
fn a_file_that_is_no_sqlite_database_is_named() {
    let start = Start::new();
    fs::write(
        start.folder.path().join("text.db"),
        "this is no database, and long enough to be told from one\n".repeat(20),
    )
    .unwrap();
    start
        .set("DATABASE_URL", "sqlite://text.db")
        .refuses(&["DATABASE_URL", "text.db"]);
    let start = Start::new();
    fs::create_dir(start.folder.path().join("folder.db")).unwrap();
    start.set("DATABASE_URL", "sqlite://folder.db").refuses(&["folder.db"]);
    let start = Start::new();
    fs::write(start.folder.path().join("file"), "").unwrap();
    start.set("DATABASE_URL", "sqlite://file/console.db").refuses(&["file"]);
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    Start::new().set("PORT", &port).refuses(&[&port, "PORT"]);
}

#[test]
fn secret_prints_a_secret() {
    let output = Command::new(binary()).arg("secret").output().unwrap();
    let secret = String::from_utf8(output.stdout).unwrap();
    assert!(
        secret
            .trim_end()
            .parse::<raxx_console::server::signature::Secret>()
            .is_ok(),
        "{secret}"
    );
}
