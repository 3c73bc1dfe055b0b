//! A site at GitHub: its repository, whether its workflow is there and runs, secrets and variables.

use super::Doctor;
use raxx_console::server::demo::stand_in::SetUp;

type Change = fn(&mut SetUp);

async fn rows(rows: &[(&str, Change, &str, &str, &str)]) {
    for (what, change, check, level, words) in rows {
        let mut doctor = Doctor::new().await;
        doctor.arg("api-prod");
        doctor.github.set_up(*change);
        doctor.finds(what, check, level, words).await;
    }
}

fn refuse(set_up: &mut SetUp, path: &str, status: u16) {
    set_up.refused.insert(path.to_owned(), status);
}

#[tokio::test]
async fn every_fault_of_the_repository_and_the_token_is_a_finding() {
    rows(&[
        ("archived", |s| s.archived = true, "repository", "error", "archived"),
        ("disabled", |s| s.disabled = true, "repository", "error", "disabled"),
        (
            "gone",
            |s| refuse(s, "/repos/raxx/api", 404),
            "repository",
            "error",
            "404",
        ),
        (
            "moved",
            |s| refuse(s, "/repos/raxx/api", 301),
            "repository",
            "error",
            "moved",
        ),
        (
            "forbidden",
            |s| refuse(s, "/repos/raxx/api", 403),
            "repository",
            "error",
            "403",
        ),
        (
            "down",
            |s| refuse(s, "/repos/raxx/api", 500),
            "repository",
            "warning",
            "500",
        ),
        (
            "fine-grained",
            |_| {},
            "token.dispatch",
            "ok",
            "cannot be told without a dispatch",
        ),
        (
            "fine-grained, no role",
            |s| s.role = "read",
            "token.dispatch",
            "warning",
            "cannot be told",
        ),
        (
            "classic",
            |s| s.scopes = Some("repo, read:org".to_owned()),
            "token.dispatch",
            "ok",
            "scope",
        ),
        (
            "classic, no role",
            |s| (s.scopes, s.role) = (Some("repo".to_owned()), "read"),
            "token.dispatch",
            "error",
            "owner",
        ),
        (
            "classic, no scope",
            |s| s.scopes = Some(String::new()),
            "token.dispatch",
            "error",
            "scope",
        ),
        (
            "classic, public scope",
            |s| s.scopes = Some("public_repo".to_owned()),
            "token.dispatch",
            "error",
            "scope",
        ),
        (
            "public",
            |s| (s.scopes, s.private) = (Some("public_repo".to_owned()), false),
            "token.dispatch",
            "ok",
            "scope",
        ),
    ])
    .await;
}

#[tokio::test]
async fn every_fault_of_where_the_workflow_is_is_a_finding() {
    rows(&[
        (
            "disabled",
            |s| s.workflow_state = "disabled_manually".to_owned(),
            "workflow.state",
            "error",
            "disabled_manually",
        ),
        (
            "Actions hidden",
            |s| refuse(s, "/actions/workflows/", 403),
            "workflow.state",
            "warning",
            "403",
        ),
        (
            "Contents hidden",
            |s| refuse(s, "/contents/", 403),
            "workflow.file",
            "warning",
            "403",
        ),
        (
            "Contents down",
            |s| refuse(s, "/contents/", 500),
            "workflow.file",
            "warning",
            "500",
        ),
        (
            "not on the default branch",
            |s| refuse(s, "/contents/", 404),
            "workflow.file",
            "error",
            "default branch",
        ),
        (
            "unknown to GitHub",
            |s| refuse(s, "/actions/workflows/", 404),
            "workflow.state",
            "error",
            "no workflow",
        ),
    ])
    .await;
}

#[tokio::test]
async fn another_ref_than_the_default_branch_decides_how_it_runs() {
    let spoiled = "on: push\njobs: {}\n";
    let good =
        std::fs::read_to_string(crate::support::repository().join(".github/workflows/deploy-heroku.yml")).unwrap();
    // The default branch is another one, and the site's ref is `main`.
    let doctor = async |change: &dyn Fn(&mut SetUp)| {
        let mut doctor = Doctor::new().await;
        doctor.arg("api-prod");
        doctor.github.set_up(|set_up| {
            set_up.default_branch = "trunk".to_owned();
            change(set_up);
        });
        doctor
    };
    let put = |set_up: &mut SetUp, git_ref: &str, text: &str| {
        set_up
            .files
            .insert(format!("raxx/api/deploy-heroku.yml@{git_ref}"), text.to_owned());
    };
    doctor(&|_| {})
        .await
        .finds("both are good", "workflow.ref", "ok", "is on main")
        .await;
    let at_ref = doctor(&|s| {
        put(
            s,
            "main",
            &good.replace("cancel-in-progress: false", "cancel-in-progress: true"),
        );
    })
    .await;
    at_ref
        .finds("the ref's", "workflow.concurrency", "error", "midway")
        .await;
    let at_default = doctor(&|s| {
        put(
            s,
            "trunk",
            &good.replace("cancel-in-progress: false", "cancel-in-progress: true"),
        );
    })
    .await;
    at_default
        .finds(
            "what the default branch says of that is moot",
            "workflow.concurrency",
            "ok",
            "wait",
        )
        .await;
    let dead = doctor(&|s| put(s, "trunk", spoiled)).await;
    dead.finds(
        "the default branch must start it",
        "workflow.trigger",
        "error",
        "on trunk, the default branch",
    )
    .await;
}

