//! Who is refused, and until when. A ban lasts longer each time, and spreads to a neighbourhood where several peers earned one: strangers
//! from there are refused, peers that we know are not (an honest one may live beside three offenders).

use core::fmt;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use alys_chain::Moment;
use alys_wire::{IpPrefix, PeerId};
use serde::{Deserialize, Serialize};

use crate::observation::Offence;

/// The first ban. Not shorter: the points that earned it should have halved. Not longer: a repaired node should get another chance today.
pub(crate) const FIRST_BAN: Duration = Duration::from_secs(15 * 60);
/// The longest ban: a week. Identities are free, so longer ones only fill the list.
pub(crate) const MAX_BAN: Duration = Duration::from_secs(7 * 24 * 3600);
/// A peer whose last ban ended this long ago starts anew.
pub(crate) const BANS_FORGOTTEN: Duration = MAX_BAN;
/// So many banned peers of one neighbourhood ban it. One may be bad luck, two a coincidence behind one provider.
const PREFIX_BAN: usize = 3;
/// Bans kept. When they are more, those that end first are lifted; an attacker pays an identity and two proven offences for each.
pub(crate) const MAX_BANS: usize = 4_096;

/// Why a peer is banned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BanReason {
    /// It did this once too often.
    Offence(Offence),
    /// The operator wanted it.
    Operator,
}

impl fmt::Display for BanReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Offence(offence) => write!(f, "sent {offence}, not for the first time"),
            Self::Operator => f.write_str("banned by the operator"),
        }
    }
}

/// One peer's bans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ban {
    pub until: Moment,
    /// How many there were, this one included.
    pub times: u32,
    pub reason: BanReason,
    pub prefix: Option<IpPrefix>,
    /// Whether it has not been lifted yet.
    pub active: bool,
}

/// All bans, those of the near past included.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bans {
    bans: BTreeMap<PeerId, Ban>,
}

impl Bans {
    /// Bans for an offence: twice as long as the last time.
    pub fn punish(&mut self, now: Moment, peer: PeerId, prefix: Option<IpPrefix>, offence: Offence) {
        let times = self.bans.get(&peer).map_or(0, |ban| ban.times).saturating_add(1);
        let period = FIRST_BAN.saturating_mul(1 << (times - 1).min(16)).min(MAX_BAN);
        let reason = BanReason::Offence(offence);
        self.put(peer, Ban { until: now.after(period), times, reason, prefix, active: true });
    }

    /// Bans at the operator's word.
    pub fn order(&mut self, now: Moment, peer: PeerId, period: Duration) {
        let times = self.bans.get(&peer).map_or(0, |ban| ban.times);
        let until = now.after(period.min(MAX_BAN));
        self.put(peer, Ban { until, times, reason: BanReason::Operator, prefix: None, active: true });
    }

    /// Puts a ban in, in place of any other of this peer. Another one gives way if there are too many.
    pub fn put(&mut self, peer: PeerId, ban: Ban) {
        self.bans.insert(peer, ban);
        if self.bans.len() > MAX_BANS {
            let first = self.bans.iter().min_by_key(|(peer, ban)| (ban.until, **peer)).map(|(peer, _)| *peer);
            first.map(|peer| self.bans.remove(&peer));
        }
    }

    /// Forgets a peer's bans; true if it was banned.
    pub fn lift(&mut self, peer: PeerId) -> bool {
        self.bans.remove(&peer).is_some_and(|ban| ban.active)
    }

    /// Ends the bans whose time has come, and gives the peers that are free again.
    pub fn expire(&mut self, now: Moment) -> Vec<PeerId> {
        let mut freed = Vec::new();
        for (peer, ban) in self.bans.iter_mut().filter(|(_, ban)| ban.active && ban.until <= now) {
            ban.active = false;
            freed.push(*peer);
        }
        self.bans.retain(|_, ban| ban.active || now.since(ban.until) < BANS_FORGOTTEN);
        freed
    }

