//! Every route of the route table, for everybody who may stand in front of it.

use crate::support::database::{execute, is_postgres};
use crate::support::people::{bearer, browser};
use crate::support::{SITES, Setup, TestConsole, now, refused};
use raxx_console::domain::{Role, Slug};
use raxx_console::server::audit::Source;
use raxx_console::server::auth::{people, token};
use raxx_console::server::clock;
use raxx_console::server::router::table::{Access, TABLE};
use reqwest::{Client, Method};
use serde_json::{Value, json};

/// Who asks, in the order of the columns below.
const PRINCIPALS: [&str; 8] = [
    "nobody",
    "viewer",
    "deployer of another site",
    "deployer of this site",
    "admin",
    "valid token",
    "expired token",
    "revoked token",
];

/// What a request to a route is answered, for each of [`PRINCIPALS`].
struct Row {
    method: Method,
    route: &'static str,
    /// The request's path, where the route has a placeholder or wants a query.
    path: Option<&'static str>,
    body: Option<Value>,
    expected: [u16; 8],
}

fn get(route: &'static str, expected: [u16; 8]) -> Row {
    Row {
        method: Method::GET,
        route,
        path: None,
        body: None,
        expected,
    }
}

fn post(route: &'static str, body: Value, expected: [u16; 8]) -> Row {
    Row {
        method: Method::POST,
        body: Some(body),
        ..get(route, expected)
    }
}

impl Row {
    fn at(self, path: &'static str) -> Self {
        Self {
            path: Some(path),
            ..self
        }
    }
}

/// A token opens the API and no page; one that opens nothing is as good as none there, and worse at the API.
const PAGE: [u16; 8] = [303, 200, 200, 200, 200, 303, 303, 303];
const NO_SUCH_PAGE: [u16; 8] = [303, 404, 404, 404, 404, 303, 303, 303];
const ADMINS_PAGE: [u16; 8] = [303, 403, 403, 403, 200, 303, 303, 303];
const READ: [u16; 8] = [401, 200, 200, 200, 200, 200, 401, 401];
const READ_NOTHING: [u16; 8] = [401, 404, 404, 404, 404, 404, 401, 401];
/// Of a deploy that is not there.
const STEP_IN: [u16; 8] = [401, 403, 404, 404, 404, 404, 401, 401];
/// What nobody may do with a token.
const IN_PERSON: [u16; 8] = [401, 200, 200, 200, 200, 403, 401, 401];
const ADMIN_IN_PERSON: [u16; 8] = [401, 403, 403, 403, 200, 403, 401, 401];

