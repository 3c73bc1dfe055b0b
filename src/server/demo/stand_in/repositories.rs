//! GitHub's routes about how a repository is set up: its workflows' files, its secrets' names, its variables.
//!
//! Every repository has the deploy workflows of this one, as they are.

use super::routes::{Ctx, refusal};
use super::state::HEAD_SHA;
use crate::server::clock;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use time::OffsetDateTime;
use time::macros::format_description;

const FILES: [(&str, &str); 4] = [
    (
        "deploy-console.yml",
        include_str!("../../../../.github/workflows/deploy-console.yml"),
    ),
    (
        "deploy-customer-docs.yml",
        include_str!("../../../../.github/workflows/deploy-customer-docs.yml"),
    ),
    (
        "deploy-heroku.yml",
        include_str!("../../../../.github/workflows/deploy-heroku.yml"),
    ),
    (
        "deploy-status-page.yml",
        include_str!("../../../../.github/workflows/deploy-status-page.yml"),
    ),
];
/// The stand-in takes one input more: its workflows must declare it, or GitHub would refuse it.
const SCENARIO: &str = "    inputs:\n      scenario:\n        required: false\n        default: \"\"\n";
/// The settings that every repository has, beside the variable with the console's address.
const SECRET: &str = "actions/secrets/CONSOLE_CALLBACK_SECRET";
const URL: &str = "actions/variables/CONSOLE_URL";
/// How long GitHub's lines of base64 are.
const LINE: usize = 60;
/// When everything here was made.
const MADE_AT: &str = "2026-01-02T03:04:05Z";

/// How the repositories are set up, and what GitHub says of the token and the time. Repositories are alike.
#[derive(Debug, Clone)]
pub struct SetUp {
    /// The branch from which workflows are dispatched.
    pub default_branch: String,
    /// Whether they are read-only.
    pub archived: bool,
    /// Whether GitHub has closed them.
    pub disabled: bool,
    /// Whether the public cannot see them.
    pub private: bool,
    /// The role of the token's owner: `read` or `write`.
    pub role: &'static str,
    /// `active`, or why GitHub does not run the workflows.
    pub workflow_state: String,
    /// Texts of workflows by `owner/name/FILE`, or by `owner/name/FILE@REF` for one branch.
    pub files: BTreeMap<String, String>,
    /// Values of secrets and variables by the end of their path, such as `actions/secrets/NAME`,
    /// `actions/organization-variables/NAME` or `environments/heroku/secrets/NAME`.
    pub settings: BTreeMap<String, String>,
    /// Parts of paths, and the statuses with which those are answered.
    pub refused: BTreeMap<String, u16>,
    /// `x-oauth-scopes`: only classic tokens have them.
    pub scopes: Option<String>,
    /// `github-authentication-token-expiration`.
    pub expiration: Option<String>,
    /// How many seconds its clock is ahead.
    pub clock_ahead: i64,
}

impl Default for SetUp {
    fn default() -> Self {
        Self {
            default_branch: "main".to_owned(),
            archived: false,
            disabled: false,
            private: true,
            role: "write",
            workflow_state: "active".to_owned(),
            files: BTreeMap::new(),
            settings: BTreeMap::from([(SECRET.to_owned(), String::new())]),
            refused: BTreeMap::new(),
            scopes: None,
            expiration: None,
            clock_ahead: 0,
        }
    }
}

impl SetUp {
    /// The refusal that was ordered for this path.
    pub(super) fn refusal(&self, path: &str) -> Option<Response> {
        let (_, status) = self.refused.iter().find(|(part, _)| path.contains(part.as_str()))?;
        let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let message = match status {
            StatusCode::MOVED_PERMANENTLY => "Moved Permanently",
            StatusCode::UNAUTHORIZED => "Bad credentials",
            StatusCode::FORBIDDEN => "Resource not accessible by personal access token",
            StatusCode::NOT_FOUND => "Not Found",
            _ => "Server Error",
        };
        Some(refusal(status, message))
    }

