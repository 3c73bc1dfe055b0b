//! `--callback`: a signed round trip that leaves no trace.

use super::Doctor;
use crate::support::database::is_postgres;
use crate::support::{PREVIOUS_SECRET, SECRET, console};
use raxx_console::server::signature::Secret;
use sqlx::{Connection as _, Row as _};

async fn doctor(url: &str) -> Doctor {
    let mut doctor = Doctor::new().await;
    doctor.set("CONSOLE_URL", url);
    doctor.github.set_console_url(url.trim_end_matches('/').to_owned());
    doctor.arg("--callback");
    doctor
}

async fn rows(url: &str) -> Vec<i64> {
    let mut database = sqlx::AnyConnection::connect(url).await.unwrap();
    let mut counts = Vec::new();
    for table in [
        "console_deploys",
        "console_deploy_events",
        "console_deliveries",
        "console_log_chunks",
        "console_audit",
    ] {
        let statement = sqlx::AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}"));
        let row = sqlx::query(statement).fetch_one(&mut database).await.unwrap();
        counts.push(row.get::<i64, _>(0));
    }
    counts
}

#[tokio::test]
async fn a_console_that_runs_takes_the_signature_and_keeps_nothing() {
    let console = console().await;
    let before = rows(&console.database()).await;
    let mut doctor = doctor(&console.url("")).await;
    // The database is read beside the console that writes to it.
    // On PostgreSQL there would be something to mend: see `crate::postgres`.
    if !is_postgres() {
        doctor.set("DATABASE_URL", &console.database());
    }
    doctor
        .finds("all is well", "callback", "ok", "took a signed callback")
        .await;
    assert_eq!(rows(&console.database()).await, before);
}

#[tokio::test]
async fn without_a_public_address_the_one_that_it_listens_on_is_asked() {
    let console = console().await;
    let mut doctor = doctor("").await;
    doctor.unset("CONSOLE_URL");
    doctor.github.set_console_url("https://console.example.com".to_owned());
    doctor.set("CONSOLE_ADDR", &format!("0.0.0.0:{}", console.running.addr().port()));
    doctor.finds("by its address", "callback", "ok", "127.0.0.1").await;
}

#[tokio::test]
async fn what_is_in_the_way_of_callbacks_is_a_finding() {
    let console = console().await;
    let url = console.url("");
    let mut other = doctor(&url).await;
    let secret = Secret::generate().unwrap();
    other.set("CONSOLE_CALLBACK_SECRET", secret.expose());
    other
        .finds("another secret", "callback", "error", "refused the signature")
        .await;

    let mut rotated = doctor(&url).await;
    rotated.set("CONSOLE_CALLBACK_SECRET", PREVIOUS_SECRET);
    rotated.set("CONSOLE_CALLBACK_SECRET_PREVIOUS", SECRET);
    rotated
        .finds("a secret that is being rotated", "callback", "ok", "took")
        .await;

    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let nobody = doctor(&format!("http://{closed}")).await;
    nobody
        .finds("nobody there", "callback", "error", "no console answers")
        .await;

    let stranger = Doctor::new().await;
    let url = stranger.github.url();
    let elsewhere = doctor(&url).await;
    elsewhere
        .finds("another program's 404", "callback", "error", "as no console")
        .await;

    let mut unknown = doctor("").await;
    unknown.unset("CONSOLE_URL");
    unknown.github.set_console_url("https://console.example.com".to_owned());
    unknown.set("PORT", "0");
    unknown.finds("any free port", "callback", "error", "not known").await;
}