#[allow(clippy::too_many_lines)] // It is a table.
fn rows() -> Vec<Row> {
    vec![
        get("/", PAGE),
        get("/deploys", PAGE),
        get("/deploys/{id}", NO_SUCH_PAGE).at("/deploys/0199a8f0-0000-7000-8000-000000000000"),
        get("/sites/{slug}", PAGE).at("/sites/docs"),
        get("/account", PAGE),
        get("/people", ADMINS_PAGE),
        get("/audit", ADMINS_PAGE),
        // Whoever is in already is sent on.
        get("/sign-in", [200, 303, 303, 303, 303, 200, 200, 200]),
        post("/sign-in", json!({ "name": "x", "password": "x" }), [401; 8]),
        // This console has no provider.
        get("/sign-in/oidc", [404; 8]),
        get("/sign-in/oidc/callback", [404; 8]),
        get("/set-up/{token}", [404; 8]).at("/set-up/nonsense"),
        post("/set-up/{token}", json!({ "name": "x", "password": "x" }), [404; 8]).at("/set-up/nonsense"),
        // There is such a door in a demo only.
        get("/demo/{key}", [404; 8]).at("/demo/nonsense"),
        get("/api/internal/board", READ),
        // 422: allowed, and what was typed is not the slug.
        post(
            "/api/internal/deploys",
            json!({ "site": "docs", "confirmation": "doc" }),
            [401, 403, 403, 422, 422, 422, 401, 401],
        ),
        get("/api/internal/deploys/{id}", READ_NOTHING)
            .at("/api/internal/deploys/0199a8f0-0000-7000-8000-000000000000"),
        post("/api/internal/deploys/{id}/cancel", json!({}), STEP_IN)
            .at("/api/internal/deploys/0199a8f0-0000-7000-8000-000000000000/cancel"),
        post(
            "/api/internal/deploys/{id}/override",
            json!({ "state": "failed", "reason": "x" }),
            STEP_IN,
        )
        .at("/api/internal/deploys/0199a8f0-0000-7000-8000-000000000000/override"),
        post(
            "/api/internal/cancel",
            json!({ "id": "0199a8f0-0000-7000-8000-000000000000", "request": {} }),
            STEP_IN,
        ),
        post(
            "/api/internal/override",
            json!({ "id": "0199a8f0-0000-7000-8000-000000000000", "request": { "state": "failed", "reason": "x" } }),
            STEP_IN,
        ),
        get("/api/internal/deploy", READ_NOTHING).at("/api/internal/deploy?id=0199a8f0-0000-7000-8000-000000000000"),
        get("/api/internal/history", READ),
        get("/api/internal/site", READ).at("/api/internal/site?slug=docs"),
        get("/api/internal/account", IN_PERSON),
        // 422: allowed, and the present password is wrong.
        post(
            "/api/internal/account/password",
            json!({ "old": "x", "new": "x" }),
            [401, 422, 422, 422, 422, 403, 401, 401],
        ),
        post(
            "/api/internal/sessions/end",
            json!({ "handle": "x" }),
            [401, 404, 404, 404, 404, 403, 401, 401],
        ),
        post(
            "/api/internal/tokens",
            json!({ "name": "ci", "sites": [], "days": 1 }),
            IN_PERSON,
        ),
        post(
            "/api/internal/tokens/revoke",
            json!({ "id": "x" }),
            [401, 404, 404, 404, 404, 403, 401, 401],
        ),
        get("/api/internal/operators", ADMIN_IN_PERSON),
        // 409: allowed, and the name is taken.
        post(
            "/api/internal/operators",
            json!({ "name": "vera", "role": "viewer" }),
            [401, 403, 403, 403, 409, 403, 401, 401],
        ),
        post(
            "/api/internal/operators/role",
            json!({ "name": "vera", "role": "viewer" }),
            ADMIN_IN_PERSON,
        ),
        post(
            "/api/internal/operators/disabled",
            json!({ "name": "guest", "disabled": false }),
            ADMIN_IN_PERSON,
        ),
        post(
            "/api/internal/operators/link",
            json!({ "name": "guest" }),
            ADMIN_IN_PERSON,
        ),
        get("/api/internal/audit", [401, 403, 403, 403, 200, 403, 401, 401]),
        get("/api/internal/audit.jsonl", [401, 403, 403, 403, 200, 403, 401, 401]),
        // Its authority is a signature, and nobody here has one.
        post("/api/internal/github/webhooks", json!({}), [401; 8]),
        post("/api/internal/deploys/{id}/status", json!({}), [401; 8])
            .at("/api/internal/deploys/0199a8f0-0000-7000-8000-000000000000/status"),
        get("/healthz", [204; 8]),
        get("/readyz", [204; 8]),
        // Last: it ends the sessions of all who have one.
        post("/sign-out", json!({}), [303; 8]),
    ]
}

/// `docs` names its deployer; the deployers of `api-prod` are the other ones.
fn file() -> String {
    let named = |slug: &str, who: &str| format!("slug = \"{slug}\"\ndeployers = [\"{who}\"]");
    SITES
        .replace("slug = \"docs\"", &named("docs", "dora"))
        .replace("slug = \"api-prod\"", &named("api-prod", "otto"))
}

/// A token of `dora`, who may deploy `docs`.
async fn token_of_dora(console: &TestConsole, lives_ms: Option<i64>) -> (String, String) {
    let store = console.running.store();
    let dora = people::find(store, &"dora".parse().unwrap()).await.unwrap().operator;
    let docs: Slug = "docs".parse().unwrap();
    let wanted = token::Wanted {
        name: "script".to_owned(),
        sites: vec![docs.clone()],
        lives_ms,
    };
    let made = token::create(store, &[docs], &dora, wanted, &Source::command_line()).await;
    let (text, token) = made.unwrap();
    (text, token.id)
}