    fn file(&self, repository: &str, file: &str, git_ref: &str) -> Option<String> {
        let put = self
            .files
            .get(&format!("{repository}/{file}@{git_ref}"))
            .or_else(|| self.files.get(&format!("{repository}/{file}")));
        let own = || FILES.iter().find(|(name, _)| *name == file);
        put.cloned()
            .or_else(|| own().map(|(_, text)| text.replacen("    inputs:\n", SCENARIO, 1)))
    }
}

pub(super) fn routes() -> Router<Ctx> {
    let repository = "/repos/{owner}/{repo}";
    let route = |path: &str| format!("{repository}{path}");
    Router::new()
        .route("/rate_limit", get(rate_limit))
        .route(repository, get(read))
        .route(&route("/contents/.github/workflows/{file}"), get(contents))
        .route(&route("/actions/workflows/{file}"), get(workflow))
        .route(&route("/actions/{kind}/{name}"), get(setting))
        .route(&route("/actions/organization-secrets"), get(shared_secrets))
        .route(&route("/actions/organization-variables"), get(shared_variables))
        .route(
            &route("/environments/{environment}/{kind}/{name}"),
            get(environment_setting),
        )
}

/// What GitHub says of the token and the time with every answer.
pub(super) fn with_identity(mut response: Response, set_up: &SetUp) -> Response {
    let mut headers = vec![
        ("x-oauth-scopes", set_up.scopes.clone()),
        ("github-authentication-token-expiration", set_up.expiration.clone()),
    ];
    if set_up.clock_ahead != 0 {
        headers.push(("date", date(set_up.clock_ahead)));
    }
    for (name, value) in headers {
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(&value).ok()) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

fn date(ahead: i64) -> Option<String> {
    let format =
        format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");
    let seconds = clock::now().as_millis() / 1000 + ahead;
    OffsetDateTime::from_unix_timestamp(seconds).ok()?.format(&format).ok()
}

async fn rate_limit() -> Response {
    let limit =
        json!({ "limit": 5_000, "used": 0, "remaining": 5_000, "reset": clock::now().as_millis() / 1000 + 3_600 });
    Json(json!({ "resources": { "core": limit, "search": limit }, "rate": limit })).into_response()
}

/// GitHub's `full-repository`, as far as it says what may be done here.
async fn read(State(ctx): State<Ctx>, Path((owner, repo)): Path<(String, String)>) -> Response {
    let state = ctx.shared.state();
    let set_up = &state.set_up;
    let writes = set_up.role == "write";
    Json(json!({
        "id": 1_296_269, "node_id": "MDEwOlJlcG9zaXRvcnkxMjk2MjY5",
        "name": repo, "full_name": format!("{owner}/{repo}"),
        "owner": { "login": owner, "id": 1, "type": "Organization", "site_admin": false },
        "private": set_up.private, "visibility": if set_up.private { "private" } else { "public" },
        "url": format!("{}/repos/{owner}/{repo}", ctx.base), "html_url": format!("{}/{owner}/{repo}", ctx.base),
        "fork": false, "default_branch": set_up.default_branch,
        "archived": set_up.archived, "disabled": set_up.disabled,
        "permissions": { "admin": false, "maintain": false, "push": writes, "triage": writes, "pull": true },
    }))
    .into_response()
}

type FilePath = Path<(String, String, String)>;

/// GitHub's `content-file`, its base64 in lines.
async fn contents(
    State(ctx): State<Ctx>,
    Path((owner, repo, file)): FilePath,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let state = ctx.shared.state();
    let git_ref = query.get("ref").unwrap_or(&state.set_up.default_branch);
    let Some(text) = state.set_up.file(&format!("{owner}/{repo}"), &file, git_ref) else {
        return refusal(StatusCode::NOT_FOUND, "Not Found");
    };
    let path = format!(".github/workflows/{file}");
    let url = format!("{}/repos/{owner}/{repo}/contents/{path}?ref={git_ref}", ctx.base);
    let page = format!("{}/{owner}/{repo}/blob/{git_ref}/{path}", ctx.base);
    let encoded = STANDARD.encode(&text);
    let lines = encoded.as_bytes().chunks(LINE).map(String::from_utf8_lossy);
    let content: String = lines.map(|line| format!("{line}\n")).collect();
    Json(json!({
        "type": "file", "encoding": "base64", "size": text.len(), "name": file, "path": path, "content": content,
        "sha": HEAD_SHA, "url": url, "git_url": null, "html_url": page, "download_url": null,
        "_links": { "self": url, "git": null, "html": page },
    }))
    .into_response()
}

/// GitHub's `workflow`.
async fn workflow(State(ctx): State<Ctx>, Path((owner, repo, file)): FilePath) -> Response {
    let state = ctx.shared.state();
    let set_up = &state.set_up;
    if set_up
        .file(&format!("{owner}/{repo}"), &file, &set_up.default_branch)
        .is_none()
    {
        return refusal(StatusCode::NOT_FOUND, "Not Found");
    }
    let (path, base) = (format!(".github/workflows/{file}"), &ctx.base);
    Json(json!({
        "id": 161_335, "node_id": "MDg6V29ya2Zsb3cxNjEzMzU=", "name": file, "path": path,
        "state": set_up.workflow_state, "created_at": MADE_AT, "updated_at": MADE_AT,
        "url": format!("{base}/repos/{owner}/{repo}/actions/workflows/161335"),
        "html_url": format!("{base}/{owner}/{repo}/blob/{}/{path}", set_up.default_branch),
        "badge_url": format!("{base}/{owner}/{repo}/workflows/{file}/badge.svg"),
    }))
    .into_response()
}

async fn setting(State(ctx): State<Ctx>, Path((_, _, kind, name)): Path<(String, String, String, String)>) -> Response {
    found(&ctx, &format!("actions/{kind}/{name}"), &name)
}

type EnvironmentPath = Path<(String, String, String, String, String)>;

async fn environment_setting(
    State(ctx): State<Ctx>,
    Path((_, _, environment, kind, name)): EnvironmentPath,
) -> Response {
    found(&ctx, &format!("environments/{environment}/{kind}/{name}"), &name)
}

fn found(ctx: &Ctx, key: &str, name: &str) -> Response {
    let put = ctx.shared.state().set_up.settings.get(key).cloned();
    // The address is known once the console listens.
    let value = put.or_else(|| (key == URL).then(|| ctx.shared.console_url()));
    match value {
        Some(value) => Json(shown(key, name, &value)).into_response(),
        None => refusal(StatusCode::NOT_FOUND, "Not Found"),
    }
}

/// GitHub's `actions-variable`, or `actions-secret`, which shows no value.
fn shown(key: &str, name: &str, value: &str) -> Value {
    let mut shown = json!({ "name": name, "created_at": MADE_AT, "updated_at": MADE_AT });
    if key.contains("variables/") {
        shown["value"] = json!(value);
    }
    shown
}

async fn shared_secrets(State(ctx): State<Ctx>) -> Response {
    shared(&ctx, "secrets")
}

async fn shared_variables(State(ctx): State<Ctx>) -> Response {
    shared(&ctx, "variables")
}

fn shared(ctx: &Ctx, kind: &str) -> Response {
    let prefix = format!("actions/organization-{kind}/");
    let state = ctx.shared.state();
    let settings = state.set_up.settings.iter();
    let listed: Vec<Value> = settings
        .filter_map(|(key, value)| Some(shown(key, key.strip_prefix(&prefix)?, value)))
        .collect();
    Json(json!({ "total_count": listed.len(), kind: listed })).into_response()
}
