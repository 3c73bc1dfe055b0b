//! An OpenID Connect provider on loopback, whole enough to sign in at. It remembers what each code was asked for
//! with, takes a code once, checks the client and PKCE, and does wrong only what a test tells it to.

use super::now;
use super::provider_key::{Algorithm, Key, base64url};
use axum::extract::{Form, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use raxx_console::server::oidc::{Answer, Identity, Oidc, OidcError, Options, Timing};
use ring::hmac;
use secrecy::SecretString;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use url::{Url, form_urlencoded};

pub(crate) const CLIENT_ID: &str = "the console";
/// With characters that must be encoded on their way.
pub(crate) const CLIENT_SECRET: &str = "s3cret:of&the%console";
const REDIRECT_URL: &str = "https://console.example.com/sign-in/oidc/callback";
pub(crate) const DOCUMENT: &str = "/.well-known/openid-configuration";

/// What an endpoint does instead of its work.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    Html,
    /// 5 MB.
    Huge,
    /// Holds the connection until the client gives up.
    Never,
    /// Says that it has moved to `/elsewhere`.
    Moved,
    Status(u16),
}

/// An ID token before it is sealed.
pub(crate) struct Token {
    pub header: Value,
    pub claims: Value,
    pub seal: Seal,
}

/// What stands where the signature belongs.
pub(crate) enum Seal {
    Signature,
    /// Made with another key.
    Of(Box<Key>),
    /// Made for other claims.
    Stolen,
    Hmac(Vec<u8>),
    Nothing,
}

/// The form that the token endpoint was sent.
pub(crate) type Asked = HashMap<String, String>;

/// What a code was asked for with.
struct Grant {
    challenge: String,
    nonce: String,
}

/// What a test may change.
pub(crate) struct Behaviour {
    pub faults: HashMap<&'static str, Fault>,
    /// Laid over the document.
    pub document: Value,
    pub published: Vec<Value>,
    pub key: Arc<Key>,
    /// Changes an ID token before it is sealed.
    pub shape: Box<dyn Fn(&mut Token) + Send>,
    pub access_token: String,
    pub userinfo: Value,
    /// What the answer to the browser has beside code and state.
    pub answer: Vec<(&'static str, String)>,
    /// What the token endpoint says instead, built from what it was sent.
    pub token_error: Option<fn(&Asked) -> Value>,
    grants: HashMap<String, Grant>,
    calls: HashMap<String, usize>,
    /// Everything that must not be told.
    pub secrets: Vec<String>,
}

#[derive(Clone)]
pub(crate) struct Provider {
    behaviour: Arc<Mutex<Behaviour>>,
    pub url: String,
}

impl Provider {
    pub(crate) async fn start() -> Self {
        Self::signing(Algorithm::Es256).await
    }

    pub(crate) async fn signing(algorithm: Algorithm) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let key = Arc::new(Key::new("key-1", algorithm));
        let behaviour = Behaviour {
            faults: HashMap::new(),
            document: json!({}),
            published: vec![key.public()],
            key,
            shape: Box::new(|_| {}),
            access_token: format!("access-token-{algorithm:?}-{:?}", std::thread::current().id()),
            userinfo: json!({ "sub": "248289761001" }),
            answer: vec![("iss", url.clone())],
            token_error: None,
            grants: HashMap::new(),
            calls: HashMap::new(),
            secrets: Vec::new(),
        };
        let provider = Self {
            behaviour: Arc::new(Mutex::new(behaviour)),
            url,
        };
        let router = Router::new()
            .route(DOCUMENT, get(document))
            .route("/keys", get(keys))
            .route("/authorize", get(authorize))
            .route("/token", post(token))
            .route("/userinfo", get(userinfo))
            .layer(from_fn_with_state(provider.clone(), count_and_fail))
            .with_state(provider.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        provider
    }

    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Behaviour) -> T) -> T {
        change(&mut self.behaviour.lock().unwrap())
    }

    /// Changes every ID token from now on.
    pub(crate) fn shape(&self, shape: impl Fn(&mut Token) + Send + 'static) {
        self.change(|it| it.shape = Box::new(shape));
    }

    /// Signs with a new key from now on, which is published or not.
    pub(crate) fn rotate(&self, kid: &str, publish: bool) {
        self.change(|it| {
            it.key = Arc::new(Key::new(kid, it.key.algorithm));
            if publish {
                it.published = vec![it.key.public()];
            }
        });
    }

    /// How often a path was asked for.
    pub(crate) fn calls(&self, path: &str) -> usize {
        self.change(|it| it.calls.get(path).copied().unwrap_or_default())
    }

    pub(crate) fn options(&self) -> Options {
        Options {
            issuer: self.url.clone(),
            client_id: CLIENT_ID.to_owned(),
            client_secret: Some(SecretString::from(CLIENT_SECRET)),
            redirect_url: REDIRECT_URL.to_owned(),
            scopes: ["openid", "profile"].map(str::to_owned).to_vec(),
            groups_claim: "groups".to_owned(),
            timing: Timing::default(),
        }
    }

    pub(crate) fn client(&self) -> Oidc {
        Oidc::new(self.options()).unwrap()
    }

    /// Signs in as a browser does, and brings back the answer.
    pub(crate) async fn visit(&self, url: &Url) -> Answer {
        let browser = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
        let response = browser.build().unwrap().get(url.clone()).send().await.unwrap();
        assert_eq!(response.status(), 303, "{}", response.text().await.unwrap());
        let back = response.headers()[header::LOCATION].to_str().unwrap();
        assert!(back.starts_with(REDIRECT_URL));
        let Query(answer) = Query::try_from_uri(&back.parse::<Uri>().unwrap()).unwrap();
        answer
    }

    /// A whole sign-in.
    pub(crate) async fn sign_in(&self, oidc: &Oidc) -> Result<Identity, OidcError> {
        let (url, pending) = oidc.begin().await?;
        oidc.finish(pending, self.visit(&url).await).await
    }
}