async fn principals(console: &TestConsole) -> [Client; 8] {
    let store = console.running.store();
    let viewer = console.person("vera", Role::Viewer).await;
    let of_another = console.person("otto", Role::Deployer).await;
    let of_this = console.person("dora", Role::Deployer).await;
    let admin = console.person("alma", Role::Admin).await;
    console.person("guest", Role::Viewer).await;
    let (valid, _) = token_of_dora(console, None).await;
    let (expired, _) = token_of_dora(console, Some(1)).await;
    let (revoked, id) = token_of_dora(console, None).await;
    let source = Source::command_line();
    token::revoke(store, &id, None, &source).await.unwrap();
    let made = clock::now();
    while clock::now().millis_since(made) < 2 {
        tokio::task::yield_now().await;
    }
    [
        browser(),
        viewer,
        of_another,
        of_this,
        admin,
        bearer(&valid),
        bearer(&expired),
        bearer(&revoked),
    ]
}

#[tokio::test]
async fn every_route_lets_in_whom_it_should() {
    let console = Setup {
        file: file(),
        ..Setup::default()
    }
    .start()
    .await;
    let principals = principals(&console).await;
    let rows = rows();
    for (method, route, _) in TABLE {
        let listed = rows.iter().any(|row| row.method == *method && row.route == *route);
        assert!(listed, "{method} {route} is in the route table and not in this one");
    }
    for row in &rows {
        let listed = TABLE
            .iter()
            .any(|(method, route, _)| row.method == *method && row.route == *route);
        assert!(
            listed,
            "{} {} is in this table and not in the route table",
            row.method, row.route
        );
        for (place, client) in principals.iter().enumerate() {
            let request = client.request(row.method.clone(), console.url(row.path.unwrap_or(row.route)));
            let request = match (&row.body, row.route.starts_with("/api/")) {
                (None, _) => request,
                (Some(body), true) => request.json(body),
                (Some(body), false) => request.form(body),
            };
            let response = request.send().await.unwrap();
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            let said = response.text().await.unwrap();
            let who = PRINCIPALS[place];
            assert_eq!(
                status, row.expected[place],
                "{} {} for {who}: {said}",
                row.method, row.route
            );
            if status == 401 && access(row) == Access::Api {
                assert_eq!(headers["www-authenticate"], "Bearer", "{}", row.route);
            }
        }
    }
    assert_eq!(
        console.github.dispatches().len(),
        0,
        "none of this was a confirmed wish to deploy"
    );
}

#[tokio::test]
async fn a_database_that_fails_is_not_taken_for_a_name_that_is_taken() {
    let console = Setup::default().start().await;
    let alma = console.person("alma", Role::Admin).await;
    let statements: &[&str] = if is_postgres() {
        &[
            "CREATE FUNCTION ill() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'ill'; END $$",
            "CREATE TRIGGER ill BEFORE INSERT ON console_operators FOR EACH ROW EXECUTE FUNCTION ill()",
        ]
    } else {
        &["CREATE TRIGGER ill BEFORE INSERT ON console_operators BEGIN SELECT RAISE(ABORT, 'ill'); END"]
    };
    for statement in statements {
        execute(&console.database(), *statement).await;
    }
    let request = alma.post(console.url("/api/internal/operators"));
    let response = request.json(&json!({ "name": "dora", "role": "viewer" })).send().await;
    refused(response.unwrap(), 500, "internal").await;
}

fn access(row: &Row) -> Access {
    let entry = TABLE
        .iter()
        .find(|(method, route, _)| row.method == *method && row.route == *route);
    entry.unwrap().2
}

