//! The whole route table.
//!
//! The only room of the server that knows the pages and the server functions.

mod adapter;
pub mod calls;

use super::Console;
use crate::api::{GetBoard, GetDeploy, GetHistory, GetSite, ReportStatus};
use crate::domain::{Problem, Refusal};
use crate::ui::shell;
use adapter::Moved;
use axum::Router;
use axum::extract::{Path, Request, State};
use axum::handler::Handler;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use leptos::config::LeptosOptions;
use leptos::prelude::provide_context;
use memory_serve::{CacheControl, MemoryServe};
use server_fn::ServerFn;
use std::pin::Pin;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::csrf::{CsrfLayer, ProtectionError};
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::trace::TraceLayer;

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Every route of the console, ready to be served.
pub fn routes(console: Console) -> Router {
    let page = get(pages(console.clone()));
    let asked_by_people = Router::new()
        // The API, for the pages and for scripts
        .route("/api/internal/deploys", post(adapter::call))
        .route("/api/internal/deploys/{id}", get(read_deploy))
        .route(GetDeploy::PATH, get(adapter::call))
        .route(GetBoard::PATH, get(adapter::call))
        .route(GetHistory::PATH, get(adapter::call))
        .route(GetSite::PATH, get(adapter::call))
        // The pages
        .route("/", page.clone())
        .route("/deploys", page.clone())
        .route("/deploys/{id}", page.clone())
        .route("/sites/{slug}", page)
        .fallback(pages(console.clone()).layer(axum::middleware::map_response(not_found)))
        // What a browser sends on behalf of another site is not the operator's wish.
        .layer(own_pages_only(&console));
    Router::new()
        // The callback carries its own authority, a signature, and comes from no browser.
        .route("/api/internal/deploys/{id}/status", post(report_status))
        .route("/api/{*rest}", any(no_such_route))
        .route("/healthz", get(StatusCode::NO_CONTENT))
        .route("/readyz", get(ready))
        .merge(assets())
        .merge(asked_by_people)
        .method_not_allowed_fallback(wrong_method)
        .layer(header_layer(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(header_layer(header::REFERRER_POLICY, "same-origin"))
        .layer(header_layer(header::X_FRAME_OPTIONS, "DENY"))
        .layer(CatchPanicLayer::custom(|_| broken().into_response()))
        .layer(TraceLayer::new_for_http())
        .with_state(console)
}

/// Browsers say where a request comes from. Behind a proxy that changes the host's name, `CONSOLE_URL` tells ours.
fn own_pages_only(
    console: &Console,
) -> CsrfLayer<impl Fn(ProtectionError) -> Response + Clone + Send + Sync + 'static> {
    let origin = console
        .public_url
        .as_deref()
        .and_then(|url| url::Url::parse(url).ok())
        .map(|url| url.origin());
    let layer = CsrfLayer::new();
    let layer = match origin {
        Some(origin) => layer
            .add_trusted_origin(origin.ascii_serialization())
            .unwrap_or_default(),
        None => layer,
    };
    layer.with_rejection_response(|_| foreign().into_response())
}

/// `GET /api/internal/deploys/{id}`: the server function by the path that the contract gives it.
async fn read_deploy(State(console): State<Console>, Path(id): Path<String>, request: Request) -> Response {
    let Ok(deploy) = id.parse() else {
        return Refusal::new(Problem::NotFound, "There is no such deploy.").into_response();
    };
    adapter::call_moved::<GetDeploy>(console, Moved::Query(deploy), request).await
}

/// `POST /api/internal/deploys/{id}/status`: the id moves out of the path; the signature decides first.
async fn report_status(State(console): State<Console>, Path(id): Path<String>, request: Request) -> Response {
    adapter::call_moved::<ReportStatus>(console, Moved::Extension(id), request).await
}

/// The files that the browser asks for, inside the binary and compressed ahead of time.
fn assets() -> Router<Console> {
    let files: MemoryServe = memory_serve::load!();
    // Their names stay the same from version to version, so a browser asks each time; mostly it is told 304.
    files
        .index_file(None)
        .cache_control(CacheControl::NoCache)
        .into_router()
}

/// Renders a page on the server; the browser takes it over from there.
fn pages(console: Console) -> impl Fn(Request) -> BoxFuture<Response> + Clone + Send + Sync + 'static {
    // Whoever came first set it, to the same.
    let _set = any_spawner::Executor::init_tokio();
    let options = LeptosOptions::builder().output_name(env!("CARGO_PKG_NAME")).build();
    let render = leptos_axum::render_app_async_with_context(
        move || {
            provide_context(console.about());
            provide_context(console.clone());
        },
        move || shell(options.clone()),
    );
    move |request: Request| {
        let rendered = render(request);
        Box::pin(async move { fresh(rendered.await) })
    }
}

/// A page is drawn anew each time; the back button must not show an old tile as if it were true.
fn fresh(response: impl IntoResponse) -> Response {
    let mut response = response.into_response();
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn not_found(mut response: Response) -> Response {
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}

async fn no_such_route() -> Response {
    Refusal::new(
        Problem::NotFound,
        "The API has no such route. Look at the path and the method.",
    )
    .into_response()
}

async fn wrong_method(request: Request) -> Response {
    Refusal::new(
        Problem::MethodNotAllowed,
        format!("{} is not for this route.", request.method()),
    )
    .into_response()
}

/// Whether requests can be served: the database answers.
async fn ready(State(console): State<Console>) -> Response {
    match console.store.ping().await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => Refusal::from(error).into_response(),
    }
}

fn foreign() -> Refusal {
    Refusal::new(
        Problem::Forbidden,
        "This request was made by a page of another site, and was not carried out.",
    )
}

fn broken() -> Refusal {
    Refusal::new(
        Problem::Internal,
        "The console failed while it answered. Its log says where.",
    )
}

fn header_layer(name: HeaderName, value: &'static str) -> SetResponseHeaderLayer<HeaderValue> {
    SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
}
