//! By what a workflow starts.

use crate::server::doctor::Finding;
use serde_json::{Map, Value};

/// The event that the console's dispatch is.
const DISPATCH: &str = "workflow_dispatch";

/// It must start by a dispatch, and should start by nothing else.
pub(super) fn check(workflow: &Value) -> Finding {
    let check = "workflow.trigger";
    let events = events(workflow);
    let others: Vec<&str> = events.iter().copied().filter(|event| *event != DISPATCH).collect();
    if others.len() == events.len() {
        return Finding::error(
            check,
            "it does not start by `workflow_dispatch`, so the console cannot start it",
            "put `on: workflow_dispatch:` into the file, on the default branch too",
        );
    }
    if others.is_empty() {
        return Finding::ok(check, "it starts by `workflow_dispatch` alone");
    }
    Finding::warning(
        check,
        format!(
            "it also starts by {}: such deploys the console knows nothing of",
            others.join(", ")
        ),
        "take the other events out of `on`, and put what they are for into a workflow of its own",
    )
}

/// The inputs that a dispatch may send; `None` when there is no dispatch.
pub(super) fn inputs(workflow: &Value) -> Option<Map<String, Value>> {
    let has_dispatch = events(workflow).contains(&DISPATCH);
    has_dispatch.then(|| {
        on(workflow)[DISPATCH]["inputs"]
            .as_object()
            .cloned()
            .unwrap_or_default()
    })
}

fn events(workflow: &Value) -> Vec<&str> {
    match on(workflow) {
        Value::String(event) => vec![event],
        Value::Array(events) => events.iter().filter_map(Value::as_str).collect(),
        Value::Object(events) => events.keys().map(String::as_str).collect(),
        _ => Vec::new(),
    }
}

/// YAML 1.1 takes a bare `on` for true, and a parser may hand it over as that.
fn on(workflow: &Value) -> &Value {
    workflow.get("on").unwrap_or(&workflow["true"])
}
