//! GitHub's routes about runs.

use super::Scenario;
use super::routes::{Ctx, refusal, text};
use super::state::{Dispatch, Run};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Map, Value, json};
use std::collections::HashMap;

pub(super) fn routes() -> Router<Ctx> {
    Router::new()
        .route("/repos/{owner}/{repo}/actions/workflows/{file}/runs", get(list))
        .route("/repos/{owner}/{repo}/actions/runs/{id}", get(read))
        .route("/repos/{owner}/{repo}/actions/runs/{id}/jobs", get(jobs))
        .route(
            "/repos/{owner}/{repo}/actions/runs/{id}/attempts/{number}",
            get(read_attempt),
        )
        .route(
            "/repos/{owner}/{repo}/actions/runs/{id}/attempts/{number}/jobs",
            get(jobs_of_attempt),
        )
        .route(
            "/repos/{owner}/{repo}/actions/runs/{id}/pending_deployments",
            get(pending_deployments),
        )
        .route("/repos/{owner}/{repo}/actions/runs/{id}/cancel", post(cancel))
        .route(
            "/repos/{owner}/{repo}/actions/runs/{id}/force-cancel",
            post(force_cancel),
        )
        .route("/repos/{owner}/{repo}/actions/jobs/{id}/logs", get(redirect_to_log))
        .route("/repos/{owner}/{repo}/check-runs/{id}/annotations", get(annotations))
}

async fn list(
    State(ctx): State<Ctx>,
    Path((owner, repo, workflow)): Path<(String, String, String)>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let per_page = query
        .get("per_page")
        .and_then(|text| text.parse().ok())
        .unwrap_or(30_usize)
        .min(100);
    let repository = format!("{owner}/{repo}");
    let state = ctx.shared.state();
    let runs: Vec<Value> = state
        .runs
        .iter()
        .rev()
        .filter(|run| run.workflow == workflow && run.repository == repository && !run.hidden)
        .map(|run| run.to_json(&ctx.base))
        .collect();
    Json(json!({ "total_count": runs.len(), "workflow_runs": runs[..runs.len().min(per_page)] })).into_response()
}

type RunPath = Path<(String, String, i64)>;

async fn read(State(ctx): State<Ctx>, Path((_, _, id)): RunPath) -> Response {
    with_run(&ctx, id, |run| Json(run.to_json(&ctx.base)).into_response())
}

async fn jobs(State(ctx): State<Ctx>, Path((_, _, id)): RunPath) -> Response {
    with_run(&ctx, id, |run| list_jobs(run, &ctx.base))
}

type AttemptPath = Path<(String, String, i64, i64)>;

async fn read_attempt(State(ctx): State<Ctx>, Path((_, _, id, number)): AttemptPath) -> Response {
    with_run(&ctx, id, |run| match run.in_attempt(number) {
        Some(run) => Json(run.to_json(&ctx.base)).into_response(),
        None => refusal(StatusCode::NOT_FOUND, "Not Found"),
    })
}

async fn jobs_of_attempt(State(ctx): State<Ctx>, Path((_, _, id, number)): AttemptPath) -> Response {
    with_run(&ctx, id, |run| match run.in_attempt(number) {
        Some(run) => list_jobs(run, &ctx.base),
        None => refusal(StatusCode::NOT_FOUND, "Not Found"),
    })
}

fn list_jobs(run: &Run, base: &str) -> Response {
    let jobs = run.jobs_to_json(base);
    Json(json!({ "total_count": jobs.len(), "jobs": jobs })).into_response()
}

/// GitHub's `pending-deployment`: an environment with a person and a team that may approve.
async fn pending_deployments(State(ctx): State<Ctx>, Path((_, _, id)): RunPath) -> Response {
    with_run(&ctx, id, |run| {
        if run.status != "waiting" {
            return Json(json!([])).into_response();
        }
        Json(json!([{
            "environment": {
                "id": 161_088_068, "node_id": "MDExOkVudmlyb25tZW50MTYxMDg4MDY4", "name": "production",
                "url": format!("{}/repos/{}/environments/production", ctx.base, run.repository),
                "html_url": format!("{}/{}/deployments/activity_log", ctx.base, run.repository),
            },
            "wait_timer": 0,
            "wait_timer_started_at": null,
            "current_user_can_approve": false,
            "reviewers": [
                { "type": "User", "reviewer": { "login": "grace", "id": 1, "type": "User", "site_admin": false } },
                { "type": "Team", "reviewer": { "id": 2, "name": "Operations", "slug": "operations" } },
            ],
        }]))
        .into_response()
    })
}

async fn cancel(State(ctx): State<Ctx>, Path((_, _, id)): RunPath) -> Response {
    stop(&ctx, id, false)
}

async fn force_cancel(State(ctx): State<Ctx>, Path((_, _, id)): RunPath) -> Response {
    stop(&ctx, id, true)
}

