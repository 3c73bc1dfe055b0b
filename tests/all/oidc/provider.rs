//! A provider whose document or keys change, are wrong, or do not come.

use super::{ada, refused, unusable};
use crate::support::provider::{DOCUMENT, Fault, Provider};
use raxx_console::server::oidc::{InvalidOptions, Oidc, Options};
use serde_json::{Value, json};
use std::time::Duration;

#[tokio::test]
async fn new_keys_are_fetched_once_more() {
    let provider = Provider::start().await;
    let oidc = provider.client();
    provider.sign_in(&oidc).await.unwrap();
    provider.rotate("key-2", true);
    let (first, second) = tokio::join!(provider.sign_in(&oidc), provider.sign_in(&oidc));
    assert_eq!((first.unwrap(), second.unwrap()), (ada(&provider), ada(&provider)));
    provider.sign_in(&oidc.clone()).await.unwrap();
    assert_eq!((provider.calls("/keys"), provider.calls(DOCUMENT)), (2, 1));
}

#[tokio::test]
async fn an_unknown_key_is_refused_and_asked_for_once_a_minute() {
    let provider = Provider::start().await;
    let oidc = provider.client();
    provider.sign_in(&oidc).await.unwrap();
    provider.rotate("key-2", false);
    for _ in 0..3 {
        refused(provider.sign_in(&oidc).await, "No matching key");
    }
    assert_eq!(provider.calls("/keys"), 2);
    let eager = with_timing(&provider, |options| options.timing.keys_again_after = Duration::ZERO);
    for _ in 0..3 {
        refused(provider.sign_in(&eager).await, "No matching key");
    }
    assert_eq!(provider.calls("/keys"), 2 + 1 + 3);
}

/// A thief's key under the name of the provider's own.
#[tokio::test]
async fn a_key_is_more_than_its_name() {
    let provider = Provider::start().await;
    let oidc = provider.client();
    provider.sign_in(&oidc).await.unwrap();
    provider.rotate("key-1", false);
    refused(provider.sign_in(&oidc).await, "Signature verification failed");
    assert_eq!(provider.calls("/keys"), 1);
}

#[tokio::test]
async fn what_was_discovered_is_kept_for_a_while() {
    let provider = Provider::start().await;
    let oidc = provider.client();
    let (first, second) = tokio::join!(oidc.begin(), oidc.begin());
    assert_ne!(first.unwrap().0, second.unwrap().0);
    provider.sign_in(&oidc).await.unwrap();
    assert_eq!((provider.calls(DOCUMENT), provider.calls("/keys")), (1, 1));
    let forgetful = with_timing(&provider, |options| options.timing.fresh_for = Duration::ZERO);
    provider.sign_in(&forgetful).await.unwrap();
    assert_eq!((provider.calls(DOCUMENT), provider.calls("/keys")), (3, 3));
}

fn with_timing(provider: &Provider, change: impl FnOnce(&mut Options)) -> Oidc {
    let mut options = provider.options();
    change(&mut options);
    Oidc::new(options).unwrap()
}

#[tokio::test]
async fn the_document_is_the_configured_issuers() {
    let provider = Provider::start().await;
    let oidc = provider.client();
    provider.change(|it| it.document = json!({ "issuer": format!("{}/", provider.url) }));
    unusable(oidc.begin().await, "to the last slash");
    provider.change(|it| it.document = json!({ "token_endpoint": "http://provider.example.com/token" }));
    unusable(oidc.begin().await, "is not https");
    provider.change(|it| it.document = json!({ "token_endpoint": null }));
    unusable(oidc.begin().await, "no token endpoint");
    provider.change(|it| it.document = json!({}));
    provider.sign_in(&oidc).await.expect("what was wrong is not kept");
}

#[tokio::test]
async fn options_that_would_tell_secrets_are_refused() {
    let provider = Provider::start().await;
    for issuer in [
        "http://provider.example.com",
        "ftp://127.0.0.1",
        "provider",
        "http://localhost.example.com",
    ] {
        let mut options = provider.options();
        options.issuer = issuer.to_owned();
        assert!(matches!(Oidc::new(options), Err(InvalidOptions::Issuer)), "{issuer}");
    }
    let mut options = provider.options();
    options.redirect_url = "/sign-in".to_owned();
    assert!(matches!(Oidc::new(options), Err(InvalidOptions::RedirectUrl)));
}

const ENDPOINTS: [&str; 4] = [DOCUMENT, "/keys", "/token", "/userinfo"];

/// A sign-in that needs all endpoints, of which one fails.
async fn fails_at(path: &'static str, fault: Fault, answer_within: Duration, because: &str) {
    let provider = Provider::start().await;
    provider.shape(|token| token.claims["groups"] = Value::Null);
    provider.change(|it| it.faults.insert(path, fault));
    let client = with_timing(&provider, |options| options.timing.answer = answer_within);
    unusable(provider.sign_in(&client).await, because);
    assert_eq!(
        (provider.calls(path), provider.calls("/elsewhere")),
        (1, 0),
        "{path} {fault:?}"
    );
}

#[tokio::test]
async fn a_provider_that_is_ill_is_said_to_be() {
    let patience = Duration::from_secs(30);
    for path in ENDPOINTS {
        fails_at(path, Fault::Html, patience, "").await;
        fails_at(path, Fault::Huge, patience, "larger than 1 MiB").await;
        fails_at(path, Fault::Moved, patience, "").await;
        fails_at(path, Fault::Status(503), patience, "").await;
    }
}

#[tokio::test]
async fn a_provider_that_is_slow_is_not_waited_for() {
    let slow = |path| fails_at(path, Fault::Never, Duration::from_secs(2), "timed out");
    let [document, keys, token, userinfo] = ENDPOINTS.map(slow);
    let all = Box::pin(async { tokio::join!(document, keys, token, userinfo) });
    let waited = tokio::time::timeout(Duration::from_mins(1), all).await;
    assert!(waited.is_ok(), "it was waited for");
}

#[tokio::test]
async fn a_provider_that_is_down_is_said_to_be() {
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut options = Provider::start().await.options();
    options.issuer = format!("http://{}", nobody.local_addr().unwrap());
    drop(nobody);
    let result = Oidc::new(options).unwrap().begin().await;
    assert!(result.as_ref().unwrap_err().advice().contains("Try again"));
    unusable(result, "refused");
}
