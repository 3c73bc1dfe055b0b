//! The wire between a console and its server, for cutting it at the worst moment, or for letting it hang.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Hands on what either side says, until it is told to cut.
pub(crate) struct Wire {
    /// The same database, through the wire.
    pub url: String,
    armed: Arc<AtomicBool>,
    hangs: watch::Sender<bool>,
}

impl Wire {
    pub(crate) async fn to(url: &str) -> Self {
        let start = url.rfind('@').unwrap() + 1;
        let end = start + url[start..].find('/').unwrap();
        let server: SocketAddr = url[start..end].parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let armed = Arc::new(AtomicBool::new(false));
        let (cut, hangs) = (armed.clone(), watch::Sender::new(false));
        let hung = hangs.subscribe();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(server).await.unwrap();
                tokio::spawn(carry(client, server, cut.clone(), hung.clone()));
            }
        });
        let url = format!("{}{addr}{}", &url[..start], &url[end..]);
        Self { url, armed, hangs }
    }

    /// From now on neither side hears the other, nor that it ends; or both do again.
    pub(crate) fn hangs(&self, hangs: bool) {
        self.hangs.send_replace(hangs);
    }

    /// The next commit reaches the server, and its answer nobody.
    pub(crate) fn cut_at_next_commit(&self) {
        self.armed.store(true, Ordering::SeqCst);
    }
}

async fn carry(client: TcpStream, server: TcpStream, armed: Arc<AtomicBool>, hung: watch::Receiver<bool>) {
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let back = tokio::spawn(back(from_server, to_client, hung.clone()));
    forth(from_client, to_server, &armed, hung, &back).await;
}

async fn back(mut server: OwnedReadHalf, mut client: OwnedWriteHalf, mut hung: watch::Receiver<bool>) {
    let mut said = vec![0; 64 * 1024];
    loop {
        let length = server.read(&mut said).await.unwrap_or(0);
        // Its end is not heard either.
        let goes_on = hung.wait_for(|hangs| !hangs).await.is_ok();
        if !goes_on || length == 0 || client.write_all(&said[..length]).await.is_err() {
            return;
        }
    }
}

async fn forth<T>(
    mut client: OwnedReadHalf,
    mut server: OwnedWriteHalf,
    armed: &AtomicBool,
    mut hung: watch::Receiver<bool>,
    back: &tokio::task::JoinHandle<T>,
) {
    let mut said = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = client.read(&mut said).await {
        if hung.wait_for(|hangs| !hangs).await.is_err() {
            return;
        }
        let is_commit = said[..length].windows(6).any(|word| word == b"COMMIT");
        if is_commit && armed.swap(false, Ordering::SeqCst) {
            // Nobody hears the answer: both halves of the client's side close.
            back.abort();
            server.write_all(&said[..length]).await.unwrap();
            server.flush().await.unwrap();
            // The server ends when it has read to the end, after it has committed.
            server.shutdown().await.unwrap();
            return;
        }
        if server.write_all(&said[..length]).await.is_err() {
            return;
        }
    }
}
