//! Where a peer is: a multiaddr in its text form, without libp2p.
//!
//! Only what this system dials is understood: an IP address or a DNS name, TCP or QUIC, and the peer's id behind it. Everything else is
//! kept as text and has no parts.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::limits::MAX_ADDRESS_BYTES;
use crate::peer_id::{PeerId, PeerIdError};

/// Where a peer can be reached, such as `/ip4/127.0.0.1/tcp/30300` or `/dns4/a.example/udp/30300/quic-v1/p2p/12D3KooW...`.
///
/// Any text can stand in it, since peers send any; [`Address::from_str`] is for text that ought to be right.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Address(pub String);

/// How bytes travel to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TransportKind {
    /// TCP, with TLS or Noise above it.
    Tcp,
    /// QUIC version 1 over UDP.
    Quic,
}

/// Text that is no address which this system could dial.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AddressError {
    /// Too long.
    #[error("an address has at most {MAX_ADDRESS_BYTES} bytes, this has {0}")]
    Length(usize),
    /// Not of the form `/<protocol>/<value>/...`.
    #[error("an address looks like /ip4/127.0.0.1/tcp/30300 or /dns4/node.example/tcp/30300/p2p/<peer id>")]
    Form,
    /// A part that does not exist here, or not in this place.
    #[error("/{0} is not understood here")]
    Protocol(String),
    /// A part whose value does not fit it.
    #[error("{value} does not fit /{protocol}")]
    Value {
        /// The part.
        protocol: &'static str,
        /// Its value.
        value: String,
    },
    /// The peer's id is none.
    #[error(transparent)]
    Peer(#[from] PeerIdError),
}

/// The neighbourhood of an IP address: its first 24 bits in IPv4, 48 in IPv6. Who owns one address usually owns the whole of it, so peers
/// are counted, and bans spread, by prefix. An IPv4 address mapped into IPv6 (`::ffff:a.b.c.d`) has the prefix of the IPv4 address, or a
/// ban could be dodged by writing the same address differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum IpPrefix {
    /// The first 24 bits.
    V4([u8; 3]),
    /// The first 48 bits: what providers hand out to one site.
    V6([u8; 6]),
}

impl IpPrefix {
    /// The prefix of an address.
    #[must_use]
    pub fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(ip) => {
                let [a, b, c, _] = ip.octets();
                Self::V4([a, b, c])
            }
            IpAddr::V6(ip) => {
                let [a, b, c, d, e, f, ..] = ip.octets();
                Self::V6([a, b, c, d, e, f])
            }
        }
    }

    /// Whether everything in it is this machine (127.0.0.0/24, ::1's): a prefix that says nothing about who owns a peer.
    #[must_use]
    pub fn is_loopback(self) -> bool {
        match self {
            Self::V4([first, ..]) => first == 127,
            Self::V6(bytes) => bytes == [0; 6],
        }
    }
}

impl fmt::Display for IpPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4([a, b, c]) => write!(f, "{}/24", Ipv4Addr::new(*a, *b, *c, 0)),
            Self::V6(bytes) => {
                let mut octets = [0; 16];
                octets[..bytes.len()].copy_from_slice(bytes);
                write!(f, "{}/48", Ipv6Addr::from(octets))
            }
        }
    }
}

/// The parts of an address that can be dialled.
struct Parts {
    ip: Option<IpAddr>,
    port: u16,
    transport: TransportKind,
}

