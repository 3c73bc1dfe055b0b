//! The whole route table ([`table`]), and what hangs on each route.
//!
//! The only room of the server that knows the pages and the server functions.

mod adapter;
mod bounds;
pub mod calls;
mod gate;
mod guard;
mod headers;
mod pages;
pub mod table;

use super::{Console, auth, deploys, webhooks};
use crate::api::{CancelDeploy, GetDeploy, OverrideDeploy, ReportStatus};
use crate::domain::{Problem, Refusal};
use adapter::Moved;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, MatchedPath, Path, Request, State};
use axum::handler::Handler;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{from_fn, from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use axum::{Json, Router};
use memory_serve::{CacheControl, MemoryServe};
use pages::page;
use server_fn::ServerFn;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::csrf::{CsrfLayer, ProtectionError};
use tower_http::trace::TraceLayer;

/// The board, which everybody polls: what the server function says is made once for all of them.
const BOARD: &str = "/api/internal/board";
/// The one answer of the API that is no server function: it is a stream.
const EXPORT: &str = "/api/internal/audit.jsonl";
/// Where GitHub sends its webhooks: no server function either, for no page calls it.
const WEBHOOKS: &str = "/api/internal/github/webhooks";
/// The largest form that is taken, in bytes.
const MOST_FORM: usize = 16 * 1024;

/// Every route of the console, ready to be served.
pub fn routes(console: Console) -> Router {
    let secure = console.is_secure();
    let asked_by_people = Router::new()
        .merge(door())
        .merge(api())
        .merge(pages::routes())
        .fallback(pages::signed_in.layer(map_response(not_found)))
        // What a browser sends on behalf of another site is not the operator's wish.
        .layer(own_pages_only(&console));
    Router::new()
        // The callback carries its own authority, a signature, and comes from no browser.
        .route("/api/internal/deploys/{id}/status", post(report_status))
        .route(
            WEBHOOKS,
            post(webhook).layer(DefaultBodyLimit::max(webhooks::MOST_BODY)),
        )
        .route("/api/{*rest}", any(no_such_route))
        .route("/healthz", get(StatusCode::NO_CONTENT))
        .route("/readyz", get(ready))
        .merge(asked_by_people)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(console.clone(), guard::guard))
        .layer(console.sessions.layer(secure))
        .layer(from_fn(pages::in_words))
        .merge(assets())
        .layer(from_fn_with_state(console.clone(), bounds::bounded))
        .layer(from_fn_with_state(secure, headers::harden))
        .layer(CatchPanicLayer::custom(|_| broken().into_response()))
        .layer(TraceLayer::new_for_http().make_span_with(span))
        .with_state(console)
}

/// Signing in and out: plain forms.
fn door() -> Router<Console> {
    Router::new()
        .route("/sign-in", get(gate::sign_in_page).post(gate::sign_in))
        .route("/sign-in/oidc", get(gate::provider_begin))
        .route(auth::provider::CALLBACK, get(gate::provider_finish))
        .route("/sign-out", post(gate::sign_out))
        .route("/set-up/{token}", get(gate::set_up_page).post(gate::set_up))
        .route("/demo/{key}", get(gate::demo))
        .layer(DefaultBodyLimit::max(MOST_FORM))
}

/// The API, for the pages and for scripts: each route is a server function, most by their own path.
fn api() -> Router<Console> {
    let own_path =
        |path: &str| path.starts_with("/api/") && !path.contains('{') && ![BOARD, EXPORT, WEBHOOKS].contains(&path);
    let mut router = Router::new()
        .route(BOARD, get(read_board))
        .route("/api/internal/deploys/{id}", get(read_deploy))
        .route("/api/internal/deploys/{id}/cancel", post(about_deploy::<CancelDeploy>))
        .route(
            "/api/internal/deploys/{id}/override",
            post(about_deploy::<OverrideDeploy>),
        )
        .route(EXPORT, get(calls::export_audit));
    for (method, path, _) in table::TABLE.iter().filter(|(_, path, _)| own_path(path)) {
        router = router.route(path, axum::routing::on(filter(method), adapter::call));
    }
    router
}

/// `GET` or `POST`: the server functions know no other.
fn filter(method: &axum::http::Method) -> axum::routing::MethodFilter {
    if method == axum::http::Method::GET {
        axum::routing::MethodFilter::GET
    } else {
        axum::routing::MethodFilter::POST
    }
}

/// Browsers say where a request comes from. Behind a proxy that changes the host's name, `CONSOLE_URL` tells ours.
fn own_pages_only(
    console: &Console,
) -> CsrfLayer<impl Fn(ProtectionError) -> Response + Clone + Send + Sync + 'static> {
    let layer = CsrfLayer::new();
    let layer = match url::Url::parse(&console.base_url) {
        Ok(url) => layer
            .add_trusted_origin(url.origin().ascii_serialization())
            .unwrap_or_default(),
        Err(_) => layer,
    };
    layer.with_rejection_response(|_| foreign().into_response())
}

/// `GET /api/internal/board`: as the server function says it. Every role may see it.
async fn read_board(State(console): State<Console>, headers: HeaderMap) -> Result<Response, Refusal> {
    let reading = deploys::board(&console).await?;
    Ok(reading.answer.answer(headers.get(header::IF_NONE_MATCH)))
}

/// `GET /api/internal/deploys/{id}`: the server function by the path that the contract gives it.
async fn read_deploy(State(console): State<Console>, Path(id): Path<String>, request: Request) -> Response {
    let Ok(deploy) = id.parse() else {
        return Refusal::new(Problem::NotFound, "There is no such deploy.").into_response();
    };
    adapter::call_moved::<GetDeploy>(console, Moved::Query(deploy), request).await
}

/// `POST /api/internal/deploys/{id}/…`: the server function `F`, with the id beside the body.
async fn about_deploy<F: ServerFn>(
    State(console): State<Console>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    let Ok(deploy) = id.parse() else {
        return Refusal::new(Problem::NotFound, "There is no such deploy.").into_response();
    };
    adapter::call_moved::<F>(console, Moved::Body(deploy), request).await
}

/// `POST /api/internal/deploys/{id}/status`: the id moves out of the path; the signature decides first.
async fn report_status(State(console): State<Console>, Path(id): Path<String>, request: Request) -> Response {
    adapter::call_moved::<ReportStatus>(console, Moved::Extension(id), request).await
}

/// `POST /api/internal/github/webhooks`: what became of it, once it is noted.
async fn webhook(
    State(console): State<Console>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<webhooks::Taken>), Refusal> {
    let body = body.map_err(|rejected| match rejected.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Refusal::new(Problem::TooLarge, "A webhook may have at most 1 MiB."),
        _ => Refusal::new(Problem::Malformed, "The body could not be read to its end."),
    })?;
    let taken = webhooks::receive(&console, &headers, &body).await?;
    Ok((StatusCode::ACCEPTED, Json(taken)))
}

/// The files that the browser asks for, inside the binary and compressed ahead of time. They are no secret.
fn assets() -> Router<Console> {
    let files: MemoryServe = memory_serve::load!();
    // Their names stay the same from version to version, so a browser asks each time; mostly it is told 304.
    files
        .index_file(None)
        .cache_control(CacheControl::NoCache)
        .into_router()
}

/// What the log calls a request: its route and not its path, which may hold a one-time link or a code.
fn span(request: &Request) -> tracing::Span {
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or("unknown", MatchedPath::as_str);
    tracing::debug_span!("request", method = %request.method(), route)
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
