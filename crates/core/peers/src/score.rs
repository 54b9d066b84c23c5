//! The two axes: how well a peer performs, and how often it misbehaved.

use core::time::Duration;

use alys_chain::Moment;

use crate::observation::Offence;

/// Points of misbehaviour that ban. Two grave offences, or three of any kind, within some minutes.
pub(crate) const BAN_POINTS: u32 = 100;
/// The time in which points halve. Not longer: an operator who repaired a node should not wait for hours. Not shorter: an offender could
/// pace itself by it.
pub(crate) const HALF_LIFE: Duration = Duration::from_secs(600);
/// So many offences ban, however slowly they come...
pub(crate) const BAN_OFFENCES: u8 = 3;
/// ...as long as none is followed by this much time without one.
pub(crate) const OFFENCES_FORGOTTEN: Duration = Duration::from_secs(24 * 3600);

/// The bandwidth that a peer is credited with before it has shown any: above most home links, so that newcomers are tried early.
pub(crate) const OPTIMISTIC_BANDWIDTH: u64 = 8_000_000;
/// The round trip that a peer is credited with before it has shown any.
pub(crate) const OPTIMISTIC_RTT: Duration = Duration::from_millis(50);
/// Transfers below this many bytes tell nothing about bandwidth: they fit one congestion window.
const LEAST_TRANSFER: u64 = 16 * 1024;
/// A new sample weighs one in this many: some ten samples turn an opinion.
const WEIGHT: u64 = 5;
/// All in time.
const ALWAYS: u32 = 1_000;

const _: () = {
    let all = Offence::ALL;
    let mut i = 0;
    while i < all.len() {
        assert!(all[i].points() * 3 >= BAN_POINTS, "three at once of any kind ban");
        i += 1;
    }
};

/// The kinds of work that peers are chosen for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Headers with certificates: small answers, the round trip counts.
    HeaderDownload,
    /// Bodies: the bandwidth counts.
    BlockDownload,
    /// Pieces of the state: the bandwidth counts.
    StateSync,
    /// Asking for other peers: the round trip counts.
    Discovery,
}

/// How well a peer performs. Chooses work, and never bans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Performance {
    /// Bytes a second, between the first and the last byte of a transfer; `None` before the first one.
    pub bandwidth: Option<u64>,
    /// From a question to the first byte of its answer.
    pub rtt: Option<Duration>,
    /// How many of a thousand requests it serves in time.
    pub in_time: u32,
    /// Until then it wants to be left alone.
    pub refuses_until: Moment,
}

impl Default for Performance {
    fn default() -> Self {
        Self { bandwidth: None, rtt: None, in_time: ALWAYS, refuses_until: Moment::START }
    }
}

impl Performance {
    pub fn served(&mut self, bytes: u64, first_byte: Duration, transfer: Duration) {
        self.in_time = blend32(self.in_time, ALWAYS);
        self.round_trip(first_byte);
        let micros = u64::try_from(transfer.as_micros()).unwrap_or(u64::MAX);
        if bytes >= LEAST_TRANSFER && micros > 0 {
            let sample = bytes.saturating_mul(1_000_000) / micros;
            self.bandwidth = Some(self.bandwidth.map_or(sample, |old| blend(old, sample)));
        }
    }

    pub fn round_trip(&mut self, sample: Duration) {
        self.rtt = Some(self.rtt.map_or(sample, |old| {
            let weight = u32::try_from(WEIGHT).unwrap_or(u32::MAX);
            old.saturating_mul(weight - 1).saturating_add(sample) / weight
        }));
    }

    pub fn failed(&mut self) {
        self.in_time = blend32(self.in_time, 0);
    }

    /// What the peer is worth for this kind of work; only the order has a meaning.
    pub fn value(&self, operation: Operation) -> u64 {
        let speed = match operation {
            Operation::BlockDownload | Operation::StateSync => self.bandwidth.unwrap_or(OPTIMISTIC_BANDWIDTH),
            Operation::HeaderDownload | Operation::Discovery => {
                let micros = self.rtt.unwrap_or(OPTIMISTIC_RTT).as_micros();
                1_000_000_000 / u64::try_from(micros).unwrap_or(u64::MAX).max(1)
            }
        };
        speed.saturating_mul(u64::from(self.in_time)) / u64::from(ALWAYS)
    }
}

fn blend(old: u64, sample: u64) -> u64 {
    old / WEIGHT * (WEIGHT - 1) + sample / WEIGHT
}

fn blend32(old: u32, sample: u32) -> u32 {
    let weight = u32::try_from(WEIGHT).unwrap_or(u32::MAX);
    (old * (weight - 1) + sample) / weight
}

/// How often a peer misbehaved, provably. Fades, and bans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Misbehaviour {
    /// In thousandths of a point, as of `at`.
    millipoints: u32,
    /// Offences since it was last forgiven.
    offences: u8,
    at: Moment,
}

impl Misbehaviour {
    /// As it was saved, `age` before `now`.
    pub fn aged(millipoints: u32, offences: u8, age: Duration, now: Moment) -> Self {
        let then = Self { millipoints, offences, at: Moment::START };
        let later = Moment(age);
        Self { millipoints: then.millipoints(later), offences: then.offences(later), at: now }
    }

    /// Counts an offence; true if it is one too many.
    pub fn add(&mut self, now: Moment, offence: Offence) -> bool {
        self.millipoints = self.millipoints(now).saturating_add(offence.points() * 1_000);
        self.offences = self.offences(now).saturating_add(1);
        self.at = now;
        self.millipoints >= BAN_POINTS * 1_000 || self.offences >= BAN_OFFENCES
    }