impl Address {
    /// The IP address; `None` if there is a DNS name instead, or a relay's address, or text that is not understood.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        self.parts().and_then(|parts| parts.ip)
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.parts().map(|parts| parts.port)
    }

    /// How it is reached.
    #[must_use]
    pub fn transport(&self) -> Option<TransportKind> {
        self.parts().map(|parts| parts.transport)
    }

    /// The neighbourhood of its IP address.
    #[must_use]
    pub fn prefix(&self) -> Option<IpPrefix> {
        self.ip().map(IpPrefix::of)
    }

    /// The peer that the address names at its end.
    #[must_use]
    pub fn peer(&self) -> Option<PeerId> {
        self.split_peer().1
    }

    /// The address without the peer's id, and the id.
    #[must_use]
    pub fn split_peer(&self) -> (Self, Option<PeerId>) {
        if let Some((place, id)) = self.0.rsplit_once("/p2p/")
            && let Ok(peer) = id.parse()
        {
            return (Self(place.to_owned()), Some(peer));
        }
        (self.clone(), None)
    }

    /// The address with this peer's id at its end, in place of any other.
    #[must_use]
    pub fn with_peer(&self, peer: PeerId) -> Self {
        Self(format!("{}/p2p/{peer}", self.split_peer().0))
    }

    fn parts(&self) -> Option<Parts> {
        parse(&self.0).ok()
    }
}

impl FromStr for Address {
    type Err = AddressError;

    /// An address that this system can dial.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        parse(text).map(|_| Self(text.to_owned()))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn parse(text: &str) -> Result<Parts, AddressError> {
    if text.len() > MAX_ADDRESS_BYTES {
        return Err(AddressError::Length(text.len()));
    }
    let mut words = text.strip_prefix('/').ok_or(AddressError::Form)?.split('/');
    let ip = parse_host(&mut words)?;
    let (port, transport) = parse_port(&mut words)?;
    match words.next() {
        None => {}
        Some("p2p") => {
            words.next().ok_or(AddressError::Form)?.parse::<PeerId>()?;
        }
        Some(other) => return Err(AddressError::Protocol(other.to_owned())),
    }
    match words.next() {
        None => Ok(Parts { ip, port, transport }),
        Some(other) => Err(AddressError::Protocol(other.to_owned())),
    }
}

fn parse_host<'a>(words: &mut impl Iterator<Item = &'a str>) -> Result<Option<IpAddr>, AddressError> {
    let (protocol, host) = words.next().zip(words.next()).ok_or(AddressError::Form)?;
    match protocol {
        "ip4" => value::<Ipv4Addr>("ip4", host).map(|ip| Some(ip.into())),
        "ip6" => value::<Ipv6Addr>("ip6", host).map(|ip| Some(ip.into())),
        "dns" | "dns4" | "dns6" if is_dns_name(host) => Ok(None),
        "dns" | "dns4" | "dns6" => Err(AddressError::Value { protocol: "dns", value: host.to_owned() }),
        other => Err(AddressError::Protocol(other.to_owned())),
    }
}

fn parse_port<'a>(words: &mut impl Iterator<Item = &'a str>) -> Result<(u16, TransportKind), AddressError> {
    let (protocol, port) = words.next().zip(words.next()).ok_or(AddressError::Form)?;
    match protocol {
        "tcp" => Ok((value("tcp", port)?, TransportKind::Tcp)),
        "udp" => match (value("udp", port)?, words.next()) {
            (port, Some("quic-v1")) => Ok((port, TransportKind::Quic)),
            (_, Some(other)) => Err(AddressError::Protocol(other.to_owned())),
            (_, None) => Err(AddressError::Form),
        },
        other => Err(AddressError::Protocol(other.to_owned())),
    }
}

fn value<T: FromStr>(protocol: &'static str, text: &str) -> Result<T, AddressError> {
    text.parse().map_err(|_| AddressError::Value { protocol, value: text.to_owned() })
}

