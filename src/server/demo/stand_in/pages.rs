//! The stand-in's pages for people: plain, and plain about what they are.

use super::Scenario;
use super::routes::Ctx;
use super::state::Run;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use std::collections::BTreeSet;

/// The demo's workflows, with their repositories: they can be told what to do before they were ever dispatched.
const KNOWN_WORKFLOWS: [(&str, &str); 4] = [
    ("raxx/api", "deploy-heroku.yml"),
    ("raxx/console", "deploy-console.yml"),
    ("raxx/docs", "deploy-customer-docs.yml"),
    ("raxx/status", "deploy-status-page.yml"),
];

const STYLE: &str = "<style>:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;\
    margin:2rem auto;padding:0 1rem}form{display:flex;gap:.75rem;flex-wrap:wrap;align-items:end;margin:1rem 0}\
    label{display:grid}select,button{font:inherit;padding:.4rem .6rem;max-width:100%}li{margin:.25rem 0}</style>";

/// `/`: choose what happens, and see what happened.
pub(super) async fn overview(State(ctx): State<Ctx>) -> Html<String> {
    let state = ctx.shared.state();
    let known = KNOWN_WORKFLOWS.iter().map(|(_, workflow)| (*workflow).to_owned());
    let workflows: BTreeSet<String> = known
        .chain(state.dispatches.iter().map(|dispatch| dispatch.workflow.clone()))
        .collect();
    let forms: String = workflows
        .iter()
        .map(|workflow| form(workflow, state.chosen().get(workflow).copied()))
        .collect();
    let by_hand: String = KNOWN_WORKFLOWS.iter().map(by_hand).collect();
    let runs: String = state.runs.iter().rev().map(|run| run_item(run, &ctx.base)).collect();
    let runs = if runs.is_empty() {
        "<p>None yet.</p>".to_owned()
    } else {
        format!("<ul>{runs}</ul>")
    };
    page(
        "Stand-in for GitHub",
        &format!(
            "<p>Nothing here is GitHub. It answers the console as GitHub would, and plays runs with the real action.</p>\
             <h2>What happens to the next dispatch</h2>{forms}<h2>Start a run by hand, without the console</h2>{by_hand}<h2>Runs</h2>{runs}"
        ),
    )
}

/// `/{owner}/{repo}/actions/runs/{id}`: where a record's link to its run leads.
pub(super) async fn run(State(ctx): State<Ctx>, Path((_, _, id)): Path<(String, String, i64)>) -> Response {
    let state = ctx.shared.state();
    let Some(run) = state.runs.iter().find(|run| run.id == id) else {
        return (
            StatusCode::NOT_FOUND,
            page("No such run", "<p><a href=\"/\">All runs</a></p>"),
        )
            .into_response();
    };
    let steps: String = run
        .steps
        .iter()
        .map(|step| {
            format!(
                "<li>{}: {}</li>",
                escape(&step.name),
                step.conclusion.unwrap_or(step.status)
            )
        })
        .collect();
    let button = |path: &str, text: &str| {
        format!("<form method=\"post\" action=\"/stand-in/{path}/{id}\"><button>{text}</button></form>")
    };
    let button = if run.status == "waiting" {
        button("approve", "Approve")
    } else if run.conclusion.is_some() {
        button("run-again", "Re-run all jobs")
    } else {
        String::new()
    };
    let body = format!(
        "<p>{} of {}, from {}: <strong>{}</strong>, attempt {}</p>{button}<ol>{steps}</ol><p><a href=\"/\">All runs</a></p>",
        escape(&run.title()),
        escape(&run.repository),
        escape(&run.git_ref),
        run.conclusion.unwrap_or(run.status),
        run.attempt,
    );
    page(&format!("Run {id}"), &body).into_response()
}

fn form(workflow: &str, chosen: Option<Scenario>) -> String {
    let options: String = Scenario::ALL
        .iter()
        .map(|scenario| {
            let selected = if chosen == Some(*scenario) { " selected" } else { "" };
            format!(
                "<option value=\"{scenario}\"{selected}>{scenario} –{}</option>",
                scenario.description()
            )
        })
        .collect();
    let name = escape(workflow);
    format!(
        "<form method=\"post\" action=\"/stand-in/scenario/form\"><input type=\"hidden\" name=\"workflow\" value=\"{name}\">\
         <label>{name}<select name=\"scenario\">\
         <option value=\"\">what the site's inputs order, or succeed</option>{options}</select></label><button>Choose</button></form>"
    )
}

fn by_hand((repository, workflow): &(&str, &str)) -> String {
    format!(
        "<form method=\"post\" action=\"/stand-in/by-hand\"><input type=\"hidden\" name=\"repository\" value=\"{repository}\">\
         <input type=\"hidden\" name=\"workflow\" value=\"{workflow}\"><button>{workflow} of {repository}</button></form>"
    )
}

fn run_item(run: &Run, base: &str) -> String {
    let state = run.conclusion.unwrap_or(run.status);
    format!(
        "<li><a href=\"{}\">Run {}</a> {}: {state}</li>",
        escape(&run.html_url(base)),
        run.id,
        escape(&run.title())
    )
}

fn page(title: &str, body: &str) -> Html<String> {
    Html(format!(
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\"><title>{title}</title>{STYLE}</head>\
         <body><main><h1>{title}</h1>{body}</main></body></html>"
    ))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
