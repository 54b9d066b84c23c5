//! Whether the trouble is ours: when most peers fail at once, it is our link, our disk or our bug rather than all of them.

use core::time::Duration;
use std::collections::BTreeMap;

use alys_chain::Moment;
use alys_wire::PeerId;

/// How far back failures count. Not shorter: a timeout takes up to 10 s to show. Not longer: an outage that is over should excuse nobody.
const WINDOW: Duration = Duration::from_secs(15);
/// Fewer failing peers than this are no pattern.
const LEAST_PEERS: usize = 3;

/// Who failed lately.
#[derive(Clone, Debug, Default)]
pub(crate) struct Suspicion {
    failed: BTreeMap<PeerId, Moment>,
}

impl Suspicion {
    /// Notes a failure of any kind.
    pub fn note(&mut self, now: Moment, peer: PeerId) {
        self.failed.insert(peer, now);
        self.failed.retain(|_, at| now.since(*at) < WINDOW);
    }

    /// Notes that the peer served: whatever failed, it was not everything.
    pub fn clear(&mut self, peer: PeerId) {
        self.failed.remove(&peer);
    }

    /// Whether most of these peers failed lately. `connected` counts the peers that are connected, or were when they failed.
    pub fn is_ours(&self, now: Moment, connected: impl Iterator<Item = PeerId>) -> bool {
        let (failing, others) = self.count(now, connected);
        failing >= LEAST_PEERS && failing > others
    }

    /// Whether all of these peers failed lately: one that did not shows that it can be done.
    pub fn is_everybody(&self, now: Moment, connected: impl Iterator<Item = PeerId>) -> bool {
        let (failing, others) = self.count(now, connected);
        failing >= LEAST_PEERS && others == 0
    }

    fn count(&self, now: Moment, connected: impl Iterator<Item = PeerId>) -> (usize, usize) {
        let failed = |at: &Moment| now.since(*at) < WINDOW;
        let failing = self.failed.values().filter(|at| failed(at)).count();
        let others = connected.filter(|peer| !self.failed.get(peer).is_some_and(failed)).count();
        (failing, others)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peers(n: u8) -> impl Iterator<Item = PeerId> {
        (1..=n).map(|i| PeerId::from_bytes(&[i]).unwrap())
    }

    const fn at(secs: u64) -> Moment {
        Moment(Duration::from_secs(secs))
    }

    fn failing(n: u8) -> Suspicion {
        let mut suspicion = Suspicion::default();
        peers(n).for_each(|peer| suspicion.note(at(0), peer));
        suspicion
    }

    #[test]
    fn most_of_the_peers_is_a_pattern() {
        assert!(failing(3).is_ours(at(0), peers(5)));
        assert!(!failing(3).is_ours(at(0), peers(6)), "half are not most");
        assert!(!failing(2).is_ours(at(0), peers(2)), "two are no pattern");
        assert!(failing(3).is_ours(at(0), peers(0)), "those that are gone count");
        assert!(failing(3).is_everybody(at(0), peers(3)) && !failing(3).is_everybody(at(0), peers(4)));
        assert!(!failing(2).is_everybody(at(0), peers(2)));
    }

    #[test]
    fn it_ends_with_time_or_when_they_serve() {
        assert!(!failing(3).is_ours(at(15), peers(3)));
        let mut suspicion = failing(3);
        suspicion.clear(peers(1).next().unwrap());
        assert!(!suspicion.is_ours(at(1), peers(3)));
    }

    #[test]
    fn the_memory_is_bounded_by_its_window() {
        let mut suspicion = failing(200);
        suspicion.note(at(15), peers(1).next().unwrap());
        assert_eq!(suspicion.failed.len(), 1);
    }
}