    /// The ban on this peer, if there is one.
    pub fn of(&self, peer: PeerId) -> Option<&Ban> {
        self.bans.get(&peer).filter(|ban| ban.active)
    }

    /// The neighbourhoods that are refused as a whole. This machine itself never is: all nodes of a local network live there.
    pub fn refused_prefixes(&self) -> BTreeSet<IpPrefix> {
        let mut offenders = BTreeMap::new();
        for prefix in self.bans.values().filter(|ban| ban.active).filter_map(|ban| ban.prefix) {
            *offenders.entry(prefix).or_insert(0) += 1;
        }
        offenders.retain(|prefix, n| *n >= PREFIX_BAN && !prefix.is_loopback());
        offenders.into_keys().collect()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (PeerId, &Ban)> {
        self.bans.iter().map(|(peer, ban)| (*peer, ban))
    }

    /// How many hold now.
    pub fn active(&self) -> usize {
        self.bans.values().filter(|ban| ban.active).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(n: u16) -> PeerId {
        PeerId::from_bytes(&n.to_be_bytes()).unwrap()
    }

    const HERE: Option<IpPrefix> = Some(IpPrefix::V4([10, 0, 0]));

    #[test]
    fn each_ban_is_twice_the_last_up_to_a_week() {
        let (mut bans, mut now, mut last) = (Bans::default(), Moment::START, Duration::ZERO);
        for _ in 0..30 {
            bans.punish(now, peer(1), None, Offence::BadBody);
            let until = bans.of(peer(1)).unwrap().until;
            let period = until.since(now);
            assert_eq!(period, if last.is_zero() { FIRST_BAN } else { (last * 2).min(MAX_BAN) });
            last = period;
            now = until;
            assert_eq!(bans.expire(now), [peer(1)]);
            assert!(bans.of(peer(1)).is_none() && bans.expire(now).is_empty());
        }
        assert_eq!(last, MAX_BAN);
    }

    #[test]
    fn a_week_of_peace_is_forgotten() {
        let mut bans = Bans::default();
        bans.punish(Moment::START, peer(1), None, Offence::BadBody);
        bans.expire(Moment(FIRST_BAN));
        let later = Moment(FIRST_BAN + BANS_FORGOTTEN);
        bans.expire(later);
        bans.punish(later, peer(1), None, Offence::BadBody);
        assert_eq!(bans.of(peer(1)).unwrap().times, 1);
    }

    #[test]
    fn three_banned_peers_ban_their_neighbourhood() {
        let mut bans = Bans::default();
        for n in 1..=2 {
            bans.punish(Moment::START, peer(n), HERE, Offence::BadBody);
        }
        assert!(bans.refused_prefixes().is_empty());
        bans.punish(Moment::START, peer(3), HERE, Offence::BadBody);
        assert_eq!(bans.refused_prefixes(), BTreeSet::from([HERE.unwrap()]));
        bans.lift(peer(2));
        assert!(bans.refused_prefixes().is_empty());
    }

    #[test]
    fn this_machine_is_no_neighbourhood() {
        let mut bans = Bans::default();
        let local = IpPrefix::V4([127, 0, 0]);
        (1..9).for_each(|n| bans.punish(Moment::START, peer(n), Some(local), Offence::BadBody));
        assert!(bans.refused_prefixes().is_empty());
    }

    #[test]
    fn the_list_is_bounded_and_the_shortest_ban_gives_way() {
        let mut bans = Bans::default();
        bans.order(Moment::START, peer(9_999), Duration::from_secs(1));
        for n in 0..4_096 {
            bans.order(Moment::START, peer(n), MAX_BAN * 2);
        }
        assert_eq!(bans.active(), MAX_BANS);
        assert!(bans.of(peer(9_999)).is_none());
        assert_eq!(bans.of(peer(0)).unwrap().until, Moment(MAX_BAN), "nobody is banned for longer");
    }

    #[test]
    fn a_ban_says_why() {
        assert!(BanReason::Offence(Offence::BadBody).to_string().contains("a body that"));
        assert!(BanReason::Operator.to_string().contains("operator"));
    }
}