async fn count_and_fail(State(provider): State<Provider>, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let fault = provider.change(|it| {
        *it.calls.entry(path.clone()).or_default() += 1;
        it.faults.get(path.as_str()).copied()
    });
    match fault {
        None => next.run(request).await,
        Some(Fault::Html) => Html("<!doctype html><title>Gateway</title>").into_response(),
        Some(Fault::Huge) => Json(json!({ "issuer": "x".repeat(5_000_000) })).into_response(),
        Some(Fault::Never) => std::future::pending().await,
        Some(Fault::Moved) => Redirect::temporary("/elsewhere").into_response(),
        Some(Fault::Status(status)) => StatusCode::from_u16(status).unwrap().into_response(),
    }
}

async fn document(State(provider): State<Provider>) -> Json<Value> {
    let at = |path: &str| format!("{}{path}", provider.url);
    let mut document = json!({
        "issuer": provider.url,
        "authorization_endpoint": at("/authorize"),
        "token_endpoint": at("/token"),
        "userinfo_endpoint": at("/userinfo"),
        "jwks_uri": at("/keys"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        // It claims to support what the console must not take.
        "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
    });
    for (name, value) in provider.change(|it| it.document.as_object().unwrap().clone()) {
        document[name] = value;
    }
    Json(document)
}

async fn keys(State(provider): State<Provider>) -> Json<Value> {
    Json(json!({ "keys": provider.change(|it| it.published.clone()) }))
}

async fn authorize(State(provider): State<Provider>, Query(asked): Query<Asked>) -> Result<Redirect, String> {
    let expected = [
        ("response_type", "code"),
        ("client_id", CLIENT_ID),
        ("redirect_uri", REDIRECT_URL),
        ("scope", "openid profile"),
        ("code_challenge_method", "S256"),
    ];
    for (name, value) in expected {
        if asked.get(name).map(String::as_str) != Some(value) {
            return Err(format!("{name} is not {value}: {asked:?}"));
        }
    }
    let grant = Grant {
        challenge: asked["code_challenge"].clone(),
        nonce: asked["nonce"].clone(),
    };
    let mut back = Url::parse(REDIRECT_URL).unwrap();
    provider.change(|it| {
        let code = format!("code-{}-{}", it.grants.len(), &grant.challenge[..8]);
        it.secrets
            .extend([code.clone(), grant.nonce.clone(), asked["state"].clone()]);
        let mut query = back.query_pairs_mut();
        query.append_pair("state", &asked["state"]).extend_pairs(&it.answer);
        if !it.answer.iter().any(|(name, _)| *name == "error") {
            query.append_pair("code", &code);
            it.grants.insert(code, grant);
        }
    });
    Ok(Redirect::to(back.as_str()))
}

async fn token(State(provider): State<Provider>, headers: HeaderMap, Form(asked): Form<Asked>) -> Response {
    let refuse = |error: &str| (StatusCode::BAD_REQUEST, Json(json!({ "error": error }))).into_response();
    if !is_the_client(&provider, &headers, &asked) {
        return refuse("invalid_client");
    }
    provider.change(|it| {
        it.secrets.push(asked["code_verifier"].clone());
        if let Some(error) = it.token_error {
            return (StatusCode::BAD_REQUEST, Json(error(&asked))).into_response();
        }
        // A code is taken once, whatever else is wrong (RFC 6749, section 4.1.2).
        let Some(grant) = it.grants.remove(&asked["code"]) else {
            return refuse("invalid_grant");
        };
        let proven = base64url(&Sha256::digest(&asked["code_verifier"])) == grant.challenge;
        if !proven || asked["redirect_uri"] != REDIRECT_URL || asked["grant_type"] != "authorization_code" {
            return refuse("invalid_grant");
        }
        let id_token = it.id_token(&provider.url, &grant.nonce);
        it.secrets.extend([id_token.clone(), it.access_token.clone()]);
        let tokens = json!({
            "access_token": it.access_token, "token_type": "Bearer", "expires_in": 300, "id_token": id_token,
        });
        Json(tokens).into_response()
    })
}

/// RFC 6749, section 2.3.1: both halves are form-encoded before they go into the header.
fn is_the_client(provider: &Provider, headers: &HeaderMap, asked: &Asked) -> bool {
    let methods = provider.change(|it| it.document["token_endpoint_auth_methods_supported"].clone());
    let given = ["client_id", "client_secret"].map(|name| asked.get(name).map(String::as_str));
    let in_body = !headers.contains_key(header::AUTHORIZATION);
    if methods == json!(["client_secret_post"]) {
        return in_body && given == [Some(CLIENT_ID), Some(CLIENT_SECRET)];
    }
    if methods == json!(["none"]) {
        return in_body && given == [Some(CLIENT_ID), None];
    }
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let expected = STANDARD.encode(format!("{}:{}", encode(CLIENT_ID), encode(CLIENT_SECRET)));
    headers
        .get(header::AUTHORIZATION)
        .is_some_and(|given| *given == format!("Basic {expected}"))
}

async fn userinfo(State(provider): State<Provider>, headers: HeaderMap) -> Response {
    provider.change(|it| {
        if headers[header::AUTHORIZATION] != format!("Bearer {}", it.access_token) {
            return StatusCode::UNAUTHORIZED.into_response();
        }
        Json(it.userinfo.clone()).into_response()
    })
}

impl Behaviour {
    fn id_token(&self, issuer: &str, nonce: &str) -> String {
        let key = &self.key;
        let mut token = Token {
            header: json!({ "alg": key.algorithm.name(), "kid": key.kid, "typ": "JWT" }),
            claims: json!({
                "iss": issuer, "sub": "248289761001", "aud": CLIENT_ID, "nonce": nonce,
                "iat": now(), "exp": now() + 300, "at_hash": key.algorithm.half_hash(&self.access_token),
                "preferred_username": "ada", "email": "ada@example.com", "groups": ["deployers", "everyone"],
            }),
            seal: Seal::Signature,
        };
        (self.shape)(&mut token);
        token.sealed(key)
    }
}

impl Seal {
    pub(crate) fn of(key: Key) -> Self {
        Self::Of(Box::new(key))
    }

    /// By an RSA key that no provider has.
    pub(crate) fn other(kid: &str) -> Self {
        Self::of(Key::other(kid))
    }
}

impl Token {
    pub(crate) fn sealed(self, key: &Key) -> String {
        let encode = |part: &Value| base64url(part.to_string().as_bytes());
        let signed = format!("{}.{}", encode(&self.header), encode(&self.claims));
        let seal = match self.seal {
            Seal::Signature => key.sign(signed.as_bytes()),
            Seal::Of(other) => other.sign(signed.as_bytes()),
            Seal::Stolen => key.sign(format!("{}.{}", encode(&self.header), encode(&json!({}))).as_bytes()),
            Seal::Hmac(secret) => {
                let secret = hmac::Key::new(hmac::HMAC_SHA256, &secret);
                hmac::sign(&secret, signed.as_bytes()).as_ref().to_vec()
            }
            Seal::Nothing => Vec::new(),
        };
        format!("{signed}.{}", base64url(&seal))
    }
}
