//! `raxx-console doctor`: the real binary, against a stand-in for GitHub and a database of its own.
//!
//! Each table has one fault a row: what is changed, and the one finding that must come of it.

mod app;
mod callback;
mod console;
mod site;
mod workflow;

use crate::support::{SECRET, binary, repository, stand_in};
use raxx_console::server::demo::stand_in::{Scenario, StandIn};
use raxx_console::server::store::Store;
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;
use tokio::process::Command;

const TOKEN: &str = "token-of-the-doctor";
const CONSOLE_URL: &str = "https://console.example.com";
const FILE: &str = r#"
[[site]]
slug = "api-prod"
name = "API"
environment = "production"
url = "https://api.example.com"
repository = "raxx/api"
workflow = "deploy-heroku.yml"

[[site]]
slug = "docs"
name = "Docs"
environment = "staging"
url = "https://docs.example.com"
repository = "raxx/docs"
workflow = "deploy-customer-docs.yml"
"#;

/// A set-up in which nothing is wrong, for a test to spoil.
pub(super) struct Doctor {
    pub(super) folder: TempDir,
    pub(super) github: StandIn,
    command: Command,
}

/// What came of it.
pub(super) struct Outcome {
    pub(super) code: i32,
    pub(super) text: String,
}

impl Doctor {
    pub(super) async fn new() -> Self {
        let (folder, github) = (tempfile::tempdir().unwrap(), stand_in(Scenario::Queued).await);
        github.set_console_url(CONSOLE_URL.to_owned());
        let mut command = Command::new(binary());
        command
            .current_dir(folder.path())
            .env_clear()
            .arg("doctor")
            .kill_on_drop(true);
        for (name, value) in [
            ("CONSOLE_CALLBACK_SECRET", SECRET),
            ("GITHUB_DISPATCH_TOKEN", TOKEN),
            ("GITHUB_API_URL", &github.url()),
            ("CONSOLE_URL", CONSOLE_URL),
        ] {
            command.env(name, value);
        }
        let doctor = Self {
            folder,
            github,
            command,
        };
        fs::write(doctor.path("console.toml"), FILE).unwrap();
        let url = format!("sqlite://{}", doctor.path("data/console.db").display());
        Store::open(&url).await.unwrap().close().await;
        doctor
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.command.env(name, value);
    }

    pub(super) fn unset(&mut self, name: &str) {
        self.command.env_remove(name);
    }

    pub(super) fn arg(&mut self, arg: &str) {
        self.command.arg(arg);
    }

    /// Lets GitHub answer paths that have this part with a status.
    pub(super) fn refuse(&self, part: &str, status: u16) {
        self.github.set_up(|set_up| {
            set_up.refused.insert(part.to_owned(), status);
        });
    }

    /// Changes `console.toml`.
    pub(super) fn file(&self, from: &str, to: &str) {
        let path = self.path("console.toml");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{from}");
        fs::write(path, text.replacen(from, to, 1)).unwrap();
    }

    /// Runs it. Whatever it finds, it starts nothing and says no secret.
    pub(super) async fn run(mut self) -> (Outcome, Self) {
        let output = self.command.output().await.unwrap();
        let (text, errors) = (
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        );
        assert!(errors.is_empty(), "it says everything on stdout: {errors}");
        for secret in [SECRET, TOKEN] {
            assert!(!text.contains(secret), "{text}");
        }
        assert!(self.github.dispatches().is_empty());
        assert!(self.github.asked().iter().all(|asked| asked.method == "GET"));
        let code = output.status.code().unwrap();
        (Outcome { code, text }, self)
    }

    /// Runs it with `--json`, and reads that.
    pub(super) async fn look(mut self) -> (Outcome, Vec<Value>) {
        self.arg("--json");
        let (outcome, _) = self.run().await;
        let report: Value = serde_json::from_str(&outcome.text).unwrap();
        let findings = report["findings"].as_array().unwrap().clone();
        let count = |level: &str| findings.iter().filter(|finding| finding["level"] == level).count();
        assert_eq!(report["summary"]["ok"], count("ok"));
        assert_eq!(report["summary"]["warnings"], count("warning"));
        assert_eq!(report["summary"]["errors"], count("error"));
        let documented = fs::read_to_string(repository().join("docs/doctor.md")).unwrap();
        for finding in &findings {
            let id = finding["check"].as_str().unwrap();
            assert!(
                documented.contains(&format!("| `{id}` |")),
                "{id} is not in docs/doctor.md"
            );
            let remedy = finding["remedy"].as_str().unwrap_or_default();
            assert_eq!(remedy.is_empty(), finding["level"] == "ok", "{finding}");
            assert!(!finding["message"].as_str().unwrap().is_empty());
        }
        (outcome, findings)
    }