    /// The points left, in thousandths: halved each half-life, in a straight line between.
    pub fn millipoints(&self, now: Moment) -> u32 {
        let age = now.since(self.at).as_millis();
        let half_life = HALF_LIFE.as_millis();
        let halved = match u32::try_from(age / half_life) {
            Ok(times) => self.millipoints.checked_shr(times).unwrap_or(0),
            Err(_) => 0,
        };
        let fading = u128::from(halved) * (age % half_life) / (2 * half_life);
        halved - u32::try_from(fading).unwrap_or(halved)
    }

    /// Whether nothing was ever counted.
    pub const fn is_clean(&self) -> bool {
        self.offences == 0
    }

    /// The offences that are not forgotten yet.
    pub fn offences(&self, now: Moment) -> u8 {
        if now.since(self.at) >= OFFENCES_FORGOTTEN { 0 } else { self.offences }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(secs: u64) -> Moment {
        Moment(Duration::from_secs(secs))
    }

    #[test]
    fn points_halve_in_ten_minutes_and_vanish() {
        let mut record = Misbehaviour::default();
        assert!(!record.add(at(0), Offence::BadBody));
        assert_eq!(record.millipoints(at(0)), 60_000);
        assert_eq!(record.millipoints(at(300)), 45_000, "a straight line between");
        assert_eq!(record.millipoints(at(600)), 30_000);
        assert_eq!(record.millipoints(at(1_200)), 15_000);
        assert_eq!(record.millipoints(at(100_000)), 0);
        assert_eq!(record.millipoints(Moment(Duration::MAX)), 0);
    }

    #[test]
    fn two_grave_offences_at_once_are_too_many() {
        let mut record = Misbehaviour::default();
        assert!(!record.add(at(0), Offence::BadHeader));
        assert!(record.add(at(1), Offence::BadBody));
    }

    #[test]
    fn three_offences_are_too_many_however_slowly_they_come() {
        let mut record = Misbehaviour::default();
        assert!(!record.add(at(0), Offence::Malformed));
        assert!(!record.add(at(80_000), Offence::Malformed));
        assert!(record.add(at(160_000), Offence::Malformed));
    }

    #[test]
    fn a_day_without_offence_is_forgiven() {
        let mut record = Misbehaviour::default();
        record.add(at(0), Offence::Malformed);
        record.add(at(1), Offence::Malformed);
        let day_later = 1 + OFFENCES_FORGOTTEN.as_secs();
        assert_eq!(record.offences(at(day_later)), 0);
        assert!(!record.add(at(day_later), Offence::Malformed));
    }

    #[test]
    fn what_was_saved_has_aged() {
        let aged = Misbehaviour::aged(40_000, 2, HALF_LIFE, at(5));
        assert_eq!((aged.millipoints(at(5)), aged.offences(at(5))), (20_000, 2));
        assert_eq!(Misbehaviour::aged(40_000, 2, OFFENCES_FORGOTTEN, at(5)).offences(at(5)), 0);
    }

    #[test]
    fn bandwidth_follows_what_is_served() {
        let mut peer = Performance::default();
        let second = Duration::from_secs(1);
        peer.served(1_000_000, Duration::from_millis(20), second);
        assert_eq!((peer.bandwidth, peer.rtt), (Some(1_000_000), Some(Duration::from_millis(20))));
        for _ in 0..20 {
            peer.served(10_000_000, Duration::from_millis(120), second);
        }
        assert!(peer.bandwidth > Some(9_000_000) && peer.rtt > Some(Duration::from_millis(115)), "{peer:?}");
    }

    #[test]
    fn small_or_instant_transfers_say_nothing_of_bandwidth() {
        let mut peer = Performance::default();
        peer.served(100, Duration::ZERO, Duration::from_secs(9));
        peer.served(1_000_000, Duration::ZERO, Duration::ZERO);
        assert_eq!(peer.bandwidth, None);
    }

    #[test]
    fn who_fails_loses_worth_and_who_serves_regains_it() {
        let mut peer = Performance::default();
        let fresh = peer.value(Operation::BlockDownload);
        (0..10).for_each(|_| peer.failed());
        assert!(peer.value(Operation::BlockDownload) < fresh / 8);
        (0..20).for_each(|_| peer.served(0, OPTIMISTIC_RTT, Duration::ZERO));
        assert!(
            peer.value(Operation::HeaderDownload)
                > Performance::default().value(Operation::HeaderDownload) * 9 / 10
        );
    }

    #[test]
    fn headers_go_to_the_near_and_bodies_to_the_broad() {
        let near = Performance {
            rtt: Some(Duration::from_millis(5)),
            bandwidth: Some(1_000_000),
            ..Performance::default()
        };
        let broad = Performance {
            rtt: Some(Duration::from_millis(200)),
            bandwidth: Some(50_000_000),
            ..Performance::default()
        };
        for operation in [Operation::HeaderDownload, Operation::Discovery] {
            assert!(near.value(operation) > broad.value(operation));
        }
        for operation in [Operation::BlockDownload, Operation::StateSync] {
            assert!(near.value(operation) < broad.value(operation));
        }
    }

    #[test]
    fn absurd_figures_do_not_overflow() {
        let mut peer = Performance::default();
        peer.served(u64::MAX, Duration::MAX, Duration::from_micros(1));
        peer.served(u64::MAX, Duration::MAX, Duration::MAX);
        peer.round_trip(Duration::ZERO);
        assert!(peer.value(Operation::BlockDownload) > 0);
        assert_eq!(peer.value(Operation::HeaderDownload), 0);
    }
}
