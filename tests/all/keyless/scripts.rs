//! The action's scripts in real bash, with a real token endpoint, against a real console.

use super::{eager, sites};
use crate::action::{Job, script, seen_in_proc};
use crate::support::hook_listener::{Answer, HookListener};
use crate::support::issuer::{Ill, Issuer};
use crate::support::{Callback, SECRET, Setup, TestConsole, config_with, player, tools_are_there};
use raxx_console::server::demo::stand_in::{Scenario, StandIn};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::process::Command;

const REQUEST_URL: &str = "ACTIONS_ID_TOKEN_REQUEST_URL";
const REQUEST_TOKEN: &str = "ACTIONS_ID_TOKEN_REQUEST_TOKEN";
const NO_SECRET: (&str, &str) = ("CONSOLE_CALLBACK_SECRET", "");

/// A console whose address is where it listens, so that its audience is what the scripts are told.
async fn start(issuer: &Issuer) -> TestConsole {
    let setup = Setup {
        file: sites(),
        public_url: None,
        issuer: Some(issuer.url.clone()),
        timing: eager(),
        ..Setup::default()
    };
    setup.start().await
}

/// Gives a job the permission to ask for tokens.
fn permitted(job: Job, issuer: &Issuer) -> Job {
    let request_token = issuer.change(|it| it.request_token.clone());
    job.set(REQUEST_URL, &issuer.request_url())
        .set(REQUEST_TOKEN, &request_token)
}

/// Makes it the job of this deploy's run.
fn of(job: Job, callback: &Callback, issuer: &Issuer) -> Job {
    let run = super::run_of(callback);
    let claims = issuer.claims_of(run);
    issuer.change(|it| it.claims = claims);
    job.set("CONSOLE_DEPLOY_ID", &callback.deploy.to_string())
        .set("GITHUB_RUN_ID", &run.to_string())
}

#[tokio::test]
async fn both_scripts_report_with_what_each_site_asks_for() {
    let issuer = Issuer::start().await;
    let console = start(&issuer).await;
    for (site, secret) in [
        ("signed", SECRET),
        ("keyless", ""),
        ("keyless", SECRET),
        ("both", SECRET),
    ] {
        let callback = console.bound(site).await;
        let url = console.url("/");
        let job = permitted(Job::stream(&url, "echo out"), &issuer).set("CONSOLE_CALLBACK_SECRET", secret);
        let ended = of(job, &callback, &issuer).run().await;
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{site}");
        let job = permitted(Job::notify(&url, "success"), &issuer).set("CONSOLE_CALLBACK_SECRET", secret);
        let ended = of(job, &callback, &issuer).run().await;
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{site}");
        let deploy = console.read(callback.deploy).await;
        assert_eq!(deploy["state"], "succeeded", "{site}");
        assert_eq!(deploy["log"]["text"], "out\n", "{site}");
    }
}

#[tokio::test]
async fn a_secret_alone_does_not_do_where_a_token_is_asked_for() {
    let issuer = Issuer::start().await;
    let console = start(&issuer).await;
    let callback = console.bound("both").await;
    let ended = of(Job::notify(&console.url(""), "success"), &callback, &issuer)
        .run()
        .await;
    assert_eq!(ended.code, Some(0));
    assert!(
        ended.stderr.contains("::warning") && ended.stderr.contains("401"),
        "{}",
        ended.stderr
    );
    assert_eq!(console.read(callback.deploy).await["state"], "queued");
}

#[tokio::test]
async fn the_stand_ins_runs_are_keyless_where_they_have_no_secret() {
    tools_are_there().await;
    let github = player(Scenario::Succeed, "", true).await;
    let data = tempfile::tempdir().unwrap();
    let file = sites().replace("123456", &StandIn::repository_id("raxx/keyless").to_string());
    let mut config = config_with(&data, &github.url(), &file);
    config.public_url = None;
    let console = TestConsole::played(config, github, data).await;
    let deploy = console.deploy("keyless").await.deploy;
    let record = console.until(deploy.id, "succeeded").await;
    assert_eq!(record["confirmed_by"], "callback", "{record:#}");
}

