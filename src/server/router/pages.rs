//! The pages: rendered here, taken over by the browser.

use super::super::Console;
use super::{guard, headers};
use crate::domain::{Caller, Gate};
use crate::ui::shell;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
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
