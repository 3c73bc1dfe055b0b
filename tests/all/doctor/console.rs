//! The console's own half: variables, the file of sites, the database, the token and the clock.

use super::{Doctor, repository};
use sqlx::Connection as _;
use std::fs;

/// A provider that would send its tokens in clear.
const PROVIDER: &str = r#"[oidc]
issuer = "http://id.example.com"
client_id = "console"
roles = { ops = "admin" }
[[site]]"#;

type Change = fn(&mut Doctor);

#[tokio::test]
async fn every_fault_of_the_configuration_is_a_finding() {
    let rows: &[(&str, Change, &str, &str, &str)] = &[
        (
            "http",
            |d| {
                d.set("CONSOLE_URL", "http://console.example.com");
                d.github.set_console_url("http://console.example.com".to_owned());
                // What is said of the variable is another row's concern.
                d.refuse("variables", 403);
            },
            "config.public_url",
            "warning",
            "in clear",
        ),
        (
            "loopback",
            |d| {
                d.set("CONSOLE_URL", "http://127.0.0.1:3000/");
                d.github.set_console_url("http://127.0.0.1:3000".to_owned());
            },
            "config.public_url",
            "ok",
            "127.0.0.1",
        ),
        (
            "a provider without https",
            |d| d.file("[[site]]", PROVIDER),
            "config.file",
            "error",
            "[oidc]",
        ),
        (
            "another port",
            |d| d.set("PORT", "99999"),
            "config.variables",
            "error",
            "PORT",
        ),
    ];
    for (what, change, check, level, words) in rows {
        let mut doctor = Doctor::new().await;
        change(&mut doctor);
        doctor.finds(what, check, level, words).await;
    }
}

#[tokio::test]
async fn everything_that_is_missing_is_named_at_once_and_the_rest_is_checked() {
    let mut doctor = Doctor::new().await;
    doctor.unset("CONSOLE_CALLBACK_SECRET");
    doctor.unset("GITHUB_DISPATCH_TOKEN");
    doctor.set("CONSOLE_ADDR", "here");
    doctor.set("CONSOLE_CALLBACK_SECRET_PREVIOUS", "whsec_short");
    let (outcome, findings) = doctor.look().await;
    assert_eq!(outcome.code, 2);
    let wrong: Vec<&str> = findings
        .iter()
        .filter(|finding| finding["check"] == "config.variables")
        .map(|finding| finding["message"].as_str().unwrap())
        .collect();
    for name in [
        "CONSOLE_CALLBACK_SECRET ",
        "GITHUB_DISPATCH_TOKEN ",
        "CONSOLE_ADDR ",
        "CONSOLE_CALLBACK_SECRET_PREVIOUS ",
    ] {
        assert!(wrong.iter().any(|line| line.starts_with(name)), "{name} in {wrong:?}");
    }
    let level = |check: &str| {
        findings
            .iter()
            .find(|f| f["check"] == check)
            .map(|f| f["level"].clone())
    };
    assert_eq!(level("config.file").unwrap(), "ok");
    assert_eq!(level("database").unwrap(), "ok");
    assert_eq!(level("github.reachable").unwrap(), "error");
    assert_eq!(
        level("repository").unwrap(),
        "warning",
        "the sites are named as not checked"
    );
}

#[tokio::test]
async fn a_file_that_does_not_parse_is_a_finding_like_others() {
    for (from, to, words) in [
        ("environment =", "enviroment =", "console.toml:5"),
        ("[[site]]", "[[site", "console.toml:2"),
        ("raxx/api", "api", "owner/name"),
    ] {
        let doctor = Doctor::new().await;
        doctor.file(from, to);
        doctor.finds(to, "config.file", "error", words).await;
    }
    let mut doctor = Doctor::new().await;
    doctor.set("CONSOLE_CONFIG", "elsewhere.toml");
    doctor.finds("no file", "config.file", "error", "elsewhere.toml").await;
}

async fn execute(doctor: &Doctor, statement: &'static str) {
    let url = format!("sqlite://{}", doctor.path("data/console.db").display());
    let mut database = sqlx::AnyConnection::connect(&url).await.unwrap();
    sqlx::query(statement).execute(&mut database).await.unwrap();
    database.close().await.unwrap();
}

#[tokio::test]
async fn the_database_is_looked_at_and_never_made() {
    let mut doctor = Doctor::new().await;
    doctor.set("DATABASE_URL", "sqlite://new/console.db");
    doctor.arg("--json");
    let (outcome, doctor) = doctor.run().await;
    assert_eq!(outcome.code, 1);
    assert!(
        outcome.text.contains("not there yet") && !doctor.path("new").exists(),
        "{}",
        outcome.text
    );

    let mut doctor = Doctor::new().await;
    fs::write(doctor.path("empty.db"), "").unwrap();
    doctor.set("DATABASE_URL", "sqlite://empty.db");
    let (outcome, doctor) = doctor.run().await;
    assert_eq!(outcome.code, 1);
    let all = fs::read_dir(repository().join("migrations")).unwrap().count();
    assert!(outcome.text.contains(&format!("pending: {all}")), "{}", outcome.text);
    assert_eq!(
        fs::metadata(doctor.path("empty.db")).unwrap().len(),
        0,
        "nothing was written"
    );
}

