//! A GitHub App in place of the token.

use super::Doctor;
use crate::support::app::{ID, KEYS, known, public_key};
use raxx_console::server::demo::stand_in::KnownApp;

/// The doctor with an App, and GitHub's picture of it.
async fn with_app(app: KnownApp) -> Doctor {
    let mut doctor = Doctor::new().await;
    doctor.github.know_app(app);
    doctor.unset("GITHUB_DISPATCH_TOKEN");
    doctor.set("GITHUB_APP_ID", ID);
    doctor.set("GITHUB_APP_PRIVATE_KEY", &KEYS[0]);
    doctor.arg("docs");
    doctor
}

#[tokio::test]
async fn an_app_that_may_deploy_is_told_for_certain() {
    let doctor = with_app(known(&KEYS[0])).await;
    doctor
        .finds("all well", "token.dispatch", "ok", "may write Actions")
        .await;
}

#[tokio::test]
async fn what_keeps_an_app_from_deploying_is_an_error_of_the_site() {
    let read_only = KnownApp {
        permissions: [("actions".to_owned(), "read".to_owned())].into(),
        ..known(&KEYS[0])
    };
    let words = "lacks the permission `actions: write`";
    with_app(read_only)
        .await
        .finds("read only", "repository", "error", words)
        .await;
    let elsewhere = KnownApp {
        repository: "raxx/other".to_owned(),
        ..known(&KEYS[0])
    };
    let words = "not installed for raxx/docs";
    with_app(elsewhere)
        .await
        .finds("elsewhere", "repository", "error", words)
        .await;
}

#[tokio::test]
async fn an_app_that_github_does_not_know_is_an_error() {
    let stranger = KnownApp {
        public_key: public_key(&KEYS[1]),
        ..known(&KEYS[0])
    };
    let (outcome, findings) = with_app(stranger).await.look().await;
    assert_eq!(outcome.code, 2);
    let refused = findings
        .iter()
        .find(|finding| finding["check"] == "token.valid")
        .unwrap();
    assert_eq!(refused["level"], "error");
    assert!(refused["remedy"].as_str().unwrap().contains("GITHUB_APP_PRIVATE_KEY"));
}
