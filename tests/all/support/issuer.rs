//! GitHub as the issuer of its runs' tokens: it publishes the keys and gives the tokens that a test tells it to.

use super::now;
use super::provider::{DOCUMENT, Seal, Token};
use super::provider_key::{Algorithm, Key};
use super::secrets::keep_secret;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use uuid::Uuid;

pub(crate) const KEYS: &str = "/.well-known/jwks";
pub(crate) const AUDIENCE: &str = "https://console.example.com";
pub(crate) const REPOSITORY_ID: u64 = 123_456;

/// How it is unwell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ill {
    /// 503.
    Down,
    /// Gives no answer.
    Silent,
    /// Says that it has moved.
    Moved,
    /// 5 MB.
    Huge,
}

/// What a test may change.
pub(crate) struct Behaviour {
    pub ill: Option<Ill>,
    /// Laid over the document.
    pub document: Value,
    pub published: Vec<Value>,
    pub key: Arc<Key>,
    /// What the token endpoint puts into tokens, but for the audience, which is asked for.
    pub claims: Value,
    /// What the token endpoint must be shown.
    pub request_token: String,
    /// The tokens that were given.
    pub given: Vec<String>,
    calls: HashMap<String, usize>,
}

#[derive(Clone)]
pub(crate) struct Issuer {
    behaviour: Arc<Mutex<Behaviour>>,
    pub url: String,
}

impl Issuer {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let key = Arc::new(Key::new("key-1", Algorithm::Rs256));
        let behaviour = Behaviour {
            ill: None,
            document: json!({}),
            published: vec![key.public()],
            key,
            claims: json!({}),
            request_token: format!("request-token-{}", Uuid::now_v7()),
            given: Vec::new(),
            calls: HashMap::new(),
        };
        keep_secret(&behaviour.request_token);
        let issuer = Self {
            behaviour: Arc::new(Mutex::new(behaviour)),
            url,
        };
        let router = Router::new()
            .route(DOCUMENT, get(document))
            .route(KEYS, get(keys))
            .route("/token", get(token))
            .layer(from_fn_with_state(issuer.clone(), count_and_fail))
            .with_state(issuer.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        issuer
    }

    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Behaviour) -> T) -> T {
        change(&mut self.behaviour.lock().unwrap())
    }

    /// How often a path was asked for.
    pub(crate) fn calls(&self, path: &str) -> usize {
        self.change(|it| it.calls.get(path).copied().unwrap_or_default())
    }

    /// Signs with another key from now on, and publishes that one alone.
    pub(crate) fn rotate(&self, kid: &str) {
        self.change(|it| {
            it.key = Arc::new(Key::other(kid));
            it.published = vec![it.key.public()];
        });
    }

    /// The token of this run, as GitHub would make it.
    pub(crate) fn token_of(&self, run_id: i64) -> Token {
        let kid = self.change(|it| it.key.kid.clone());
        Token {
            header: json!({ "alg": "RS256", "kid": kid, "typ": "JWT", "x5t": kid }),
            claims: self.claims_of(run_id),
            seal: Seal::Signature,
        }
    }

    /// The claims of <https://docs.github.com/en/actions/reference/security/oidc>.
    pub(crate) fn claims_of(&self, run_id: i64) -> Value {
        json!({
            "iss": self.url, "aud": AUDIENCE, "sub": "repo:raxx/keyless:ref:refs/heads/main",
            "jti": Uuid::now_v7(), "iat": now(), "nbf": now() - 300, "exp": now() + 300,
            "ref": "refs/heads/main", "ref_type": "branch", "sha": "9f2c4e7a1b3d5f60718293a4b5c6d7e8f9012345",
            "repository": "raxx/keyless", "repository_id": REPOSITORY_ID.to_string(), "repository_owner": "raxx",
            "repository_owner_id": "65", "repository_visibility": "private", "actor": "ada", "actor_id": "12",
            "workflow": "deploy", "head_ref": "", "base_ref": "", "runner_environment": "github-hosted",
            "workflow_ref": "raxx/keyless/.github/workflows/deploy.yml@refs/heads/main",
            "job_workflow_ref": "raxx/shared/.github/workflows/other.yml@refs/heads/main",
            "event_name": "workflow_dispatch", "run_id": run_id.to_string(), "run_number": "10", "run_attempt": "1",
        })
    }

    /// Seals a token, and sees that no log ever shows it.
    pub(crate) fn seal(&self, token: Token) -> String {
        let text = token.sealed(&self.change(|it| it.key.clone()));
        keep_secret(&text);
        text
    }

    /// Where a job asks for a token: as with GitHub, an address with a query.
    pub(crate) fn request_url(&self) -> String {
        format!("{}/token?api-version=2.0", self.url)
    }
}

async fn count_and_fail(State(issuer): State<Issuer>, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let ill = issuer.change(|it| {
        *it.calls.entry(path).or_default() += 1;
        it.ill
    });
    match ill {
        None => next.run(request).await,
        Some(Ill::Down) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Some(Ill::Silent) => std::future::pending().await,
        Some(Ill::Moved) => Redirect::temporary("/elsewhere").into_response(),
        Some(Ill::Huge) => Json(json!({ "issuer": "x".repeat(5_000_000) })).into_response(),
    }
}

async fn document(State(issuer): State<Issuer>) -> Response {
    let mut document = json!({
        "issuer": issuer.url, "jwks_uri": format!("{}{KEYS}", issuer.url),
        "subject_types_supported": ["public", "pairwise"], "response_types_supported": ["id_token"],
        "claims_supported": ["sub", "aud", "exp", "iat", "iss", "jti", "nbf"],
        "id_token_signing_alg_values_supported": ["RS256"], "scopes_supported": ["openid"],
    });
    let laid_over = issuer.change(|it| it.document.clone());
    for (key, value) in laid_over.as_object().unwrap() {
        document[key] = value.clone();
    }
    Json(document).into_response()
}

async fn keys(State(issuer): State<Issuer>) -> Response {
    Json(json!({ "keys": issuer.change(|it| it.published.clone()) })).into_response()
}

async fn token(
    State(issuer): State<Issuer>,
    Query(asked): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    let shown = headers
        .get("authorization")
        .map(|value| value.to_str().unwrap().to_owned());
    let (request_token, mut claims) = issuer.change(|it| (it.request_token.clone(), it.claims.clone()));
    if shown != Some(format!("bearer {request_token}")) || asked["api-version"] != "2.0" {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    claims["aud"] = json!(asked["audience"]);
    // No token is given twice.
    claims["jti"] = json!(Uuid::now_v7());
    let text = issuer.seal(Token {
        claims,
        ..issuer.token_of(0)
    });
    issuer.change(|it| it.given.push(text.clone()));
    Json(json!({ "count": text.len(), "value": text })).into_response()
}
