//! What holds for every request: how long its address may be, and how long its body may take to arrive.

use super::super::Console;
use crate::domain::{Problem, Refusal};
use axum::body::{Body, HttpBody as _};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::StreamExt as _;
use futures::stream::try_unfold;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// The longest path with its query, in bytes. RFC 9110, section 4.1, wants 8,000 at least.
const MOST_ADDRESS: usize = 8 * 1024;

/// Refuses an address that is too long, and a body that takes too long: in all, so that a byte now and then does not
/// keep it going.
pub(super) async fn bounded(State(console): State<Console>, request: Request, next: Next) -> Response {
    let address = request.uri().path_and_query();
    if address.is_some_and(|address| address.as_str().len() > MOST_ADDRESS) {
        return Refusal::new(
            Problem::AddressTooLong,
            "The path and the query may have at most 8 KiB.",
        )
        .into_response();
    }
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let (within, is_late) = (console.limits.body_within, Arc::new(AtomicBool::new(false)));
    let request = request.map(|body| in_time(body, within, is_late.clone()));
    let response = next.run(request).await;
    // Whatever a handler made of a body that broke off, this is what happened.
    if is_late.load(Ordering::SeqCst) {
        return too_slow(within);
    }
    response
}

/// The body, which breaks off when the time is over.
fn in_time(body: Body, within: Duration, is_late: Arc<AtomicBool>) -> Body {
    let until = Instant::now() + within;
    let begin = (body.into_data_stream(), is_late);
    Body::from_stream(try_unfold(begin, move |(mut body, is_late)| async move {
        let Ok(piece) = timeout_at(until, body.next()).await else {
            is_late.store(true, Ordering::SeqCst);
            return Err(axum::Error::new("the body did not arrive in time"));
        };
        Ok(piece.transpose()?.map(|piece| (piece, (body, is_late))))
    }))
}

/// RFC 9110, section 15.5.9: and the connection is closed.
fn too_slow(within: Duration) -> Response {
    let detail = format!("The body did not arrive within {within:?}. Nothing was done; send it again.");
    let mut response = Refusal::new(Problem::TooSlow, detail).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}
