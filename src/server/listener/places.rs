//! How many connections there are, in all and from one address.

use crate::server::config::Limits;
use ipnet::IpNet;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How often the log says that something is used up.
const SAY_EVERY: Duration = Duration::from_mins(1);
/// Whoever has one address of IPv6 has all that begin with the same 64 bits.
const OWN_BITS: u8 = 64;

type Counts = Arc<Mutex<HashMap<IpAddr, usize>>>;

/// The places that connections take.
pub(super) struct Places {
    all: Arc<Semaphore>,
    by_address: Counts,
    most_by_address: usize,
    trusted_proxies: Vec<IpNet>,
    said: Mutex<Option<Instant>>,
}

/// The place of one connection; dropped, it is free.
pub(super) struct Place {
    _turn: OwnedSemaphorePermit,
    _counted: Option<Counted>,
}

struct Counted {
    counts: Counts,
    address: IpAddr,
}

impl Places {
    pub(super) fn new(limits: &Limits, trusted_proxies: Vec<IpNet>) -> Self {
        Self {
            all: Arc::new(Semaphore::new(limits.connections)),
            by_address: Counts::default(),
            most_by_address: limits.connections_of_an_address,
            trusted_proxies,
            said: Mutex::default(),
        }
    }

    /// Waits until there may be one more connection. Those that come meanwhile wait in the operating system's queue.
    pub(super) async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        if self.all.available_permits() == 0 {
            self.say("every connection is taken, and new ones wait");
        }
        self.all.clone().acquire_owned().await.ok()
    }

    /// A place for a connection from `address`, unless those have enough.
    pub(super) fn take(&self, turn: Option<OwnedSemaphorePermit>, address: IpAddr) -> Option<Place> {
        let turn = turn?;
        let address = address.to_canonical();
        if self.trusted_proxies.iter().any(|net| net.contains(&address)) {
            return Some(Place {
                _turn: turn,
                _counted: None,
            });
        }
        let counted = Counted::take(&self.by_address, own_part(address), self.most_by_address);
        if counted.is_none() {
            self.say(&format!(
                "{address} has {} connections, and gets no more: if it is your proxy, name it in trusted_proxies",
                self.most_by_address
            ));
        }
        counted.map(|counted| Place {
            _turn: turn,
            _counted: Some(counted),
        })
    }

    /// Says it, if nothing was said for a while: who floods us does not flood the log.
    fn say(&self, text: &str) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.is_none_or(|at| at.elapsed() >= SAY_EVERY) {
            *said = Some(Instant::now());
            tracing::warn!("{text}");
        }
    }
}

impl Counted {
    fn take(counts: &Counts, address: IpAddr, most: usize) -> Option<Self> {
        let mut held = counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = held.entry(address).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Self {
            counts: counts.clone(),
            address,
        })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut held = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = held.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.address);
            }
        }
    }
}

/// The part of an address that tells whose it is.
fn own_part(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(_) => IpNet::new(address, OWN_BITS).map_or(address, |net| net.network()),
    }
}

#[cfg(test)]
mod tests {
    use super::own_part;

    #[test]
    fn a_neighbour_in_ipv6_is_the_same_and_one_in_ipv4_is_not() {
        let part = |text: &str| own_part(text.parse().unwrap_or_else(|_| std::net::Ipv4Addr::UNSPECIFIED.into()));
        assert_eq!(part("2001:db8::1"), part("2001:db8::ffff:1"));
        assert_ne!(part("2001:db8::1"), part("2001:db8:0:1::1"));
        assert_ne!(part("192.0.2.1"), part("192.0.2.2"));
    }
}
