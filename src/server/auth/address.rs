//! Where a request comes from.

use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};

/// The client's address as the console knows it, in a request's extensions.
#[derive(Debug, Clone)]
pub struct ClientAddress(pub String);

/// The client's address: the peer's own, or what a chain of trusted proxies says in `X-Forwarded-For`.
///
/// Each proxy appends whom it heard from, so the list is read from its end, as far as the word of a trusted
/// proxy goes. What a client writes there itself is never reached.
pub fn client(peer: SocketAddr, forwarded: impl DoubleEndedIterator<Item = String>, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|net| net.contains(&address));
    let mut client = peer.ip().to_canonical();
    let mut hops = forwarded.rev();
    while is_trusted(client) {
        let Some(hop) = hops.next().and_then(|hop| address(&hop)) else {
            break;
        };
        client = hop;
    }
    client
}

/// An address, with or without a port.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    let parsed = bare
        .parse::<IpAddr>()
        .or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()));
    parsed.ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::client;

    fn seen(peer: &str, forwarded: &[&str], trusted: &[&str]) -> String {
        let peer = format!("{peer}:4711")
            .parse()
            .unwrap_or_else(|_| ([0, 0, 0, 0], 0).into());
        let trusted: Vec<_> = trusted.iter().filter_map(|net| net.parse().ok()).collect();
        client(peer, forwarded.iter().map(|hop| (*hop).to_owned()), &trusted).to_string()
    }

    #[test]
    fn without_a_trusted_proxy_the_peer_is_the_client_whatever_it_says() {
        assert_eq!(seen("203.0.113.9", &["10.0.0.1"], &[]), "203.0.113.9");
        assert_eq!(seen("203.0.113.9", &["10.0.0.1"], &["10.0.0.0/8"]), "203.0.113.9");
    }

    #[test]
    fn a_trusted_proxy_is_believed_and_what_stood_before_it_is_not() {
        let trusted = ["10.0.0.0/8"];
        assert_eq!(seen("10.0.0.1", &["198.51.100.7"], &trusted), "198.51.100.7");
        assert_eq!(
            seen("10.0.0.1", &["1.2.3.4", "198.51.100.7", "10.0.0.2"], &trusted),
            "198.51.100.7"
        );
        assert_eq!(seen("10.0.0.1", &["198.51.100.7:5000"], &trusted), "198.51.100.7");
        assert_eq!(seen("10.0.0.1", &["rubbish"], &trusted), "10.0.0.1");
        assert_eq!(seen("[::ffff:10.0.0.1]", &["[2001:db8::7]"], &trusted), "2001:db8::7");
    }
}
