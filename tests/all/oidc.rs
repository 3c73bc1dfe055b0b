//! Signing in at an identity provider that does one thing wrong at a time.

use crate::support::now;
use crate::support::provider::{CLIENT_ID, CLIENT_SECRET, DOCUMENT, Fault, Provider, Seal, Token};
use crate::support::provider_key::{ALGORITHMS, Algorithm};
use openidconnect::CsrfToken;
use raxx_console::domain::Timestamp;
use raxx_console::server::oidc::{Identity, InvalidOptions, Oidc, OidcError, Options, Pending};
use serde_json::{Value, json};
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

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

/// Asserts that an ID token with this shape is refused.
async fn refuses(because: &str, shape: impl Fn(&mut Token) + Send + 'static) {
    let provider = Provider::start().await;
    provider.shape(shape);
    refused(provider.sign_in(&provider.client()).await, because);
}

/// Asserts that an ID token with this shape is taken.
async fn takes(shape: impl Fn(&mut Token) + Send + 'static) {
    let provider = Provider::start().await;
    provider.shape(shape);
    assert_eq!(provider.sign_in(&provider.client()).await.unwrap(), ada(&provider));
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
}

#[tokio::test]
async fn what_only_the_provider_can_sign_is_believed_and_nothing_else() {
    refuses("No signature", |token| {
        token.header["alg"] = json!("none");
        token.seal = Seal::Nothing;
    })
    .await;
    refuses("Disallowed", |token| {
        token.header["alg"] = json!("HS256");
        token.seal = Seal::Hmac(CLIENT_SECRET.as_bytes().to_vec());
    })
    .await;
    refuses("Signature verification failed", |token| token.seal = Seal::Stolen).await;
    refuses("Signature verification failed", |token| token.seal = Seal::Nothing).await;
    refuses("Signature verification failed", |token| {
        token.header["alg"] = json!("ES384")
    })
    .await;
    refuses("JWT type", |token| token.header["typ"] = json!("at+jwt")).await;
    refuses("critical", |token| token.header["crit"] = json!(["exp"])).await;
}

#[tokio::test]
async fn a_public_key_is_no_secret_to_sign_with() {
    let provider = Provider::signing(Algorithm::Rs256).await;
    let public = provider.change(|it| it.published[0].clone());
    let forms = [
        public.to_string().into_bytes(),
        public["n"].as_str().unwrap().as_bytes().to_vec(),
    ];
    for secret in forms {
        provider.shape(move |token| {
            token.header["alg"] = json!("HS256");
            token.seal = Seal::Hmac(secret.clone());
        });
        refused(provider.sign_in(&provider.client()).await, "Disallowed");
    }
}

#[tokio::test]
async fn a_token_is_for_this_console_from_this_provider_and_for_this_browser() {
    refuses("Invalid issuer", |token| {
        token.claims["iss"] = json!("https://evil.example.com")
    })
    .await;
    refuses("Invalid issuer", |token| {
        token.claims["iss"] = json!(format!("{}/", token.claims["iss"].as_str().unwrap()));
    })
    .await;
    refuses("Invalid nonce", |token| token.claims["nonce"] = json!("another")).await;
    refuses("missing nonce", |token| token.claims["nonce"] = Value::Null).await;
    refuses("`at_hash`", |token| {
        token.claims["at_hash"] = json!(Algorithm::Es256.half_hash("another"))
    })
    .await;
    refuses("the subject", |token| token.claims["sub"] = json!("")).await;
    refuses("the subject", |token| token.claims["sub"] = json!("x".repeat(256))).await;
    takes(|token| token.claims["at_hash"] = Value::Null).await;
}

#[tokio::test]
async fn the_audience_is_this_console() {
    for audience in [
        json!("another"),
        json!(["another"]),
        json!([]),
        json!(["another", "third"]),
    ] {
        refuses("Invalid audience", move |token| token.claims["aud"] = audience.clone()).await;
    }
    refuses("no authorized party", |token| {
        token.claims["aud"] = json!([CLIENT_ID, "another"])
    })
    .await;
    for audience in [json!(CLIENT_ID), json!([CLIENT_ID, "another"])] {
        let several = audience.clone();
        refuses("somebody else", move |token| {
            token.claims["aud"] = several.clone();
            token.claims["azp"] = json!("another");
        })
        .await;
        takes(move |token| {
            token.claims["aud"] = audience.clone();
            token.claims["azp"] = json!(CLIENT_ID);
        })
        .await;
    }
    takes(|token| token.claims["aud"] = json!([CLIENT_ID])).await;
}

/// Each time in seconds from now: just outside the minute between two clocks, and well within it.
#[tokio::test]
async fn a_token_is_of_now_give_or_take_a_minute() {
    let at = |name: &'static str, offset: i64| {
        move |token: &mut Token| token.claims[name] = json!(now().checked_add_signed(offset).unwrap())
    };
    refuses("Expired", at("exp", -65)).await;
    refuses("not valid yet", at("nbf", 70)).await;
    refuses("in the future", at("iat", 70)).await;
    refuses("more than ten minutes", at("iat", -665)).await;
    refuses("no time", |token| token.claims["nbf"] = json!("tomorrow")).await;
    takes(at("exp", -50)).await;
    takes(at("nbf", 50)).await;
    takes(at("iat", 50)).await;
    takes(at("iat", -650)).await;
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

