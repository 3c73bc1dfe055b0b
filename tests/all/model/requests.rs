//! Clicks and callbacks, as they are sent.

use super::reference::{Model, Sent};
use super::steps::{Change, Click, Report, Seal};
use super::world::{Live, Reply, SITES};
use crate::support::{PREVIOUS_SECRET, SECRET};
use raxx_console::server::signature::Secret;
use serde_json::{Value, json};

const STRANGE_SECRET: &str = "whsec_c29tZWJvZHktZWxzZXMtc2VjcmV0LW9mLXRoZS10ZXN0";
const NOBODYS_DEPLOY: &str = "0199a8f0-0000-7000-8000-000000000000";
/// Runs that GitHub does not have.
const MADE_UP_RUN: i64 = 7_000_000;

/// A request that is ready to be sent.
pub(super) enum Prepared {
    Click {
        click: Click,
        key: Option<String>,
        body: Value,
    },
    Report {
        sent: Sent,
        path: String,
        headers: Vec<(&'static str, String)>,
    },
}

impl Prepared {
    pub(super) fn click(click: &Click) -> Self {
        let site = SITES[click.site];
        let confirmation = if click.typed { site } else { "dcos" };
        Self::Click {
            click: click.clone(),
            key: click.key.map(|key| format!("key-{key}")),
            body: json!({ "site": site, "confirmation": confirmation, "reason": format!("reason {}", click.reason) }),
        }
    }

    pub(super) async fn send(&self, console: &Live) -> Reply {
        match self {
            Self::Click { key, body, .. } => {
                let key = key.as_deref().map(|key| ("idempotency-key", key));
                console.post("/api/internal/deploys", key.as_slice(), body).await
            }
            Self::Report { sent, path, headers } => {
                let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
                console.raw(path, &headers, sent.body.clone()).await
            }
        }
    }
}

/// A new callback about a deploy whose run this is, if there is one; the `number`th.
pub(super) fn report(
    model: &Model,
    report: &Report,
    deploy: usize,
    run: Option<i64>,
    number: usize,
    now: i64,
) -> Prepared {
    let made_up = MADE_UP_RUN + i64::try_from(deploy).unwrap();
    let run = if report.own_run {
        run.unwrap_or(made_up)
    } else {
        made_up + 100
    };
    let mut body = json!({
        "schema": 1, "deploy_id": model.deploys[deploy].id, "run_id": run, "run_attempt": report.attempt,
        "job": report.job, "seq": report.seq, "status": report.status,
    });
    if let Some(step) = report.step {
        body["step"] = step.into();
    }
    if let Some((text, truncated)) = report.log {
        body["log"] = json!({ "text": text, "truncated": truncated });
    }
    if report.seal == Seal::UnknownKey {
        body["surprise"] = true.into();
    }
    let sent = Sent {
        id: format!("delivery-{number}"),
        deploy,
        is_authentic: matches!(
            report.seal,
            Seal::Signed(-300..=300) | Seal::Previous | Seal::UnknownKey | Seal::OtherPath
        ),
        is_well_formed: !matches!(report.seal, Seal::UnknownKey | Seal::OtherPath),
        run,
        attempt: report.attempt,
        job: report.job,
        seq: report.seq,
        status: report.status,
        step: report.step.is_some(),
        log: report.log,
        body: body.to_string(),
    };
    sealed(model, sent, report.seal, now)
}

/// One that was sent before, signed anew.
pub(super) fn again(model: &Model, report: &Report, sent: Sent, change: Change, newest: usize, now: i64) -> Prepared {
    let mut body: Value = serde_json::from_str(&sent.body).unwrap();
    let mut deploy = sent.deploy;
    match change {
        Change::Nothing => {}
        Change::Body => body["message"] = "another one".into(),
        Change::Deploy => {
            deploy = newest;
            body["deploy_id"] = model.deploys[newest].id.clone().into();
        }
    }
    let sent = Sent {
        deploy,
        is_authentic: true,
        is_well_formed: report.seal != Seal::UnknownKey,
        body: body.to_string(),
        ..sent
    };
    sealed(model, sent, Seal::Signed(0), now)
}

fn sealed(model: &Model, sent: Sent, seal: Seal, now: i64) -> Prepared {
    let off = if let Seal::Signed(off) = seal { off } else { 0 };
    let timestamp = (now / 1000 + off).to_string();
    let secret = match seal {
        Seal::Previous => PREVIOUS_SECRET,
        Seal::Forged => STRANGE_SECRET,
        _ => SECRET,
    };
    let secret: Secret = secret.parse().unwrap();
    let signed = if seal == Seal::Stolen { "{}" } else { &sent.body };
    let signature = secret.sign(&sent.id, &timestamp, signed.as_bytes());
    let mut headers = vec![("webhook-id", sent.id.clone()), ("webhook-timestamp", timestamp)];
    if seal != Seal::Unsigned {
        headers.push(("webhook-signature", signature));
    }
    let id = &model.deploys[sent.deploy].id;
    let mut others = model
        .deploys
        .iter()
        .map(|deploy| &deploy.id)
        .filter(|other| *other != id);
    let id = match seal {
        Seal::OtherPath => others.next().map_or(NOBODYS_DEPLOY, String::as_str),
        _ => id,
    };
    Prepared::Report {
        path: format!("/api/internal/deploys/{id}/status"),
        headers,
        sent,
    }
}
