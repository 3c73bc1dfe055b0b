//! `--callback`: a signed round trip to the console that runs.
//!
//! It reports about a deploy that does not exist. The console says 404 to a valid signature alone, and stores
//! nothing; see `docs/callbacks.md`.

use super::Finding;
use crate::server::clock;
use crate::server::config::Survey;
use crate::server::github::answer::{bounded_body, chain};
use crate::server::signature::Secret;
use reqwest::header::CONTENT_TYPE;
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use uuid::Uuid;

const CHECK: &str = "callback";
/// How long the console may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Sends one report, and tells what came of it.
pub(super) async fn round_trip(survey: &Survey) -> Finding {
    let Some(keys) = &survey.keys else {
        if survey.wrong.is_empty() {
            return Finding::ok(
                CHECK,
                "nothing was sent: every site wants a run's own token, which only a run has",
            );
        }
        let remedy = "set what config.variables names, then run `doctor` again";
        return Finding::error(CHECK, "nothing was sent: there is no secret to sign with", remedy);
    };
    let Some(base) = survey.public_url.clone().or_else(|| survey.addr.and_then(own_address)) else {
        let remedy = "set CONSOLE_URL to the address of the console that runs";
        return Finding::error(
            CHECK,
            "nothing was sent: where the console listens is not known",
            remedy,
        );
    };
    match send(&base, &keys.current).await {
        Ok(response) => answered(&base, response).await,
        Err(error) => Finding::error(
            CHECK,
            format!("no console answers at {base}: {}", chain(&error)),
            "start the console, or look at CONSOLE_URL, the proxy in front and its certificate",
        ),
    }
}

/// Where a console that listens at this address is found from this machine.
fn own_address(addr: SocketAddr) -> Option<String> {
    let ip = match addr.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    // Port 0 is whichever was free.
    (addr.port() != 0).then(|| format!("http://{}", SocketAddr::new(ip, addr.port())))
}

async fn send(base: &str, secret: &Secret) -> Result<Response, reqwest::Error> {
    // A provider that is installed already is as good as ours.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let client = Client::builder()
        .user_agent(concat!("raxx-console/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        .timeout(PATIENCE)
        .build()?;
    let deploy = Uuid::now_v7();
    let body = json!({
        "schema": 1, "deploy_id": deploy, "run_id": 1, "run_attempt": 1, "job": "doctor", "seq": 0,
        "status": "in_progress", "message": "sent by `raxx-console doctor`",
    })
    .to_string();
    let id = format!("doctor-{deploy}");
    let timestamp = (clock::now().as_millis() / 1000).to_string();
    let signature = secret.sign(&id, &timestamp, body.as_bytes());
    client
        .post(format!("{base}/api/internal/deploys/{deploy}/status"))
        .header(CONTENT_TYPE, "application/json")
        .header("webhook-id", id)
        .header("webhook-timestamp", timestamp)
        .header("webhook-signature", signature)
        .body(body)
        .send()
        .await
}

async fn answered(base: &str, response: Response) -> Finding {
    let status = response.status();
    let body = bounded_body(response).await.unwrap_or_default();
    let problem = serde_json::from_slice::<Value>(&body).unwrap_or_default();
    let kind = problem["type"]
        .as_str()
        .unwrap_or_default()
        .rsplit(':')
        .next()
        .unwrap_or_default();
    match (status.as_u16(), kind) {
        (404, "not-found") => Finding::ok(CHECK, format!("the console at {base} took a signed callback")),
        (401, "unauthenticated") => Finding::error(
            CHECK,
            format!("the console at {base} refused the signature"),
            "give both the same CONSOLE_CALLBACK_SECRET, restart the console after a change, and compare the clocks",
        ),
        (429 | 503, _) => Finding::warning(
            CHECK,
            format!("the console at {base} answered {status}: not now"),
            "run `doctor` again in a minute; if it stays so, look at the console's log",
        ),
        (300..=399, _) => Finding::error(
            CHECK,
            format!("{base} answered {status}, and a callback does not follow"),
            "set CONSOLE_URL, and the workflows' variable, to the address that it leads to",
        ),
        _ => Finding::error(
            CHECK,
            format!("{base} answered {status}, as no console of this version does"),
            "look at CONSOLE_URL, and let the proxy in front pass /api/internal/deploys/ through, body and headers as they are",
        ),
    }
}
