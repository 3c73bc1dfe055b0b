//! Which tokens are believed: a good one, changed in one place at a time.

use super::{Show, eager, run_of, send, send_as, start, stranger};
use crate::support::issuer::{AUDIENCE, Issuer, REPOSITORY_ID};
use crate::support::now;
use crate::support::provider::{Seal, Token};
use crate::support::provider_key::{Algorithm, Key};
use serde_json::{Value, json};

type Change = Box<dyn Fn(&mut Token)>;

fn claim(name: &'static str, value: impl Into<Value>) -> (String, Change) {
    let value = value.into();
    let title = format!("{name} is {value}");
    (
        title,
        Box::new(move |token: &mut Token| token.claims[name] = value.clone()),
    )
}

fn without(name: &'static str) -> (String, Change) {
    let change = move |token: &mut Token| {
        token.claims.as_object_mut().unwrap().remove(name);
    };
    (format!("without {name}"), Box::new(change))
}

fn sealed(title: &str, change: impl Fn(&mut Token) + 'static) -> (String, Change) {
    (title.to_owned(), Box::new(change))
}

fn hmac(secret: Vec<u8>) -> (String, Change) {
    sealed("HS256 with what is public as the secret", move |token| {
        token.header["alg"] = json!("HS256");
        token.seal = Seal::Hmac(secret.clone());
    })
}

fn signatures(issuer: &Issuer) -> Vec<(String, Change)> {
    let public = issuer.change(|it| it.published[0].clone());
    let n = public["n"].as_str().unwrap().as_bytes().to_vec();
    let with = |algorithm: Algorithm, kid: &'static str| {
        sealed(&format!("{algorithm:?} by {kid}"), move |token| {
            token.header["alg"] = json!(algorithm.name());
            token.header["kid"] = json!(kid);
            token.seal = Seal::of(Key::new(kid, algorithm));
        })
    };
    vec![
        sealed("alg none", |token| {
            token.header["alg"] = json!("none");
            token.seal = Seal::Nothing;
        }),
        sealed("no signature", |token| token.seal = Seal::Nothing),
        sealed("a signature for other claims", |token| token.seal = Seal::Stolen),
        hmac(public.to_string().into_bytes()),
        hmac(n),
        sealed("another RSA key by the same name", |token| {
            token.seal = Seal::other("key-1");
        }),
        sealed("another RSA key, which is not published", |token| {
            token.header["kid"] = json!("key-9");
            token.seal = Seal::other("key-9");
        }),
        sealed("the right key by another name", |token| {
            token.header["kid"] = json!("key-9");
        }),
        with(Algorithm::Ps256, "key-1"),
        with(Algorithm::Rs512, "key-1"),
        // Published, and said to be for this.
        with(Algorithm::Ps256, "key-ps256"),
        sealed("ES256 by a published key", {
            let key = issuer.change(|it| it.published.iter().find(|key| key["kid"] == "key-es256").cloned());
            assert!(key.is_some());
            |token: &mut Token| {
                token.header["alg"] = json!("ES256");
                token.header["kid"] = json!("key-es256");
                token.seal = Seal::of(Key::new("key-es256", Algorithm::Es256));
            }
        }),
        sealed("RS256 by a key that is for PS256", |token| {
            token.header["kid"] = json!("key-ps256");
            token.seal = Seal::of(Key::new("key-ps256", Algorithm::Rs256));
        }),
        sealed("RS256 by a key for encryption", |token| {
            token.header["kid"] = json!("key-enc");
        }),
        sealed("a critical header", |token| token.header["crit"] = json!(["exp"])),
        sealed("another type", |token| token.header["typ"] = json!("at+jwt")),
    ]
}

fn claims(run: i64) -> Vec<(String, Change)> {
    let workflow = |text: &str| claim("workflow_ref", format!("raxx/keyless/.github/workflows/{text}"));
    let mut cases = vec![
        claim("exp", now() - 61),
        claim("exp", "soon"),
        claim("nbf", now() + 120),
        claim("iat", now() + 120),
        claim("aud", "https://other.example.com"),
        claim("aud", format!("{AUDIENCE}/")),
        claim("aud", json!([AUDIENCE, "https://other.example.com"])),
        claim("aud", json!([])),
        claim("iss", "https://token.actions.githubusercontent.com"),
        claim("repository_id", "123457"),
        claim("repository_id", "0123456"),
        claim("repository_id", ""),
        claim("repository_id", REPOSITORY_ID),
        claim(
            "workflow_ref",
            "raxx/renamed/.github/workflows/deploy.yml@refs/heads/main",
        ),
        claim(
            "workflow_ref",
            "evil/.github/workflows/raxx/keyless/.github/workflows/deploy.yml@refs/heads/main",
        ),
        claim("workflow_ref", "raxx/keyless/.github/workflows/deploy.yml"),
        workflow("other.yml@refs/heads/main"),
        workflow("Deploy.yml@refs/heads/main"),
        workflow("../deploy.yml@refs/heads/main"),
        workflow("deploy.yml@refs/heads/feature"),
        workflow("deploy.yml@refs/heads/Main"),
        workflow("deploy.yml@refs/heads/refs/heads/main"),
        workflow("deploy.yml@refs/pull/1/main"),
        workflow("deploy.yml@evil@refs/heads/main"),
        workflow("deploy.yml@"),
        claim("event_name", "push"),
        claim("event_name", "pull_request_target"),
        claim("run_id", (run + 1).to_string()),
        claim("run_id", run),
        claim("run_attempt", "2"),
        claim("run_attempt", 1),
    ];
    let needed = [
        "iss",
        "aud",
        "exp",
        "iat",
        "repository_id",
        "workflow_ref",
        "event_name",
        "run_id",
        "run_attempt",
    ];
    cases.extend(needed.map(without));
    cases
}

