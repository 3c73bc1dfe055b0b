//! GitHub's routes about deployments and their statuses.

use super::connection::Cut;
use super::gate;
use super::routes::{Ctx, refusal, text};
use super::state::HEAD_SHA;
use crate::domain::Timestamp;
use crate::server::clock;
use axum::extract::{ConnectInfo, Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::HashMap;

/// Ids begin where GitHub's are these days: beyond 31 bits.
const FIRST_DEPLOYMENT: i64 = 3_000_000_001;
/// GitHub takes no longer description of a status, in characters.
const MOST_DESCRIPTION: usize = 140;
const STATES: [&str; 7] = [
    "error",
    "failure",
    "inactive",
    "in_progress",
    "queued",
    "pending",
    "success",
];

/// What is wrong with GitHub when it is told of deployments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeploymentFault {
    /// 403: the token may not.
    Refuse403,
    /// 422: there is no such ref.
    Refuse422,
    /// 500, and nothing is created.
    Error500,
    /// 403 with `Retry-After`, in seconds.
    SecondaryLimit(u64),
    /// Creates the deployment, then drops the connection without an answer. Statuses are taken.
    DropCreated,
}

/// A deployment, as it was asked for.
#[derive(Debug, Clone)]
pub struct Deployment {
    /// Its id.
    pub id: i64,
    /// `owner/name`.
    pub repository: String,
    /// The body that asked for it.
    pub wish: DeploymentWish,
    /// Its statuses, oldest first.
    pub statuses: Vec<DeploymentStatus>,
    created_at: Timestamp,
}

/// The body that asks for a deployment. GitHub's defaults are for hosts whose pushes are merged and checked first.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeploymentWish {
    /// `ref`: a branch, a tag or a commit.
    #[serde(rename = "ref")]
    pub git_ref: String,
    /// `deploy` unless given.
    #[serde(default = "deploy")]
    pub task: String,
    /// Whether the default branch is merged into the ref first.
    #[serde(default = "yes")]
    pub auto_merge: bool,
    /// The checks that must have passed; every one unless given.
    pub required_contexts: Option<Vec<String>>,
    /// `production` unless given.
    #[serde(default = "production")]
    pub environment: String,
    /// Whether users are there.
    pub production_environment: Option<bool>,
    /// What people read.
    #[serde(default)]
    pub description: String,
    /// What is passed on.
    #[serde(default)]
    pub payload: Value,
}

/// A status of a deployment, as it was told.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeploymentStatus {
    /// `queued`, `in_progress`, `success` and others.
    pub state: String,
    /// What people read.
    #[serde(default)]
    pub description: String,
    /// Where its output is.
    #[serde(default)]
    pub log_url: String,
    /// Where the environment is.
    #[serde(default)]
    pub environment_url: String,
}

fn deploy() -> String {
    "deploy".to_owned()
}

fn production() -> String {
    "production".to_owned()
}

const fn yes() -> bool {
    true
}

pub(super) fn routes() -> Router<Ctx> {
    Router::new()
        .route("/repos/{owner}/{repo}/deployments", get(list).post(create))
        .route(
            "/repos/{owner}/{repo}/deployments/{id}/statuses",
            post(tell).get(statuses),
        )
}

async fn list(
    State(ctx): State<Ctx>,
    Path((owner, repo)): Path<(String, String)>,
    Query(query): Query<HashMap<String, String>>,
) -> Json<Value> {
    let repository = format!("{owner}/{repo}");
    let is = |name: &str, value: &str| query.get(name).is_none_or(|wanted| wanted == value);
    let state = ctx.shared.state();
    let found = state.deployments.iter().rev().filter(|deployment| {
        let wish = &deployment.wish;
        deployment.repository == repository
            && is("task", &wish.task)
            && is("environment", &wish.environment)
            && is("ref", &wish.git_ref)
    });
    Json(found.take(30).map(|deployment| deployment.to_json(&ctx.base)).collect())
}

async fn create(
    State(ctx): State<Ctx>,
    ConnectInfo(cut): ConnectInfo<Cut>,
    Path((owner, repo)): Path<(String, String)>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    if let Some(refused) = refused(&ctx, &headers) {
        return refused;
    }
    let Ok(wish) = serde_json::from_value::<DeploymentWish>(body) else {
        return invalid("Invalid request.");
    };
    if wish.auto_merge || wish.required_contexts.as_ref().is_none_or(|checks| !checks.is_empty()) {
        let words = format!("Conflict: Commit status checks failed for {}.", wish.git_ref);
        return refusal(StatusCode::CONFLICT, &words);
    }
    let mut state = ctx.shared.state();
    let deployment = Deployment {
        id: FIRST_DEPLOYMENT + i64::try_from(state.deployments.len()).unwrap_or_default(),
        repository: format!("{owner}/{repo}"),
        wish,
        statuses: Vec::new(),
        created_at: clock::now(),
    };
    state.deployments.push(deployment.clone());
    if state.deployment_fault == Some(DeploymentFault::DropCreated) {
        cut.now();
    }
    (StatusCode::CREATED, Json(deployment.to_json(&ctx.base))).into_response()
}