/// Every endpoint, with every fault: nobody waits long, and nobody is signed in.
#[tokio::test]
async fn a_provider_that_is_ill_is_said_to_be() {
    let faults = [
        (Fault::Html, ""),
        (Fault::Huge, "larger than 1 MiB"),
        (Fault::Never, "timed out"),
        (Fault::Moved, ""),
        (Fault::Status(503), ""),
    ];
    for path in [DOCUMENT, "/keys", "/token", "/userinfo"] {
        for (fault, because) in faults {
            let provider = Provider::start().await;
            provider.shape(|token| token.claims["groups"] = Value::Null);
            provider.change(|it| it.faults.insert(path, fault));
            unusable(provider.sign_in(&provider.impatient_client()).await, because);
            assert_eq!(
                (provider.calls(path), provider.calls("/elsewhere")),
                (1, 0),
                "{path} {fault:?}"
            );
        }
    }
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

#[tokio::test]
async fn groups_come_from_the_id_token_first() {
    for (claim, groups) in [
        (json!([]), vec![]),
        (json!("deployers"), vec!["deployers"]),
        (json!(["a", "b"]), vec!["a", "b"]),
    ] {
        let provider = Provider::start().await;
        provider.shape(move |token| token.claims["groups"] = claim.clone());
        assert_eq!(provider.sign_in(&provider.client()).await.unwrap().groups, groups);
        assert_eq!(provider.calls("/userinfo"), 0);
    }
    for claim in [json!(7), json!({ "a": "b" }), json!(["a", 7])] {
        let provider = Provider::start().await;
        provider.shape(move |token| token.claims["groups"] = claim.clone());
        unusable(provider.sign_in(&provider.client()).await, "`groups`");
    }
}

/// Many providers keep ID tokens short, and tell the rest at the userinfo endpoint.
#[tokio::test]
async fn what_the_id_token_leaves_out_userinfo_says() {
    let provider = Provider::start().await;
    let oidc = provider.client();
    provider.shape(|token| {
        for claim in ["groups", "preferred_username", "email"] {
            token.claims.as_object_mut().unwrap().remove(claim);
        }
    });
    provider
        .change(|it| it.userinfo = json!({ "sub": "248289761001", "groups": "deployers", "email": "ada@b.example" }));
    let identity = provider.sign_in(&oidc).await.unwrap();
    assert_eq!(
        (identity.name.as_str(), identity.groups),
        ("ada@b.example", vec!["deployers".to_owned()])
    );
    provider.change(|it| it.userinfo = json!({ "sub": "248289761001" }));
    let identity = provider.sign_in(&oidc).await.unwrap();
    assert_eq!((identity.name.as_str(), identity.groups), ("248289761001", Vec::new()));
    provider.change(|it| it.userinfo = json!({ "sub": "another", "groups": ["admins"] }));
    refused(provider.sign_in(&oidc).await, "Invalid subject");
    provider.change(|it| it.access_token = "no\nheader".to_owned());
    unusable(provider.sign_in(&oidc).await, "fits into no header");
    provider.change(|it| it.document = json!({ "userinfo_endpoint": null }));
    assert_eq!(
        provider.sign_in(&provider.client()).await.unwrap().groups,
        Vec::<String>::new()
    );
}

#[tokio::test]
async fn a_name_is_for_people() {
    for (username, email, name) in [
        (json!("ada"), json!("ada@example.com"), "ada"),
        (json!(" \u{7}"), json!("ada@example.com"), "ada@example.com"),
        (Value::Null, Value::Null, "248289761001"),
        (json!("a\nd\u{1b}a"), Value::Null, "ada"),
    ] {
        let provider = Provider::start().await;
        provider.shape(move |token| {
            token.claims["preferred_username"] = username.clone();
            token.claims["email"] = email.clone();
        });
        assert_eq!(provider.sign_in(&provider.client()).await.unwrap().name, name);
    }
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

#[tokio::test]
async fn no_secret_is_ever_told() {
    let logged = Logged::default();
    let writer = logged.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let provider = Provider::start().await;
    let oidc = provider.client();
    let mut told = format!("{oidc:?} {:?}", provider.options());
    let (url, pending) = oidc.begin().await.unwrap();
    let answer = provider.visit(&url).await;
    told += &format!("{pending:?} {answer:?}");
    told += &format!("{:?}", oidc.finish(pending, answer).await.unwrap());
    let echo = |asked: &std::collections::HashMap<String, String>| {
        let text = format!("no {} {} {CLIENT_SECRET}", asked["code"], asked["code_verifier"]);
        json!({ "error": "invalid_request", "error_description": text })
    };
    provider.change(|it| it.token_error = Some(echo));
    let error = provider.sign_in(&oidc).await.unwrap_err();
    assert!(error.to_string().contains("invalid_request: no *** *** ***"), "{error}");
    told += &format!("{error} {error:?}");
    provider.change(|it| it.token_error = None);
    for seal in [|| Seal::Stolen, || Seal::Nothing] {
        provider.shape(move |token| token.seal = seal());
        let error = provider.sign_in(&oidc).await.unwrap_err();
        told += &format!("{error} {error:?}");
    }
    provider.shape(|token| token.claims = json!({ "iat": "never" }));
    let error = provider.sign_in(&oidc).await.unwrap_err();
    told += &format!("{error} {error:?}");
    let log = String::from_utf8(logged.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("the identity provider is known"), "{log}");
    let secrets = provider.change(|it| std::mem::take(&mut it.secrets));
    assert!(secrets.len() > 20);
    for secret in secrets.iter().map(String::as_str).chain([CLIENT_SECRET]) {
        assert!(!told.contains(secret), "{secret} is told: {told}");
        assert!(!log.contains(secret), "{secret} is logged: {log}");
    }
}