    /// Runs it, and expects this one finding and nothing else that is not ok.
    pub(super) async fn finds(self, what: &str, check: &str, level: &str, words: &str) {
        let (outcome, findings) = self.look().await;
        let bad: Vec<(&str, &str)> = findings
            .iter()
            .filter(|finding| finding["level"] != "ok")
            .map(|finding| (finding["check"].as_str().unwrap(), finding["level"].as_str().unwrap()))
            .collect();
        let expected = if level == "ok" {
            Vec::new()
        } else {
            vec![(check, level)]
        };
        assert_eq!(bad, expected, "{what}: {findings:#?}");
        let code = ["ok", "warning", "error"].iter().position(|name| *name == level);
        assert_eq!(outcome.code, i32::try_from(code.unwrap()).unwrap(), "{what}");
        let said = |finding: &&Value| finding["check"] == check && finding["message"].as_str().unwrap().contains(words);
        assert!(
            findings.iter().any(|finding| said(&finding)),
            "{what}: `{words}` in {findings:#?}"
        );
    }
}

#[tokio::test]
async fn a_healthy_set_up_has_nothing_to_mend() {
    let (outcome, findings) = Doctor::new().await.look().await;
    assert_eq!(outcome.code, 0, "{findings:#?}");
    let of = |site: &str| findings.iter().filter(|finding| finding["site"] == site).count();
    assert_eq!(of("api-prod"), of("docs"));
    assert!(of("docs") > 10, "{findings:#?}");
}

#[tokio::test]
async fn the_demos_sites_are_healthy_at_its_stand_in() {
    let doctor = Doctor::new().await;
    let file = repository().join("src/server/demo/console.toml");
    fs::copy(file, doctor.path("console.toml")).unwrap();
    let (outcome, findings) = doctor.look().await;
    assert_eq!(outcome.code, 0, "{findings:#?}");
}

#[tokio::test]
async fn a_person_reads_it_line_by_line() {
    let doctor = Doctor::new().await;
    doctor
        .github
        .set_up(|set_up| set_up.workflow_state = "disabled_inactivity".to_owned());
    let (outcome, _) = doctor.run().await;
    assert_eq!(outcome.code, 2);
    for line in [
        "Console",
        "Site api-prod (raxx/api, deploy-heroku.yml)",
        "Site docs (raxx/docs, deploy-customer-docs.yml)",
    ] {
        assert!(
            outcome.text.lines().any(|found| found == line),
            "{line} in {}",
            outcome.text
        );
    }
    let lines: Vec<&str> = outcome.text.lines().collect();
    let at = lines
        .iter()
        .position(|line| line.starts_with("  error    workflow.state"))
        .unwrap();
    assert!(lines[at].contains("disabled_inactivity"), "{}", lines[at]);
    assert!(
        lines[at + 1].trim_start().starts_with("mend it: `gh workflow enable"),
        "{}",
        lines[at + 1]
    );
    assert!(
        lines.last().unwrap().starts_with("2 errors, 0 warnings, "),
        "{}",
        outcome.text
    );
}

#[tokio::test]
async fn one_site_may_be_looked_at_alone() {
    let mut doctor = Doctor::new().await;
    doctor.arg("docs");
    let (outcome, findings) = doctor.look().await;
    assert_eq!(outcome.code, 0);
    assert!(findings.iter().all(|finding| finding["site"] != "api-prod"));

    let mut doctor = Doctor::new().await;
    doctor.arg("Docs");
    doctor.finds("an unknown slug", "site.known", "error", "`Docs`").await;
    let mut doctor = Doctor::new().await;
    doctor.arg("nothing");
    let (outcome, _) = doctor.run().await;
    assert!(outcome.text.contains("give one of: api-prod, docs"), "{}", outcome.text);
}
