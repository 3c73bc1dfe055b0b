//! `POST /api/internal/deploys/{id}/status`, through the real routes.
//!
//! In the corpus `site: secret|token|both` says what the deploy's site wants to see; `DELIVERY` in `webhook-id` is an id
//! that was never used; `NOW`, `NOW+7`, `NOW-7` in
//! `webhook-timestamp` are the time; `SIGN` and `PREVIOUS` in `webhook-signature` the signatures that fit; `TOKEN` in
//! `authorization` the run's token, `TOKEN{…}` one with other claims; and `DEPLOY` in the body the deploy's id.

use super::request::{Draft, replace};
use super::scene::{self, DISPATCH_TOKEN, Kind, PREVIOUS_SECRET, RUN, SECRET, Scene, seconds};
use super::token::{self, TOKEN};
use axum::http::StatusCode;
use raxx_console::domain::{DeployId, Report};
use raxx_console::server::clock;
use raxx_console::server::signature::Secret;
use serde_json::Value;

/// How near to the limit of 300 s nothing is asserted, as time passes meanwhile.
const NEAR: i64 = 5;

/// What the headers prove, by a reckoning of our own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proof {
    Nothing,
    Secret,
    /// The run's own token, and no signature.
    Token,
    /// That cannot be told from here.
    Unclear,
}

/// Checks one request.
pub(crate) fn check(data: &[u8]) {
    let Some(mut draft) = Draft::read(data) else { return };
    let kind = match draft.take("site").as_deref() {
        Some(b"token") => Kind::Token,
        Some(b"both") => Kind::Both,
        _ => Kind::Secret,
    };
    scene::with(async move |scene| {
        let id = scene.deploy(kind).await;
        fill_in(&mut draft, id);
        let before = scene.record(id).await;
        if let Some(told) = send(scene, &draft, id).await {
            hold(scene, &draft, kind, id, before, told).await;
        }
    });
}

async fn send(scene: &Scene, draft: &Draft, id: DeployId) -> Option<(StatusCode, Value)> {
    let request = draft.post(&format!("/api/internal/deploys/{id}/status"))?;
    Some(scene.ask(request).await)
}

/// Puts the values where the corpus has words for them.
fn fill_in(draft: &mut Draft, id: DeployId) {
    draft.body = replace(&draft.body, "DEPLOY", &id.to_string());
    draft.each("webhook-timestamp", |value| {
        let offset = std::str::from_utf8(value)
            .ok()
            .and_then(|text| text.strip_prefix("NOW"));
        let offset = offset.and_then(|text| {
            if text.is_empty() {
                Some(0)
            } else {
                text.parse::<i32>().ok()
            }
        });
        match offset {
            Some(offset) => (seconds(clock::now()) + i64::from(offset)).to_string().into_bytes(),
            None => value.to_vec(),
        }
    });
    // An id is for one report, and earlier inputs had theirs.
    draft.each("webhook-id", |value| replace(value, "DELIVERY", &id.to_string()));
    let [sign, previous] = [SECRET, PREVIOUS_SECRET].map(|secret| signature(draft, secret).unwrap_or_default());
    draft.each("webhook-signature", |value| {
        replace(&replace(value, "SIGN", &sign), "PREVIOUS", &previous)
    });
    draft.each("authorization", |value| {
        let Some(at) = value.windows(6).position(|window| window == b"TOKEN{") else {
            return replace(value, "TOKEN", &TOKEN);
        };
        let over = serde_json::from_slice(&value[at + 5..]).unwrap_or_default();
        [&value[..at], token::sealed(&over).as_bytes()].concat()
    });
}

fn signature(draft: &Draft, secret: &str) -> Option<String> {
    let text = |name| draft.one(name).and_then(|value| std::str::from_utf8(value).ok());
    let secret: Secret = secret.parse().unwrap();
    Some(secret.sign(text("webhook-id")?, text("webhook-timestamp")?, &draft.body))
}

/// The statuses that the answer may have.
fn expected(draft: &Draft, kind: Kind, id: DeployId) -> &'static [u16] {
    if draft.body.len() > 64 * 1024 {
        return &[413];
    }
    let has_token = draft.one("authorization").is_some();
    match (proof(draft), kind) {
        (Proof::Secret | Proof::Token, _) if !is_readable(draft, id) => &[400],
        (Proof::Secret, Kind::Secret) => &[200, 202, 409],
        (Proof::Token, Kind::Token) if is_of_run(draft) => &[200, 202, 409],
        (Proof::Nothing | Proof::Token, _) => &[401],
        (Proof::Secret, Kind::Token | Kind::Both) if !has_token => &[401],
        (Proof::Secret | Proof::Unclear, _) => &[200, 202, 400, 401, 409],
    }
}

/// Whether the report speaks of the run and the attempt that the token is of.
fn is_of_run(draft: &Draft) -> bool {
    Report::parse(&draft.body).is_ok_and(|report| report.run_id == RUN && report.run_attempt == 1)
}

