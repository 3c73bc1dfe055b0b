//! Operators for tests, their browsers and their tokens.

use super::TestConsole;
use super::secrets::keep_secret;
use raxx_console::domain::{Role, Slug};
use raxx_console::server::audit::Source;
use raxx_console::server::auth::{people, token};
use raxx_console::server::run::Running;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Response};

/// Good enough for any rule.
pub(crate) const PASSWORD: &str = "correct lamp otter violin";

/// A client that speaks as the admin `ada`, who is let in where she is not yet.
pub(crate) async fn client_with_token(running: &Running, sites: &[Slug]) -> Client {
    bearer(&token(running, sites).await)
}

/// A token of the admin `ada`, who is let in where she is not yet.
pub(crate) async fn token(running: &Running, sites: &[Slug]) -> String {
    let (store, source) = (running.store(), Source::command_line());
    let name = "ada".parse().unwrap();
    if store.account(&name).await.unwrap().is_none() {
        people::add(store, name.clone(), Role::Admin, &source).await.unwrap();
    }
    let ada = people::find(store, &name).await.unwrap().operator;
    let wanted = token::Wanted {
        name: "tests".to_owned(),
        sites: Vec::new(),
        lives_ms: None,
    };
    let (text, _) = token::create(store, sites, &ada, wanted, &source).await.unwrap();
    keep_secret(&text);
    text
}

/// A client that sends this token with every request.
pub(crate) fn bearer(text: &str) -> Client {
    keep_secret(text);
    let mut value = HeaderValue::from_str(&format!("Bearer {text}")).unwrap();
    value.set_sensitive(true);
    let headers = HeaderMap::from_iter([(AUTHORIZATION, value)]);
    Client::builder()
        .default_headers(headers)
        .redirect(Policy::none())
        .build()
        .unwrap()
}

/// A browser, as far as cookies go. It follows no redirect, so that a test sees each.
pub(crate) fn browser() -> Client {
    Client::builder()
        .cookie_store(true)
        .redirect(Policy::none())
        .build()
        .unwrap()
}

impl TestConsole {
    /// The one-time link for somebody new, as a path.
    pub(crate) async fn invite(&self, name: &str, role: Role) -> String {
        let source = Source::command_line();
        let link = people::add(self.running.store(), name.parse().unwrap(), role, &source).await;
        let token = link.unwrap().token;
        keep_secret(&token);
        format!("/set-up/{token}")
    }

    /// Somebody new, with [`PASSWORD`], in a browser that is signed in.
    pub(crate) async fn person(&self, name: &str, role: Role) -> Client {
        let (link, browser) = (self.invite(name, role).await, browser());
        let response = self.form(&browser, &link, &[("password", PASSWORD)]).await;
        assert_eq!(response.status(), 303);
        keep_secret(PASSWORD);
        for cookie in response.headers().get_all("set-cookie") {
            keep_secret(cookie.to_str().unwrap().split(['=', ';']).nth(1).unwrap());
        }
        browser
    }

    /// Sends a form.
    pub(crate) async fn form(&self, browser: &Client, path: &str, fields: &[(&str, &str)]) -> Response {
        browser.post(self.url(path)).form(fields).send().await.unwrap()
    }

    /// Tries to sign in.
    pub(crate) async fn sign_in(&self, browser: &Client, name: &str, password: &str) -> Response {
        self.form(browser, "/sign-in", &[("name", name), ("password", password)])
            .await
    }

    /// The status of a `GET`.
    pub(crate) async fn status(&self, client: &Client, path: &str) -> u16 {
        client.get(self.url(path)).send().await.unwrap().status().as_u16()
    }
}
