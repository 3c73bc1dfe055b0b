//! Takes GitHub's webhooks: hints that a run has changed, which make the reconciler look now.
//!
//! A webhook is never evidence. It can be late, come twice, out of order or not at all; what it speaks of is read
//! from GitHub's API all the same, only sooner.
//!
//! Sources: <https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries>,
//! <https://docs.github.com/en/webhooks/webhook-events-and-payloads#workflow_run>.

use super::{Console, clock};
use crate::domain::{Problem, Refusal};
use axum::http::HeaderMap;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

/// The largest webhook that is taken, in bytes. GitHub's own limit is 25 MB; those about runs have some 20 KB.
pub const MOST_BODY: usize = 1024 * 1024;
/// GitHub's delivery ids are UUIDs; what is longer is none.
const MOST_DELIVERY: usize = 64;

/// What GitHub signs its webhooks with.
#[derive(Debug, Clone)]
pub struct WebhookSecret(SecretString);

impl WebhookSecret {
    /// The secret as it was given to GitHub.
    pub fn new(secret: SecretString) -> Self {
        Self(secret)
    }

    /// Whether `signature`, the value of `X-Hub-Signature-256`, is this body's. In constant time.
    pub fn signed(&self, body: &[u8], signature: &str) -> bool {
        let Some(tag) = signature.strip_prefix("sha256=").and_then(unhex) else {
            return false;
        };
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.0.expose_secret().as_bytes()) else {
            return false;
        };
        mac.update(body);
        mac.verify_slice(&tag).is_ok()
    }
}

/// What became of a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "result")]
pub enum Taken {
    /// GitHub is asked about the run.
    Looking,
    /// It came before.
    Duplicate,
    /// It speaks of nothing that this console deploys.
    Ignored,
}

/// `workflow_run` and `workflow_job`, as far as they tell which run.
#[derive(Deserialize)]
struct Payload {
    repository: Repository,
    workflow_run: Option<WorkflowRun>,
    workflow_job: Option<WorkflowJob>,
}

#[derive(Deserialize)]
struct Repository {
    full_name: String,
}

#[derive(Deserialize)]
struct WorkflowRun {
    id: i64,
}

#[derive(Deserialize)]
struct WorkflowJob {
    run_id: i64,
}

/// Checks a webhook, notes it, and hurries the reconciler on.
///
/// # Errors
/// A [`Refusal`]: 404 when no secret is set, 401 when it is not authentic, 400 when it is malformed, 503.
pub async fn receive(console: &Console, headers: &HeaderMap, body: &[u8]) -> Result<Taken, Refusal> {
    let Some(secret) = &console.webhook_secret else {
        let detail = "This console takes no webhooks of GitHub: set GITHUB_WEBHOOK_SECRET.";
        return Err(Refusal::new(Problem::NotFound, detail));
    };
    if !one(headers, "x-hub-signature-256").is_some_and(|signature| secret.signed(body, signature)) {
        let detail = "The signature is missing or wrong. Compare GITHUB_WEBHOOK_SECRET with the webhook's secret.";
        return Err(Refusal::new(Problem::Unauthenticated, detail));
    }
    let event = one(headers, "x-github-event").unwrap_or_default();
    if !matches!(event, "workflow_run" | "workflow_job") {
        return Ok(Taken::Ignored);
    }
    let delivery = one(headers, "x-github-delivery")
        .filter(|id| (1..=MOST_DELIVERY).contains(&id.len()))
        .ok_or_else(|| {
            Refusal::new(
                Problem::Malformed,
                "X-GitHub-Delivery must be GitHub's id of the delivery.",
            )
        })?;
    let payload: Payload = serde_json::from_slice(body).map_err(|error| {
        let detail =
            format!("It is no `{event}` in JSON: {error}. The webhook's content type must be application/json.");
        Refusal::new(Problem::Malformed, detail)
    })?;
    // Noted last: what could not be done is done when GitHub sends it again.
    if console.store.has_webhook(delivery).await? {
        return Ok(Taken::Duplicate);
    }
    let taken = look(console, &payload).await?;
    let is_first = console.store.note_webhook(delivery, clock::now()).await?;
    Ok(if is_first { taken } else { Taken::Duplicate })
}

/// Hurries the reconciler on for every deploy that the run can be of, and the watch for runs from outside.
async fn look(console: &Console, payload: &Payload) -> Result<Taken, Refusal> {
    let run = payload.workflow_run.as_ref().map(|run| run.id);
    let Some(run_id) = run.or_else(|| payload.workflow_job.as_ref().map(|job| job.run_id)) else {
        return Ok(Taken::Ignored);
    };
    let here = |slug: &str| {
        let site = console.site(slug);
        site.is_some_and(|site| site.repository.eq_ignore_ascii_case(&payload.repository.full_name))
    };
    if !console.sites.iter().any(|site| here(site.slug.as_str())) {
        return Ok(Taken::Ignored);
    }
    console.outside.hint(&payload.repository.full_name).await?;
    for deploy in console.store.deploys_of_run(run_id).await? {
        if here(deploy.site.as_str()) {
            console.reconciler.hint(deploy.id).await?;
        }
    }
    Ok(Taken::Looking)
}

/// A header that is there exactly once and is text.
fn one<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

/// The 32 bytes of 64 hexadecimal digits.
fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(bytes)
}
