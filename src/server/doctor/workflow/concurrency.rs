//! Whether runs of a workflow wait for each other, and none is cut off by the next.

use super::{expression, jobs};
use crate::server::doctor::Finding;
use serde_json::Value;

const CHECK: &str = "workflow.concurrency";
const REMEDY: &str = "give the workflow `concurrency: { group: deploy-NAME, cancel-in-progress: false }`";

/// One `concurrency`, of the workflow or of a job.
struct Group<'a> {
    name: Option<&'a str>,
    cancels: &'a Value,
}

/// The worst that can be said of any of the groups.
pub(super) fn check(workflow: &Value) -> Finding {
    let of_jobs = jobs(workflow).map(|(_, job)| &job["concurrency"]);
    let groups: Vec<Group<'_>> = std::iter::once(&workflow["concurrency"])
        .chain(of_jobs)
        .filter_map(group)
        .collect();
    if groups.is_empty() {
        let message = "it has no concurrency group: a run that was started by hand deploys at the same time as another";
        return Finding::warning(CHECK, message, REMEDY);
    }
    if groups.iter().any(|group| *group.cancels == true) {
        let message = "`cancel-in-progress` is true: a new run cuts off a deploy midway";
        return Finding::error(CHECK, message, REMEDY);
    }
    if let Some(group) = groups
        .iter()
        .find(|group| !matches!(group.cancels, Value::Null | Value::Bool(false)))
    {
        let message = format!(
            "whether `cancel-in-progress: {}` cuts off a deploy cannot be judged from the file",
            group.cancels.as_str().unwrap_or("…")
        );
        return Finding::warning(CHECK, message, REMEDY);
    }
    match groups.iter().find_map(|group| group.name) {
        None => Finding::warning(CHECK, "its concurrency has no `group`", REMEDY),
        Some(name) if is_unique(name) => {
            let message = format!("its concurrency group `{name}` is another one for each run, so no run waits");
            Finding::warning(CHECK, message, REMEDY)
        }
        Some(name) => Finding::ok(CHECK, format!("runs wait for each other in the group `{name}`")),
    }
}

fn group(concurrency: &Value) -> Option<Group<'_>> {
    match concurrency {
        Value::String(name) => Some(Group {
            name: Some(name),
            cancels: &Value::Null,
        }),
        Value::Object(_) => Some(Group {
            name: concurrency["group"].as_str(),
            cancels: &concurrency["cancel-in-progress"],
        }),
        _ => None,
    }
}

/// Whether a group's name differs from run to run.
fn is_unique(name: &str) -> bool {
    let differs = |expression: &&str| {
        let github = expression::names(expression, "github");
        ["run_id", "run_number", "run_attempt"]
            .iter()
            .any(|name| github.contains(*name))
            || expression::has_input(expression, crate::server::deploys::DEPLOY_ID_INPUT)
    };
    expression::all(name).iter().any(differs)
}
