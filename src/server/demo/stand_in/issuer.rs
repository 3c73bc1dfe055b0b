//! GitHub as the issuer of its runs' tokens: the document, the keys, and where a run asks for a token.
//!
//! It signs with a key that everybody can read (`issuer.pem`). A console believes it only where it was told that this
//! stand-in is the issuer.

use super::routes::{Ctx, refusal, text};
use super::state::Run;
use crate::domain::Timestamp;
use crate::server::clock;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use serde::Deserialize;
use serde_json::{Value, json};
use std::io;

const PEM: &str = include_str!("issuer.pem");
const KID: &str = "stand-in";
/// How long a token lives, in seconds: as long as GitHub's.
const LIVES: i64 = 300;

/// What the stand-in signs with.
pub(super) struct Issuer(RsaKeyPair);

impl Issuer {
    pub(super) fn new() -> io::Result<Self> {
        let encoded: String = PEM.lines().skip(1).filter(|line| !line.starts_with("-----")).collect();
        let document = STANDARD.decode(encoded).map_err(io::Error::other)?;
        RsaKeyPair::from_pkcs8(&document)
            .map(Self)
            .map_err(|error| io::Error::other(error.to_string()))
    }

    /// Its public half as a JSON Web Key.
    fn public(&self) -> Value {
        let PublicKeyComponents { n, e } = PublicKeyComponents::<Vec<u8>>::from(self.0.public_key());
        let [n, e] = [n, e].map(|number| URL_SAFE_NO_PAD.encode(number));
        json!({ "kty": "RSA", "alg": "RS256", "use": "sig", "kid": KID, "n": n, "e": e })
    }

    fn sign(&self, claims: &Value) -> io::Result<String> {
        let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let header = json!({ "alg": "RS256", "kid": KID, "typ": "JWT" });
        let signed = format!("{}.{}", encode(&header), encode(claims));
        let mut signature = vec![0; self.0.public().modulus_len()];
        self.0
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                signed.as_bytes(),
                &mut signature,
            )
            .map_err(|_| io::Error::other("signing failed"))?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

pub(super) fn routes() -> Router<Ctx> {
    Router::new()
        .route("/.well-known/openid-configuration", get(document))
        .route("/.well-known/jwks", get(keys))
        .route("/stand-in/id-token/{run}", get(token))
}

/// Where a run asks for its token; GitHub's address has a query, too.
pub(super) fn request_url(base: &str, run: i64) -> String {
    format!("{base}/stand-in/id-token/{run}?api-version=2.0")
}

/// GitHub's number of a repository: the same for the same name, in every stand-in.
pub(super) fn repository_id(name: &str) -> u32 {
    // FNV-1a: no more than a number that looks like one of GitHub's.
    name.bytes().fold(0x811c_9dc5, |hash: u32, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

/// As github.com has it: without an endpoint for people.
async fn document(State(ctx): State<Ctx>) -> Response {
    let base = &ctx.base;
    Json(json!({
        "issuer": base,
        "jwks_uri": format!("{base}/.well-known/jwks"),
        "subject_types_supported": ["public", "pairwise"],
        "response_types_supported": ["id_token"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "scopes_supported": ["openid"],
    }))
    .into_response()
}

async fn keys(State(ctx): State<Ctx>) -> Response {
    Json(json!({ "keys": [ctx.shared.issuer.public()] })).into_response()
}

#[derive(Deserialize)]
struct Wanted {
    audience: Option<String>,
}

/// A token for a run that is known, shown the secret that its job was given.
async fn token(
    State(ctx): State<Ctx>,
    Path(id): Path<i64>,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Response {
    let shown = text(&headers, "authorization").unwrap_or_default();
    let run = ctx.shared.state().runs.iter().find(|run| run.id == id).cloned();
    let Some(run) = run.filter(|run| shown == format!("bearer {}", run.request_token)) else {
        return refusal(StatusCode::UNAUTHORIZED, "Bad credentials");
    };
    let audience = wanted.audience.unwrap_or_else(|| "https://github.com/raxx".to_owned());
    match ctx
        .shared
        .issuer
        .sign(&claims(&ctx.base, &run, &audience, clock::now()))
    {
        Ok(token) => Json(json!({ "count": token.len(), "value": token })).into_response(),
        Err(_) => refusal(StatusCode::INTERNAL_SERVER_ERROR, "Server Error"),
    }
}

fn claims(issuer: &str, run: &Run, audience: &str, now: Timestamp) -> Value {
    let Run {
        repository, git_ref, ..
    } = run;
    let now = now.as_millis() / 1000;
    json!({
        "iss": issuer,
        "aud": audience,
        "sub": format!("repo:{repository}:ref:refs/heads/{git_ref}"),
        "iat": now, "nbf": now - LIVES, "exp": now + LIVES,
        "repository": repository,
        "repository_id": repository_id(repository).to_string(),
        "ref": format!("refs/heads/{git_ref}"),
        "ref_type": "branch",
        "workflow_ref": format!("{repository}/.github/workflows/{}@refs/heads/{git_ref}", run.workflow),
        "event_name": "workflow_dispatch",
        "run_id": run.id.to_string(),
        "run_attempt": run.attempt.to_string(),
    })
}
