//! Coming in and going out: set-up links, passwords, sessions.

use crate::support::database::{database_of, execute, number};
use crate::support::people::{PASSWORD, browser};
use crate::support::{SITES, Setup, TestConsole, config, refused, stand_in};
use raxx_console::domain::Role;
use raxx_console::server::audit::Source;
use raxx_console::server::auth::people;
use raxx_console::server::clock;
use raxx_console::server::demo::stand_in::Scenario;
use raxx_console::server::run;
use raxx_console::server::store::{SessionAges, SessionRow, Store};
use reqwest::Client;
use serde_json::{Value, json};
use std::time::Duration;

/// The cookies that a response sets, each as its whole header.
fn cookies(response: &reqwest::Response) -> Vec<String> {
    let headers = response.headers().get_all("set-cookie");
    headers.iter().map(|value| value.to_str().unwrap().to_owned()).collect()
}

/// The value of the session cookie that a response sets.
fn session(response: &reqwest::Response) -> String {
    let cookies = cookies(response);
    let cookie = cookies
        .iter()
        .find(|cookie| cookie.contains("console_session="))
        .unwrap();
    cookie.split(['=', ';']).nth(1).unwrap().to_owned()
}

/// Asks with a session cookie by hand, as a thief would.
async fn with_session(console: &TestConsole, id: &str) -> u16 {
    let request = Client::new().get(console.url("/api/internal/board"));
    let cookie = format!("__Host-console_session={id}");
    request.header("cookie", cookie).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn the_first_start_prints_a_link_that_opens_once() {
    let (data, github) = (tempfile::tempdir().unwrap(), stand_in(Scenario::Queued).await);
    let mut config = config(&data, &github.url());
    config.public_url = None;
    let running = run::start(config.clone(), None).await.unwrap();
    let link = running.set_up().unwrap().to_owned();
    let first = browser();
    let page = first.get(&link).send().await.unwrap();
    assert_eq!(page.status(), 200);
    assert!(page.text().await.unwrap().contains("Become the first admin"));
    let send = |name: &'static str, password: &'static str| {
        first.post(&link).form(&[("name", name), ("password", password)]).send()
    };
    // What cannot be taken is said, and the link still opens.
    let weak = send("ada", "password1234").await.unwrap();
    assert_eq!(weak.status(), 422);
    let weak = weak.text().await.unwrap();
    assert!(
        weak.contains("guessed first") && weak.contains("value=\"ada\""),
        "{weak}"
    );
    assert_eq!(send("", PASSWORD).await.unwrap().status(), 422);
    assert_eq!(send("ada", PASSWORD).await.unwrap().status(), 303);
    let board = first.get(format!("http://{}/", running.addr())).send().await.unwrap();
    assert_eq!(board.status(), 200);
    assert_eq!(send("eve", PASSWORD).await.unwrap().status(), 404);
    assert_eq!(first.get(&link).send().await.unwrap().status(), 404);
    running.stop().await;
    let again = run::start(config, None).await.unwrap();
    assert!(again.set_up().is_none(), "somebody is there");
}

#[tokio::test]
async fn an_earlier_link_opens_nothing_any_more() {
    let console = Setup::default().start().await;
    let first = console.invite("dora", Role::Viewer).await;
    let source = Source::command_line();
    let second = people::reset(console.running.store(), &"dora".parse().unwrap(), &source)
        .await
        .unwrap();
    let fields = [("password", PASSWORD)];
    assert_eq!(console.form(&browser(), &first, &fields).await.status(), 404);
    let second = format!("/set-up/{}", second.token);
    assert_eq!(console.form(&browser(), &second, &fields).await.status(), 303);
}

#[tokio::test]
async fn a_new_password_ends_every_session() {
    let console = Setup::default().start().await;
    let dora = console.person("dora", Role::Viewer).await;
    let source = Source::command_line();
    let link = people::reset(console.running.store(), &"dora".parse().unwrap(), &source)
        .await
        .unwrap();
    assert_eq!(console.status(&dora, "/").await, 200, "the link alone changes nothing");
    let fields = [("password", "another lamp otter violin")];
    console
        .form(&browser(), &format!("/set-up/{}", link.token), &fields)
        .await;
    assert_eq!(console.status(&dora, "/").await, 303);
    assert_eq!(console.sign_in(&browser(), "dora", PASSWORD).await.status(), 401);
}

#[tokio::test]
async fn whatever_is_wrong_the_answer_is_the_same() {
    let console = Setup::default().start().await;
    console.person("dora", Role::Viewer).await;
    console.person("dis", Role::Viewer).await;
    console.invite("inge", Role::Viewer).await;
    let source = Source::command_line();
    people::set_disabled(console.running.store(), &"dis".parse().unwrap(), true, &source)
        .await
        .unwrap();
    let mut said = Vec::new();
    for (name, password) in [
        ("dora", "wrong"),
        ("nobody", "wrong"),
        ("dis", PASSWORD),
        ("inge", ""),
        ("\u{202e}", "wrong"),
    ] {
        let response = console.sign_in(&browser(), name, password).await;
        assert_eq!(response.status(), 401, "{name}");
        assert!(cookies(&response).is_empty());
        let page = response.text().await.unwrap();
        said.push(
            page.split("tone-danger\">")
                .nth(1)
                .unwrap()
                .split('<')
                .next()
                .unwrap()
                .to_owned(),
        );
    }
    assert!(said.iter().all(|text| *text == said[0]), "{said:?}");
    let right = console.sign_in(&browser(), "DORA", PASSWORD).await;
    assert_eq!(right.status(), 303, "letter case is no secret");
}

#[tokio::test]
async fn the_cookie_is_bound_to_the_host_and_unseen_by_scripts() {
    let console = Setup::default().start().await;
    console.person("dora", Role::Viewer).await;
    let response = console.sign_in(&browser(), "dora", PASSWORD).await;
    for cookie in cookies(&response) {
        assert!(cookie.starts_with("__Host-console_"), "{cookie}");
        for attribute in ["HttpOnly", "Secure", "SameSite=Lax", "Path=/"] {
            assert!(cookie.contains(attribute), "{attribute} of {cookie}");
        }
        assert!(!cookie.contains("Domain"), "{cookie}");
    }
    let plain = Setup {
        public_url: None,
        ..Setup::default()
    };
    let plain = plain.start().await;
    plain.person("dora", Role::Viewer).await;
    let response = plain.sign_in(&browser(), "dora", PASSWORD).await;
    assert!(
        cookies(&response)
            .iter()
            .all(|cookie| cookie.starts_with("console_") && !cookie.contains("Secure"))
    );
}

#[tokio::test]
async fn signing_in_makes_a_new_session_and_signing_out_ends_it() {
    let console = Setup::default().start().await;
    console.person("dora", Role::Viewer).await;
    // A fixed id, and one that was valid before, are not taken over.
    let fixed = "AAAAAAAAAAAAAAAAAAAAAA";
    let request = Client::new()
        .post(console.url("/sign-in"))
        .header("cookie", format!("__Host-console_session={fixed}"));
    let request = request.form(&[("name", "dora"), ("password", PASSWORD)]);
    let client = Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    let response = client.execute(request.build().unwrap()).await.unwrap();
    let first = session(&response);
    assert_ne!(first, fixed);
    assert_eq!(
        (
            with_session(&console, fixed).await,
            with_session(&console, &first).await
        ),
        (401, 200)
    );
    let cookie = format!("__Host-console_session={first}");
    let request = client.post(console.url("/sign-in")).header("cookie", cookie);
    let response = request
        .form(&[("name", "dora"), ("password", PASSWORD)])
        .send()
        .await
        .unwrap();
    let second = session(&response);
    assert_eq!(
        (
            with_session(&console, &first).await,
            with_session(&console, &second).await
        ),
        (401, 200)
    );
    // A cookie that was stolen before is worth nothing after signing out.
    let cookie = format!("__Host-console_session={second}");
    client
        .post(console.url("/sign-out"))
        .header("cookie", cookie)
        .send()
        .await
        .unwrap();
    assert_eq!(with_session(&console, &second).await, 401);
}

#[tokio::test]
async fn sessions_are_seen_and_ended_one_by_one() {
    let console = Setup::default().start().await;
    let (here, there) = (console.person("dora", Role::Viewer).await, browser());
    console.sign_in(&there, "dora", PASSWORD).await;
    let account = async || {
        here.get(console.url("/api/internal/account"))
            .send()
            .await
            .unwrap()
            .json::<Value>()
            .await
            .unwrap()
    };
    let sessions = account().await["sessions"].as_array().unwrap().clone();
    assert_eq!(sessions.len(), 2);
    assert_eq!(sessions.iter().filter(|session| session["current"] == true).count(), 1);
    assert!(sessions.iter().all(|session| session["address"] == "127.0.0.1"));
    let other = sessions.iter().find(|session| session["current"] == false).unwrap();
    let end = json!({ "handle": other["handle"] });
    let ended = here
        .post(console.url("/api/internal/sessions/end"))
        .json(&end)
        .send()
        .await
        .unwrap();
    assert_eq!(ended.status(), 200);
    assert_eq!(
        (console.status(&here, "/").await, console.status(&there, "/").await),
        (200, 303)
    );
    let on_trail = async || {
        let ended = "SELECT COUNT(*) FROM console_audit WHERE action = 'session_ended'";
        number(&console.database(), ended).await
    };
    assert_eq!(on_trail().await, 1);
    // Nobody ends somebody else's.
    let eve = console.person("eve", Role::Admin).await;
    let own = account().await["sessions"][0]["handle"].clone();
    let response = eve
        .post(console.url("/api/internal/sessions/end"))
        .json(&json!({ "handle": own }))
        .send()
        .await
        .unwrap();
    refused(response, 404, "not-found").await;
    assert_eq!(on_trail().await, 1, "nothing happened");
    here.post(console.url("/api/internal/sessions/end"))
        .json(&json!({}))
        .send()
        .await
        .unwrap();
    assert_eq!(console.status(&here, "/").await, 303);
}

#[tokio::test]
async fn a_changed_password_leaves_this_browser_alone() {
    let console = Setup::default().start().await;
    let (here, there) = (console.person("dora", Role::Viewer).await, browser());
    console.sign_in(&there, "dora", PASSWORD).await;
    let change = |old: &str, new: &str| {
        let body = json!({ "old": old, "new": new });
        here.post(console.url("/api/internal/account/password"))
            .json(&body)
            .send()
    };
    let wrong = refused(
        change("wrong", "another lamp otter violin").await.unwrap(),
        422,
        "invalid",
    )
    .await;
    assert_eq!(wrong["field"], "old");
    let weak = refused(change(PASSWORD, "short").await.unwrap(), 422, "invalid").await;
    assert_eq!(weak["field"], "password");
    assert_eq!(
        change(PASSWORD, "another lamp otter violin").await.unwrap().status(),
        200
    );
    assert_eq!(
        (console.status(&here, "/").await, console.status(&there, "/").await),
        (200, 303)
    );
    assert_eq!(
        console
            .sign_in(&browser(), "dora", "another lamp otter violin")
            .await
            .status(),
        303
    );
}

/// Sets back the clock of every session, as if it had been so long ago.
async fn age_sessions(console: &TestConsole, column: &str, millis: i64) {
    let sql = format!("UPDATE console_sessions SET {column} = {column} - {millis}");
    execute(&console.database(), sql).await;
}

#[tokio::test]
async fn a_session_ends_when_it_is_idle_and_when_it_is_old() {
    let setup = Setup {
        file: format!("[sessions]\nidle = \"10m\"\nabsolute = \"1h\"\n{SITES}"),
        ..Setup::default()
    };
    let console = setup.start().await;
    let dora = console.person("dora", Role::Viewer).await;
    age_sessions(&console, "last_seen_at", 9 * 60_000).await;
    assert_eq!(
        console.status(&dora, "/").await,
        200,
        "nine minutes are not ten, and this is a sign of life"
    );
    age_sessions(&console, "last_seen_at", 9 * 60_000).await;
    assert_eq!(console.status(&dora, "/").await, 200);
    age_sessions(&console, "last_seen_at", 11 * 60_000).await;
    assert_eq!(console.status(&dora, "/").await, 303);
    console.sign_in(&dora, "dora", PASSWORD).await;
    age_sessions(&console, "expires_at", 61 * 60_000).await;
    assert_eq!(console.status(&dora, "/").await, 303, "an hour is an hour");
}

#[tokio::test]
async fn that_a_session_was_seen_is_noted_now_and_then() {
    let setup = Setup {
        file: format!("[sessions]\nidle = \"1m\"\n{SITES}"),
        ..Setup::default()
    };
    let console = setup.start().await;
    let dora = console.person("dora", Role::Viewer).await;
    let seen = async || {
        let sql = "SELECT last_seen_at FROM console_sessions WHERE operator_id IS NOT NULL";
        assert_eq!(console.status(&dora, "/").await, 200);
        number(&console.database(), sql).await
    };
    let first = seen().await;
    age_sessions(&console, "last_seen_at", 5_000).await;
    assert_eq!(seen().await, first - 5_000, "not with each request");
    for _ in 0..4 {
        age_sessions(&console, "last_seen_at", 20_000).await;
        assert!(seen().await >= first, "a quarter of the time has gone by");
    }
}

#[tokio::test]
async fn sessions_and_links_that_have_ended_are_forgotten() {
    let (data, github) = (tempfile::tempdir().unwrap(), stand_in(Scenario::Queued).await);
    let config = config(&data, &github.url());
    let console = TestConsole::start(config.clone(), github, data).await;
    for name in ["dora", "olga", "lena"] {
        console.person(name, Role::Viewer).await;
    }
    for name in ["inge", "ines"] {
        console.invite(name, Role::Viewer).await;
    }
    let (url, id) = (
        console.database(),
        "operator_id = (SELECT id FROM console_operators WHERE name",
    );
    for sql in [
        format!("UPDATE console_sessions SET expires_at = 1 WHERE {id} = 'dora')"),
        format!("UPDATE console_sessions SET last_seen_at = 1 WHERE {id} = 'olga')"),
        format!("UPDATE console_links SET expires_at = 1 WHERE {id} = 'inge')"),
    ] {
        execute(&url, sql).await;
    }
    let kept = async || {
        let sessions = number(
            &url,
            "SELECT COUNT(*) FROM console_sessions WHERE operator_id IS NOT NULL",
        );
        (sessions.await, number(&url, "SELECT COUNT(*) FROM console_links").await)
    };
    let before = kept().await;
    let TestConsole {
        running, data: _data, ..
    } = console;
    running.stop().await;
    let again = run::start(config, None).await.unwrap();
    let forgotten = async {
        while kept().await != (before.0 - 2, before.1 - 1) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(10), forgotten).await;
    assert!(waited.is_ok(), "{before:?} before, {:?} now", kept().await);
    again.stop().await;
}

#[tokio::test]
async fn guessing_is_slowed_down_and_locks_nobody_out() {
    let console = Setup::default().start().await;
    let dora = console.person("dora", Role::Viewer).await;
    let guesser = browser();
    for _ in 0..10 {
        assert_eq!(console.sign_in(&guesser, "dora", "guess").await.status(), 401);
    }
    // Now even the right password is not looked at, from a browser that nobody knows.
    let response = console.sign_in(&guesser, "dora", PASSWORD).await;
    assert_eq!(response.status(), 429);
    assert!(response.headers().contains_key("retry-after"));
    // An account that does not exist is slowed down all the same.
    for _ in 0..10 {
        console.sign_in(&guesser, "nobody", "guess").await;
    }
    assert_eq!(console.sign_in(&guesser, "nobody", "guess").await.status(), 429);
    // Nor is it from somebody else's browser.
    let olga = console.person("olga", Role::Viewer).await;
    console.form(&olga, "/sign-out", &[]).await;
    assert_eq!(console.sign_in(&olga, "dora", PASSWORD).await.status(), 429);
    // Her own browser has signed her in before.
    console.form(&dora, "/sign-out", &[]).await;
    assert_eq!(console.sign_in(&dora, "dora", "slip of the finger").await.status(), 401);
    assert_eq!(console.sign_in(&dora, "dora", PASSWORD).await.status(), 303);
}

#[tokio::test]
async fn a_known_browser_is_a_stranger_again_after_ten_failures_in_a_row() {
    let console = Setup::default().start().await;
    let dora = console.person("dora", Role::Viewer).await;
    console.form(&dora, "/sign-out", &[]).await;
    for guesses in [9, 9, 10] {
        for _ in 0..guesses {
            assert_eq!(console.sign_in(&dora, "dora", "guess").await.status(), 401);
        }
        if guesses < 10 {
            assert_eq!(console.sign_in(&dora, "dora", PASSWORD).await.status(), 303);
        }
    }
    assert_eq!(console.sign_in(&dora, "dora", PASSWORD).await.status(), 429);
}

#[tokio::test]
async fn an_address_that_guesses_has_to_wait() {
    let console = Setup {
        file: format!("trusted_proxies = [\"127.0.0.1\"]\n{SITES}"),
        ..Setup::default()
    }
    .start()
    .await;
    console.person("dora", Role::Viewer).await;
    let from = |address: &str, name: String, password: &str| {
        let request = browser()
            .post(console.url("/sign-in"))
            .header("x-forwarded-for", address);
        request.form(&[("name", name.as_str()), ("password", password)]).send()
    };
    for guess in 0..50 {
        let response = from("203.0.113.9", format!("name-{guess}"), "guess").await.unwrap();
        assert_eq!(response.status(), 401, "{guess}");
    }
    assert_eq!(
        from("203.0.113.9", "dora".to_owned(), PASSWORD).await.unwrap().status(),
        429
    );
    assert_eq!(
        from("198.51.100.7", "dora".to_owned(), PASSWORD)
            .await
            .unwrap()
            .status(),
        303
    );
}

#[tokio::test]
async fn who_is_disabled_is_out_at_once() {
    let console = Setup::default().start().await;
    let (dora, alma) = (
        console.person("dora", Role::Deployer).await,
        console.person("alma", Role::Admin).await,
    );
    let set = |name: &str, disabled: bool| {
        let body = json!({ "name": name, "disabled": disabled });
        alma.post(console.url("/api/internal/operators/disabled"))
            .json(&body)
            .send()
    };
    assert_eq!(set("dora", true).await.unwrap().status(), 200);
    assert_eq!(console.status(&dora, "/").await, 303);
    assert_eq!(console.sign_in(&dora, "dora", PASSWORD).await.status(), 401);
    assert_eq!(set("dora", false).await.unwrap().status(), 200);
    assert_eq!(console.sign_in(&dora, "dora", PASSWORD).await.status(), 303);
    assert_eq!(set("ada", true).await.unwrap().status(), 200);
    let last = refused(set("alma", true).await.unwrap(), 409, "conflict").await;
    assert!(last["detail"].as_str().unwrap().contains("last admin"));
}

#[tokio::test]
async fn a_form_that_is_too_large_is_413() {
    let console = Setup::default().start().await;
    let path = console.invite("dora", Role::Viewer).await;
    let (name, password) = ("x".repeat(17 * 1024), PASSWORD);
    let fields = [("name", name.as_str()), ("password", password)];
    for path in ["/sign-in", &path] {
        assert_eq!(console.form(&browser(), path, &fields).await.status(), 413, "{path}");
    }
}

#[tokio::test]
async fn a_link_opens_nothing_once_its_time_is_over() {
    let console = Setup::default().start().await;
    let links = [
        console.invite("dora", Role::Viewer).await,
        console.invite("otto", Role::Viewer).await,
    ];
    let sql = "UPDATE console_links SET expires_at = 1 \
               WHERE operator_id = (SELECT id FROM console_operators WHERE name = 'dora')";
    execute(&console.database(), sql).await;
    for (link, status) in links.iter().zip([404, 303]) {
        let response = console.form(&browser(), link, &[("password", PASSWORD)]).await;
        assert_eq!(response.status(), status);
    }
}

#[tokio::test]
async fn a_start_with_nobody_there_gives_out_a_link_in_place_of_the_one_before() {
    let (data, github) = (tempfile::tempdir().unwrap(), stand_in(Scenario::Queued).await);
    let config = config(&data, &github.url());
    let token = |running: &run::Running| running.set_up().unwrap().rsplit('/').next().unwrap().to_owned();
    let running = run::start(config.clone(), None).await.unwrap();
    let before = token(&running);
    running.stop().await;
    let again = run::start(config, None).await.unwrap();
    for (token, status) in [(before, 404), (token(&again), 200)] {
        let page = browser().get(format!("http://{}/set-up/{token}", again.addr())).send();
        assert_eq!(page.await.unwrap().status(), status);
    }
}

#[tokio::test]
async fn a_password_is_ones_own() {
    let console = Setup::default().start().await;
    let (dora, grace) = (
        console.person("dora", Role::Viewer).await,
        console.person("grace", Role::Viewer).await,
    );
    let new = "another lamp otter violin";
    let change = dora
        .post(console.url("/api/internal/account/password"))
        .json(&json!({ "old": PASSWORD, "new": new }));
    assert_eq!(change.send().await.unwrap().status(), 200);
    assert_eq!(console.status(&grace, "/").await, 200, "she is still in");
    assert_eq!(console.sign_in(&browser(), "grace", PASSWORD).await.status(), 303);
    assert_eq!(console.sign_in(&browser(), "dora", new).await.status(), 303);
}

#[tokio::test]
async fn who_guesses_at_an_account_slows_no_other_down_and_that_not_for_ever() {
    let console = Setup::default().start().await;
    console.person("dora", Role::Viewer).await;
    console.person("olga", Role::Viewer).await;
    for _ in 0..10 {
        assert_eq!(console.sign_in(&browser(), "dora", "guess").await.status(), 401);
    }
    assert_eq!(console.sign_in(&browser(), "dora", PASSWORD).await.status(), 429);
    assert_eq!(console.sign_in(&browser(), "olga", PASSWORD).await.status(), 303);
    let yesterday = "UPDATE console_audit SET at = at - 86400000 WHERE action = 'sign_in_failed'";
    execute(&console.database(), yesterday).await;
    assert_eq!(console.sign_in(&browser(), "dora", PASSWORD).await.status(), 303);
}

#[tokio::test]
async fn a_session_may_come_to_end_sooner_and_not_later() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&database_of(folder.path())).await.unwrap();
    let now = clock::now();
    let session = SessionRow {
        id_sha256: "id".to_owned(),
        handle: "handle".to_owned(),
        operator: None,
        data: "{}".to_owned(),
        created_at: now,
        last_seen_at: now,
        expires_at: now.plus_millis(60_000),
    };
    assert!(store.create_session(&session).await.unwrap());
    let ages = SessionAges {
        idle_ms: 60_000,
        absolute_ms: 60_000,
    };
    for (asked, ends) in [(90_000, 60_000), (30_000, 30_000), (60_000, 30_000)] {
        store.save_session("id", "{}", now.plus_millis(asked)).await.unwrap();
        let (_, expires_at) = store.load_session("id", ages, now).await.unwrap().unwrap();
        assert_eq!(expires_at, now.plus_millis(ends), "{asked}");
    }
}
