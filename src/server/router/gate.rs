//! The door: sign-in, sign-out, one-time links. Plain forms, so that they work before WASM arrives.

use super::super::{Console, clock};
use super::{guard, page};
use crate::domain::{AuditAction, Gate, Operator, OperatorName, Problem, Refusal};
use crate::server::audit::Source;
use crate::server::auth::address::ClientAddress;
use crate::server::auth::people::{self, LinkFor};
use crate::server::auth::provider::CALLBACK;
use crate::server::auth::session::{Sessions, SignedIn, cookie_name};
use crate::server::auth::{opaque, sign_in};
use crate::server::oidc::Answer;
use axum::Form;
use axum::extract::{Extension, Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use secrecy::SecretString;
use serde::Deserialize;
use tower_sessions::Session;
use tower_sessions::cookie::{Cookie, SameSite, time::Duration};

/// How long a browser is remembered as one that its operator has signed in with.
const DEVICE_DAYS: i64 = 180;

#[derive(Deserialize)]
pub(super) struct ReturnTo {
    return_to: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct SignInForm {
    name: String,
    password: SecretString,
    #[serde(default)]
    return_to: String,
}

#[derive(Deserialize)]
pub(super) struct SetUpForm {
    #[serde(default)]
    name: String,
    password: SecretString,
}

/// `GET /sign-in`
pub(super) async fn sign_in_page(
    State(console): State<Console>,
    Query(query): Query<ReturnTo>,
    session: Session,
    request: Request,
) -> Result<Response, Refusal> {
    let return_to = own_path(query.return_to.as_deref().unwrap_or_default());
    if guard::signed_in(&console, &session).await?.is_some() {
        return Ok(Redirect::to(&return_to).into_response());
    }
    let gate = sign_in_gate(&console, String::new(), None, return_to);
    Ok(page(console, None, Some(gate), request).await)
}

/// `POST /sign-in`: on to where one was going, or the page again with what is wrong.
pub(super) async fn sign_in(
    State(console): State<Console>,
    Extension(ClientAddress(address)): Extension<ClientAddress>,
    session: Session,
    headers: HeaderMap,
    Form(form): Form<SignInForm>,
) -> Result<Response, Refusal> {
    let device = cookie(&headers, &cookie_name("device", console.is_secure()));
    let attempt = sign_in::Attempt {
        name: &form.name,
        password: form.password,
        address: &address,
        device: device.as_deref(),
    };
    let return_to = own_path(&form.return_to);
    match sign_in::by_password(&console, attempt).await {
        Ok(operator) => enter(&console, &session, &operator, &address, &headers, &return_to).await,
        Err(refusal) => {
            let gate = sign_in_gate(&console, form.name, Some(refusal.detail.clone()), return_to);
            Ok(again(console, gate, "/sign-in", &refusal).await)
        }
    }
}

/// `GET /sign-in/oidc`: on to the provider.
pub(super) async fn provider_begin(
    State(console): State<Console>,
    Query(query): Query<ReturnTo>,
    session: Session,
) -> Result<Response, Refusal> {
    let return_to = own_path(query.return_to.as_deref().unwrap_or_default());
    let Some(provider) = console.provider.clone() else {
        return Ok(super::no_such_route().await.into_response());
    };
    match provider.begin(return_to.clone()).await {
        Ok((url, under_way)) => {
            Sessions::keep_under_way(&session, &under_way).await?;
            Ok(Redirect::to(url.as_str()).into_response())
        }
        Err(refusal) => {
            let gate = sign_in_gate(&console, String::new(), Some(refusal.detail.clone()), return_to);
            Ok(again(console, gate, "/sign-in/oidc", &refusal).await)
        }
    }
}

/// `GET /sign-in/oidc/callback`: back from the provider. What was under way is taken once.
pub(super) async fn provider_finish(
    State(console): State<Console>,
    Query(answer): Query<Answer>,
    Extension(ClientAddress(address)): Extension<ClientAddress>,
    session: Session,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let Some(provider) = console.provider.clone() else {
        return Ok(super::no_such_route().await.into_response());
    };
    let Some(under_way) = Sessions::take_under_way(&session).await? else {
        let detail = "No sign-in is under way in this browser. Begin again.";
        let refusal = Refusal::new(Problem::NotSignedIn, detail);
        let gate = sign_in_gate(&console, String::new(), Some(detail.to_owned()), "/".to_owned());
        return Ok(again(console, gate, CALLBACK, &refusal).await);
    };
    let return_to = under_way.return_to.clone();
    match provider.finish(&console, under_way, answer, &address).await {
        Ok(operator) => enter(&console, &session, &operator, &address, &headers, &return_to).await,
        Err(refusal) => {
            let gate = sign_in_gate(&console, String::new(), Some(refusal.detail.clone()), return_to);
            Ok(again(console, gate, CALLBACK, &refusal).await)
        }
    }
}

/// `POST /sign-out`: the session ends here and now, in every tab.
pub(super) async fn sign_out(
    State(console): State<Console>,
    Extension(ClientAddress(address)): Extension<ClientAddress>,
    session: Session,
) -> Result<Response, Refusal> {
    if let Some(caller) = guard::signed_in(&console, &session).await? {
        let entry = Source::caller(&caller, &address).does(AuditAction::SignedOut);
        console.store.record_audit(&entry.about(caller.name.as_str())).await?;
    }
    session.flush().await?;
    Ok(Redirect::to("/sign-in").into_response())
}

/// `GET /set-up/{token}`: whom the link is for, or that it opens nothing any more.
pub(super) async fn set_up_page(
    State(console): State<Console>,
    Path(token): Path<String>,
    request: Request,
) -> Result<Response, Refusal> {
    let gate = match people::link_for(&console.store, &token).await? {
        None => Gate::LinkGone,
        Some((_, whom)) => set_up_gate(whom, String::new(), None),
    };
    let status = if gate == Gate::LinkGone {
        StatusCode::NOT_FOUND
    } else {
        StatusCode::OK
    };
    Ok((status, page(console, None, Some(gate), request).await).into_response())
}

/// `POST /set-up/{token}`: makes the first admin or sets a password, and signs in.
pub(super) async fn set_up(
    State(console): State<Console>,
    Path(token): Path<String>,
    Extension(ClientAddress(address)): Extension<ClientAddress>,
    session: Session,
    headers: HeaderMap,
    Form(form): Form<SetUpForm>,
) -> Result<Response, Refusal> {
    match people::redeem(&console, &token, &form.name, form.password, &address).await {
        Ok(operator) => enter(&console, &session, &operator, &address, &headers, "/").await,
        Err(refusal) => {
            let gate = match people::link_for(&console.store, &token).await? {
                None => Gate::LinkGone,
                Some((_, whom)) => set_up_gate(whom, form.name, Some(refusal.detail.clone())),
            };
            Ok(again(console, gate, "/set-up/again", &refusal).await)
        }
    }
}

/// `GET /demo/{key}`: the link that a demo prints. It opens on this machine alone, and only in a demo.
pub(super) async fn demo(
    State(console): State<Console>,
    Path(key): Path<String>,
    Extension(ClientAddress(address)): Extension<ClientAddress>,
    session: Session,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let door = console.demo.clone();
    let door = door.filter(|door| door.key_sha256 == opaque::fingerprint(&key));
    let account = match door {
        Some(door) => console.store.operator(door.operator).await?,
        None => None,
    };
    match account {
        Some(account) => enter(&console, &session, &account.operator, &address, &headers, "/").await,
        None => Ok(super::no_such_route().await.into_response()),
    }
}

/// Signs in under a new session id, remembers the browser, and goes on.
async fn enter(
    console: &Console,
    session: &Session,
    operator: &Operator,
    address: &str,
    headers: &HeaderMap,
    return_to: &str,
) -> Result<Response, Refusal> {
    let user_agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    let who = SignedIn::now(operator, address, user_agent.unwrap_or_default());
    console.sessions.sign_in(session, who).await?;
    let mut response = Redirect::to(return_to).into_response();
    let secure = console.is_secure();
    let name = cookie_name("device", secure);
    let known = match cookie(headers, &name) {
        Some(device) => {
            let device = opaque::fingerprint(&device);
            console.store.is_known_device(&device, operator.id).await?
        }
        None => false,
    };
    if known {
        return Ok(response);
    }
    let Ok(device) = opaque::generate() else {
        return Ok(response);
    };
    let fingerprint = opaque::fingerprint(&device);
    console
        .store
        .remember_device(&fingerprint, operator.id, clock::now())
        .await?;
    let cookie = Cookie::build((name, device))
        .path("/")
        .http_only(true)
        .secure(secure)
        .same_site(SameSite::Lax)
        .max_age(Duration::days(DEVICE_DAYS));
    if let Ok(value) = HeaderValue::from_str(&cookie.to_string()) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
    Ok(response)
}

fn sign_in_gate(console: &Console, name: String, problem: Option<String>, return_to: String) -> Gate {
    Gate::SignIn {
        name,
        problem,
        return_to,
        provider: console.provider.as_ref().map(|provider| provider.name.clone()),
    }
}

fn set_up_gate(whom: LinkFor, name: String, problem: Option<String>) -> Gate {
    let operator: Option<OperatorName> = match whom {
        LinkFor::First => None,
        LinkFor::Operator(name) => Some(name),
    };
    Gate::SetUp {
        operator,
        name,
        problem,
    }
}

/// The page once more, with what is wrong and the status that it has. `path` is where the browser is: it takes over
/// the page that belongs there.
async fn again(console: Console, gate: Gate, path: &'static str, refusal: &Refusal) -> Response {
    let mut request = Request::default();
    *request.uri_mut() = axum::http::Uri::from_static(path);
    let mut response = page(console, None, Some(gate), request).await;
    if let Ok(status) = StatusCode::from_u16(refusal.status) {
        *response.status_mut() = status;
    }
    if let Some(seconds) = refusal.retry_after {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// A path of this console, whatever was asked for: nobody is sent elsewhere after signing in.
fn own_path(wanted: &str) -> String {
    // Browsers take `//host` and `/\host` for another site's address.
    let own = wanted.starts_with('/') && !wanted[1..].starts_with(['/', '\\']) && !wanted.chars().any(char::is_control);
    if own { wanted.to_owned() } else { "/".to_owned() }
}

fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let values = headers.get_all(header::COOKIE).iter();
    let texts = values.filter_map(|value| value.to_str().ok());
    let mut cookies = texts.flat_map(|text| Cookie::split_parse(text.to_owned())).flatten();
    cookies
        .find(|cookie| cookie.name() == name)
        .map(|cookie| cookie.value().to_owned())
}

impl From<tower_sessions::session::Error> for Refusal {
    fn from(error: tower_sessions::session::Error) -> Self {
        tracing::error!(%error, "a session could not be read or kept");
        Self::new(
            Problem::Unavailable,
            "The console cannot tell who you are just now: its database is busy. Try again in a moment.",
        )
        .with_retry_after(2)
    }
}
