//! What played runs do and print.

use super::Scenario;
use super::state::Run;
use std::fmt::Write as _;
use std::time::Duration;

/// A step and what it prints, a line a beat. A last line that begins with `!` ends the step with an error.
pub(super) struct PlannedStep {
    pub(super) name: &'static str,
    lines: Vec<String>,
}

impl PlannedStep {
    pub(super) fn script(&self, beat: Duration) -> String {
        let mut script = String::new();
        for line in &self.lines {
            let (text, fails) = line
                .strip_prefix('!')
                .map_or((line.as_str(), false), |text| (text, true));
            // Our own lines have no quote in them. Writing to a String cannot fail.
            let _ = write!(script, "sleep {}; printf '%b\\n' '{text}'; ", beat.as_secs_f64());
            if fails {
                script.push_str("exit 1; ");
            }
        }
        script
    }
}

/// What a run of this workflow does.
pub(super) fn plan(run: &Run) -> Vec<PlannedStep> {
    let step = |name, lines: &[&str]| PlannedStep {
        name,
        lines: lines.iter().map(|&line| line.to_owned()).collect(),
    };
    let check_out = step(
        "Check out",
        &[
            "Syncing repository",
            &format!("Checking out {}", run.git_ref),
            "\\e[32mDone\\e[0m",
        ],
    );
    let (build, publish, check) = match run.workflow.as_str() {
        "deploy-heroku.yml" => ("Build image", "Release", "Smoke test"),
        "deploy-console.yml" => ("Build binary", "Install and restart", "Wait until ready"),
        _ => ("Build pages", "Publish pages", "Check the address"),
    };
    let build = step(build, &BUILD_LINES);
    let publish = step(publish, &PUBLISH_LINES);
    let check = step(
        check,
        if run.scenario == Scenario::Fail {
            &FAILING_LINES
        } else {
            &CHECK_LINES
        },
    );
    vec![check_out, build, publish, check]
}

const BUILD_LINES: [&str; 9] = [
    "\\e[1mBuilding for production\\e[0m",
    "[1/5] Resolving dependencies",
    "[2/5] Fetching 214 packages",
    "[3/5] Compiling",
    "\\e[33mwarning: unused variable: retries\\e[0m",
    "[4/5] Optimising assets",
    "[5/5] Writing the artefact",
    "Artefact: 41.7 MiB",
    "\\e[32mBuild finished\\e[0m",
];
const PUBLISH_LINES: [&str; 7] = [
    "Uploading 41.7 MiB",
    " 25%",
    " 50%",
    " 75%",
    "100%",
    "Switching traffic to the new release",
    "\\e[32mReleased v128\\e[0m",
];
const CHECK_LINES: [&str; 4] = [
    "GET /health",
    "try 1: 503, starting",
    "try 2: 200 in 84 ms",
    "\\e[32mHealthy\\e[0m",
];
const FAILING_LINES: [&str; 5] = [
    "GET /health",
    "try 1: 503, starting",
    "try 2: 503, starting",
    "try 3: 503, starting",
    "!\\e[31mError: /health still answers 503 after 3 tries\\e[0m",
];
