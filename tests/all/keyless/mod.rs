//! Callbacks that show the workflow's token: against a real issuer on loopback, with real keys.

mod keys;
mod rules;
mod scripts;
mod token;

use crate::support::issuer::{Issuer, REPOSITORY_ID};
use crate::support::{Callback, SECRET, Setup, TestConsole, now, refused};
use raxx_console::domain::DeployId;
use raxx_console::server::keyless::Timing;
use raxx_console::server::signature::Secret;
use reqwest::{Client, Response};
use serde_json::Value;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// One site of each kind.
fn sites() -> String {
    let site = |slug: &str, auth: &str| {
        format!(
            "[[site]]\nslug = \"{slug}\"\nname = \"{slug}\"\nenvironment = \"staging\"\nurl = \"https://example.com\"\n\
             repository = \"raxx/keyless\"\nworkflow = \"deploy.yml\"\n{auth}\n"
        )
    };
    let number = format!("repository_id = {REPOSITORY_ID}");
    [
        site("signed", ""),
        site("keyless", &format!("callback_auth = \"oidc\"\n{number}")),
        site("both", &format!("callback_auth = \"secret_and_oidc\"\n{number}")),
        site("tagged", &format!("ref = \"v1@2\"\ncallback_auth = \"oidc\"\n{number}")),
    ]
    .concat()
}

async fn start(issuer: &Issuer, timing: Timing) -> TestConsole {
    let setup = Setup {
        file: sites(),
        issuer: Some(issuer.url.clone()),
        timing,
        ..Setup::default()
    };
    setup.start().await
}

/// Asks the issuer again whenever there is a reason to.
fn eager() -> Timing {
    Timing {
        again_after: Duration::ZERO,
        after_failure: Duration::ZERO,
        ..Timing::default()
    }
}

/// What a callback shows.
#[derive(Clone, Copy, Default)]
struct Show<'a> {
    secret: Option<&'a str>,
    token: Option<&'a str>,
}

impl<'a> Show<'a> {
    fn token(token: &'a str) -> Self {
        Self {
            token: Some(token),
            ..Self::default()
        }
    }

    fn secret() -> Self {
        Self {
            secret: Some(SECRET),
            ..Self::default()
        }
    }

    fn both(token: &'a str) -> Self {
        Self {
            token: Some(token),
            ..Self::secret()
        }
    }
}

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// Sends a callback, as a delivery of its own.
async fn send(console: &TestConsole, callback: &Callback, show: Show<'_>) -> Response {
    let id = format!("delivery-{}", NUMBER.fetch_add(1, Ordering::SeqCst));
    send_as(console, callback, show, &id, now()).await
}

async fn send_as(console: &TestConsole, callback: &Callback, show: Show<'_>, id: &str, time: u64) -> Response {
    let (body, time) = (callback.body.to_string(), time.to_string());
    let url = console.url(&format!("/api/internal/deploys/{}/status", callback.deploy));
    let mut request = Client::new()
        .post(url)
        .header("webhook-id", id)
        .header("webhook-timestamp", &time);
    if let Some(secret) = show.secret {
        let secret: Secret = secret.parse().unwrap();
        request = request.header("webhook-signature", secret.sign(id, &time, body.as_bytes()));
    }
    if let Some(token) = show.token {
        request = request.bearer_auth(token);
    }
    request.body(body).send().await.unwrap()
}

/// Asserts the one refusal that a stranger ever sees, and gives it.
async fn stranger(response: Response) -> Value {
    refused(response, 401, "unauthenticated").await
}

fn run_of(callback: &Callback) -> i64 {
    callback.body["run_id"].as_i64().unwrap()
}

/// A deploy that is not on record.
fn nowhere() -> DeployId {
    "0199a8f0-0000-7000-8000-000000000000".parse().unwrap()
}
