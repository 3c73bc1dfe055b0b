//! A console's callback route for the action's tests: it records what arrives, and answers what it was told.

use super::SECRET;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use raxx_console::server::signature::Secret;
use serde_json::Value;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;

/// What it answers to one callback.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    Status(u16),
    RetryAfter(u16, u64),
    /// Holds the connection until the listener goes away.
    Never,
}

/// A callback as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    pub id: String,
    pub timestamp: String,
    pub signature: Option<String>,
    pub authorization: Option<String>,
    pub path: String,
    pub report: Value,
}

#[derive(Default)]
struct Shared {
    answers: Mutex<VecDeque<Answer>>,
    heard: Mutex<Vec<Heard>>,
    changed: Notify,
}

#[derive(Clone)]
pub(crate) struct HookListener {
    shared: Arc<Shared>,
    pub url: String,
}

impl HookListener {
    /// Answers in this order, and 200 from then on.
    pub(crate) async fn start(answers: impl IntoIterator<Item = Answer>) -> Self {
        let shared = Arc::new(Shared {
            answers: Mutex::new(answers.into_iter().collect()),
            ..Shared::default()
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(hear).with_state(shared.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { shared, url }
    }

    /// Everything that arrived.
    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.shared.heard.lock().unwrap().clone()
    }

    /// Waits until something has arrived.
    pub(crate) async fn first(&self) -> Heard {
        loop {
            let changed = self.shared.changed.notified();
            if let Some(first) = self.heard().first() {
                return first.clone();
            }
            tokio::time::timeout(Duration::from_secs(30), changed)
                .await
                .expect("nothing arrived");
        }
    }

    /// The log as the console would put it together.
    pub(crate) fn log(&self) -> String {
        self.heard()
            .iter()
            .filter_map(|heard| heard.report["log"]["text"].as_str().map(str::to_owned))
            .collect()
    }
}

async fn hear(State(shared): State<Arc<Shared>>, uri: axum::http::Uri, headers: HeaderMap, body: Bytes) -> Response {
    let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let heard = Heard {
        id: header("webhook-id").unwrap(),
        timestamp: header("webhook-timestamp").unwrap(),
        signature: header("webhook-signature"),
        authorization: header("authorization"),
        path: uri.path().to_owned(),
        report: serde_json::from_slice(&body).unwrap(),
    };
    if let Some(signature) = &heard.signature {
        let secret: Secret = SECRET.parse().unwrap();
        let expected = secret.sign(&heard.id, &heard.timestamp, &body);
        assert_eq!(*signature, expected, "well signed");
    }
    assert!(heard.signature.is_some() || heard.authorization.is_some());
    assert!(body.len() <= 64 * 1024);
    shared.heard.lock().unwrap().push(heard);
    shared.changed.notify_waiters();
    let answer = shared
        .answers
        .lock()
        .unwrap()
        .pop_front()
        .unwrap_or(Answer::Status(200));
    match answer {
        Answer::Status(status) => StatusCode::from_u16(status).unwrap().into_response(),
        Answer::RetryAfter(status, seconds) => (
            StatusCode::from_u16(status).unwrap(),
            [("retry-after", seconds.to_string())],
        )
            .into_response(),
        Answer::Never => std::future::pending().await,
    }
}
