//! A GitHub App instead of a token: it proves who it is, borrows a token for one repository, and says what it lacks.

use crate::support::app::{ID, KEYS, known, public_key};
use crate::support::{SITES, TestConsole, config_with, secrets::keep_secret, stand_in};
use raxx_console::server::demo::stand_in::{KnownApp, Scenario, StandIn};
use raxx_console::server::github::{AppKey, Identity};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// A console that speaks as the App with this key, to a GitHub that knows `app`.
async fn console(pem: &str, app: KnownApp) -> TestConsole {
    console_with(pem, app, SITES).await
}

async fn console_with(pem: &str, app: KnownApp, file: &str) -> TestConsole {
    let (data, github) = (tempfile::tempdir().unwrap(), stand_in(Scenario::Queued).await);
    github.know_app(app);
    let mut config = config_with(&data, &github.url(), file);
    config.github.identity = Identity::App(AppKey::new(ID.to_owned(), &pem.into()).unwrap());
    for line in pem.lines().filter(|line| !line.starts_with("-----")) {
        keep_secret(line);
    }
    keep_secret("lent-1");
    TestConsole::start(config, github, data).await
}

/// How often GitHub was asked for a token.
fn lent(github: &StandIn) -> usize {
    github.lent().len()
}

/// Deploys, and tells why nothing was sent.
async fn refused(pem: &str, app: KnownApp) -> String {
    let console = console(pem, app).await;
    let deploy = console.deploy("docs").await.deploy;
    let record = console.until(deploy.id, "dispatch_failed").await;
    assert_eq!(console.github.dispatches().len(), 0, "nothing was sent");
    assert_eq!(
        record["confirmed_by"],
        Value::Null,
        "GitHub said nothing about the deploy"
    );
    record["failure"]["reason"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn it_deploys_with_a_token_for_the_repository_that_may_do_no_more_than_it_must() {
    for pem in KEYS.iter() {
        let console = console(pem, known(pem)).await;
        let callback = console.bound("docs").await;
        let tokens = console.github.lent();
        assert_eq!(tokens[0].repositories, ["docs"]);
        let wanted = [("actions", "write"), ("checks", "read")];
        let wanted: BTreeMap<String, String> = wanted.map(|(name, level)| (name.to_owned(), level.to_owned())).into();
        assert_eq!(tokens[0].permissions, wanted);
        console.running.reconciler().look_now(callback.deploy);
        console.until_asked("/jobs").await;
        assert_eq!(lent(&console.github), 1, "one token serves every call");
    }
}

#[tokio::test]
async fn a_key_from_the_environment_may_have_its_line_breaks_written_out() {
    let pem = &KEYS[0];
    assert!(AppKey::new(ID.to_owned(), &pem.replace('\n', "\\n").into()).is_ok());
    assert!(AppKey::new(ID.to_owned(), &"whsec_no_key".into()).is_err());
}

#[tokio::test]
async fn a_token_is_borrowed_anew_before_it_ends_and_after_it_was_refused() {
    let pem = &KEYS[0];
    let short = KnownApp {
        tokens_live: Duration::from_mins(4),
        ..known(pem)
    };
    let first = console(pem, short).await;
    first.bound("docs").await;
    first.until_asked("/jobs").await;
    assert!(lent(&first.github) > 1, "four minutes are too few to begin a call with");

    let revoked = console(pem, known(pem)).await;
    revoked.bound("docs").await;
    assert_eq!(lent(&revoked.github), 1);
    revoked.github.revoke_lent();
    // The first look is refused, the second has a new token.
    for seconds in [60, 600] {
        let now = raxx_console::server::clock::now().plus_millis(seconds * 1000);
        assert_eq!(revoked.running.reconciler().step(now).await.unwrap(), 1);
    }
    assert_eq!(lent(&revoked.github), 2);
}

#[tokio::test]
async fn what_the_app_lacks_is_said_and_nothing_is_sent() {
    let pem = &KEYS[0];
    let read_only = KnownApp {
        permissions: [("actions".to_owned(), "read".to_owned())].into(),
        ..known(pem)
    };
    let reason = refused(pem, read_only).await;
    assert!(
        reason.contains("lacks the permission `actions: write` for raxx/docs"),
        "{reason}"
    );
    let elsewhere = KnownApp {
        repository: "raxx/other".to_owned(),
        ..known(pem)
    };
    let reason = refused(pem, elsewhere).await;
    assert!(reason.contains("not installed for raxx/docs"), "{reason}");
    let suspended = KnownApp {
        suspended: true,
        ..known(pem)
    };
    let reason = refused(pem, suspended).await;
    assert!(reason.contains("suspended"), "{reason}");
    let other_key = KnownApp {
        public_key: public_key(&KEYS[1]),
        ..known(pem)
    };
    let reason = refused(pem, other_key).await;
    assert!(
        reason.contains("GitHub does not know the App") && reason.contains("GITHUB_APP_ID"),
        "{reason}"
    );
}

#[tokio::test]
async fn without_the_permission_to_read_checks_it_deploys_all_the_same() {
    let pem = &KEYS[0];
    let least = KnownApp {
        permissions: [("actions".to_owned(), "write".to_owned())].into(),
        ..known(pem)
    };
    let console = console(pem, least).await;
    console.bound("docs").await;
    assert_eq!(console.github.lent()[0].permissions.len(), 1);
}

#[tokio::test]
async fn it_writes_deployments_where_a_site_wants_that_and_says_when_it_may_not() {
    let pem = &KEYS[0];
    let file = SITES.replace("workflow =", "github_deployments = true\nworkflow =");
    let mut app = known(pem);
    let console = console_with(pem, app.clone(), &file).await;
    let id = console.bound("docs").await.deploy;
    let later = raxx_console::server::clock::now().plus_millis(30_000);
    console.running.deployments().step(later).await.unwrap();
    let problem = console.read(id).await["github_deployment"]["problem"].to_string();
    assert!(
        problem.contains("the App of GITHUB_APP_ID the permission `deployments: write`"),
        "{problem}"
    );
    app.permissions.insert("deployments".to_owned(), "write".to_owned());
    let console = console_with(pem, app, &file).await;
    console.bound("docs").await;
    console.running.deployments().step(later).await.unwrap();
    assert_eq!(console.github.deployments().len(), 1);
    assert_eq!(console.github.lent()[0].permissions["deployments"], "write");
}

#[tokio::test]
async fn a_borrowed_token_in_a_log_is_masked() {
    let pem = &KEYS[0];
    let console = console(pem, known(pem)).await;
    let callback = console.bound("docs").await;
    let answer = console
        .report(&callback.prints("the token is lent-1, they say\n"))
        .await;
    assert_eq!(answer.status(), 200);
    let record = console.read(callback.deploy).await;
    assert_eq!(record["log"]["text"], "the token is ***, they say\n");
}