#[tokio::test]
async fn a_ref_without_the_file_is_a_finding() {
    let mut doctor = Doctor::new().await;
    doctor.arg("api-prod");
    doctor.file("workflow = \"deploy-heroku.yml\"", "workflow = \"own.yml\"");
    let good =
        std::fs::read_to_string(crate::support::repository().join(".github/workflows/deploy-heroku.yml")).unwrap();
    doctor.github.set_up(|set_up| {
        set_up.default_branch = "trunk".to_owned();
        set_up.files.insert("raxx/api/own.yml@trunk".to_owned(), good);
    });
    doctor
        .finds("not on main", "workflow.ref", "error", "not on main")
        .await;
}

#[tokio::test]
async fn a_workflow_that_github_does_not_have_is_said_twice() {
    let doctor = Doctor::new().await;
    doctor.file("deploy-heroku.yml", "other.yml");
    let (outcome, findings) = doctor.look().await;
    assert_eq!(outcome.code, 2);
    let errors: Vec<_> = findings
        .iter()
        .filter(|f| f["level"] == "error")
        .map(|f| f["check"].clone())
        .collect();
    assert_eq!(errors, ["workflow.state", "workflow.file"]);
}

fn take(set_up: &mut SetUp, key: &str) {
    set_up.settings.remove(key);
}

fn put(set_up: &mut SetUp, key: &str, value: &str) {
    set_up.settings.insert(key.to_owned(), value.to_owned());
}

const OWN: &str = "actions/secrets/CONSOLE_CALLBACK_SECRET";
const URL: &str = "actions/variables/CONSOLE_URL";

#[tokio::test]
async fn secrets_are_looked_for_where_github_looks() {
    rows(&[
        (
            "nowhere",
            |s| take(s, OWN),
            "settings.secret",
            "error",
            "no secret CONSOLE_CALLBACK_SECRET",
        ),
        (
            "the environment's",
            |s| {
                take(s, OWN);
                put(s, "environments/heroku/secrets/CONSOLE_CALLBACK_SECRET", "");
            },
            "settings.secret",
            "ok",
            "the environment heroku",
        ),
        (
            "the organisation's",
            |s| {
                take(s, OWN);
                put(s, "actions/organization-secrets/CONSOLE_CALLBACK_SECRET", "");
            },
            "settings.secret",
            "ok",
            "the organisation",
        ),
        (
            "hidden",
            |s| refuse(s, "secrets", 403),
            "settings.secret",
            "ok",
            "may not look",
        ),
        (
            "the repository's hidden",
            |s| refuse(s, "/actions/secrets/", 403),
            "settings.secret",
            "ok",
            "may not look",
        ),
        (
            "half hidden",
            |s| {
                take(s, OWN);
                refuse(s, "/environments/", 403);
            },
            "settings.secret",
            "warning",
            "may be in the environment heroku",
        ),
        (
            "down",
            |s| refuse(s, "secrets", 500),
            "settings.secret",
            "warning",
            "500",
        ),
    ])
    .await;
}

#[tokio::test]
async fn the_consoles_address_is_compared() {
    rows(&[
        (
            "hidden",
            |s| refuse(s, "variables", 403),
            "settings.console_url",
            "ok",
            "may not look",
        ),
        (
            "another",
            |s| put(s, URL, "https://old.example.com"),
            "settings.console_url",
            "warning",
            "old.example.com",
        ),
        (
            "a slash more",
            |s| put(s, URL, "https://console.example.com/"),
            "settings.console_url",
            "ok",
            "console.example.com",
        ),
        ("empty", |s| put(s, URL, ""), "settings.console_url", "error", "empty"),
        (
            "the environment's wins",
            |s| {
                put(
                    s,
                    "environments/heroku/variables/CONSOLE_URL",
                    "https://staging.example.com",
                );
            },
            "settings.console_url",
            "warning",
            "the environment heroku is https://staging.example.com",
        ),
    ])
    .await;
    let mut doctor = Doctor::new().await;
    doctor.arg("api-prod");
    doctor.unset("CONSOLE_URL");
    doctor.github.set_up(|s| put(s, URL, "http://console.example.com"));
    doctor
        .finds("in clear", "settings.console_url", "warning", "in clear")
        .await;
    let mut doctor = Doctor::new().await;
    doctor.arg("api-prod");
    doctor.github.set_up(|s| {
        s.files.insert(
            "raxx/api/deploy-heroku.yml".to_owned(),
            super::workflow::heroku("vars.CONSOLE_URL", "vars.ELSEWHERE"),
        );
    });
    doctor
        .finds("nowhere", "settings.console_url", "error", "no variable ELSEWHERE")
        .await;
}