/// Letters, digits, hyphens and dots, 253 at most (RFC 1035, RFC 1123; underscores occur).
fn is_dns_name(host: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    (1..=253).contains(&host.len()) && host.bytes().all(legal)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA";

    fn address(text: &str) -> Address {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn the_parts_of_what_can_be_dialled() {
        let tcp = address("/ip4/10.1.2.3/tcp/30300");
        assert_eq!(
            (tcp.ip(), tcp.port(), tcp.transport()),
            (Some([10, 1, 2, 3].into()), Some(30300), Some(TransportKind::Tcp))
        );
        let quic = address(&format!("/ip6/2001:db8::1/udp/9/quic-v1/p2p/{ID}"));
        assert_eq!((quic.port(), quic.transport()), (Some(9), Some(TransportKind::Quic)));
        assert_eq!(quic.peer(), Some(ID.parse().unwrap()));
        let dns = address("/dns4/a-1.example/tcp/1");
        assert_eq!((dns.ip(), dns.prefix(), dns.port()), (None, None, Some(1)));
    }

    #[test]
    fn a_wrong_address_is_named() {
        let long = format!("/dns/{}/tcp/1", "a".repeat(MAX_ADDRESS_BYTES));
        let name = format!("/dns/{}/tcp/1", "a".repeat(254));
        for (text, says) in [
            ("", "looks like"),
            ("10.1.2.3:30300", "looks like"),
            ("/ip4/10.1.2.3", "looks like"),
            ("/ip4/10.1.2.3/tcp", "looks like"),
            ("/ip4/10.1.2.3/udp/1", "looks like"),
            ("/ip4/10.1.2.3/tcp/1/p2p", "looks like"),
            ("/ip4/10.1.2.300/tcp/1", "10.1.2.300 does not fit /ip4"),
            ("/ip6/10.1.2.3/tcp/1", "10.1.2.3 does not fit /ip6"),
            ("/ip4/10.1.2.3/tcp/65536", "65536 does not fit /tcp"),
            ("/dns/a b/tcp/1", "a b does not fit /dns"),
            (&name, "does not fit /dns"),
            ("/unix/x/tcp/1", "/unix is not"),
            ("/ip4/10.1.2.3/sctp/1", "/sctp is not"),
            ("/ip4/10.1.2.3/udp/1/quic", "/quic is not"),
            ("/ip4/10.1.2.3/tcp/1/ws", "/ws is not"),
            (&format!("/ip4/10.1.2.3/tcp/1/p2p/{ID}/p2p-circuit"), "/p2p-circuit is not"),
            ("/ip4/10.1.2.3/tcp/1/p2p/0", "base58"),
            (&long, "at most 384 bytes"),
        ] {
            let error = text.parse::<Address>().unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn the_peer_is_split_off_and_joined() {
        let peer: PeerId = ID.parse().unwrap();
        let place = address("/ip4/10.1.2.3/tcp/30300");
        let full = place.with_peer(peer);
        assert_eq!(full.to_string(), format!("/ip4/10.1.2.3/tcp/30300/p2p/{ID}"));
        assert_eq!(full.split_peer(), (place.clone(), Some(peer)));
        assert_eq!(place.split_peer(), (place, None));
        let other = PeerId::from_bytes(&[1; 38]).unwrap();
        assert_eq!(full.with_peer(other).peer(), Some(other), "an id is replaced, not added");
    }

    #[test]
    fn an_address_written_differently_has_the_same_prefix() {
        let plain = address("/ip4/10.1.2.3/tcp/1").prefix();
        assert_eq!(plain, Some(IpPrefix::V4([10, 1, 2])));
        assert_eq!(address("/ip6/::ffff:10.1.2.99/tcp/2").prefix(), plain);
        assert_eq!(address("/ip6/::ffff:a01:0203/udp/2/quic-v1").prefix(), plain);
        assert_ne!(address("/ip4/10.1.3.3/tcp/1").prefix(), plain);
    }

    #[test]
    fn prefixes_are_shown_as_networks() {
        for (text, shown, loopback) in [
            ("/ip4/10.1.2.3/tcp/1", "10.1.2.0/24", false),
            ("/ip6/2001:db8:7:9::1/tcp/1", "2001:db8:7::/48", false),
            ("/ip4/127.0.0.1/tcp/1", "127.0.0.0/24", true),
            ("/ip6/::1/tcp/1", "::/48", true),
        ] {
            let prefix = address(text).prefix().unwrap();
            assert_eq!((prefix.to_string().as_str(), prefix.is_loopback()), (shown, loopback));
        }
    }

    #[test]
    fn text_from_peers_is_kept_but_has_no_parts() {
        let odd = Address("/memory/7".to_owned());
        assert_eq!((odd.ip(), odd.port(), odd.transport(), odd.peer()), (None, None, None, None));
    }
}
