//! The listener: how many connections there may be, and for how long each may keep the console waiting.
//!
//! It speaks HTTP/1.1 alone: a proxy that gives browsers HTTP/2 speaks this to us, so nothing is negotiated and there
//! are no streams to flood. hyper reads the heads; what it has no clock for is in [`stream`]. How long a body may take
//! is in the router, which still has an answer to give then.

mod places;
mod stream;

use super::config::Limits;
use axum::Router;
use axum::extract::ConnectInfo;
use axum::serve::Listener as Listen;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use ipnet::IpNet;
use places::{Place, Places};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use stream::{Patient, Progress};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The largest head of a request, in bytes: its line and its headers. Beyond it hyper answers 431, as it does beyond a
/// hundred headers.
const MOST_HEAD: usize = 64 * 1024;
/// Open files beside the connections: the database's, and those to GitHub.
const OTHER_FILES: u64 = 128;

/// What comes in, and what is kept from it.
pub(super) struct Listener {
    /// Where it listens.
    pub socket: TcpListener,
    /// What answers.
    pub routes: Router,
    /// How much is too much.
    pub limits: Limits,
    /// Who speaks for many, and may hold any number of connections.
    pub trusted_proxies: Vec<IpNet>,
}

impl Listener {
    /// Serves until it is told to stop, and then until every request that is under way has its answer.
    pub(super) async fn serve(mut self, stop: CancellationToken) {
        allow_open_files(self.limits.connections);
        let places = Places::new(&self.limits, self.trusted_proxies);
        let connections = TaskTracker::new();
        loop {
            let accepted = async {
                let turn = places.turn().await;
                let (stream, peer) = Listen::accept(&mut self.socket).await;
                (turn, stream, peer)
            };
            let Some((turn, stream, peer)) = stop.run_until_cancelled(accepted).await else {
                break;
            };
            // Without a place it is closed at once: waiting would keep others from theirs.
            if let Some(place) = places.take(turn, peer.ip()) {
                let served = serve_one(stream, peer, self.routes.clone(), self.limits, stop.clone());
                connections.spawn(keep(place, served));
            }
        }
        drop(self.socket);
        connections.close();
        connections.wait().await;
    }
}

async fn keep(place: Place, served: impl Future<Output = ()>) {
    served.await;
    drop(place);
}

/// Serves a connection to its end.
async fn serve_one(stream: TcpStream, peer: SocketAddr, routes: Router, limits: Limits, stop: CancellationToken) {
    let progress = Arc::new(Progress::default());
    let stream = Patient::new(stream, progress.clone(), limits.head_within, limits.write_within);
    let routes = TowerToHyperService::new(routes);
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        let under_way = Progress::begin(&progress);
        request.extensions_mut().insert(ConnectInfo(peer));
        let answer = routes.call(request);
        async move {
            let answer = answer.await;
            drop(under_way);
            answer
        }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            // It runs from the end of the answer before, so it is the one for idle connections.
            .header_read_timeout(limits.idle_within)
            // The one for heads that arrive whole, the other for those that do not.
            .max_header_size(MOST_HEAD)
            .max_buf_size(MOST_HEAD)
            .serve_connection(TokioIo::new(stream), service)
    );
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%peer, %error, "a connection was closed");
    }
}

/// Sees to it that the operating system lets us hold as many connections as we say. Many allow 1,024 open files unless
/// asked; without one, not even the database could be opened.
fn allow_open_files(connections: usize) {
    let wanted = u64::try_from(connections)
        .unwrap_or(u64::MAX)
        .saturating_add(OTHER_FILES);
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= wanted) {
        return;
    }
    let most = maximum.map_or(wanted, |maximum| maximum.min(wanted));
    let raised = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: Some(most),
            maximum,
        },
    );
    if raised.is_err() || most < wanted {
        tracing::warn!(
            "this process may not open {wanted} files, so it may run out of them below {connections} connections: \
             raise its limit (ulimit -n, LimitNOFILE=)"
        );
    }
}
