//! Coming in through the OpenID provider, as a browser does it: out to the provider, and back.

use crate::support::database::execute;
use crate::support::people::browser;
use crate::support::provider::{CLIENT_ID, Provider, Token};
use crate::support::secrets::keep_secret;
use crate::support::{SITES, Setup, TestConsole};
use raxx_console::server::audit::Source;
use raxx_console::server::auth::people;
use reqwest::{Client, Response};
use serde_json::{Value, json};

async fn console_at(provider: &Provider) -> TestConsole {
    let oidc = format!(
        "[oidc]\nname = \"Example ID\"\nissuer = \"{}\"\nclient_id = \"{CLIENT_ID}\"\n\
         roles = {{ deployers = \"deployer\", chiefs = \"admin\" }}\n",
        provider.url
    );
    provider.shape(|token| token.claims["preferred_username"] = json!("olga"));
    Setup {
        file: format!("{oidc}scopes = [\"openid\", \"profile\"]\n{SITES}"),
        ..Setup::default()
    }
    .start()
    .await
}

/// Goes to the provider; the path and query on the console that it sends the browser back to.
async fn way_back(console: &TestConsole, browser: &Client, return_to: &str) -> String {
    let begin = format!("/sign-in/oidc?return_to={return_to}");
    let sent = browser.get(console.url(&begin)).send().await.unwrap();
    assert_eq!(sent.status(), 303);
    let provider = sent.headers()["location"].to_str().unwrap().to_owned();
    let answer = browser.get(provider).send().await.unwrap();
    let back = answer.headers()["location"].to_str().unwrap();
    back.strip_prefix("https://console.example.com").unwrap().to_owned()
}

async fn sign_in(console: &TestConsole, browser: &Client) -> Response {
    let back = way_back(console, browser, "/deploys").await;
    browser.get(console.url(&back)).send().await.unwrap()
}

async fn role(console: &TestConsole, name: &str) -> String {
    let found = people::find(console.running.store(), &name.parse().unwrap())
        .await
        .unwrap();
    found.operator.role.to_string()
}

fn groups(provider: &Provider, groups: Value) {
    provider.shape(move |token: &mut Token| {
        token.claims["preferred_username"] = json!("olga");
        token.claims["groups"] = groups.clone();
    });
}

#[tokio::test]
async fn a_group_lets_people_in_with_its_role_anew_each_time() {
    let provider = Provider::start().await;
    let (console, olga) = (console_at(&provider).await, browser());
    let page = olga
        .get(console.url("/sign-in"))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(page.contains("Example ID"));
    let entered = sign_in(&console, &olga).await;
    assert_eq!(
        (entered.status().as_u16(), &entered.headers()["location"]),
        (303, &"/deploys".parse().unwrap())
    );
    assert_eq!(console.status(&olga, "/").await, 200);
    assert_eq!(role(&console, "olga").await, "deployer");
    groups(&provider, json!(["deployers", "chiefs"]));
    sign_in(&console, &browser()).await;
    assert_eq!(role(&console, "olga").await, "admin");
    groups(&provider, json!(["deployers"]));
    sign_in(&console, &browser()).await;
    assert_eq!(role(&console, "olga").await, "deployer");
    // The password form is no way around the provider.
    assert_eq!(console.sign_in(&browser(), "olga", "").await.status(), 401);
    for secret in provider.change(|it| it.secrets.clone()) {
        keep_secret(&secret);
    }
}

#[tokio::test]
async fn who_has_no_role_or_is_disabled_stays_out() {
    let provider = Provider::start().await;
    let (console, olga) = (console_at(&provider).await, browser());
    groups(&provider, json!(["everyone"]));
    let refused = sign_in(&console, &olga).await;
    assert_eq!(refused.status(), 403);
    assert!(refused.text().await.unwrap().contains("None of your groups"));
    assert_eq!(console.status(&olga, "/").await, 303);
    groups(&provider, json!(["deployers"]));
    assert_eq!(sign_in(&console, &olga).await.status(), 303);
    let (store, name) = (console.running.store(), "olga".parse().unwrap());
    people::set_disabled(store, &name, true, &Source::command_line())
        .await
        .unwrap();
    assert_eq!(console.status(&olga, "/").await, 303, "at once");
    assert_eq!(sign_in(&console, &olga).await.status(), 403);
}