#[tokio::test]
async fn the_demos_own_sites_are_told_with_what_they_ask_for() {
    tools_are_there().await;
    let github = player(Scenario::Succeed, SECRET, true).await;
    let data = tempfile::tempdir().unwrap();
    let file = include_str!("../../../src/server/demo/console.toml");
    let mut config = config_with(&data, &github.url(), file);
    config.public_url = None;
    let console = TestConsole::played(config, github, data).await;
    for site in ["console", "api-prod"] {
        let deploy = console.deploy(site).await.deploy;
        let record = console.until(deploy.id, "succeeded").await;
        assert_eq!(record["confirmed_by"], "callback", "{site}: {record:#}");
    }
}

#[tokio::test]
async fn tokens_come_with_the_signature_or_without_and_serve_for_many_reports() {
    let issuer = Issuer::start().await;
    for secret in [SECRET, ""] {
        let console = HookListener::start([]).await;
        let before = issuer.calls("/token");
        let job = permitted(Job::stream(&console.url, "echo 1; sleep 1; echo 2"), &issuer);
        let ended = job.set("CONSOLE_CALLBACK_SECRET", secret).run().await;
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
        let heard = console.heard();
        assert!(heard.len() >= 2);
        let token = issuer.change(|it| it.given.last().unwrap().clone());
        for heard in heard {
            assert_eq!(heard.authorization, Some(format!("Bearer {token}")));
            assert_eq!(heard.signature.is_some(), !secret.is_empty());
        }
        assert_eq!(issuer.calls("/token") - before, 1);
    }
}

#[tokio::test]
async fn a_token_is_fetched_anew_before_it_has_ended() {
    tools_are_there().await;
    let issuer = Issuer::start().await;
    let lib = script("lib.sh");
    let steps = format!(
        "set -u; source {}; console_secret='' console_token='' console_request_token=$REQUEST_TOKEN; \
         console_fetch_token 10; first=$console_token; console_fetch_token 10; [[ $console_token == \"$first\" ]] || exit 1; \
         ((console_token_at -= 180)); console_fetch_token 10; [[ $console_token == \"$first\" ]] || exit 2; \
         ((console_token_at -= 61)); console_fetch_token 10; [[ -n $console_token && $console_token != \"$first\" ]] || exit 3",
        lib.display()
    );
    let request_token = issuer.change(|it| it.request_token.clone());
    let status = Command::new("bash")
        .args(["-c", &steps])
        .env(REQUEST_URL, issuer.request_url())
        .env("REQUEST_TOKEN", request_token)
        .env("CONSOLE_URL", "https://console.example.com//")
        .status();
    assert_eq!(status.await.unwrap().code(), Some(0));
    assert_eq!(issuer.calls("/token"), 2);
}

