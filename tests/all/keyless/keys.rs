//! The issuer's keys: fetched, kept, rotated, and not to be had.

use super::{Show, eager, run_of, send, start, stranger};
use crate::support::issuer::{Ill, Issuer, KEYS};
use crate::support::provider::{DOCUMENT, Seal};
use crate::support::provider_key::{Algorithm, Key};
use crate::support::{Callback, refused};
use raxx_console::server::keyless::Timing;
use serde_json::json;
use std::time::Duration;

fn good(issuer: &Issuer, callback: &Callback) -> String {
    issuer.seal(issuer.token_of(run_of(callback)))
}

/// A token by a key of this name that nobody has.
fn forged(issuer: &Issuer, callback: &Callback, kid: &str) -> String {
    let mut token = issuer.token_of(run_of(callback));
    token.header["kid"] = json!(kid);
    token.seal = Seal::other(kid);
    issuer.seal(token)
}

#[tokio::test]
async fn keys_are_fetched_once_and_kept() {
    let issuer = Issuer::start().await;
    let console = start(&issuer, Timing::default()).await;
    let callback = console.bound("keyless").await;
    for _ in 0..3 {
        let token = good(&issuer, &callback);
        assert_eq!(send(&console, &callback, Show::token(&token)).await.status(), 200);
    }
    assert_eq!((issuer.calls(DOCUMENT), issuer.calls(KEYS)), (1, 1));
}

#[tokio::test]
async fn many_callbacks_at_once_ask_once() {
    let issuer = Issuer::start().await;
    let console = start(&issuer, Timing::default()).await;
    let callback = console.bound("keyless").await;
    let token = good(&issuer, &callback);
    let sent = (0..8).map(|_| send(&console, &callback, Show::token(&token)));
    for response in futures::future::join_all(sent).await {
        assert_eq!(response.status(), 200);
    }
    assert_eq!(issuer.calls(KEYS), 1);
}

#[tokio::test]
async fn a_new_key_is_fetched_when_it_is_first_seen() {
    let issuer = Issuer::start().await;
    let console = start(&issuer, eager()).await;
    let callback = console.bound("keyless").await;
    let old = good(&issuer, &callback);
    assert_eq!(send(&console, &callback, Show::token(&old)).await.status(), 200);
    issuer.rotate("key-2");
    let new = good(&issuer, &callback);
    assert_eq!(send(&console, &callback, Show::token(&new)).await.status(), 200);
    assert_eq!(issuer.calls(KEYS), 2);
    stranger(send(&console, &callback, Show::token(&old)).await).await;
}

#[tokio::test]
async fn keys_that_are_old_are_fetched_anew() {
    let issuer = Issuer::start().await;
    let timing = Timing {
        fresh_for: Duration::ZERO,
        ..eager()
    };
    let console = start(&issuer, timing).await;
    let callback = console.bound("keyless").await;
    let old = good(&issuer, &callback);
    assert_eq!(send(&console, &callback, Show::token(&old)).await.status(), 200);
    // Withdrawn: its name is no longer unknown, so only age can take it away.
    issuer.change(|it| it.published = vec![Key::other("key-1").public()]);
    stranger(send(&console, &callback, Show::token(&old)).await).await;
}

#[tokio::test]
async fn forged_names_of_keys_make_nobody_ask_without_end() {
    let issuer = Issuer::start().await;
    let console = start(&issuer, Timing::default()).await;
    let callback = console.bound("keyless").await;
    for kid in 0..20 {
        let token = forged(&issuer, &callback, &format!("forged-{kid}"));
        stranger(send(&console, &callback, Show::token(&token)).await).await;
    }
    assert_eq!((issuer.calls(DOCUMENT), issuer.calls(KEYS)), (1, 1), "within a minute");
    let token = good(&issuer, &callback);
    assert_eq!(send(&console, &callback, Show::token(&token)).await.status(), 200);
}