fn accepted() -> Vec<(String, Change)> {
    let workflow = |text: &str| claim("workflow_ref", text);
    vec![
        sealed("as it is", |_| {}),
        claim("sub", "repository_owner:raxx:environment:anything"),
        claim("sub", "x"),
        claim("aud", json!([AUDIENCE])),
        claim("exp", now() - 30),
        claim("nbf", now() + 30),
        claim("iat", now() + 30),
        without("nbf"),
        workflow("Raxx/KeyLess/.github/workflows/deploy.yml@refs/heads/main"),
        workflow("raxx/keyless/.github/workflows/deploy.yml@refs/tags/main"),
        workflow("raxx/keyless/.github/workflows/deploy.yml@main"),
        // Nothing is decided by these.
        claim("repository", "raxx/renamed"),
        claim("ref", "refs/heads/other"),
        claim(
            "job_workflow_ref",
            "evil/evil/.github/workflows/evil.yml@refs/heads/main",
        ),
        claim("environment", "production"),
    ]
}

#[tokio::test]
async fn a_token_is_believed_as_long_as_nothing_in_it_is_changed() {
    let issuer = Issuer::start().await;
    issuer.change(|it| {
        let mut ps256 = Key::new("key-ps256", Algorithm::Ps256).public();
        ps256["alg"] = json!("PS256");
        let mut enc = Key::new("key-enc", Algorithm::Rs256).public();
        enc["use"] = json!("enc");
        it.published
            .extend([ps256, enc, Key::new("key-es256", Algorithm::Es256).public()]);
    });
    let console = start(&issuer, eager()).await;
    let callback = console.bound("keyless").await;
    let token = |change: &Change| {
        let mut token = issuer.token_of(run_of(&callback));
        change(&mut token);
        issuer.seal(token)
    };
    let mut answers = Vec::new();
    for (title, change) in signatures(&issuer).into_iter().chain(claims(run_of(&callback))) {
        let response = send(&console, &callback, Show::token(&token(&change))).await;
        assert_eq!(response.status(), 401, "{title}");
        answers.push(stranger(response).await);
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "one answer for all");
    assert_eq!(console.read(callback.deploy).await["state"], "queued");
    for (title, change) in accepted() {
        let response = send(&console, &callback, Show::token(&token(&change))).await;
        assert_eq!(response.status(), 200, "{title}");
    }
    assert_eq!(console.read(callback.deploy).await["state"], "running");
}

#[tokio::test]
async fn a_token_is_text_of_a_bounded_length_in_one_header() {
    let issuer = Issuer::start().await;
    let console = start(&issuer, eager()).await;
    let callback = console.bound("keyless").await;
    let long = issuer.seal({
        let mut token = issuer.token_of(run_of(&callback));
        token.claims["environment"] = json!("x".repeat(20_000));
        token
    });
    for text in ["", "x", "a.b", "a.b.c", "....", "e30.e30.e30", &long] {
        stranger(send(&console, &callback, Show::token(text)).await).await;
    }
    let good = issuer.seal(issuer.token_of(run_of(&callback)));
    let (bearer, time) = (format!("Bearer {good}"), now().to_string());
    let send = async |headers: &[(&str, &str)]| {
        let request =
            reqwest::Client::new().post(console.url(&format!("/api/internal/deploys/{}/status", callback.deploy)));
        let request = headers
            .iter()
            .fold(request, |request, (name, value)| request.header(*name, *value));
        request.body(callback.body.to_string()).send().await.unwrap()
    };
    let envelope = [("webhook-id", "d"), ("webhook-timestamp", &*time)];
    for authorization in [
        vec![bearer.as_str(), bearer.as_str()],
        vec![good.as_str()],
        vec![&*format!("Basic {good}")],
        vec![],
    ] {
        let mut headers = envelope.to_vec();
        headers.extend(authorization.iter().map(|value| ("authorization", *value)));
        stranger(send(&headers).await).await;
    }
    // The scheme's case does not matter (RFC 9110, section 11.1).
    let lower = format!("bearer {good}");
    let mut headers = envelope.to_vec();
    headers.push(("authorization", &lower));
    assert_eq!(send(&headers).await.status(), 200);
}

#[tokio::test]
async fn id_and_time_are_needed_with_a_token_too() {
    let issuer = Issuer::start().await;
    let console = start(&issuer, eager()).await;
    let callback = console.bound("keyless").await;
    let token = issuer.seal(issuer.token_of(run_of(&callback)));
    let show = Show::token(&token);
    for (id, time) in [
        ("", now()),
        ("a b", now()),
        ("late", now() - 301),
        ("early", now() + 330),
    ] {
        stranger(send_as(&console, &callback, show, id, time).await).await;
    }
    assert_eq!(send_as(&console, &callback, show, "once", now()).await.status(), 200);
    let again: Value = send_as(&console, &callback, show, "once", now())
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(again["result"], "duplicate");
    let other = send_as(&console, &callback.says("success"), show, "once", now()).await;
    assert_eq!(other.status(), 409, "the id was used for another body");
}

#[tokio::test]
async fn a_token_in_a_report_is_masked() {
    let issuer = Issuer::start().await;
    let console = start(&issuer, eager()).await;
    let callback = console.bound("keyless").await;
    let token = issuer.seal(issuer.token_of(run_of(&callback)));
    let report = callback.prints(&format!("it is {token}\n"));
    assert_eq!(send(&console, &report, Show::token(&token)).await.status(), 200);
    assert_eq!(console.read(callback.deploy).await["log"]["text"], "it is ***\n");
}
