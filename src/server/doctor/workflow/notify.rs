//! Whether a workflow tells the console how it ended, whatever happened, and with what.

use super::{Uses, expression, jobs};
use crate::server::deploys::DEPLOY_ID_INPUT;
use crate::server::doctor::Finding;
use crate::server::keyless::CallbackAuth;
use serde_json::Value;
use std::collections::BTreeSet;

const ACTION: &str = "notify-deploy-status";
const CHECK: &str = "workflow.notify";
const WITH: &str = "workflow.notify_with";
const LAST_STEP: &str = "add as the job's last step: `if: always()`, `uses: …/notify-deploy-status`, `with: status: ${{ job.status }}` and the rest, as docs/workflows.md has it";

/// A step that calls the action.
struct Call<'a> {
    job: &'a Value,
    step: &'a Value,
}

/// Checks the calls of the action, and finds what they take from GitHub.
pub(super) fn check(workflow: &Value, auth: CallbackAuth) -> (Vec<Finding>, Uses) {
    let calls = calls(workflow);
    let mut findings = vec![end(workflow, &calls)];
    let mut uses = Uses::default();
    // A milestone and the last step mostly say the same; so do their faults.
    let mut faults: Vec<Finding> = Vec::new();
    for call in &calls {
        let token_fault = auth.repository_id().and_then(|_| call.token_fault(workflow));
        for fault in call.faults(auth).into_iter().chain(token_fault) {
            if !faults.contains(&fault) {
                faults.push(fault);
            }
        }
        call.collect(&mut uses);
    }
    if faults.is_empty() && !calls.is_empty() {
        let message = match auth {
            CallbackAuth::Secret => "the action gets the deploy's id, the console's address and a secret of GitHub's",
            CallbackAuth::Oidc(_) => {
                "the action gets the deploy's id and the console's address, and may ask for a token"
            }
            CallbackAuth::SecretAndOidc(_) => {
                "the action gets the deploy's id, the console's address and a secret, and may ask for a token"
            }
        };
        faults.push(Finding::ok(WITH, message));
    }
    if !auth.needs_secret() {
        uses.secrets.clear();
    }
    findings.extend(faults);
    (findings, uses)
}

fn calls(workflow: &Value) -> Vec<Call<'_>> {
    jobs(workflow)
        .flat_map(|(_, job)| {
            let steps = job["steps"].as_array().into_iter().flatten();
            steps.filter(|step| is_action(step)).map(move |step| Call { job, step })
        })
        .collect()
}

fn is_action(step: &Value) -> bool {
    let uses = step["uses"].as_str().unwrap_or_default();
    let path = uses.split('@').next().unwrap_or_default().trim_end_matches('/');
    path.rsplit('/').next() == Some(ACTION)
}