#[tokio::test]
async fn without_a_token_the_secret_goes_alone_and_without_either_nothing_does() {
    let issuer = Issuer::start().await;
    issuer.change(|it| it.ill = Some(Ill::Down));
    let console = HookListener::start([]).await;
    let ended = permitted(Job::notify(&console.url, "success"), &issuer).run().await;
    assert_eq!(ended.code, Some(0));
    assert!(
        ended.stderr.contains("::warning") && ended.stderr.contains("secret alone"),
        "{}",
        ended.stderr
    );
    let heard = console.heard();
    assert_eq!(heard.len(), 1);
    assert!(heard[0].signature.is_some() && heard[0].authorization.is_none());
    // Not every report waits for another no: one is asked for, and once more by curl.
    let before = issuer.calls("/token");
    permitted(
        Job::stream(&console.url, "echo 1; sleep 1; echo 2; sleep 1; echo 3"),
        &issuer,
    )
    .run()
    .await;
    assert!(console.heard().len() >= 3, "they go with the secret");
    assert!(issuer.calls("/token") - before <= 2);
    let reports = console.heard().len();

    let (name, empty) = NO_SECRET;
    let job = permitted(Job::notify(&console.url, "success"), &issuer).set(name, empty);
    let ended = job.set("CONSOLE_NOTIFY_BUDGET", "2").run().await;
    assert_eq!(ended.code, Some(0));
    assert!(ended.stderr.contains("gave no token"), "{}", ended.stderr);
    assert_eq!(ended.stderr.matches("gave no token").count(), 1, "once is enough");
    let job = permitted(Job::stream(&console.url, "echo out; exit 3"), &issuer).set(name, empty);
    let ended = job.set("CONSOLE_STREAM_GRACE", "1").run().await;
    assert_eq!((ended.code, ended.stdout.as_slice()), (Some(3), b"out\n".as_slice()));
    assert_eq!(console.heard().len(), reports);
}

#[tokio::test]
async fn nobody_is_waited_for_longer_than_the_budget() {
    let issuer = Issuer::start().await;
    issuer.change(|it| it.ill = Some(Ill::Silent));
    for secret in ["", SECRET] {
        let console = HookListener::start([Answer::Never, Answer::Never, Answer::Never]).await;
        let began = Instant::now();
        let job = permitted(Job::notify(&console.url, "success"), &issuer).set("CONSOLE_CALLBACK_SECRET", secret);
        let ended = job.set("CONSOLE_NOTIFY_BUDGET", "12").run().await;
        assert_eq!(ended.code, Some(0));
        assert!(ended.stderr.contains("within 12 s"), "{}", ended.stderr);
        assert_eq!(console.heard().is_empty(), secret.is_empty());
        assert!(began.elapsed() < Duration::from_secs(40));
    }
}

#[tokio::test]
async fn a_token_that_comes_late_is_still_sent() {
    let issuer = Issuer::start().await;
    issuer.change(|it| it.ill = Some(Ill::Down));
    let console = HookListener::start([]).await;
    let (name, empty) = NO_SECRET;
    let job = permitted(Job::notify(&console.url, "success"), &issuer).set(name, empty);
    let running = tokio::spawn(job.run());
    while issuer.calls("/token") == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    issuer.change(|it| it.ill = None);
    assert_eq!(running.await.unwrap().code, Some(0));
    assert!(console.heard()[0].authorization.is_some());
}

#[tokio::test]
async fn what_cannot_be_asked_with_is_not_asked_with() {
    let issuer = Issuer::start().await;
    let console = HookListener::start([]).await;
    for (name, value) in [
        (REQUEST_URL, ""),
        (REQUEST_URL, "file:///etc/passwd?x"),
        (REQUEST_URL, "http://127.0.0.1/\"\nurl = \"http://127.0.0.1/"),
        (REQUEST_TOKEN, "a\"b"),
        (REQUEST_TOKEN, "a\\b"),
        (REQUEST_TOKEN, "a b"),
    ] {
        let ended = permitted(Job::notify(&console.url, "success"), &issuer)
            .set(name, value)
            .run()
            .await;
        assert_eq!(ended.code, Some(0));
        assert!(
            ended.stderr.contains("cannot be used"),
            "{name}={value}: {}",
            ended.stderr
        );
    }
    assert_eq!(
        (console.heard().len(), issuer.calls("/token")),
        (6, 0),
        "the secret goes alone"
    );
}

