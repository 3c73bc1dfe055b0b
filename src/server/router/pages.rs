//! The pages: rendered here, taken over by the browser.

use super::super::Console;
use super::{guard, headers};
use crate::domain::{Caller, Gate};
use crate::ui::{outage, shell};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use leptos::prelude::provide_context;
use tower_sessions::Session;

/// The pages for those who are signed in. What each shows is the server functions' business.
pub(super) fn routes() -> Router<Console> {
    let paths = super::table::TABLE
        .iter()
        .filter(|(_, _, access)| *access == super::table::Access::Page);
    paths.fold(Router::new(), |router, (_, path, _)| router.route(path, get(signed_in)))
}

/// Renders the page at the request's path, for whoever is signed in.
pub(super) async fn signed_in(State(console): State<Console>, request: Request) -> Response {
    let mut caller = request.extensions().get::<Caller>().cloned();
    if caller.is_none()
        && let Some(session) = request.extensions().get::<Session>()
    {
        // A page that does not exist says so to anybody, and knows whom it says it to.
        caller = guard::signed_in(&console, session).await.ok().flatten();
    }
    page(console, caller, None, request).await
}

/// Renders the page at the request's path.
pub(super) async fn page(console: Console, me: Option<Caller>, gate: Option<Gate>, request: Request) -> Response {
    // Whoever came first set it, to the same.
    let _set = any_spawner::Executor::init_tokio();
    let provide = move || {
        provide_context(console.about(me.clone(), gate.clone()));
        provide_context(console.clone());
        headers::page_policy();
    };
    let response = leptos_axum::render_app_async_with_context(provide, shell)(request).await;
    fresh(response)
}

/// A page is drawn anew each time; the back button must not show an old tile as if it were true.
fn fresh(response: impl IntoResponse) -> Response {
    let mut response = response.into_response();
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Seconds after which a browser asks again for a page that could not be drawn.
const TRY_AGAIN: HeaderValue = HeaderValue::from_static("5");
/// What an answer without a script may load.
const STYLES_ALONE: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// Whoever opens a page while the record cannot be reached gets a page that says so, and the browser comes back by
/// itself. Programs get what they always get.
pub(super) async fn in_words(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let is_for_people = !path.starts_with("/api/") && path != "/readyz";
    let is_tried_again = request.method() == Method::GET;
    let response = next.run(request).await;
    if !is_for_people || response.status() != StatusCode::SERVICE_UNAVAILABLE {
        return response;
    }
    let is_page = |value: &HeaderValue| value.as_bytes().starts_with(b"text/html");
    let is_drawn = response.headers().get(header::CONTENT_TYPE).is_some_and(is_page);
    let retry_after = response.headers().get(header::RETRY_AFTER).cloned();
    // A form that says what is wrong keeps what was typed.
    let mut response = if is_drawn && !is_tried_again {
        response
    } else {
        let mut response = (StatusCode::SERVICE_UNAVAILABLE, Html(outage(is_tried_again))).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_SECURITY_POLICY, STYLES_ALONE);
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if is_tried_again {
            headers.insert(HeaderName::from_static("refresh"), TRY_AGAIN);
        }
        response
    };
    let headers = response.headers_mut();
    headers.insert(header::RETRY_AFTER, retry_after.unwrap_or(TRY_AGAIN));
    response
}
