//! What can be asked of the machine, without changing it.

use core::fmt;
use core::time::Duration;

use alys_chain::{Moment, UnixMillis};
use alys_wire::{Address, PeerId};

use crate::bans::BanReason;
use crate::book::{Class, Entry};
use crate::event::Direction;
use crate::machine::PeerMachine;
use crate::score::{BAN_POINTS, OPTIMISTIC_BANDWIDTH, OPTIMISTIC_RTT, Operation};

/// A peer that may be given work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ranked {
    /// Who.
    pub peer: PeerId,
    /// What it is to us.
    pub class: Class,
    /// Bytes a second; an optimistic guess before the first transfer.
    pub bandwidth: u64,
    /// The round trip; an optimistic guess before the first one.
    pub rtt: Duration,
    /// How many of a thousand requests it serves in time.
    pub in_time: u32,
    /// Whether bandwidth was ever measured. Those that were not are worth a probe.
    pub measured: bool,
}

/// Everything that the book holds against and for a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// Who.
    pub peer: PeerId,
    /// What it is to us.
    pub class: Class,
    /// Where it listens, as far as we know.
    pub addresses: Vec<Address>,
    /// Who opened the connection, and when; `None` if there is none.
    pub connected: Option<(Direction, Moment)>,
    /// When it was last connected.
    pub last_seen: Option<UnixMillis>,
    /// Measured bytes a second.
    pub bandwidth: Option<u64>,
    /// Measured round trip.
    pub rtt: Option<Duration>,
    /// How many of a thousand requests it serves in time.
    pub in_time: u32,
    /// It gets no work for so long: it asked for that, or offended.
    pub paused_for: Duration,
    /// Points of misbehaviour left, in thousandths.
    pub millipoints: u32,
    /// Offences that are not forgotten.
    pub offences: u8,
    /// For how long it is banned, and why.
    pub ban: Option<(Duration, BanReason)>,
    /// Failed dials in a row, and how long until the next one.
    pub dialing: (u32, Duration),
}

/// How many there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// In the book.
    pub known: usize,
    /// Connected because they called.
    pub inbound: usize,
    /// Connected because we called.
    pub outbound: usize,
    /// Connected, and proven to act for an authority.
    pub federation: usize,
    /// Being dialled.
    pub dialing: usize,
    /// Banned.
    pub banned: usize,
}

impl Totals {
    /// Connected, whoever called.
    #[must_use]
    pub const fn connected(&self) -> usize {
        self.inbound + self.outbound
    }
}

impl PeerMachine {
    /// The best connected peers for this kind of work, the best first. Peers that asked for a pause, or offended a moment ago, are left out.
    #[must_use]
    pub fn best(&self, now: Moment, count: usize, operation: Operation) -> Vec<Ranked> {
        let mut able: Vec<_> = self
            .book
            .connected()
            .filter(|(peer, entry)| entry.performance.refuses_until <= now && self.bans.of(*peer).is_none())
            .map(|(peer, entry)| (worth(entry, operation), peer, entry))
            .collect();
        able.sort_by_key(|(worth, peer, _)| (core::cmp::Reverse(*worth), *peer));
        able.truncate(count);
        able.into_iter().map(|(_, peer, entry)| ranked(peer, entry)).collect()
    }

    /// All that is known of this peer; `None` if nothing is.
    #[must_use]
    pub fn explain(&self, now: Moment, peer: PeerId) -> Option<Explanation> {
        let ban = self.bans.of(peer).map(|ban| (ban.until.since(now), ban.reason));
        let banned = ban.map(|_| Entry::default());
        let entry = self.book.get(peer).or(banned.as_ref())?;
        Some(Explanation {
            peer,
            class: entry.class(),
            addresses: entry.addresses.clone(),
            connected: entry.connection.as_ref().map(|connection| (connection.direction, connection.since)),
            last_seen: entry.last_seen,
            bandwidth: entry.performance.bandwidth,
            rtt: entry.performance.rtt,
            in_time: entry.performance.in_time,
            paused_for: entry.performance.refuses_until.since(now),
            millipoints: entry.misbehaviour.millipoints(now),
            offences: entry.misbehaviour.offences(now),
            ban,
            dialing: (entry.dialing.failures(), entry.dialing.not_before().since(now)),
        })
    }

    /// Everybody in the book, by id.
    pub fn peers(&self) -> impl Iterator<Item = PeerId> {
        self.book.iter().map(|(peer, _)| peer)
    }

    /// How many there are.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let mut totals = Totals { known: self.book.len(), banned: self.bans.active(), ..Totals::default() };
        for (_, entry) in self.book.iter() {
            totals.dialing += usize::from(entry.dialing.is_running());
            let Some(connection) = &entry.connection else { continue };
            totals.federation += usize::from(entry.authority.is_some());
            match connection.direction {
                Direction::Inbound => totals.inbound += 1,
                Direction::Outbound => totals.outbound += 1,
            }
        }
        totals
    }
}

/// What the peer is worth, with a quarter on top for authorities: they have most to lose.
fn worth(entry: &Entry, operation: Operation) -> u64 {
    let value = entry.performance.value(operation);
    if entry.authority.is_some() { value.saturating_add(value / 4) } else { value }
}

fn ranked(peer: PeerId, entry: &Entry) -> Ranked {
    let performance = &entry.performance;
    Ranked {
        peer,
        class: entry.class(),
        bandwidth: performance.bandwidth.unwrap_or(OPTIMISTIC_BANDWIDTH),
        rtt: performance.rtt.unwrap_or(OPTIMISTIC_RTT),
        in_time: performance.in_time,
        measured: performance.bandwidth.is_some(),
    }
}

impl fmt::Display for Explanation {
    /// One line for an operator: what it is, how it does, what is held against it, what happens next.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {}", self.peer, self.class)?;
        match self.connected {
            Some((Direction::Inbound, _)) => f.write_str(", connected (it called)")?,
            Some((Direction::Outbound, _)) => f.write_str(", connected (we called)")?,
            None => f.write_str(", not connected")?,
        }
        if let Some(bandwidth) = self.bandwidth {
            write!(f, ", {}.{} MB/s", bandwidth / 1_000_000, bandwidth / 100_000 % 10)?;
        }
        if let Some(rtt) = self.rtt {
            write!(f, ", {} ms", rtt.as_millis())?;
        }
        write!(f, ", {}.{} % in time", self.in_time / 10, self.in_time % 10)?;
        if self.offences > 0 {
            let points = self.millipoints / 1_000;
            write!(f, ", {} offences ({points} of {BAN_POINTS} points)", self.offences)?;
        }
        match (self.ban, self.connected, self.dialing) {
            (Some((left, reason)), ..) => write!(f, "; banned for {} s: it was {reason}", left.as_secs()),
            (None, None, (failures @ 1.., wait)) => {
                write!(f, "; {failures} dials failed, next in {} s", wait.as_secs())
            }
            _ if !self.paused_for.is_zero() => {
                write!(f, "; gets no work for {} s", self.paused_for.as_secs())
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Federation(authority) => write!(f, "authority {authority}"),
            Self::Trusted => f.write_str("trusted"),
            Self::Full => f.write_str("a full node"),
        }
    }
}