#[tokio::test]
async fn nobody_becomes_somebody_else_by_taking_their_name() {
    let provider = Provider::start().await;
    let console = console_at(&provider).await;
    // `ada` is here already, with a password.
    provider.shape(|token| token.claims["preferred_username"] = json!("Ada"));
    let refused = sign_in(&console, &browser()).await;
    assert_eq!(refused.status(), 409);
    assert_eq!(role(&console, "ada").await, "admin");
}

#[tokio::test]
async fn a_subject_of_an_issuer_is_one_operator() {
    let provider = Provider::start().await;
    let console = console_at(&provider).await;
    assert_eq!(sign_in(&console, &browser()).await.status(), 303);
    provider.shape(|token| {
        token.claims["sub"] = json!("another subject");
        token.claims["preferred_username"] = json!("vera");
        token.claims["groups"] = json!(["chiefs"]);
    });
    assert_eq!(sign_in(&console, &browser()).await.status(), 303);
    assert_eq!(
        (role(&console, "olga").await, role(&console, "vera").await),
        ("deployer".to_owned(), "admin".to_owned())
    );
    // What another issuer calls so is somebody else.
    let sql = "UPDATE console_operators SET issuer = 'https://elsewhere.example' WHERE name = 'vera'";
    execute(&console.database(), sql).await;
    assert_eq!(sign_in(&console, &browser()).await.status(), 409);
}

#[tokio::test]
async fn an_answer_is_taken_once_and_by_the_browser_that_began() {
    let provider = Provider::start().await;
    let (console, olga, thief) = (console_at(&provider).await, browser(), browser());
    let back = way_back(&console, &olga, "/").await;
    // A stolen answer opens nothing elsewhere, and there is nothing under way.
    let stolen = thief.get(console.url(&back)).send().await.unwrap();
    assert_eq!(stolen.status(), 401);
    assert_eq!(olga.get(console.url(&back)).send().await.unwrap().status(), 303);
    let replayed = olga.get(console.url(&back)).send().await.unwrap();
    assert_eq!(replayed.status(), 401);
    assert_eq!(provider.calls("/token"), 1);
    // Somebody else's answer, pushed into a browser that is under way itself, signs nobody in.
    let (mine, theirs) = (
        way_back(&console, &thief, "/").await,
        way_back(&console, &browser(), "/").await,
    );
    assert_eq!(thief.get(console.url(&theirs)).send().await.unwrap().status(), 401);
    assert_eq!(
        thief.get(console.url(&mine)).send().await.unwrap().status(),
        401,
        "and its own is used up"
    );
}

#[tokio::test]
async fn going_to_the_provider_again_makes_no_session_live_longer() {
    let provider = Provider::start().await;
    let (console, olga) = (console_at(&provider).await, browser());
    sign_in(&console, &olga).await;
    let ends = async || {
        let account = olga.get(console.url("/api/internal/account")).send().await.unwrap();
        account.json::<Value>().await.unwrap()["sessions"][0]["expires_at"].clone()
    };
    let before = ends().await;
    way_back(&console, &olga, "/").await;
    assert_eq!(ends().await, before);
}

#[tokio::test]
async fn what_cannot_be_trusted_signs_nobody_in_and_is_written_down() {
    let faults: [fn(&mut Token); 4] = [
        |token| token.claims["iss"] = json!("https://evil.example"),
        |token| token.claims["aud"] = json!("another client"),
        |token| token.claims["nonce"] = json!("another nonce"),
        |token| token.header["alg"] = json!("none"),
    ];
    let provider = Provider::start().await;
    let console = console_at(&provider).await;
    for fault in faults {
        provider.shape(fault);
        let browser = browser();
        let refused = sign_in(&console, &browser).await;
        assert_eq!(refused.status(), 401);
        assert!(refused.text().await.unwrap().contains("could not be trusted"));
        assert_eq!(console.status(&browser, "/").await, 303);
    }
    let filter = console.url("/api/internal/audit?action=sign_in_failed");
    let audit: Value = console.http.get(filter).send().await.unwrap().json().await.unwrap();
    assert_eq!(audit["rows"].as_array().unwrap().len(), 4);
}