#[tokio::test]
async fn a_runner_is_told_to_hide_the_token_and_nobody_else_is_told_it() {
    let issuer = Issuer::start().await;
    let console = HookListener::start([]).await;
    for (runner, name) in [
        ("true", "notify.sh"),
        ("true", "stream.sh"),
        ("", "notify.sh"),
        ("", "stream.sh"),
    ] {
        let mut job = permitted(Job::new(name, &console.url), &issuer)
            .set("GITHUB_ACTIONS", runner)
            .set("STATUS", "success");
        if name == "stream.sh" {
            job.command.args(["--step", "Build", "--", "env"]);
        }
        let ended = job.run().await;
        let token = issuer.change(|it| it.given.last().unwrap().clone());
        let shown = String::from_utf8_lossy(&ended.stdout).contains(&token);
        assert!(!shown, "{name}");
        if runner == "true" {
            assert_eq!(ended.stderr, format!("::add-mask::{token}\n"), "{name}");
        } else {
            assert_eq!(ended.stderr, "", "{name}");
        }
        assert!(!console.log().contains(&token), "{name}");
    }
}

#[tokio::test]
async fn the_command_may_ask_for_tokens_where_it_was_said_to_need_them() {
    let issuer = Issuer::start().await;
    let console = HookListener::start([]).await;
    let request_token = issuer.change(|it| it.request_token.clone());
    for id in ["0199a8f0-0000-7000-8000-000000000000", ""] {
        for keep in ["", "1"] {
            let job = permitted(Job::stream(&console.url, "env"), &issuer);
            let job = job.set("CONSOLE_DEPLOY_ID", id).set("CONSOLE_KEEP_ID_TOKEN", keep);
            let printed = String::from_utf8(job.run().await.stdout).unwrap();
            assert_eq!(printed.contains(&request_token), !keep.is_empty(), "{id} {keep}");
            assert!(!printed.contains("whsec_"));
        }
    }
    assert!(!console.log().contains(&request_token), "it is masked on its way");
}

/// Waits until the script has called somebody who never answers.
async fn called(listener: &TcpListener) -> tokio::net::TcpStream {
    let accepted = tokio::time::timeout(Duration::from_secs(30), listener.accept());
    accepted.await.unwrap().unwrap().0
}

#[tokio::test]
async fn neither_token_shows_in_an_argument_or_an_environment() {
    for (name, secret) in [
        ("notify.sh", true),
        ("stream.sh", true),
        ("notify.sh", false),
        ("stream.sh", false),
    ] {
        // Of its own, so that what other tests do at the same time is not seen.
        let issuer = Issuer::start().await;
        let (endpoint, console) = (
            TcpListener::bind("127.0.0.1:0").await.unwrap(),
            TcpListener::bind("127.0.0.1:0").await.unwrap(),
        );
        let url = |listener: &TcpListener| format!("http://{}", listener.local_addr().unwrap());
        let request_token = issuer.change(|it| it.request_token.clone());
        let job = |request_url: &str| {
            let mut job = Job::new(name, &url(&console))
                .set("STATUS", "success")
                .set(REQUEST_URL, request_url)
                .set(REQUEST_TOKEN, &request_token);
            if !secret {
                job = job.set("CONSOLE_CALLBACK_SECRET", "");
            }
            if name == "stream.sh" {
                job.command.args(["--step", "Build", "--", "sleep", "60"]);
            }
            job
        };
        // While the token is asked for.
        let mut asking = job(&format!("{}/token?api-version=2.0", url(&endpoint)));
        let mut child = asking.command.spawn().unwrap();
        let _held = called(&endpoint).await;
        assert!(!seen_in_proc().contains(&request_token), "{name}");
        child.kill().await.unwrap();
        // While it is sent.
        let mut sending = job(&issuer.request_url());
        let mut child = sending.command.spawn().unwrap();
        let _held = called(&console).await;
        let seen = seen_in_proc();
        let token = issuer.change(|it| it.given.last().unwrap().clone());
        assert!(seen.contains("webhook-timestamp"), "the call itself is seen");
        assert!(!seen.contains(&request_token), "{name} shows the request token");
        assert!(!seen.contains(&token), "{name} shows the token");
        child.kill().await.unwrap();
    }
}
