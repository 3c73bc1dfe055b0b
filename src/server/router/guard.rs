//! Who asks: every request passes here before its handler, and is turned away unless the table lets it pass.

use super::super::Console;
use super::table::{self, Access};
use crate::domain::{Caller, Problem, Refusal};
use crate::server::auth::address::{self, ClientAddress};
use crate::server::auth::session::{Sessions, SignedIn};
use crate::server::auth::token;
use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use std::net::{Ipv4Addr, SocketAddr};
use tower_sessions::Session;

/// Finds the caller and the client's address, leaves both in the request, and lets it pass or not.
pub(super) async fn guard(State(console): State<Console>, mut request: Request, next: Next) -> Response {
    let address = client_address(&console, &request);
    request.extensions_mut().insert(ClientAddress(address));
    let path = request.extensions().get::<MatchedPath>().cloned();
    // A path that no route has gets the page that says so.
    let Some(path) = path else {
        return next.run(request).await;
    };
    let Some(access) = table::access(request.method(), path.as_str()) else {
        // Whatever hangs on it: a route that the table does not list is not served.
        return if table::is_known(path.as_str()) {
            super::wrong_method(request).await
        } else {
            super::no_such_route().await
        };
    };
    if matches!(access, Access::Public | Access::Signature) {
        return next.run(request).await;
    }
    let bearer = bearer(request.headers())
        .filter(|_| access == Access::Api)
        .map(str::to_owned);
    let session = request.extensions().get::<Session>().cloned();
    match caller(&console, bearer, session).await {
        Ok(Some(caller)) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Ok(None) if access == Access::Page => Redirect::to(&sign_in_path(&request)).into_response(),
        Ok(None) => not_signed_in(),
        Err(refusal) => unauthenticated(refusal),
    }
}

/// Whose word the request is: the token's it carries, else the session's.
async fn caller(
    console: &Console,
    bearer: Option<String>,
    session: Option<Session>,
) -> Result<Option<Caller>, Refusal> {
    match (bearer, session) {
        (Some(text), _) => token::caller(console, &text).await.map(Some),
        (None, Some(session)) => signed_in(console, &session).await,
        (None, None) => Ok(None),
    }
}

/// Who is signed in with this session, while they may come in.
pub(super) async fn signed_in(console: &Console, session: &Session) -> Result<Option<Caller>, Refusal> {
    let Some(SignedIn { operator, .. }) = Sessions::signed_in(session).await? else {
        return Ok(None);
    };
    let account = console.store.operator(operator).await?;
    let operator = account
        .map(|account| account.operator)
        .filter(|operator| operator.disabled_at.is_none());
    Ok(operator.map(|operator| Caller {
        operator: operator.id,
        name: operator.name,
        role: operator.role,
        token: None,
    }))
}

/// RFC 6750, section 2.1. A header that is there and is no bearer token opens nothing either.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().unwrap_or_default();
    let (scheme, token) = value.split_once(' ').unwrap_or(("", ""));
    Some(if scheme.eq_ignore_ascii_case("bearer") {
        token.trim()
    } else {
        ""
    })
}

fn client_address(console: &Console, request: &Request) -> String {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let peer = peer.map_or_else(|| SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)), |info| info.0);
    let forwarded: Vec<String> = request
        .headers()
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::to_owned)
        .collect();
    address::client(peer, forwarded.into_iter(), &console.trusted_proxies).to_string()
}

/// The sign-in page, and from there back to where the request was going.
fn sign_in_path(request: &Request) -> String {
    let wanted = request.uri().path_and_query().map_or("/", |path| path.as_str());
    if wanted == "/" {
        return "/sign-in".to_owned();
    }
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("return_to", wanted)
        .finish();
    format!("/sign-in?{query}")
}

fn not_signed_in() -> Response {
    unauthenticated(Refusal::new(
        Problem::NotSignedIn,
        "Sign in, or send an API token as `Authorization: Bearer rxc_…`.",
    ))
}

/// RFC 9110, section 15.5.2: a 401 says how to come in.
fn unauthenticated(refusal: Refusal) -> Response {
    let is_401 = refusal.is_signed_out();
    let mut response = refusal.into_response();
    if is_401 {
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}
