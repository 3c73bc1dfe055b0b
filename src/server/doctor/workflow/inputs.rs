//! Whether a workflow takes what a deploy of the site sends: GitHub refuses a dispatch with anything else.

use super::trigger;
use crate::server::deploys::DEPLOY_ID_INPUT;
use crate::server::doctor::Finding;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// How many inputs GitHub lets a workflow declare.
const MOST_INPUTS: usize = 25;
const CHECK: &str = "workflow.inputs";

/// Checks the deploy's id, and what the site sends beside it.
pub(super) fn check(workflow: &Value, sent: &BTreeMap<String, String>) -> Vec<Finding> {
    let Some(declared) = trigger::inputs(workflow) else {
        // Without a dispatch there are no inputs; the trigger's own finding says it all.
        return Vec::new();
    };
    let mut findings = vec![deploy_id(declared.get(DEPLOY_ID_INPUT))];
    let before = findings.len();
    findings.extend(sent.iter().filter_map(|(name, value)| taken(&declared, name, value)));
    findings.extend(declared.iter().filter_map(|(name, input)| demanded(name, input, sent)));
    if declared.len() > MOST_INPUTS {
        let message = format!(
            "it declares {} inputs; GitHub takes at most {MOST_INPUTS}",
            declared.len()
        );
        findings.push(Finding::error(
            CHECK,
            message,
            "join some of them, as JSON or as a file of the repository",
        ));
    }
    if findings.len() == before {
        let message = format!(
            "it takes every input that the site sends; beside the deploy's id: {}",
            sent.len()
        );
        findings.push(Finding::ok(CHECK, message));
    }
    findings
}

fn deploy_id(input: Option<&Value>) -> Finding {
    let check = "workflow.deploy_id";
    let remedy = "declare under `on.workflow_dispatch.inputs`: `console_deploy_id: { required: false, default: \"\" }`";
    let Some(input) = input else {
        let message =
            "it does not declare the input `console_deploy_id`, so GitHub refuses each dispatch of the console";
        return Finding::error(check, message, remedy);
    };
    let kind = kind(input);
    if kind != "string" {
        let message = format!("its input `console_deploy_id` is of type {kind}, and takes no deploy's id");
        return Finding::error(check, message, remedy);
    }
    if input["required"] == true {
        let message = "its input `console_deploy_id` is required, so nobody can start it by hand without making one up";
        return Finding::warning(check, message, remedy);
    }
    Finding::ok(check, "it declares the input `console_deploy_id`")
}

/// What is wrong with one input that the site sends.
fn taken(declared: &Map<String, Value>, name: &str, value: &str) -> Option<Finding> {
    let Some(input) = declared.get(name) else {
        let message =
            format!("the site sends the input `{name}`, which the workflow does not declare: GitHub refuses that");
        let remedy = "declare it under `on.workflow_dispatch.inputs`, or take it out of `inputs` in console.toml";
        return Some(Finding::error(CHECK, message, remedy));
    };
    let options = input["options"].as_array().map(Vec::as_slice).unwrap_or_default();
    let takes = match kind(input) {
        "choice" => options.iter().any(|option| as_text(option) == value),
        "boolean" => matches!(value, "true" | "false"),
        "number" => value.parse::<f64>().is_ok(),
        _ => true,
    };
    if takes {
        return None;
    }
    let message = format!(
        "the site sends `{value}` for the input `{name}`, which takes another kind: {}",
        wanted(input)
    );
    let remedy = format!("give `{name}` such a value in console.toml, or change the workflow's input");
    Some(Finding::error(CHECK, message, remedy))
}

/// An input that must be sent, and is not.
fn demanded(name: &str, input: &Value, sent: &BTreeMap<String, String>) -> Option<Finding> {
    let has_default = !input["default"].is_null();
    if name == DEPLOY_ID_INPUT || input["required"] != true || has_default || sent.contains_key(name) {
        return None;
    }
    let message =
        format!("the workflow requires the input `{name}`, which the site does not send: GitHub refuses that");
    let remedy = format!("add `{name}` to the site's `inputs` in console.toml, or give it a default in the workflow");
    Some(Finding::error(CHECK, message, remedy))
}

fn kind(input: &Value) -> &str {
    input["type"].as_str().unwrap_or("string")
}

fn wanted(input: &Value) -> String {
    match (kind(input), input["options"].as_array()) {
        ("choice", Some(options)) => options.iter().map(as_text).collect::<Vec<_>>().join(", "),
        (kind, _) => kind.to_owned(),
    }
}

fn as_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
