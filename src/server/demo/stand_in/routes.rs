//! GitHub's routes, as far as the console uses them, and the stand-in's own.

use super::connection::Cut;
use super::record::{self, OnPurpose};
use super::state::{Dispatch, Run};
use super::{Scenario, Shared, UnknownScenario, app, deployments, gate, issuer, pages, play, repositories, runs};
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Form, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio_util::io::ReaderStream;

const NEWER_VERSION: &str = "2026-03-10";

#[derive(Clone)]
pub(super) struct Ctx {
    pub(super) shared: Arc<Shared>,
    pub(super) base: String,
}

pub(super) fn routes(shared: Arc<Shared>, addr: SocketAddr) -> Router {
    let ctx = Ctx {
        shared,
        base: format!("http://{addr}"),
    };
    runs::routes()
        .merge(repositories::routes())
        .merge(deployments::routes())
        .route(
            "/repos/{owner}/{repo}/actions/workflows/{file}/dispatches",
            post(dispatch),
        )
        .route_layer(from_fn_with_state(ctx.clone(), gate::gate))
        .merge(app::routes())
        .fallback(|| async { refusal(StatusCode::NOT_FOUND, "Not Found") })
        // So far it is GitHub's, and what is asked for in vain.
        .layer(from_fn_with_state(ctx.clone(), record::record))
        // The issuer of its runs' tokens
        .merge(issuer::routes())
        // For people
        .route("/", get(pages::overview))
        .route("/{owner}/{repo}/actions/runs/{id}", get(pages::run))
        // For tests and for people's forms
        .route("/stand-in/dispatches", get(dispatches))
        .route("/stand-in/scenario", post(choose_scenario))
        .route("/stand-in/scenario/form", post(choose_scenario_by_form))
        .route("/stand-in/by-hand", post(start_by_hand))
        .route("/stand-in/health", post(choose_health))
        .route("/stand-in/approve/{id}", post(runs::approve))
        .route("/stand-in/run-again/{id}", post(runs::run_again))
        .route("/stand-in/logs/{id}", get(runs::log))
        .route("/health/{slug}", get(health))
        .with_state(ctx)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DispatchBody {
    #[serde(rename = "ref")]
    git_ref: String,
    #[serde(default)]
    inputs: Map<String, Value>,
    return_run_details: Option<bool>,
}

async fn dispatch(
    State(ctx): State<Ctx>,
    ConnectInfo(cut): ConnectInfo<Cut>,
    Path((owner, repo, workflow)): Path<(String, String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if !headers.contains_key(header::USER_AGENT) {
        return refusal(StatusCode::FORBIDDEN, "Request forbidden by administrative rules.");
    }
    let Ok(body) = serde_json::from_slice::<DispatchBody>(&body) else {
        return refusal(StatusCode::UNPROCESSABLE_ENTITY, "Invalid request.");
    };
    let dispatch = {
        let mut state = ctx.shared.state();
        let scenario = state.scenario(&workflow, &body.inputs);
        let dispatch = Dispatch {
            workflow,
            git_ref: body.git_ref,
            inputs: body.inputs,
            api_version: text(&headers, "x-github-api-version"),
            return_run_details: body.return_run_details == Some(true),
            scenario,
        };
        state.dispatches.push(dispatch.clone());
        dispatch
    };
    ctx.shared.changed.notify_waiters();
    let repository = format!("{owner}/{repo}");
    answer(&ctx, &cut, &repository, &dispatch).await
}

/// Refuses, or starts the run and then answers as the scenario has it.
async fn answer(ctx: &Ctx, cut: &Cut, repository: &str, dispatch: &Dispatch) -> Response {
    use Scenario as S;
    if let Some(refused) = refused(dispatch) {
        return refused;
    }
    let run = ctx.shared.state().start_run(repository, dispatch);
    play::begin(ctx.clone(), run.clone());
    tokio::time::sleep(ctx.shared.latency()).await;
    match dispatch.scenario {
        S::Error500Accepted => refusal(StatusCode::INTERNAL_SERVER_ERROR, "Server Error"),
        S::Drop => {
            cut.now();
            (Extension(OnPurpose), StatusCode::OK).into_response()
        }
        S::Hang => std::future::pending().await,
        S::Hold => {
            let mut released = ctx.shared.released.subscribe();
            // It can only fail when the stand-in ends, and then nobody is answered anyway.
            drop(released.wait_for(|released| *released).await);
            accepted(ctx, &run)
        }
        S::NoDetails => StatusCode::NO_CONTENT.into_response(),
        S::NotJson => (Extension(OnPurpose), "<html><body>Unicorn!</body></html>").into_response(),
        S::Huge => endless(),
        _ if dispatch.return_run_details || names_every_run(dispatch) => accepted(ctx, &run),
        _ => StatusCode::NO_CONTENT.into_response(),
    }
}

fn refused(dispatch: &Dispatch) -> Option<Response> {
    use Scenario as S;
    Some(match dispatch.scenario {
        S::Refuse => refusal(
            StatusCode::UNPROCESSABLE_ENTITY,
            "Unexpected inputs provided: [\"console_deploy_id\"]",
        ),
        S::Refuse401 => refusal(StatusCode::UNAUTHORIZED, "Bad credentials"),
        S::Refuse403 => {
            let refusal = refusal(
                StatusCode::FORBIDDEN,
                "Resource not accessible by personal access token",
            );
            ([("x-accepted-github-permissions", "actions=write")], refusal).into_response()
        }
        S::Refuse404 => refusal(StatusCode::NOT_FOUND, "Not Found"),
        S::Refuse429 => {
            let refusal = refusal(
                StatusCode::TOO_MANY_REQUESTS,
                "You have exceeded a secondary rate limit.",
            );
            ([(header::RETRY_AFTER, "30")], refusal).into_response()
        }
        S::RateLimited => gate::rate_limited(120),
        S::SecondaryLimit => gate::secondary_limit(60),
        S::Error500 => refusal(StatusCode::INTERNAL_SERVER_ERROR, "Server Error"),
        S::Error502 => {
            let page = "<html><h1>502 Bad Gateway</h1></html>";
            (StatusCode::BAD_GATEWAY, Extension(OnPurpose), page).into_response()
        }
        S::Redirect => (Extension(OnPurpose), Redirect::temporary("/elsewhere")).into_response(),
        _ if names_every_run(dispatch) && dispatch.return_run_details => refusal(
            StatusCode::UNPROCESSABLE_ENTITY,
            "\"return_run_details\" is not a permitted key.",
        ),
        _ => return None,
    })
}

/// From its newer version on, the API names the run without being asked.
fn names_every_run(dispatch: &Dispatch) -> bool {
    dispatch.api_version.as_deref() == Some(NEWER_VERSION)
}

fn accepted(ctx: &Ctx, run: &Run) -> Response {
    Json(json!({
        "workflow_run_id": run.id,
        "run_url": format!("{}/repos/{}/actions/runs/{}", ctx.base, run.repository, run.id),
        "html_url": run.html_url(&ctx.base),
    }))
    .into_response()
}

/// White space without end: valid so far, for ever.
fn endless() -> Response {
    let spaces = ReaderStream::new(tokio::io::repeat(b' '));
    let headers = [(header::CONTENT_TYPE, "application/json")];
    (Extension(OnPurpose), headers, Body::from_stream(spaces)).into_response()
}

async fn dispatches(State(ctx): State<Ctx>) -> Response {
    let dispatches = ctx.shared.state().dispatches.clone();
    Json(json!({ "count": dispatches.len(), "dispatches": dispatches })).into_response()
}

#[derive(Deserialize)]
struct Choice {
    workflow: String,
    scenario: String,
}

/// An empty scenario takes the choice back.
async fn choose_scenario(State(ctx): State<Ctx>, Json(choice): Json<Choice>) -> Response {
    let scenario = Some(choice.scenario.as_str())
        .filter(|name| !name.is_empty())
        .map(str::parse)
        .transpose();
    match scenario {
        Ok(scenario) => {
            ctx.shared.state().choose(&choice.workflow, scenario);
            StatusCode::NO_CONTENT.into_response()
        }
        Err(error) => refusal(StatusCode::UNPROCESSABLE_ENTITY, &UnknownScenario::to_string(&error)),
    }
}

async fn choose_scenario_by_form(State(ctx): State<Ctx>, Form(choice): Form<Choice>) -> Response {
    match choose_scenario(State(ctx), Json(choice)).await {
        chosen if chosen.status().is_success() => Redirect::to("/").into_response(),
        refused => refused,
    }
}

#[derive(Deserialize)]
struct ByHand {
    repository: String,
    workflow: String,
}

/// As `gh workflow run` would: without the console.
async fn start_by_hand(State(ctx): State<Ctx>, Form(wish): Form<ByHand>) -> Redirect {
    runs::start_by_hand(&ctx, &wish.repository, &wish.workflow, "octocat");
    Redirect::to("/")
}

#[derive(Deserialize)]
struct HealthChoice {
    slug: String,
    status: u16,
}

async fn choose_health(State(ctx): State<Ctx>, Json(choice): Json<HealthChoice>) -> StatusCode {
    ctx.shared.state().health.insert(choice.slug, choice.status);
    StatusCode::NO_CONTENT
}

async fn health(State(ctx): State<Ctx>, Path(slug): Path<String>) -> Response {
    let status = ctx.shared.state().health.get(&slug).copied().unwrap_or(200);
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    (status, format!("{slug}: {status}\n")).into_response()
}

/// GitHub's `basic-error`.
pub(super) fn refusal(status: StatusCode, message: &str) -> Response {
    let body = json!({
        "message": message,
        "documentation_url": "https://docs.github.com/rest",
        "status": status.as_u16().to_string(),
    });
    (status, Json(body)).into_response()
}

pub(super) fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned)
}
