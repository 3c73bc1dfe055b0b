//! A connection's bytes, with the two clocks that hyper does not have: for a head that has begun and does not end, and
//! for an answer that nobody reads.

use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

/// How many requests of a connection have begun, which is when their head was read, and how many have their answer.
#[derive(Default)]
pub(super) struct Progress {
    begun: AtomicUsize,
    answered: AtomicUsize,
}

/// A request that is being answered, until this is dropped.
pub(super) struct UnderWay(Arc<Progress>);

impl Progress {
    pub(super) fn begin(progress: &Arc<Self>) -> UnderWay {
        progress.begun.fetch_add(1, Ordering::SeqCst);
        UnderWay(progress.clone())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.answered.fetch_add(1, Ordering::SeqCst);
    }
}

/// A clock that runs or does not.
struct Clock {
    within: Duration,
    running: Option<Pin<Box<Sleep>>>,
}

impl Clock {
    fn new(within: Duration) -> Self {
        Self { within, running: None }
    }

    fn start(&mut self) {
        let within = self.within;
        self.running.get_or_insert_with(|| Box::pin(sleep(within)));
    }

    fn stop(&mut self) {
        self.running = None;
    }

    fn has_run_out(&mut self, cx: &mut Context<'_>) -> bool {
        self.running
            .as_mut()
            .is_some_and(|running| running.as_mut().poll(cx).is_ready())
    }
}

/// A connection whose patience ends.
pub(super) struct Patient {
    stream: TcpStream,
    progress: Arc<Progress>,
    /// How many requests had begun when it was last looked.
    begun: usize,
    head: Clock,
    write: Clock,
}

impl Patient {
    /// The first head has its time from now on, each later one from its first byte.
    pub(super) fn new(
        stream: TcpStream,
        progress: Arc<Progress>,
        head_within: Duration,
        write_within: Duration,
    ) -> Self {
        let mut head = Clock::new(head_within);
        head.start();
        Self {
            stream,
            progress,
            begun: 0,
            head,
            write: Clock::new(write_within),
        }
    }

    /// Whether what is read now is of a head, and not of the body of a request that is being answered.
    fn reads_a_head(&mut self) -> bool {
        let begun = self.progress.begun.load(Ordering::SeqCst);
        if begun != self.begun {
            self.begun = begun;
            self.head.stop();
        }
        begun == self.progress.answered.load(Ordering::SeqCst)
    }

    /// What became of a write: while the other side takes nothing, the clock runs.
    fn written<T>(&mut self, cx: &mut Context<'_>, written: Poll<Result<T>>) -> Poll<Result<T>> {
        if written.is_ready() {
            self.write.stop();
            return written;
        }
        self.write.start();
        if self.write.has_run_out(cx) {
            return Poll::Ready(Err(ErrorKind::TimedOut.into()));
        }
        Poll::Pending
    }
}

impl AsyncRead for Patient {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if !self.reads_a_head() {
            return read;
        }
        if buffer.filled().len() > before {
            self.head.start();
        }
        if read.is_pending() && self.head.has_run_out(cx) {
            return Poll::Ready(Err(Error::new(ErrorKind::TimedOut, "the head did not arrive in time")));
        }
        read
    }
}

impl AsyncWrite for Patient {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.written(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.written(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
