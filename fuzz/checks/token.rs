//! GitHub as the issuer of tokens, with the stand-in's key, which everybody can read.

use super::scene::{AUDIENCE, REPOSITORY_ID, RUN, seconds};
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use raxx_console::server::clock;
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value, json};
use std::sync::LazyLock;

const PEM: &str = include_str!("../../src/server/demo/stand_in/issuer.pem");

static KEY: LazyLock<RsaKeyPair> = LazyLock::new(|| {
    // The first line says what it is for.
    let lines = PEM.lines().skip(1);
    let encoded: String = lines.filter(|line| !line.starts_with("-----")).collect();
    RsaKeyPair::from_pkcs8(&STANDARD.decode(encoded).unwrap()).unwrap()
});

/// It outlives the consoles that believe it.
static ISSUER: LazyLock<String> = LazyLock::new(|| {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let document = json!({
        "issuer": url, "jwks_uri": format!("{url}/keys"), "subject_types_supported": ["public"],
        "response_types_supported": ["id_token"], "id_token_signing_alg_values_supported": ["RS256"],
    });
    let PublicKeyComponents { n, e } = PublicKeyComponents::<Vec<u8>>::from(KEY.public());
    let [n, e] = [n, e].map(|number| URL_SAFE_NO_PAD.encode(number));
    let keys = json!({ "keys": [{ "kty": "RSA", "alg": "RS256", "use": "sig", "kid": "key", "n": n, "e": e }] });
    let router = Router::new()
        .route("/.well-known/openid-configuration", get(Json(document)))
        .route("/keys", get(Json(keys)));
    std::thread::spawn(move || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, router).await
        })
    });
    url
});

/// Where it is.
pub(super) fn issuer() -> &'static str {
    &ISSUER
}

/// The token of [`RUN`]. Made once: it lives for a day.
pub(super) static TOKEN: LazyLock<String> = LazyLock::new(|| sealed(&json!({})));

/// The same with claims laid over it.
pub(super) fn sealed(over: &Value) -> String {
    let now = seconds(clock::now());
    let mut claims = json!({
        "iss": issuer(), "aud": AUDIENCE, "sub": "repo:raxx/keyless:ref:refs/heads/main",
        "iat": now, "nbf": now - 300, "exp": now + 86_400, "repository_id": REPOSITORY_ID.to_string(),
        "workflow_ref": "raxx/keyless/.github/workflows/deploy.yml@refs/heads/main",
        "event_name": "workflow_dispatch", "run_id": RUN.to_string(), "run_attempt": "1",
    });
    for (claim, value) in over.as_object().into_iter().flatten() {
        claims[claim] = value.clone();
    }
    let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let signed = format!(
        "{}.{}",
        encode(&json!({ "alg": "RS256", "kid": "key" })),
        encode(&claims)
    );
    let mut signature = vec![0; KEY.public().modulus_len()];
    KEY.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        signed.as_bytes(),
        &mut signature,
    )
    .unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}