type DeploymentPath = Path<(String, String, i64)>;

async fn tell(
    State(ctx): State<Ctx>,
    Path((owner, repo, id)): DeploymentPath,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    if let Some(refused) = refused(&ctx, &headers) {
        return refused;
    }
    let is_valid = |status: &DeploymentStatus| {
        STATES.contains(&status.state.as_str()) && status.description.chars().count() <= MOST_DESCRIPTION
    };
    let Some(status) = serde_json::from_value(body).ok().filter(is_valid) else {
        return invalid("Validation Failed");
    };
    let repository = format!("{owner}/{repo}");
    let mut state = ctx.shared.state();
    let known = state.deployments.iter_mut();
    let Some(deployment) = known
        .filter(|known| known.repository == repository)
        .find(|known| known.id == id)
    else {
        return refusal(StatusCode::NOT_FOUND, "Not Found");
    };
    deployment.statuses.push(status);
    let number = deployment.statuses.len();
    let told = deployment.statuses.last().map(|status| status.to_json(number));
    (StatusCode::CREATED, Json(told)).into_response()
}

async fn statuses(State(ctx): State<Ctx>, Path((_, _, id)): DeploymentPath) -> Response {
    let state = ctx.shared.state();
    let Some(deployment) = state.deployments.iter().find(|known| known.id == id) else {
        return refusal(StatusCode::NOT_FOUND, "Not Found");
    };
    let told = deployment.statuses.iter().enumerate().rev();
    Json(told.map(|(index, status)| status.to_json(index + 1)).collect::<Value>()).into_response()
}

fn refused(ctx: &Ctx, headers: &HeaderMap) -> Option<Response> {
    let may_not = |words: &str| {
        let refusal = refusal(StatusCode::FORBIDDEN, words);
        ([("x-accepted-github-permissions", "deployments=write")], refusal).into_response()
    };
    let fault = ctx.shared.state().deployment_fault;
    match fault {
        _ if !is_permitted(ctx, headers) => Some(may_not("Resource not accessible by integration")),
        Some(DeploymentFault::Refuse403) => Some(may_not("Resource not accessible by personal access token")),
        Some(DeploymentFault::Refuse422) => Some(invalid("No ref found for: main")),
        Some(DeploymentFault::Error500) => Some(refusal(StatusCode::INTERNAL_SERVER_ERROR, "Server Error")),
        Some(DeploymentFault::SecondaryLimit(seconds)) => Some(gate::secondary_limit(seconds)),
        Some(DeploymentFault::DropCreated) | None => None,
    }
}

/// GitHub's `validation-error`, which has no `status`.
fn invalid(message: &str) -> Response {
    let body = json!({ "message": message, "documentation_url": "https://docs.github.com/rest" });
    (StatusCode::UNPROCESSABLE_ENTITY, Json(body)).into_response()
}

/// Where an App is known, its token must have been lent for this.
fn is_permitted(ctx: &Ctx, headers: &HeaderMap) -> bool {
    let state = ctx.shared.state();
    let header = text(headers, "authorization");
    let token = header.as_deref().and_then(|value| value.strip_prefix("Bearer "));
    let lent = state.lent.iter().find(|lent| Some(lent.token.as_str()) == token);
    lent.is_none_or(|lent| lent.permissions.get("deployments").map(String::as_str) == Some("write"))
}

impl Deployment {
    /// GitHub's `deployment`.
    fn to_json(&self, base: &str) -> Value {
        let url = format!("{base}/repos/{}/deployments/{}", self.repository, self.id);
        json!({
            "id": self.id,
            "node_id": format!("DE_{}", self.id),
            "sha": HEAD_SHA,
            "ref": self.wish.git_ref,
            "task": self.wish.task,
            "payload": self.wish.payload,
            "original_environment": self.wish.environment,
            "environment": self.wish.environment,
            "description": self.wish.description,
            "transient_environment": false,
            "production_environment": self.wish.production_environment.unwrap_or(self.wish.environment == "production"),
            "created_at": self.created_at,
            "updated_at": self.created_at,
            "statuses_url": format!("{url}/statuses"),
            "repository_url": format!("{base}/repos/{}", self.repository),
            "url": url,
        })
    }
}

impl DeploymentStatus {
    /// GitHub's `deployment-status`.
    fn to_json(&self, id: usize) -> Value {
        json!({
            "id": id,
            "state": self.state,
            "description": self.description,
            "log_url": self.log_url,
            "target_url": self.log_url,
            "environment_url": self.environment_url,
        })
    }
}