/// Whether some call is made at the end, however the job went.
fn end(workflow: &Value, calls: &[Call<'_>]) -> Finding {
    let last: Vec<&Call<'_>> = calls.iter().filter(|call| call.is_always_made()).collect();
    if last.iter().any(|call| !call.with("status").is_null()) {
        return Finding::ok(CHECK, "the action tells how the job ended, whatever happened");
    }
    if !last.is_empty() {
        let message = "the step with `if: always()` gives no `status`, so it does not say how the job ended";
        return Finding::warning(CHECK, message, "give it `status: ${{ job.status }}`");
    }
    if !calls.is_empty() {
        let message =
            "no call of notify-deploy-status has `if: always()`: a job that fails or is cancelled tells nothing";
        return Finding::error(CHECK, message, LAST_STEP);
    }
    if jobs(workflow).any(|(_, job)| job["uses"].is_string()) {
        let message = "no step calls notify-deploy-status; a reusable workflow may, and `doctor` does not read that";
        return Finding::warning(
            CHECK,
            message,
            "see that the reusable workflow calls it as docs/workflows.md says",
        );
    }
    let message = "no step calls notify-deploy-status, so the console hears nothing of its runs";
    Finding::error(CHECK, message, LAST_STEP)
}

impl<'a> Call<'a> {
    fn with(&self, key: &str) -> &'a Value {
        &self.step["with"][key]
    }

    fn text(&self, key: &str) -> &'a str {
        self.with(key).as_str().unwrap_or_default()
    }

    /// Of the step itself; or of its job, where it is there for nothing else.
    fn is_always_made(&self) -> bool {
        let has = |condition: &Value| condition.as_str().is_some_and(expression::has_always);
        has(&self.step["if"]) || (self.step["if"].is_null() && has(&self.job["if"]))
    }

    /// What is wrong with what it is given.
    fn faults(&self, auth: CallbackAuth) -> Vec<Finding> {
        let secret_fault = auth.needs_secret().then(|| self.secret_fault()).flatten();
        let faults = [self.deploy_id_fault(), secret_fault, self.url_fault()];
        faults.into_iter().flatten().collect()
    }

    /// Without the permission GitHub gives the job no token.
    fn token_fault(&self, workflow: &Value) -> Option<Finding> {
        let of_job = &self.job["permissions"];
        let permissions = if of_job.is_null() {
            &workflow["permissions"]
        } else {
            of_job
        };
        if permissions == "write-all" || permissions["id-token"] == "write" {
            return None;
        }
        let message = "the site wants the run's own token, and the job may not ask GitHub for one";
        let remedy = "give the job `permissions:` with `id-token: write`";
        Some(Finding::error(WITH, message, remedy))
    }

    fn deploy_id_fault(&self) -> Option<Finding> {
        let expressions = expression::all(self.text("console-deploy-id"));
        // What comes by way of `env` or another job cannot be followed; it is believed.
        let known = |e: &&str| expression::has_input(e, DEPLOY_ID_INPUT) || is_elsewhere(e);
        if expressions.iter().any(known) {
            return None;
        }
        let message = "the action is not given the deploy's id, so it stays silent";
        Some(Finding::error(
            WITH,
            message,
            "give it `console-deploy-id: ${{ inputs.console_deploy_id }}`",
        ))
    }

    fn secret_fault(&self) -> Option<Finding> {
        let remedy = "give it `callback-secret: ${{ secrets.CONSOLE_CALLBACK_SECRET }}`";
        let text = self.text("callback-secret");
        let expressions = expression::all(text);
        if !names(&expressions, "secrets").is_empty() {
            return None;
        }
        if expressions.iter().any(|e| is_elsewhere(e)) {
            let message = "where `callback-secret` comes from cannot be followed: it names no `secrets.…` itself";
            return Some(Finding::warning(WITH, message, remedy));
        }
        let message = if text.is_empty() {
            "the action is given no `callback-secret`, so it cannot sign"
        } else {
            "`callback-secret` is not taken from `secrets`: whoever may read the file may sign"
        };
        Some(Finding::error(WITH, message, remedy))
    }

    fn url_fault(&self) -> Option<Finding> {
        if !self.text("console-url").trim().is_empty() {
            return None;
        }
        let message = "the action is given no `console-url`, so it has nobody to tell";
        Some(Finding::error(
            WITH,
            message,
            "give it `console-url: ${{ vars.CONSOLE_URL }}`",
        ))
    }

    /// What it takes from GitHub.
    fn collect(&self, uses: &mut Uses) {
        uses.secrets
            .extend(names(&expression::all(self.text("callback-secret")), "secrets"));
        let url = self.text("console-url").trim();
        let expressions = expression::all(url);
        uses.variables.extend(names(&expressions, "vars"));
        uses.secrets.extend(names(&expressions, "secrets"));
        if expressions.is_empty() && !url.is_empty() {
            uses.addresses.insert(url.to_owned());
        }
        let environment = &self.job["environment"];
        let Some(name) = environment.as_str().or_else(|| environment["name"].as_str()) else {
            return;
        };
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if !name.is_empty() && name.chars().all(is_plain) && !matches!(name, "." | "..") {
            uses.environments.insert(name.to_owned());
        } else {
            uses.unknown_environment = true;
        }
    }
}

fn names(expressions: &[&str], context: &str) -> BTreeSet<String> {
    expressions.iter().flat_map(|e| expression::names(e, context)).collect()
}

/// Whether an expression reads what another part of the workflow has set.
fn is_elsewhere(expression: &str) -> bool {
    ["env", "needs", "steps", "matrix"]
        .iter()
        .any(|context| !expression::names(expression, context).is_empty())
}