#[tokio::test]
async fn what_cannot_be_right_makes_nobody_ask() {
    let issuer = Issuer::start().await;
    issuer.change(|it| it.ill = Some(Ill::Down));
    let console = start(&issuer, eager()).await;
    let callback = console.bound("keyless").await;
    let mut elsewhere = issuer.token_of(run_of(&callback));
    elsewhere.claims["aud"] = json!("https://other.example.com");
    let mut unsigned = issuer.token_of(run_of(&callback));
    unsigned.header["alg"] = json!("none");
    let mut other = issuer.token_of(run_of(&callback));
    other.header["alg"] = json!("ES256");
    other.seal = Seal::of(Key::new("key-1", Algorithm::Es256));
    for token in [elsewhere, unsigned, other] {
        let token = issuer.seal(token);
        stranger(send(&console, &callback, Show::token(&token)).await).await;
    }
    stranger(send(&console, &callback, Show::token("no token")).await).await;
    assert_eq!(issuer.calls(DOCUMENT), 0);
}

#[tokio::test]
async fn an_issuer_that_is_away_means_not_now() {
    for ill in [Ill::Down, Ill::Silent, Ill::Moved, Ill::Huge] {
        let issuer = Issuer::start().await;
        let timing = Timing {
            answer: Duration::from_millis(300),
            ..eager()
        };
        let console = start(&issuer, timing).await;
        let (keyless, both) = (console.bound("keyless").await, console.bound("both").await);
        issuer.change(|it| it.ill = Some(ill));
        let (alone, beside) = (good(&issuer, &keyless), good(&issuer, &both));
        for response in [
            send(&console, &keyless, Show::token(&alone)).await,
            send(&console, &both, Show::both(&beside)).await,
        ] {
            assert_eq!(response.headers()["retry-after"], "10", "{ill:?}");
            refused(response, 503, "unavailable").await;
        }
        issuer.change(|it| it.ill = None);
        assert_eq!(
            send(&console, &keyless, Show::token(&alone)).await.status(),
            200,
            "{ill:?}"
        );
        assert_eq!(
            send(&console, &both, Show::both(&beside)).await.status(),
            200,
            "{ill:?}"
        );
        // From now on it may be away: known keys do, however old, and only an unknown one has to wait.
        issuer.change(|it| it.ill = Some(ill));
        assert_eq!(
            send(&console, &keyless, Show::token(&alone)).await.status(),
            200,
            "{ill:?}"
        );
        issuer.rotate("key-2");
        let rotated = good(&issuer, &keyless);
        refused(
            send(&console, &keyless, Show::token(&rotated)).await,
            503,
            "unavailable",
        )
        .await;
    }
}

#[tokio::test]
async fn old_keys_are_better_than_none() {
    let issuer = Issuer::start().await;
    let timing = Timing {
        fresh_for: Duration::ZERO,
        ..eager()
    };
    let console = start(&issuer, timing).await;
    let callback = console.bound("keyless").await;
    let token = good(&issuer, &callback);
    assert_eq!(send(&console, &callback, Show::token(&token)).await.status(), 200);
    issuer.change(|it| it.ill = Some(Ill::Down));
    assert_eq!(send(&console, &callback, Show::token(&token)).await.status(), 200);
}

#[tokio::test]
async fn an_issuer_that_is_away_is_not_asked_by_every_callback() {
    let issuer = Issuer::start().await;
    issuer.change(|it| it.ill = Some(Ill::Down));
    let console = start(&issuer, Timing::default()).await;
    let callback = console.bound("keyless").await;
    for _ in 0..5 {
        let token = good(&issuer, &callback);
        refused(send(&console, &callback, Show::token(&token)).await, 503, "unavailable").await;
    }
    assert_eq!(issuer.calls(DOCUMENT), 1);
}

#[tokio::test]
async fn a_document_is_the_issuers_own_and_its_keys_are_at_a_safe_address() {
    for document in [
        json!({ "issuer": "https://other.example.com" }),
        json!({ "jwks_uri": "http://keys.example.com/jwks" }),
        json!({ "jwks_uri": "file:///etc/passwd" }),
        json!({ "jwks_uri": null }),
    ] {
        let issuer = Issuer::start().await;
        issuer.change(|it| it.document = document.clone());
        let console = start(&issuer, eager()).await;
        let callback = console.bound("keyless").await;
        let token = good(&issuer, &callback);
        refused(send(&console, &callback, Show::token(&token)).await, 503, "unavailable").await;
        assert_eq!(issuer.calls(KEYS), 0, "{document}");
    }
}
