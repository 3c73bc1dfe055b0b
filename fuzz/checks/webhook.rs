//! GitHub's webhooks, through the real routes. In the corpus `SIGN` in `x-hub-signature-256` is the signature that fits.

use super::request::{Draft, replace};
use super::scene::{self, Kind, WEBHOOK_SECRET};
use hmac::{Hmac, KeyInit, Mac};
use serde::de::IgnoredAny;
use serde_json::Value;
use sha2::Sha256;

const EVENTS: [&[u8]; 2] = [b"workflow_run", b"workflow_job"];

/// Checks one delivery.
pub(crate) fn check(data: &[u8]) {
    let Some(mut draft) = Draft::read(data) else { return };
    let sign = signature(&draft.body);
    draft.each("x-hub-signature-256", |value| replace(value, "SIGN", &sign));
    scene::with(async move |scene| {
        let id = scene.deploy(Kind::Secret).await;
        // A delivery is told by its id, and earlier inputs had theirs.
        draft.each("x-github-delivery", |value| replace(value, "DELIVERY", &id.to_string()));
        let before = scene.record(id).await;
        let post = || draft.post("/api/internal/github/webhooks");
        let Some(request) = post() else { return };
        let (status, answer) = scene.ask(request).await;
        let is_signed = draft
            .one("x-hub-signature-256")
            .is_some_and(|value| is_signature(value, &sign));
        assert_eq!(status == 401, is_wrong(&draft, is_signed), "{status} {answer}");
        let is_event = draft.one("x-github-event").is_some_and(|event| EVENTS.contains(&event));
        match status.as_u16() {
            202 if !is_event => assert_eq!(answer["result"], "ignored"),
            202 => assert_ne!(is_readable(&draft), Some(false), "{answer}"),
            400 => assert!(is_event && is_readable(&draft) != Some(true), "{answer}"),
            401 => assert_eq!(answer.get("field"), None),
            413 => assert!(draft.body.len() > 1024 * 1024),
            _ => panic!("{status} {answer}"),
        }
        let (again, second) = scene.ask(post().unwrap()).await;
        assert_eq!(again, status);
        if status == 202 && is_event {
            assert_eq!(second["result"], "duplicate");
        }
        // It is a hint, never evidence.
        assert_eq!(scene.record(id).await, before);
    });
}

fn is_wrong(draft: &Draft, is_signed: bool) -> bool {
    !is_signed && draft.body.len() <= 1024 * 1024
}

fn signature(body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(WEBHOOK_SECRET.as_bytes()).unwrap();
    mac.update(body);
    let tag = mac.finalize().into_bytes();
    tag.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Hexadecimal digits may be large.
fn is_signature(value: &[u8], sign: &str) -> bool {
    value
        .strip_prefix(b"sha256=")
        .is_some_and(|digits| digits.eq_ignore_ascii_case(sign.as_bytes()))
}

/// Whether a delivery of an event that counts has all that it must have; `None` when it is of no form that GitHub has.
fn is_readable(draft: &Draft) -> Option<bool> {
    let is_text = |byte: &u8| (b' '..0x7f).contains(byte);
    let is_id = |id: &[u8]| (1..=64).contains(&id.len()) && id.iter().all(is_text);
    let Ok(payload) = serde_json::from_slice::<Value>(&draft.body) else {
        // What nobody asks for may be beyond what a `Value` can hold.
        let is_json = serde_json::from_slice::<IgnoredAny>(&draft.body).is_ok();
        return (!is_json).then_some(false);
    };
    if !draft.one("x-github-delivery").is_some_and(is_id) {
        return Some(false);
    }
    if !payload["repository"]["full_name"].is_string() {
        return payload
            .is_object()
            .then_some(false)
            .filter(|_| !payload["repository"].is_array());
    }
    let runs = [("workflow_run", "id"), ("workflow_job", "run_id")];
    let is_usual = runs
        .iter()
        .all(|(key, id)| payload[key].is_null() || payload[key][id].is_i64());
    // A key that stands twice is refused, and a `Value` does not know.
    is_usual.then_some(true).filter(|_| !has_a_key_twice(draft))
}

fn has_a_key_twice(draft: &Draft) -> bool {
    let text = String::from_utf8_lossy(&draft.body);
    // An escape may spell a key in another way.
    let count = |key: &str| text.matches(key).count();
    text.contains('\\')
        || [
            "\"repository\"",
            "\"full_name\"",
            "\"workflow_run\"",
            "\"workflow_job\"",
            "\"id\"",
            "\"run_id\"",
        ]
        .into_iter()
        .any(|key| count(key) > 1)
}
