//! Stopping: nothing new is taken, what is under way ends, and nobody can keep the console from it.

use crate::postgres::intent;
use crate::support::{Setup, config, stand_in};
use raxx_console::domain::{DeployId, State};
use raxx_console::server::config::Limits;
use raxx_console::server::demo::stand_in::Scenario;
use raxx_console::server::dispatcher::Dispatcher;
use raxx_console::server::github::Github;
use raxx_console::server::store::{Instance, Store};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

#[tokio::test]
async fn a_request_that_never_ends_is_cut_off() {
    let limits = Limits {
        stop_within: Duration::from_millis(500),
        ..Limits::default()
    };
    let setup = Setup {
        limits,
        ..Setup::default()
    };
    let console = setup.start().await;
    let mut half = TcpStream::connect(console.running.addr()).await.unwrap();
    // A callback's body is read before it is judged.
    let path = "/api/internal/deploys/0199a8f0-0000-7000-8000-000000000000/status";
    let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{{");
    half.write_all(head.as_bytes()).await.unwrap();
    // By now its connection is served: it came before this one.
    let alive = console.http.get(console.url("/healthz")).send().await.unwrap();
    assert_eq!(alive.status(), 204);
    let stopped = tokio::time::timeout(Duration::from_secs(30), console.running.stop()).await;
    assert!(stopped.is_ok(), "it waits for ever");
}

#[tokio::test]
async fn an_idle_connection_does_not_hold_the_end_up() {
    let limits = Limits {
        stop_within: Duration::from_mins(5),
        ..Limits::default()
    };
    let setup = Setup {
        limits,
        ..Setup::default()
    };
    let console = setup.start().await;
    let mut idle = TcpStream::connect(console.running.addr()).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let mut said = [0; 12];
    idle.read_exact(&mut said).await.unwrap();
    assert_eq!(&said, b"HTTP/1.1 204");
    // Its client may ask again for 75 s.
    let stopped = tokio::time::timeout(Duration::from_secs(30), console.running.stop()).await;
    assert!(stopped.is_ok(), "it waits for an idle connection");
}

#[tokio::test]
async fn what_is_on_record_when_it_stops_is_left_to_the_next() {
    let (data, github) = (tempfile::tempdir().unwrap(), stand_in(Scenario::Queued).await);
    let config = config(&data, &github.url());
    let store = Store::open(&config.database_url).await.unwrap();
    let id = DeployId::from_uuid(Uuid::now_v7());
    store.record_intent(&intent(&config, id), 100).await.unwrap();
    let client = Github::new(config.github.clone()).unwrap();
    let dispatcher = Dispatcher::new(store.clone(), Instance::new(), client, &config.sites);
    dispatcher.wake();
    let stopped = CancellationToken::new();
    stopped.cancel();
    dispatcher.run(stopped).await;
    assert_eq!(store.deploy(id).await.unwrap().unwrap().state, State::Requested);
    assert!(github.dispatches().is_empty());
}