fn stop(ctx: &Ctx, id: i64, force: bool) -> Response {
    let mut state = ctx.shared.state();
    let Some(run) = state.runs.iter().find(|run| run.id == id) else {
        return refusal(StatusCode::NOT_FOUND, "Not Found");
    };
    if run.conclusion.is_some() {
        return refusal(StatusCode::CONFLICT, "Cannot cancel a workflow run that is completed.");
    }
    match run.scenario {
        Scenario::CancelRefused if !force => {
            return refusal(
                StatusCode::CONFLICT,
                "Cannot cancel a workflow re-run that has not yet queued.",
            );
        }
        Scenario::Deaf if !force => {}
        // A run that is played ends by itself once it is told to.
        _ if ctx.shared.play && run.is_played() => run.cancel.cancel(),
        _ => state.change_run(id, |run| {
            run.conclude("cancelled", Some("The run was canceled by @console."));
        }),
    }
    (StatusCode::ACCEPTED, Json(json!({}))).into_response()
}

/// GitHub keeps logs elsewhere, and gives an address that needs no token.
async fn redirect_to_log(State(ctx): State<Ctx>, Path((_, _, id)): RunPath) -> Response {
    with_job(&ctx, id, |run| {
        // There is none before the job has ended.
        if run.conclusion.is_none() {
            return refusal(StatusCode::NOT_FOUND, "Not Found");
        }
        let elsewhere = format!("/stand-in/logs/{id}");
        (StatusCode::FOUND, [(header::LOCATION, elsewhere)]).into_response()
    })
}

/// The address elsewhere: it refuses a request that carries a token, as a store of signed addresses does.
pub(super) async fn log(State(ctx): State<Ctx>, Path(id): Path<i64>, headers: HeaderMap) -> Response {
    if text(&headers, "authorization").is_some() {
        return (StatusCode::BAD_REQUEST, "Only one auth mechanism allowed").into_response();
    }
    with_job(&ctx, id, |run| run.log.clone().into_response())
}

async fn annotations(State(ctx): State<Ctx>, Path((_, _, id)): RunPath) -> Response {
    with_job(&ctx, id, |run| {
        let annotation = |message: &String| {
            json!({
                "path": ".github", "start_line": 1, "end_line": 1, "start_column": null, "end_column": null,
                "annotation_level": "failure", "title": "", "message": message, "raw_details": "", "blob_href": "",
            })
        };
        Json(run.annotations.iter().map(annotation).collect::<Value>()).into_response()
    })
}

fn with_run(ctx: &Ctx, id: i64, answer: impl FnOnce(&Run) -> Response) -> Response {
    let state = ctx.shared.state();
    match state.runs.iter().find(|run| run.id == id) {
        Some(run) => answer(run),
        None => refusal(StatusCode::NOT_FOUND, "Not Found"),
    }
}

/// The run whose job has this id, as it was in the job's attempt.
fn with_job(ctx: &Ctx, id: i64, answer: impl FnOnce(&Run) -> Response) -> Response {
    let state = ctx.shared.state();
    let mut attempts = state
        .runs
        .iter()
        .flat_map(|run| std::iter::once(run).chain(&run.earlier));
    match attempts.find(|run| run.job_id() == id) {
        Some(run) => answer(run),
        None => refusal(StatusCode::NOT_FOUND, "Not Found"),
    }
}

/// Starts a run that no dispatch asked for. Its id.
pub(super) fn start_by_hand(ctx: &Ctx, repository: &str, workflow: &str, by: &str) -> i64 {
    let shared = &ctx.shared;
    let chosen = shared.state().chosen().get(workflow).copied();
    let otherwise = if shared.play { Scenario::Slow } else { Scenario::Queued };
    let dispatch = Dispatch {
        workflow: workflow.to_owned(),
        git_ref: "main".to_owned(),
        inputs: Map::new(),
        api_version: None,
        return_run_details: false,
        scenario: chosen.unwrap_or(otherwise),
    };
    let run = shared.state().start_run(repository, &dispatch);
    shared.state().change_run(run.id, |run| by.clone_into(&mut run.by));
    let id = run.id;
    super::play::begin(ctx.clone(), run);
    id
}

/// For people: runs a run that has ended again.
pub(super) async fn run_again(State(ctx): State<Ctx>, Path(id): Path<i64>) -> Response {
    let mut state = ctx.shared.state();
    let Some(run) = state.runs.iter().find(|run| run.id == id) else {
        return refusal(StatusCode::NOT_FOUND, "Not Found");
    };
    if run.conclusion.is_none() {
        return refusal(
            StatusCode::FORBIDDEN,
            "This workflow run cannot be rerun: it has not ended",
        );
    }
    state.change_run(id, |run| {
        run.run_again("octocat");
        run.scenario = Scenario::Succeed;
    });
    let run = state.runs.iter().find(|run| run.id == id).cloned();
    drop(state);
    if let Some(run) = run {
        super::play::begin(ctx, run);
    }
    Redirect::to("/").into_response()
}

/// For people: approves a run that waits for it.
pub(super) async fn approve(State(ctx): State<Ctx>, Path(id): Path<i64>) -> Response {
    let run = {
        let mut state = ctx.shared.state();
        state.change_run(id, |run| {
            if run.status == "waiting" {
                (run.status, run.scenario) = ("queued", Scenario::Succeed);
            }
        });
        state.runs.iter().find(|run| run.id == id).cloned()
    };
    let Some(run) = run else {
        return refusal(StatusCode::NOT_FOUND, "Not Found");
    };
    if run.status == "queued" {
        super::play::begin(ctx.clone(), run);
    }
    Redirect::to("/").into_response()
}
