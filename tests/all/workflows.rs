//! The workflow files, parsed: what makes a deploy workflow safe and visible.

use crate::support::repository;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;

/// Every workflow of the repository: its file's name, its text, and what it says.
fn workflows() -> Vec<(String, String, Value)> {
    let folder = repository().join(".github/workflows");
    let mut found: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let text = fs::read_to_string(&path).unwrap();
            let parsed = serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            (path.file_name().unwrap().to_string_lossy().into_owned(), text, parsed)
        })
        .collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

fn deploy_workflows() -> Vec<(String, String, Value)> {
    workflows()
        .into_iter()
        .filter(|(name, ..)| name.starts_with("deploy-"))
        .collect()
}

fn jobs(workflow: &Value) -> Vec<&Value> {
    workflow["jobs"].as_object().unwrap().values().collect()
}

fn steps(job: &Value) -> &Vec<Value> {
    job["steps"].as_array().unwrap()
}

#[test]
fn the_four_of_the_decision_and_ci_are_there() {
    let names: Vec<String> = workflows().into_iter().map(|(name, ..)| name).collect();
    let expected = [
        "ci.yml",
        "deploy-console.yml",
        "deploy-customer-docs.yml",
        "deploy-heroku.yml",
        "deploy-status-page.yml",
    ];
    assert_eq!(names, expected);
}

#[test]
fn deploys_start_on_workflow_dispatch_alone() {
    for (name, _, workflow) in deploy_workflows() {
        let triggers: Vec<&String> = workflow["on"].as_object().unwrap().keys().collect();
        assert_eq!(
            triggers,
            ["workflow_dispatch"],
            "{name}: nothing may deploy as a side effect"
        );
    }
}

#[test]
fn the_deploys_id_is_an_input_and_part_of_the_title() {
    for (name, _, workflow) in deploy_workflows() {
        let input = &workflow["on"]["workflow_dispatch"]["inputs"]["console_deploy_id"];
        assert_eq!(
            (&input["required"], &input["default"]),
            (&Value::Bool(false), &Value::from("")),
            "{name}"
        );
        assert!(
            workflow["run-name"]
                .as_str()
                .unwrap()
                .contains("inputs.console_deploy_id"),
            "{name}"
        );
    }
}

#[test]
fn every_deploy_job_tells_how_it_ended_whatever_happened() {
    for (name, _, workflow) in deploy_workflows() {
        for job in jobs(&workflow) {
            let last = steps(job).last().unwrap();
            assert_eq!(last["uses"], "./.github/actions/notify-deploy-status", "{name}");
            assert_eq!(last["if"], "always()", "{name}");
            assert_eq!(last["with"]["status"], "${{ job.status }}", "{name}");
            assert_eq!(last["with"]["steps"], "${{ toJSON(steps) }}", "{name}");
            let milestones = steps(job).iter().filter(|step| step["uses"] == last["uses"]).count();
            assert!(milestones >= 2, "{name} tells nothing before its end");
            let streamed = steps(job)
                .iter()
                .any(|step| step["run"].as_str().is_some_and(|run| run.contains("stream.sh --step")));
            assert!(streamed, "{name} streams no step");
        }
    }
}

#[test]
fn permissions_are_given_by_the_job() {
    for (name, _, workflow) in workflows() {
        assert_eq!(workflow["permissions"], serde_json::json!({}), "{name}");
        for job in jobs(&workflow) {
            assert!(
                job["permissions"].is_object() && job["timeout-minutes"].is_u64(),
                "{name}"
            );
        }
    }
}

#[test]
fn actions_are_pinned_by_commit() {
    for (name, text, workflow) in workflows() {
        for step in jobs(&workflow).into_iter().flat_map(steps) {
            let Some(uses) = step["uses"].as_str().filter(|uses| !uses.starts_with("./")) else {
                continue;
            };
            let commit = uses.split_once('@').unwrap().1;
            assert!(
                commit.len() == 40 && commit.chars().all(|c| c.is_ascii_hexdigit()),
                "{name}: {uses}"
            );
            assert!(text.contains(&format!("{uses} # v")), "{name}: {uses} names no version");
        }
    }
}

#[test]
fn nothing_is_filled_into_a_script() {
    for (name, _, workflow) in workflows() {
        for step in jobs(&workflow).into_iter().flat_map(steps) {
            let run = step["run"].as_str().unwrap_or_default();
            assert!(!run.contains("${{"), "{name}: {run}: pass it through env");
        }
    }
    let action: Value = serde_saphyr::from_str(&fs::read_to_string(action_file()).unwrap()).unwrap();
    assert!(!action["runs"]["steps"][0]["run"].as_str().unwrap().contains("${{"));
}

#[test]
fn one_deploy_at_a_time_and_none_is_cut_off() {
    for (name, _, workflow) in deploy_workflows() {
        assert_eq!(workflow["concurrency"]["cancel-in-progress"], false, "{name}");
        assert_eq!(
            workflow["concurrency"]["group"],
            name.trim_end_matches(".yml"),
            "{name}"
        );
    }
}

#[test]
fn every_variable_and_secret_is_documented() {
    let documented = fs::read_to_string(repository().join("docs/workflows.md")).unwrap();
    let mut used = BTreeSet::new();
    for (_, text, _) in workflows() {
        for context in ["vars.", "secrets."] {
            for rest in text.split(context).skip(1) {
                used.insert(
                    rest.chars()
                        .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
                        .collect::<String>(),
                );
            }
        }
    }
    assert!(used.len() > 5);
    for name in used {
        assert!(
            documented.contains(&format!("| `{name}` |")),
            "{name} is not in docs/workflows.md"
        );
    }
}

#[test]
fn adding_the_action_takes_at_most_eight_lines() {
    for document in ["README.md", "docs/workflows.md"] {
        let text = fs::read_to_string(repository().join(document)).unwrap();
        let snippet = text
            .split("```yaml\n")
            .skip(1)
            .map(|rest| rest.split("```").next().unwrap());
        let snippet = snippet
            .into_iter()
            .find(|snippet| snippet.contains("notify-deploy-status"))
            .unwrap();
        assert!(snippet.lines().count() <= 8, "{document}:\n{snippet}");
        let parsed: Value = serde_saphyr::from_str(snippet).unwrap();
        assert_eq!(parsed[0]["if"], "always()", "{document}");
    }
}

fn action_file() -> std::path::PathBuf {
    repository().join(".github/actions/notify-deploy-status/action.yml")
}
