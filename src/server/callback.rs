//! Takes the callbacks of workflows.
//!
//! In this order: length (before this module), headers, time, signature over the raw bytes, parsing, the
//! path, the look-up. One transaction stores it all, and commits before the answer: what was acknowledged
//! stays. The protocol is in `docs/callbacks.md`.

use super::digest::sha256_hex;
use super::signature::Signed;
use super::store::{Delivery, Receipt};
use super::{Console, clock, deploys};
use crate::domain::{
    Deploy, DeployId, Effect, InvalidReport, LogChunk, Problem, Refusal, Report, ReportAnswer, ReportResult,
};
use axum::http::HeaderMap;

/// Checks a callback, stores it and applies it.
///
/// # Errors
/// A [`Refusal`]: 401 when it is not authentic, 400 when it is malformed or meant for another deploy, 404,
/// 409, 429, 503.
pub async fn receive(
    console: &Console,
    headers: &HeaderMap,
    path_id: Option<&str>,
    body: &[u8],
) -> Result<ReportAnswer, Refusal> {
    let now = clock::now();
    let signed = signed(headers).ok_or_else(not_authentic)?;
    console.keys.verify(signed, body, now).map_err(|_| not_authentic())?;
    let mut report = Report::parse(body)?;
    let path_id: Option<DeployId> = path_id.and_then(|id| id.parse().ok());
    if path_id != Some(report.deploy_id) {
        let detail = "`deploy_id` is not the id in the path.";
        return Err(Refusal::new(Problem::Malformed, detail).with_field("deploy_id"));
    }
    cleanse(console, &mut report);
    let delivery = Delivery {
        id: signed.id.to_owned(),
        body_sha256: sha256_hex(body),
    };
    let log = report.log.take();
    let id = report.deploy_id;
    let most = console.limits.callbacks_a_minute;
    let receipt = console
        .store
        .record_delivery(id, &delivery, &report, log.as_ref(), now, most)
        .await?;
    answer(id, receipt)
}

/// The three headers, when each is there exactly once and is text.
fn signed(headers: &HeaderMap) -> Option<Signed<'_>> {
    let one = |name: &str| {
        let mut values = headers.get_all(name).iter();
        let value = values.next()?.to_str().ok()?;
        values.next().is_none().then_some(value)
    };
    Some(Signed {
        id: one("webhook-id")?,
        timestamp: one("webhook-timestamp")?,
        signatures: one("webhook-signature")?,
    })
}

fn answer(id: DeployId, receipt: Receipt) -> Result<ReportAnswer, Refusal> {
    let said = |result, deploy: &Deploy| {
        Ok(ReportAnswer {
            result,
            state: deploy.state,
        })
    };
    match receipt {
        Receipt::Stored(Effect::Moved | Effect::Noted, deploy) => said(ReportResult::Applied, &deploy),
        Receipt::Stored(Effect::Stale, deploy) => said(ReportResult::Stale, &deploy),
        Receipt::Stored(Effect::TooLate | Effect::Impossible | Effect::OtherRun, deploy) => {
            said(ReportResult::Stored, &deploy)
        }
        Receipt::Duplicate(deploy) => said(ReportResult::Duplicate, &deploy),
        Receipt::OtherBody => {
            let detail = "This webhook-id was used for another body. Give every report its own.";
            Err(Refusal::new(Problem::Conflict, detail).with_field("webhook-id"))
        }
        Receipt::OtherRun(deploy) => {
            let bound = deploy.run_id.unwrap_or_default();
            let detail = format!("This deploy belongs to run {bound}, and no other run can speak for it.");
            Err(Refusal::new(Problem::Conflict, detail).with_field("run_id"))
        }
        Receipt::UnknownDeploy => Err(deploys::unknown_deploy(id)),
        Receipt::TooMany => {
            Err(Refusal::new(Problem::TooManyRequests, "Too many reports for one deploy.").with_retry_after(10))
        }
    }
}

/// Takes out what must not be stored.
fn cleanse(console: &Console, report: &mut Report) {
    let texts = std::iter::once(&mut report.job)
        .chain(&mut report.step)
        .chain(&mut report.message);
    let log = report.log.iter_mut().map(|LogChunk { text, .. }| text);
    console.mask.clean(texts.chain(log));
}

/// One text, whatever is wrong, so that a guess learns nothing; the clock is the one cause an honest sender has.
fn not_authentic() -> Refusal {
    Refusal::new(
        Problem::Unauthenticated,
        "The signature is missing, wrong or out of time. Compare the secret, and the clock with this answer's Date.",
    )
}

impl From<InvalidReport> for Refusal {
    fn from(error: InvalidReport) -> Self {
        let refusal = Self::new(Problem::Malformed, format!("The report cannot be taken: {error}."));
        match error {
            InvalidReport::Field { field, .. } => refusal.with_field(field),
            InvalidReport::Shape(_) => refusal,
        }
    }
}
