//! One reading for everybody who wants the same at the same time.

use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use tokio::time::sleep_until;

/// How long after one reading began the next one begins, at the earliest: more than one takes, and far less than
/// anybody notices who looks every two seconds.
const APART: Duration = Duration::from_millis(50);

/// What is read once for many: whoever asks gets a reading that began after they asked, no two run at once, and none
/// begins within 50 ms of the one before. So nobody is told anything old, and a thousand browsers cost the database no
/// more than a few.
#[derive(Debug)]
pub struct Together<T>(Mutex<Option<(Instant, T)>>);

impl<T> Default for Together<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T: Clone> Together<T> {
    /// What `read` gives, or what it gave somebody who asked at the same time. An error is shared like an answer: who
    /// waited for a database that is away does not wait for it again.
    pub async fn get(&self, read: impl Future<Output = T>) -> T {
        let asked = Instant::now();
        let mut newest = self.0.lock().await;
        if let Some((began, found)) = &*newest
            && *began >= asked
        {
            return found.clone();
        }
        if let Some((before, _)) = &*newest {
            sleep_until((*before + APART).into()).await;
        }
        let began = Instant::now();
        let found = read.await;
        *newest = Some((began, found.clone()));
        found
    }
}

#[cfg(test)]
mod tests {
    use super::{APART, Together};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::{Duration, Instant};
    use tokio::sync::Notify;
    use tokio::task::yield_now;
    use tokio::time::timeout;

    #[tokio::test]
    async fn who_asks_while_it_is_read_gets_the_next_reading_and_all_of_them_the_same() {
        let (together, reads, go) = (Together::default(), AtomicUsize::new(0), Notify::new());
        let read = || async {
            let number = reads.fetch_add(1, Ordering::SeqCst) + 1;
            go.notified().await;
            number
        };
        let free = async {
            while reads.load(Ordering::SeqCst) < 1 {
                yield_now().await;
            }
            go.notify_one();
            while reads.load(Ordering::SeqCst) < 2 {
                yield_now().await;
            }
            go.notify_one();
        };
        let all = async {
            let (first, second, third, ()) =
                tokio::join!(together.get(read()), together.get(read()), together.get(read()), free);
            (first, second, third)
        };
        // With more readings than two, or fewer, somebody waits for ever.
        assert_eq!(timeout(Duration::from_secs(30), all).await, Ok((1, 2, 2)));
        go.notify_one();
        assert_eq!(together.get(read()).await, 3, "what is over is not handed out again");
    }

    #[tokio::test]
    async fn the_first_is_read_at_once_and_the_next_a_little_later() {
        let (together, asked) = (Together::default(), Instant::now());
        assert_eq!(timeout(Duration::ZERO, together.get(async { 1 })).await, Ok(1));
        assert_eq!(together.get(async { 2 }).await, 2);
        assert!(asked.elapsed() >= APART);
    }

    #[tokio::test]
    async fn a_reader_who_goes_away_holds_nobody_up() {
        let together = Together::<usize>::default();
        let gone = timeout(Duration::ZERO, together.get(std::future::pending()));
        assert!(gone.await.is_err());
        assert_eq!(together.get(async { 1 }).await, 1);
    }
}
