//! What each kind of site wants to see, and what a stranger learns.

use super::{Show, eager, nowhere, run_of, send, sites, start, stranger};
use crate::support::issuer::Issuer;
use crate::support::{Callback, SITES, TestConsole, config_with, refused};
use raxx_console::server::demo::stand_in::{Scenario, StandIn};
use serde_json::json;

/// A signing secret that is not the console's.
const OTHER_SECRET: &str = "whsec_dGhpcyBpcyBub3QgdGhlIHNlY3JldCBvZiBpdA==";

#[tokio::test]
async fn each_kind_of_site_takes_what_it_asks_for_and_nothing_less() {
    let issuer = Issuer::start().await;
    let console = start(&issuer, eager()).await;
    for (site, secret, token, both, secret_and_bad_token) in [
        ("signed", 200, 401, 200, 200),
        ("keyless", 401, 200, 200, 401),
        ("both", 401, 401, 200, 401),
    ] {
        let callback = console.bound(site).await;
        let good = issuer.seal(issuer.token_of(run_of(&callback)));
        let of_another_run = issuer.seal(issuer.token_of(1));
        let wrong_secret = Show {
            secret: Some(OTHER_SECRET),
            token: Some(&good),
        };
        for (case, show, status) in [
            ("nothing", Show::default(), 401),
            ("the secret", Show::secret(), secret),
            ("a token", Show::token(&good), token),
            ("both", Show::both(&good), both),
            (
                "the secret and no token",
                Show::both("rxc_something"),
                secret_and_bad_token,
            ),
            (
                "the secret and another run's token",
                Show::both(&of_another_run),
                secret_and_bad_token,
            ),
            ("a wrong secret and a token", wrong_secret, 401),
        ] {
            let response = send(&console, &callback, show).await;
            assert_eq!(response.status(), status, "{site}: {case}");
        }
    }
}

#[tokio::test]
async fn a_site_that_wants_no_token_does_not_wait_for_one_to_be_checked() {
    let issuer = Issuer::start().await;
    let console = start(&issuer, eager()).await;
    let callback = console.bound("signed").await;
    let token = issuer.seal(issuer.token_of(run_of(&callback)));
    assert_eq!(send(&console, &callback, Show::both(&token)).await.status(), 200);
    assert_eq!(issuer.calls("/.well-known/jwks"), 0);
}

#[tokio::test]
async fn a_stranger_with_a_good_token_learns_nothing() {
    let issuer = Issuer::start().await;
    let console = start(&issuer, eager()).await;
    let mut answers = Vec::new();
    for callback in [
        console.bound("keyless").await,
        console.bound("both").await,
        console.bound("signed").await,
        Callback::new(nowhere(), 1),
    ] {
        let mut foreign = issuer.token_of(run_of(&callback));
        foreign.claims["repository_id"] = json!("74");
        foreign.claims["workflow_ref"] = json!("octo-org/octo-repo/.github/workflows/deploy.yml@refs/heads/main");
        let token = issuer.seal(foreign);
        answers.push(stranger(send(&console, &callback, Show::token(&token)).await).await);
    }
    answers.push(stranger(send(&console, &Callback::new(nowhere(), 1), Show::default()).await).await);
    answers.dedup();
    assert_eq!(answers.len(), 1);
    // Who has the secret may know.
    let (unknown, token) = (Callback::new(nowhere(), 1), issuer.seal(issuer.token_of(1)));
    refused(send(&console, &unknown, Show::both(&token)).await, 404, "not-found").await;
    stranger(send(&console, &unknown, Show::token(&token)).await).await;
}

#[tokio::test]
async fn another_run_of_the_same_workflow_cannot_speak_for_the_deploy() {
    let issuer = Issuer::start().await;
    let console = start(&issuer, eager()).await;
    let callback = console.bound("keyless").await;
    let other = callback.with("run_id", 4_711);
    let token = issuer.seal(issuer.token_of(4_711));
    let problem = refused(send(&console, &other, Show::token(&token)).await, 409, "conflict").await;
    assert_eq!(problem["field"], "run_id");
    assert_eq!(console.read(callback.deploy).await["state"], "queued");
}

#[tokio::test]
async fn a_ref_may_hold_what_stands_before_a_ref() {
    let issuer = Issuer::start().await;
    let console = start(&issuer, eager()).await;
    let callback = console.bound("tagged").await;
    for (git_ref, status) in [("refs/heads/2", 401), ("refs/tags/v1", 401), ("refs/tags/v1@2", 200)] {
        let mut token = issuer.token_of(run_of(&callback));
        token.claims["workflow_ref"] = json!(format!("raxx/keyless/.github/workflows/deploy.yml@{git_ref}"));
        let token = issuer.seal(token);
        let response = send(&console, &callback, Show::token(&token)).await;
        assert_eq!(response.status(), status, "{git_ref}");
    }
}

#[tokio::test]
async fn malformed_reports_are_400_to_a_token_as_to_a_secret() {
    let issuer = Issuer::start().await;
    let console = start(&issuer, eager()).await;
    let callback = console.bound("keyless").await;
    let token = issuer.seal(issuer.token_of(run_of(&callback)));
    let malformed = callback.with("schema", 2);
    refused(send(&console, &malformed, Show::token(&token)).await, 400, "malformed").await;
    let mut elsewhere = callback.clone();
    elsewhere.deploy = nowhere();
    refused(send(&console, &elsewhere, Show::token(&token)).await, 400, "malformed").await;
    // Nothing is parsed for who shows nothing.
    stranger(send(&console, &malformed, Show::default()).await).await;
}

#[tokio::test]
async fn a_site_that_is_gone_from_the_file_is_back_to_the_secret() {
    let issuer = Issuer::start().await;
    let console = start(&issuer, eager()).await;
    let callback = console.bound("keyless").await;
    let token = issuer.seal(issuer.token_of(run_of(&callback)));
    let TestConsole {
        running, github, data, ..
    } = console;
    running.stop().await;
    let file = sites().replace("slug = \"keyless\"", "slug = \"renamed\"");
    let mut config = config_with(&data, &github.url(), &file);
    config.keyless.issuer = issuer.url.clone();
    let console = TestConsole::start(config, github, data).await;
    stranger(send(&console, &callback, Show::token(&token)).await).await;
    assert_eq!(send(&console, &callback, Show::secret()).await.status(), 200);
}

#[tokio::test]
async fn without_a_site_that_takes_tokens_nobody_is_asked_for_keys() {
    let issuer = Issuer::start().await;
    let github = crate::support::stand_in(Scenario::Queued).await;
    let data = tempfile::tempdir().unwrap();
    let mut config = config_with(&data, &github.url(), SITES);
    config.keyless.issuer = issuer.url.clone();
    let console = TestConsole::start(config, github, data).await;
    let callback = console.bound("docs").await;
    let token = issuer.seal(issuer.token_of(run_of(&callback)));
    stranger(send(&console, &callback, Show::token(&token)).await).await;
    assert_eq!(issuer.calls("/.well-known/openid-configuration"), 0);
}

#[test]
fn repositories_numbers_are_told_apart() {
    assert_ne!(StandIn::repository_id("raxx/api"), StandIn::repository_id("raxx/docs"));
}