#[tokio::test]
async fn looking_leaves_nothing_beside_the_database() {
    let (outcome, doctor) = Doctor::new().await.run().await;
    assert_eq!(outcome.code, 0);
    let files = fs::read_dir(doctor.path("data")).unwrap();
    let names: Vec<_> = files.map(|file| file.unwrap().file_name()).collect();
    assert_eq!(names, ["console.db"]);
}

#[tokio::test]
async fn every_fault_of_the_database_is_a_finding() {
    let rows = [
        (
            "pending",
            "DELETE FROM _sqlx_migrations WHERE version = 3",
            "warning",
            "pending: 1",
        ),
        (
            "newer",
            "UPDATE _sqlx_migrations SET version = 9999 WHERE version = 3",
            "error",
            "newer",
        ),
        (
            "other",
            "UPDATE _sqlx_migrations SET checksum = x'00' WHERE version = 2",
            "error",
            "migration 2",
        ),
        (
            "halfway",
            "UPDATE _sqlx_migrations SET success = 0 WHERE version = 3",
            "error",
            "migration 3",
        ),
    ];
    for (what, statement, level, words) in rows {
        let doctor = Doctor::new().await;
        execute(&doctor, statement).await;
        doctor.finds(what, "database", level, words).await;
    }
    let mut doctor = Doctor::new().await;
    fs::write(
        doctor.path("text.db"),
        "this is no database, and long enough to be told\n".repeat(40),
    )
    .unwrap();
    doctor.set("DATABASE_URL", "sqlite://text.db");
    doctor.finds("text", "database", "error", "text.db").await;
    let mut doctor = Doctor::new().await;
    doctor.set("DATABASE_URL", "sqlite://.");
    doctor.finds("a folder", "database", "error", "DATABASE_URL").await;
    let mut doctor = Doctor::new().await;
    doctor.set("DATABASE_URL", "postgres://console:hunter2@example.com/console");
    doctor.arg("--json");
    let (outcome, _) = doctor.run().await;
    assert!(
        outcome.code == 2 && !outcome.text.contains("hunter2"),
        "{}",
        outcome.text
    );
}

#[tokio::test]
async fn the_clock_and_the_token_are_judged_by_githubs_own_word() {
    let soon = |days: i64| {
        let end = time::OffsetDateTime::now_utc() + time::Duration::days(days);
        let (date, time) = (end.date(), end.time());
        format!(
            "{date} {:02}:{:02}:{:02} UTC",
            time.hour(),
            time.minute(),
            time.second()
        )
    };
    for (what, ahead, level, words) in [
        ("a little ahead", 3, "ok", "within 5 s"),
        ("ahead", -30, "warning", "ahead of"),
        ("behind", 30, "warning", "behind"),
        ("far behind", 200, "error", "behind"),
        ("far ahead", -200, "error", "ahead of"),
    ] {
        let doctor = Doctor::new().await;
        doctor.github.set_up(|set_up| set_up.clock_ahead = ahead);
        doctor.finds(what, "clock", level, words).await;
    }
    for (days, level) in [(60, "ok"), (13, "warning"), (-1, "warning")] {
        let doctor = Doctor::new().await;
        doctor.github.set_up(|set_up| set_up.expiration = Some(soon(days)));
        doctor
            .finds("the token's end", "token.expiry", level, "the token ends")
            .await;
    }
}

#[tokio::test]
async fn a_github_that_cannot_be_asked_is_one_finding_and_the_sites_are_named_unchecked() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    for what in ["unreachable", "revoked", "down", "a token that no header can carry"] {
        let mut doctor = Doctor::new().await;
        let check = match what {
            "unreachable" => {
                doctor.set("GITHUB_API_URL", &format!("http://{closed}"));
                "github.reachable"
            }
            "revoked" => {
                doctor.refuse("/", 401);
                "token.valid"
            }
            "a token that no header can carry" => {
                doctor.set("GITHUB_DISPATCH_TOKEN", "a\u{7f}b");
                "token.valid"
            }
            _ => {
                doctor.refuse("/", 500);
                "github.reachable"
            }
        };
        let (outcome, findings) = doctor.look().await;
        assert_eq!(outcome.code, 2, "{what}");
        let of = |level: &str| {
            let found = findings.iter().filter(|finding| finding["level"] == level);
            found.map(|finding| finding["check"].clone()).collect::<Vec<_>>()
        };
        assert_eq!(of("error"), [check], "{what}");
        assert_eq!(of("warning"), ["repository", "repository"], "{what}: {findings:#?}");
    }
    let doctor = Doctor::new().await;
    doctor.refuse("/rate_limit", 404);
    doctor
        .finds(
            "an Enterprise server without limits",
            "github.reachable",
            "ok",
            "answers",
        )
        .await;
}