#[tokio::test]
async fn who_is_not_in_is_led_to_the_door_and_back() {
    let console = Setup::default().start().await;
    let response = browser().get(console.url("/deploys?before=x")).send().await.unwrap();
    assert_eq!(
        response.headers()["location"],
        "/sign-in?return_to=%2Fdeploys%3Fbefore%3Dx"
    );
    let door = browser();
    console.person("dora", Role::Viewer).await;
    for (wanted, given) in [
        ("/deploys?before=x", "/deploys?before=x"),
        ("https://evil.example", "/"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("", "/"),
    ] {
        let fields = [
            ("name", "dora"),
            ("password", crate::support::people::PASSWORD),
            ("return_to", wanted),
        ];
        let response = console.form(&door, "/sign-in", &fields).await;
        assert_eq!(
            (
                response.status().as_u16(),
                response.headers()["location"].to_str().unwrap()
            ),
            (303, given)
        );
    }
}

#[tokio::test]
async fn a_token_may_do_what_its_operator_may_on_its_sites() {
    let console = Setup::default().start().await;
    console.person("dora", Role::Deployer).await;
    let script = bearer(&token_of_dora(&console, None).await.0);
    let ask = |site: &str| {
        let body = json!({ "site": site, "confirmation": site });
        script.post(console.url("/api/internal/deploys")).json(&body).send()
    };
    let refusal = refused(ask("api-prod").await.unwrap(), 403, "not-allowed").await;
    assert!(refusal["detail"].as_str().unwrap().contains("token"));
    let created = ask("docs").await.unwrap();
    assert_eq!(created.status(), 201);
    assert_eq!(created.json::<Value>().await.unwrap()["operator"], "dora");
    // Whoever may not come in any more cannot send a script instead.
    let source = Source::command_line();
    people::set_disabled(console.running.store(), &"dora".parse().unwrap(), true, &source)
        .await
        .unwrap();
    refused(ask("docs").await.unwrap(), 401, "not-signed-in").await;
}

#[tokio::test]
async fn a_form_of_another_site_is_not_the_operators_wish() {
    let console = Setup::default().start().await;
    let dora = console.person("dora", Role::Viewer).await;
    for (method, route, access) in TABLE {
        if *method != Method::POST || *access == Access::Signature {
            continue;
        }
        let request = dora.post(console.url(route)).header("sec-fetch-site", "cross-site");
        let response = request.header("origin", "https://evil.example").send().await.unwrap();
        refused(response, 403, "forbidden").await;
    }
    assert_eq!(console.status(&dora, "/").await, 200, "and she is still signed in");
}

#[tokio::test]
async fn a_method_that_is_not_listed_is_not_served() {
    let console = Setup::default().start().await;
    let alma = console.person("alma", Role::Admin).await;
    for path in ["/people", "/sign-out", "/api/internal/operators"] {
        let response = alma.delete(console.url(path)).send().await.unwrap();
        refused(response, 405, "method-not-allowed").await;
    }
}

#[tokio::test]
async fn every_answer_tells_the_browser_what_to_refuse() {
    let console = Setup::default().start().await;
    let dora = console.person("dora", Role::Viewer).await;
    for path in [
        "/",
        "/nothing",
        "/api/internal/board",
        "/api/internal/nothing",
        "/healthz",
        "/sign-in",
        "/favicon.svg",
    ] {
        let headers = dora.get(console.url(path)).send().await.unwrap().headers().clone();
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "same-origin"),
            ("cross-origin-opener-policy", "same-origin"),
            ("strict-transport-security", "max-age=63072000"),
        ] {
            assert_eq!(headers[name], value, "{name} of {path}");
        }
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(
            policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{path}: {policy}"
        );
        assert!(
            !policy.contains("unsafe-inline") && headers.contains_key("permissions-policy"),
            "{path}: {policy}"
        );
    }
}

#[tokio::test]
async fn a_page_runs_the_scripts_that_carry_its_nonce_and_no_other() {
    let console = Setup::default().start().await;
    let dora = console.person("dora", Role::Viewer).await;
    let mut nonces = Vec::new();
    for _ in 0..2 {
        let response = dora.get(console.url("/")).send().await.unwrap();
        let policy = response.headers()["content-security-policy"]
            .to_str()
            .unwrap()
            .to_owned();
        let nonce = policy
            .split("'nonce-")
            .nth(1)
            .unwrap()
            .split('\'')
            .next()
            .unwrap()
            .to_owned();
        let page = response.text().await.unwrap();
        let scripts: Vec<&str> = page.match_indices("<script").map(|(place, _)| &page[place..]).collect();
        assert!(!scripts.is_empty());
        for script in scripts {
            let tag = script.split('>').next().unwrap();
            assert!(tag.contains(&format!("nonce=\"{nonce}\"")), "{tag}");
        }
        for loosened in [" style=", " onclick=", "javascript:"] {
            assert!(!page.contains(loosened), "{loosened}");
        }
        nonces.push(nonce);
    }
    assert_ne!(nonces[0], nonces[1]);
}

#[tokio::test]
async fn the_callback_needs_no_session_and_no_origin() {
    let console = Setup::default().start().await;
    let callback = console.bound("docs").await;
    let (body, id) = (callback.body.to_string(), "delivery-1");
    let timestamp = now().to_string();
    let secret: raxx_console::server::signature::Secret = crate::support::SECRET.parse().unwrap();
    let signature = secret.sign(id, &timestamp, body.as_bytes());
    let response = Client::new()
        .post(console.url(&format!("/api/internal/deploys/{}/status", callback.deploy)))
        .header("webhook-id", id)
        .header("webhook-timestamp", timestamp)
        .header("webhook-signature", signature)
        .body(body)
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
}
