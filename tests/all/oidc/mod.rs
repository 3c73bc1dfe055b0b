//! Signing in at an identity provider that does one thing wrong at a time.

mod provider;
mod token;

use crate::support::now;
use crate::support::provider::{Asked, Behaviour, CLIENT_SECRET, Provider, Seal};
use crate::support::provider_key::ALGORITHMS;
use openidconnect::CsrfToken;
use raxx_console::domain::Timestamp;
use raxx_console::server::oidc::{Identity, Oidc, OidcError, Pending};
use serde_json::{Value, json};
use std::io::Write;
use std::sync::{Arc, Mutex};
use tracing::subscriber::{DefaultGuard, NoSubscriber, set_default};
use tracing::{Dispatch, Level};

fn ada(provider: &Provider) -> Identity {
    Identity {
        issuer: provider.url.clone(),
        subject: "248289761001".to_owned(),
        name: "ada".to_owned(),
        groups: ["deployers", "everyone"].map(str::to_owned).to_vec(),
    }
}

/// Asserts a refusal, and what the log is told.
#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, OidcError>, because: &str) {
    match result {
        Err(OidcError::Refused(text)) => assert!(text.contains(because), "{because}: {text}"),
        other => panic!("not refused because of {because}: {other:?}"),
    }
}

/// Asserts that the provider is at fault, and what the log is told.
#[track_caller]
fn unusable<T: std::fmt::Debug>(result: Result<T, OidcError>, because: &str) {
    match result {
        Err(OidcError::Provider(text)) => assert!(text.contains(because), "{because}: {text}"),
        other => panic!("not the provider's fault, {because}: {other:?}"),
    }
}

/// The same pending sign-in with one value changed: what a thief or an old session would have.
fn with(pending: &Pending, name: &str, value: impl Into<Value>) -> Pending {
    let mut changed = serde_json::to_value(pending).unwrap();
    assert!(changed[name].is_string());
    changed[name] = value.into();
    serde_json::from_value(changed).unwrap()
}

fn copy(pending: &Pending) -> Pending {
    serde_json::from_value(serde_json::to_value(pending).unwrap()).unwrap()
}

#[tokio::test]
async fn somebody_signs_in_whatever_the_provider_signs_with() {
    for algorithm in ALGORITHMS {
        let provider = Provider::signing(algorithm).await;
        let identity = provider.sign_in(&provider.client()).await.unwrap();
        assert_eq!(identity, ada(&provider), "{algorithm:?}");
        assert_eq!(provider.calls("/userinfo"), 0, "the ID token had it all");
    }
}

#[tokio::test]
async fn the_secret_goes_where_the_provider_wants_it() {
    let provider = Provider::start().await;
    provider.change(|it| it.document = json!({ "token_endpoint_auth_methods_supported": ["client_secret_post"] }));
    provider.sign_in(&provider.client()).await.unwrap();
    let mut wrong = provider.options();
    wrong.client_secret = Some("another".into());
    unusable(provider.sign_in(&Oidc::new(wrong).unwrap()).await, "invalid_client");
    provider.change(|it| it.document = json!({ "token_endpoint_auth_methods_supported": ["none"] }));
    let mut public = provider.options();
    public.client_secret = None;
    provider.sign_in(&Oidc::new(public).unwrap()).await.unwrap();
}

#[tokio::test]
async fn an_answer_belongs_to_the_question_of_this_browser() {
    let provider = Provider::start().await;
    let oidc = provider.client();
    let (url, pending) = oidc.begin().await.unwrap();
    let mut answer = provider.visit(&url).await;
    answer.state = Some(CsrfToken::new("another".to_owned()));
    refused(oidc.finish(copy(&pending), answer).await, "state");
    let mut answer = provider.visit(&url).await;
    answer.state = None;
    refused(oidc.finish(copy(&pending), answer).await, "state");
    let mut answer = provider.visit(&url).await;
    answer.code = None;
    refused(oidc.finish(copy(&pending), answer).await, "no code");
    assert_eq!(provider.calls("/token"), 0, "nothing was asked of the provider");
    oidc.finish(pending, provider.visit(&url).await).await.unwrap();
}

#[tokio::test]
async fn an_answer_names_this_issuer() {
    let provider = Provider::start().await;
    provider.change(|it| it.answer = vec![("iss", "https://evil.example.com".to_owned())]);
    refused(provider.sign_in(&provider.client()).await, "another issuer");
    provider.change(|it| it.answer = Vec::new());
    refused(provider.sign_in(&provider.client()).await, "does not name its issuer");
    assert_eq!(provider.calls("/token"), 0, "the code went nowhere");
    provider.change(|it| it.document = json!({ "authorization_response_iss_parameter_supported": false }));
    provider.sign_in(&provider.client()).await.unwrap();
}