/// What must hold of an answer, and of what is on record afterwards.
async fn hold(scene: &Scene, draft: &Draft, kind: Kind, id: DeployId, before: Value, told: (StatusCode, Value)) {
    let (status, answer) = told;
    let taken = status.is_success();
    let may_be = expected(draft, kind, id);
    assert!(may_be.contains(&status.as_u16()), "{status} {answer}");
    assert_eq!(status == 413, draft.body.len() > 64 * 1024);
    if status == 401 {
        // One text, whatever is wrong.
        assert_eq!(answer["type"], "urn:raxx-console:problem:unauthenticated");
        assert_eq!(answer.get("field"), None);
    }
    let after = scene.record(id).await;
    if taken {
        assert!(is_readable(draft, id), "{answer}");
        said(draft, &answer, &after);
    } else {
        assert_eq!(after, before, "{status} {answer}");
    }
    clean(draft, &after);
    // Once more: nothing is done twice.
    let (again, answer) = send(scene, draft, id).await.unwrap();
    assert!(
        again == status || taken && again == 200,
        "{status}, then {again} {answer}"
    );
    assert!(!taken || answer["result"] == "duplicate", "{answer}");
    assert_eq!(scene.record(id).await, after);
}

fn proof(draft: &Draft) -> Proof {
    let headers = ["webhook-id", "webhook-timestamp", "webhook-signature", "authorization"];
    if headers.iter().any(|name| draft.is_doubled(name)) {
        return Proof::Nothing;
    }
    let in_id = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-".contains(byte);
    if !draft
        .one("webhook-id")
        .is_some_and(|id| (1..=128).contains(&id.len()) && id.iter().all(in_id))
    {
        return Proof::Nothing;
    }
    let time = draft
        .one("webhook-timestamp")
        .filter(|time| time.iter().all(u8::is_ascii_digit));
    let time = time.and_then(|time| std::str::from_utf8(time).ok()?.parse::<i64>().ok());
    match time.map(|time| (time - seconds(clock::now())).abs()) {
        Some(away) if away <= 300 - NEAR => {}
        Some(away) if away <= 300 + NEAR => return Proof::Unclear,
        _ => return Proof::Nothing,
    }
    let Some(signatures) = draft.one("webhook-signature") else {
        return match draft.one("authorization") {
            None => Proof::Nothing,
            Some(value) if value == format!("Bearer {}", *TOKEN).as_bytes() => Proof::Token,
            Some(_) => Proof::Unclear,
        };
    };
    let signatures: Vec<&[u8]> = signatures
        .split(|byte| *byte == b' ')
        .filter(|one| !one.is_empty())
        .collect();
    let fits = |secret: &str| signature(draft, secret).is_some_and(|fit| signatures.contains(&fit.as_bytes()));
    let is_text = |one: &&[u8]| one.iter().all(|byte| *byte == b'\t' || (b' '..0x7f).contains(byte));
    if signatures.len() <= 4 && signatures.iter().all(is_text) && (fits(SECRET) || fits(PREVIOUS_SECRET)) {
        Proof::Secret
    } else {
        Proof::Nothing
    }
}

/// Whether the body is a report of this deploy, within the bounds that `docs/callbacks.md` gives.
fn is_readable(draft: &Draft, id: DeployId) -> bool {
    let Ok(report) = Report::parse(&draft.body) else {
        return false;
    };
    let chars = |text: &Option<String>| text.as_deref().unwrap_or_default().chars().count();
    assert!(report.schema == 1 && report.run_id > 0 && (1..=1000).contains(&report.run_attempt) && report.seq >= 0);
    assert!(report.job.chars().count() <= 128 && chars(&report.step) <= 128 && chars(&report.message) <= 1024);
    assert!(report.log.as_ref().is_none_or(|log| log.text.len() <= 32 * 1024));
    report.deploy_id == id
}

/// What was taken stands on record, and the answer says where the deploy stands.
fn said(draft: &Draft, answer: &Value, after: &Value) {
    let report = Report::parse(&draft.body).unwrap();
    assert_eq!(report.run_id, RUN);
    if report.run_attempt == 1 {
        assert_eq!(answer["state"], after["deploy"]["state"]);
    }
    let Some(log) = &report.log else { return };
    let is_plain =
        !log.text.contains(['\0', '*']) && !secrets(draft).iter().any(|secret| log.text.contains(secret.as_str()));
    let stored = after["attempts"].as_array().unwrap().last().unwrap()["log"]
        .as_str()
        .unwrap();
    assert!(!is_plain || stored.ends_with(&log.text), "{stored:?}");
}

/// No secret is on record, and nothing that PostgreSQL cannot hold.
fn clean(draft: &Draft, record: &Value) {
    match record {
        Value::String(text) => {
            assert!(!text.contains('\0'));
            for secret in secrets(draft) {
                assert!(!text.contains(secret.as_str()), "a secret is on record: {text:?}");
            }
        }
        Value::Array(values) => values.iter().for_each(|value| clean(draft, value)),
        Value::Object(values) => values.values().for_each(|value| clean(draft, value)),
        _ => {}
    }
}

/// What must not be stored: what the console knows, and the token that is shown, if it is one.
fn secrets(draft: &Draft) -> Vec<String> {
    let known = [SECRET, PREVIOUS_SECRET, DISPATCH_TOKEN].map(str::to_owned);
    let shown = draft
        .one("authorization")
        .and_then(|value| value.strip_prefix(b"Bearer "));
    let shown = shown.and_then(|value| String::from_utf8(value.to_vec()).ok());
    known
        .into_iter()
        .chain(shown.filter(|token| token.len() > 64))
        .collect()
}
