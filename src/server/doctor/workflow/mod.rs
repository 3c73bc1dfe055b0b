//! What a workflow's text says, and what of it would spoil a deploy. Pure: text in, findings out.
//!
//! Source: <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax>.

mod concurrency;
mod expression;
mod inputs;
mod notify;
mod trigger;

use super::Finding;
use crate::server::deploys::DEPLOY_ID_INPUT;
use crate::server::keyless::CallbackAuth;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What a workflow says, as far as it was checked.
#[derive(Debug, Default)]
pub(super) struct Checked {
    /// What was found, in the order of the file.
    pub(super) findings: Vec<Finding>,
    /// What the calls of the action take from GitHub.
    pub(super) uses: Uses,
}

/// What the calls of the action take from GitHub's settings.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Uses {
    /// The names of secrets that sign callbacks.
    pub(super) secrets: BTreeSet<String>,
    /// The names of variables that say where the console is.
    pub(super) variables: BTreeSet<String>,
    /// Addresses of the console that stand in the file itself.
    pub(super) addresses: BTreeSet<String>,
    /// The environments of the jobs that call it: their settings win.
    pub(super) environments: BTreeSet<String>,
    /// Whether such a job has an environment whose name is only known when it runs.
    pub(super) unknown_environment: bool,
}

/// Checks a workflow for a site that sends these inputs beside the deploy's id, and wants this of its callbacks.
pub(super) fn check(text: &str, sent: &BTreeMap<String, String>, auth: CallbackAuth) -> Checked {
    let workflow = match parse(text) {
        Ok(workflow) => workflow,
        Err(finding) => {
            return Checked {
                findings: vec![*finding],
                uses: Uses::default(),
            };
        }
    };
    let mut findings = vec![
        Finding::ok("workflow.yaml", "the file can be read"),
        trigger::check(&workflow),
    ];
    findings.extend(inputs::check(&workflow, sent));
    findings.push(run_name(&workflow));
    findings.push(concurrency::check(&workflow));
    let (told, uses) = notify::check(&workflow, auth);
    findings.extend(told);
    Checked { findings, uses }
}

/// Checks by what a workflow starts, and nothing else.
pub(super) fn check_trigger(text: &str) -> Finding {
    match parse(text) {
        Ok(workflow) => trigger::check(&workflow),
        Err(finding) => *finding,
    }
}

/// Parses hostile text: the parser's budget bounds depth, nodes and what aliases expand to.
fn parse(text: &str) -> Result<Value, Box<Finding>> {
    let wrong = |message: String| {
        let remedy = "mend the file; GitHub's page of the workflow, or actionlint, says more";
        Box::new(Finding::error("workflow.yaml", message, remedy))
    };
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: 48,
            max_nodes: 100_000,
            max_aliases: 1_000,
        },
    };
    let parsed = serde_saphyr::from_str_with_options::<Value>(text, options);
    let workflow = parsed.map_err(|error| wrong(format!("the file is no YAML: {}", first_line(&error))))?;
    if workflow["jobs"].is_object() {
        Ok(workflow)
    } else {
        Err(wrong("the file is no workflow: it has no `jobs`".to_owned()))
    }
}

/// What a parser's error says to whoever wrote the file: without the picture, and without advice to programmers.
fn first_line(error: &serde_saphyr::Error) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    let line = line.strip_prefix("error: ").unwrap_or(line);
    line.split(", set ").next().unwrap_or(line).to_owned()
}

fn run_name(workflow: &Value) -> Finding {
    let check = "workflow.run_name";
    let remedy = "add `run-name: NAME${{ inputs.console_deploy_id && format(' ({0})', inputs.console_deploy_id) }}`";
    match workflow["run-name"].as_str() {
        None => Finding::error(
            check,
            "there is no `run-name`, so a run whose dispatch was not answered cannot be found",
            remedy,
        ),
        Some(name)
            if expression::all(name)
                .iter()
                .any(|e| expression::has_input(e, DEPLOY_ID_INPUT)) =>
        {
            Finding::ok(check, "`run-name` carries the deploy's id")
        }
        Some(_) => Finding::error(
            check,
            "`run-name` does not carry inputs.console_deploy_id, so a run whose dispatch was not answered cannot be found",
            remedy,
        ),
    }
}

/// The jobs, by name.
fn jobs(workflow: &Value) -> impl Iterator<Item = (&String, &Value)> {
    workflow["jobs"].as_object().into_iter().flatten()
}
