//! Takes the callbacks of workflows.
//!
//! In this order: length (before this module), headers, time, signature over the raw bytes or else the token,
//! parsing, the path, the look-up, and what the deploy's site wants to see. One transaction stores it all, and
//! commits before the answer: what was acknowledged stays. The protocol is in `docs/callbacks.md`.

use super::digest::sha256_hex;
use super::keyless::{CallbackAuth, Denied, RunClaims};
use super::signature::{Signed, check_envelope};
use super::store::{Delivery, Printed, Receipt};
use super::{Console, clock, deploys, mask};
use crate::domain::{
    Deploy, DeployId, Effect, InvalidReport, LogChunk, Problem, Refusal, Report, ReportAnswer, ReportResult, Timestamp,
};
use axum::http::HeaderMap;

/// When a sender shall try again whose token could not be checked, in seconds.
const KEYS_AGAIN: u64 = 10;

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
    let shown = Shown::read(headers).ok_or_else(not_authentic)?;
    let authority = shown.authority(console, body, now).await?;
    let mut report = Report::parse(body)?;
    let path_id: Option<DeployId> = path_id.and_then(|id| id.parse().ok());
    if path_id != Some(report.deploy_id) {
        let detail = "`deploy_id` is not the id in the path.";
        return Err(Refusal::new(Problem::Malformed, detail).with_field("deploy_id"));
    }
    authorise(console, &report, &shown, authority, now).await?;
    // The token that was shown here is no less a secret than those we know.
    let secrets = console.mask.secrets(shown.token);
    cleanse(&mut report, &secrets);
    let delivery = Delivery {
        id: shown.id.to_owned(),
        body_sha256: sha256_hex(body),
    };
    let chunk = report.log.take();
    let log = chunk.as_ref().map(|chunk| Printed {
        chunk,
        secrets: &secrets,
    });
    let id = report.deploy_id;
    let most = console.limits.callbacks_a_minute;
    let receipt = console
        .store
        .record_delivery(id, &delivery, &report, log, now, most)
        .await?;
    answer(id, receipt)
}

/// What a callback's headers show, unchecked.
struct Shown<'a> {
    id: &'a str,
    timestamp: &'a str,
    signatures: Option<&'a str>,
    token: Option<&'a str>,
}

/// What a callback has proven so far.
enum Authority {
    /// That its sender has the secret.
    Secret,
    /// That its sender is this run.
    Run(RunClaims),
}

impl<'a> Shown<'a> {
    /// The headers, when each is there once at most and is text.
    fn read(headers: &'a HeaderMap) -> Option<Self> {
        let one = |name: &str| {
            let mut values = headers.get_all(name).iter();
            let value = values.next().map(|value| value.to_str().ok());
            values.next().is_none().then_some(value)
        };
        // Other credentials are no token, and may be meant for a proxy on the way.
        let token = one("authorization")?.flatten().and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
        });
        let signatures = match one("webhook-signature")? {
            None => None,
            Some(value) => Some(value?),
        };
        Some(Self {
            id: one("webhook-id")??.unwrap_or_default(),
            timestamp: one("webhook-timestamp")??.unwrap_or_default(),
            signatures,
            token,
        })
    }

    /// Checks the time, and the signature. A wrong one is not made good by a token; without any, the token is all
    /// that there is, and nothing else is looked at before it holds.
    async fn authority(&self, console: &Console, body: &[u8], now: Timestamp) -> Result<Authority, Refusal> {
        let Some(signatures) = self.signatures else {
            check_envelope(self.id, self.timestamp, now).map_err(|_| not_authentic())?;
            return Ok(Authority::Run(self.claims(console, now).await?));
        };
        let signed = Signed {
            id: self.id,
            timestamp: self.timestamp,
            signatures,
        };
        console.keys.verify(signed, body, now).map_err(|_| not_authentic())?;
        Ok(Authority::Secret)
    }

    /// What the token says, if it is to be believed.
    async fn claims(&self, console: &Console, now: Timestamp) -> Result<RunClaims, Refusal> {
        let token = self.token.ok_or_else(not_authentic)?;
        console.keyless.claims(token, now).await.map_err(|denied| match denied {
            Denied::Unreachable => {
                let detail = "The token cannot be checked just now: its issuer does not give its keys.";
                Refusal::new(Problem::Unavailable, detail).with_retry_after(KEYS_AGAIN)
            }
            Denied::Refused(reason) => {
                tracing::info!(reason, "the token of a callback was refused");
                not_authentic()
            }
        })
    }
}

/// Whether what was shown is what the deploy's site wants to see. Only who has the secret learns which deploys exist.
async fn authorise(
    console: &Console,
    report: &Report,
    shown: &Shown<'_>,
    authority: Authority,
    now: Timestamp,
) -> Result<(), Refusal> {
    let id = report.deploy_id;
    let has_secret = matches!(authority, Authority::Secret);
    let Some(deploy) = console.store.deploy_without_reruns(id).await? else {
        return Err(if has_secret {
            deploys::unknown_deploy(id)
        } else {
            not_authentic()
        });
    };
    let site = console.site(deploy.site.as_str());
    let rule = site.map_or(CallbackAuth::Secret, |site| console.keyless.rule(&site.slug));
    if rule.needs_secret() && !has_secret {
        tracing::info!(deploy = %id, "a callback without a signature was refused: its site wants one");
        return Err(not_authentic());
    }
    let (Some(site), Some(repository_id)) = (site, rule.repository_id()) else {
        return Ok(());
    };
    let claims = match authority {
        Authority::Run(claims) => claims,
        Authority::Secret => shown.claims(console, now).await?,
    };
    claims.check(repository_id, site, &deploy, report).map_err(|claim| {
        tracing::info!(deploy = %id, claim, "the token of a callback is not that of the deploy's run");
        not_authentic()
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
fn cleanse(report: &mut Report, secrets: &[String]) {
    let texts = std::iter::once(&mut report.job)
        .chain(&mut report.step)
        .chain(&mut report.message);
    let log = report.log.iter_mut().map(|LogChunk { text, .. }| text);
    mask::clean(texts.chain(log), secrets);
}

/// One text, whatever is wrong, so that a guess learns nothing; the clock is the one cause an honest sender has.
fn not_authentic() -> Refusal {
    Refusal::new(
        Problem::Unauthenticated,
        "The signature or the token is missing, wrong, out of time, or not what the deploy's site asks for. Compare the \
         secret, or the token's audience and claims, and the clock with this answer's Date.",
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
