//! Stopping: nothing new is taken, what is under way ends, and nobody can keep the console from it.

use crate::support::Setup;
use raxx_console::server::config::Limits;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

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