#[tokio::test]
async fn a_code_is_taken_once() {
    let provider = Provider::start().await;
    let oidc = provider.client();
    let (url, pending) = oidc.begin().await.unwrap();
    let answer = provider.visit(&url).await;
    let mut again = provider.visit(&url).await;
    again.code = answer.code.clone();
    let stolen = copy(&pending);
    oidc.finish(pending, answer).await.unwrap();
    refused(oidc.finish(stolen, again).await, "invalid_grant");
}

#[tokio::test]
async fn a_stolen_code_is_worth_nothing_in_another_browser() {
    let provider = Provider::start().await;
    let oidc = provider.client();
    let (url, _) = oidc.begin().await.unwrap();
    let stolen = provider.visit(&url).await;
    let (url, pending) = oidc.begin().await.unwrap();
    let mut answer = provider.visit(&url).await;
    answer.code = stolen.code;
    refused(oidc.finish(pending, answer).await, "invalid_grant");
    let (url, pending) = oidc.begin().await.unwrap();
    let pending = with(&pending, "verifier", "x".repeat(43));
    refused(oidc.finish(pending, provider.visit(&url).await).await, "invalid_grant");
}

#[tokio::test]
async fn a_sign_in_takes_ten_minutes_at_most() {
    let provider = Provider::start().await;
    let oidc = provider.client();
    for (seconds, in_time) in [(590, true), (601, false)] {
        let (url, pending) = oidc.begin().await.unwrap();
        let began = Timestamp::from_millis(i64::try_from(now() - seconds).unwrap() * 1000);
        let pending = with(&pending, "began_at", began.to_string());
        let result = oidc.finish(pending, provider.visit(&url).await).await;
        assert_eq!(result.is_ok(), in_time, "{seconds}: {result:?}");
        assert_eq!(matches!(result, Err(OidcError::TooLate)), !in_time);
    }
}

#[tokio::test]
async fn a_no_is_told_in_the_providers_words() {
    let provider = Provider::start().await;
    let oidc = provider.client();
    let no = [("error", "access_denied"), ("error_description", "Not\r\n on the list")];
    provider.change(|it| it.answer = no.map(|(name, value)| (name, value.to_owned())).to_vec());
    let error = provider.sign_in(&oidc).await.unwrap_err();
    assert!(matches!(&error, OidcError::Denied { error, description: Some(text) }
        if error == "access_denied" && text == "Not on the list"));
    assert!(error.to_string().contains("access_denied: Not on the list"));
    let (url, pending) = oidc.begin().await.unwrap();
    let pending = with(&pending, "state", "another");
    refused(oidc.finish(pending, provider.visit(&url).await).await, "state");
}

/// Everything that was logged, at any level.
#[derive(Clone, Default)]
struct Logged(Arc<Mutex<Vec<u8>>>);

impl Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Logged {
    /// Listens to what this thread logs, as long as what is returned beside it lives.
    fn listen() -> (Self, (DefaultGuard, Dispatch)) {
        let logged = Self::default();
        let writer = logged.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(Level::TRACE)
            .with_writer(move || writer.clone())
            .finish();
        let listening = set_default(subscriber);
        // With a single subscriber, `tracing` asks whichever thread logs first whether anybody listens, and for
        // good. Other tests' threads would say no.
        (logged, (listening, Dispatch::new(NoSubscriber::new())))
    }
}

/// A provider that repeats what it was sent.
fn echo(asked: &Asked) -> Value {
    let text = format!("no {} {} {CLIENT_SECRET}", asked["code"], asked["code_verifier"]);
    json!({ "error": "invalid_request", "error_description": text })
}

#[tokio::test]
async fn no_secret_is_ever_told() {
    let (logged, _listening) = Logged::listen();
    let provider = Provider::start().await;
    let oidc = provider.client();
    let (url, pending) = oidc.begin().await.unwrap();
    let answer = provider.visit(&url).await;
    let mut told = vec![format!("{oidc:?} {:?} {pending:?} {answer:?}", provider.options())];
    told.push(format!("{:?}", oidc.finish(pending, answer).await.unwrap()));
    let wrongs: [fn(&mut Behaviour); 4] = [
        |it| it.token_error = Some(echo),
        |it| it.token_error = None,
        |it| it.shape = Box::new(|token| token.seal = Seal::Nothing),
        |it| it.shape = Box::new(|token| token.claims = json!({ "iat": "never" })),
    ];
    for wrong in wrongs {
        provider.shape(|token| token.seal = Seal::Stolen);
        provider.change(wrong);
        let error = provider.sign_in(&oidc).await.unwrap_err();
        told.push(format!("{error} {error:?} {}", error.advice()));
    }
    let told = told.join("\n");
    assert!(told.contains("invalid_request: no *** *** ***"), "{told}");
    let log = String::from_utf8(logged.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("the identity provider is known"), "{log}");
    let secrets = provider.change(|it| std::mem::take(&mut it.secrets));
    assert!(secrets.len() > 20);
    for secret in secrets.iter().map(String::as_str).chain([CLIENT_SECRET]) {
        assert!(!told.contains(secret), "{secret} is told: {told}");
        assert!(!log.contains(secret), "{secret} is logged: {log}");
    }
}
