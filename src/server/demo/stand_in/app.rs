//! A GitHub App, as GitHub sees it: it proves who it is with a JWT, and is lent a token for a repository.

use super::routes::{Ctx, refusal, text};
use crate::domain::Timestamp;
use crate::server::clock;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// Where every App is installed.
const INSTALLATION: i64 = 41_000_001;
/// GitHub takes no JWT that lives longer.
const LONGEST_JWT_S: i64 = 10 * 60;

/// An App that is known here. Once one is, no other token is taken.
#[derive(Debug, Clone)]
pub struct KnownApp {
    /// Its id.
    pub id: String,
    /// Its public key: the DER of a PKCS #1 `RSAPublicKey`.
    pub public_key: Vec<u8>,
    /// The one repository that it is installed for.
    pub repository: String,
    /// What the installation may do: permission and level.
    pub permissions: BTreeMap<String, String>,
    /// How long the tokens live that it is lent.
    pub tokens_live: Duration,
    /// Whether the installation is suspended.
    pub suspended: bool,
}

/// A token that an App was lent.
#[derive(Debug, Clone)]
pub struct Lent {
    /// The token.
    pub token: String,
    /// The repositories that it was asked for, by name without owner.
    pub repositories: Vec<String>,
    /// The permissions that it was asked for.
    pub permissions: BTreeMap<String, String>,
    ends: Timestamp,
}

#[derive(Deserialize)]
struct Claims {
    iat: i64,
    exp: i64,
    iss: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    repositories: Vec<String>,
    permissions: BTreeMap<String, String>,
}

pub(super) fn routes() -> Router<Ctx> {
    Router::new()
        .route("/app", get(read))
        .route("/repos/{owner}/{repo}/installation", get(installation))
        .route("/app/installations/{id}/access_tokens", post(lend))
}

async fn read(State(ctx): State<Ctx>, headers: HeaderMap) -> Response {
    let Some(app) = introduced(&ctx, &headers) else {
        return stranger();
    };
    Json(json!({ "id": 1, "slug": "console", "name": "Console", "permissions": app.permissions })).into_response()
}

async fn installation(
    State(ctx): State<Ctx>,
    Path((owner, repo)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let Some(app) = introduced(&ctx, &headers) else {
        return stranger();
    };
    if app.repository != format!("{owner}/{repo}") {
        return refusal(StatusCode::NOT_FOUND, "Not Found");
    }
    Json(json!({
        "id": INSTALLATION,
        "app_id": 1,
        "app_slug": "console",
        "target_type": "Organization",
        "repository_selection": "selected",
        "permissions": app.permissions,
        "events": ["workflow_run", "workflow_job"],
        "suspended_at": app.suspended.then(clock::now),
    }))
    .into_response()
}

async fn lend(State(ctx): State<Ctx>, Path(id): Path<i64>, headers: HeaderMap, Json(wish): Json<Wish>) -> Response {
    let Some(app) = introduced(&ctx, &headers) else {
        return stranger();
    };
    if id != INSTALLATION {
        return refusal(StatusCode::NOT_FOUND, "Not Found");
    }
    let granted = |(name, level): (&String, &String)| {
        let has = app.permissions.get(name);
        has == Some(level) || has.is_some_and(|has| has == "write")
    };
    if !wish.permissions.iter().all(granted) {
        let words = "The permissions requested are not granted to this installation.";
        return refusal(StatusCode::UNPROCESSABLE_ENTITY, words);
    }
    let mut state = ctx.shared.state();
    let lent = Lent {
        token: format!("lent-{}", state.lent.len() + 1),
        repositories: wish.repositories,
        permissions: wish.permissions,
        ends: clock::now().plus_millis(i64::try_from(app.tokens_live.as_millis()).unwrap_or(i64::MAX)),
    };
    state.lent.push(lent.clone());
    let body = json!({
        "token": lent.token,
        "expires_at": lent.ends,
        "permissions": lent.permissions,
        "repository_selection": "selected",
    });
    (StatusCode::CREATED, Json(body)).into_response()
}

/// The App that a request proves to come from.
fn introduced(ctx: &Ctx, headers: &HeaderMap) -> Option<KnownApp> {
    let app = ctx.shared.state().app.clone();
    let jwt = text(headers, "authorization").and_then(|value| Some(value.strip_prefix("Bearer ")?.to_owned()));
    app.filter(|app| jwt.is_some_and(|jwt| proves(app, &jwt)))
}

fn stranger() -> Response {
    refusal(StatusCode::UNAUTHORIZED, "A JSON web token could not be decoded")
}

fn proves(app: &KnownApp, jwt: &str) -> bool {
    let Some((signed, signature)) = jwt.rsplit_once('.') else {
        return false;
    };
    let Some((header, claims)) = signed.split_once('.') else {
        return false;
    };
    let decode = |part: &str| BASE64_URL_SAFE_NO_PAD.decode(part).unwrap_or_default();
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &app.public_key);
    let header: Value = serde_json::from_slice(&decode(header)).unwrap_or_default();
    let Ok(claims) = serde_json::from_slice::<Claims>(&decode(claims)) else {
        return false;
    };
    let now = clock::now().as_millis() / 1000;
    key.verify(signed.as_bytes(), &decode(signature)).is_ok()
        && header["alg"] == "RS256"
        && claims.iss == app.id
        && (claims.iat..=claims.iat + LONGEST_JWT_S).contains(&claims.exp)
        && (claims.iat..claims.exp).contains(&now)
}

/// Whether a request may come as far as its route. Without an App any token will do; an App's token must have been
/// lent for this repository, and not have ended.
pub(super) fn is_authorized(ctx: &Ctx, path: &str, headers: &HeaderMap) -> bool {
    let header = text(headers, "authorization");
    let Some(token) = header.as_deref().and_then(|value| value.strip_prefix("Bearer ")) else {
        return false;
    };
    let state = ctx.shared.state();
    if state.app.is_none() {
        return !token.is_empty();
    }
    let repository = path.split('/').nth(3).unwrap_or_default();
    let now = clock::now();
    state
        .lent
        .iter()
        .any(|lent| lent.token == token && lent.ends > now && lent.repositories.iter().any(|name| name == repository))
}
