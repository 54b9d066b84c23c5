//! What follows from what a peer did.

use core::time::Duration;

use alys_chain::Moment;
use alys_wire::PeerId;

use crate::event::Action;
use crate::machine::PeerMachine;
use crate::observation::{Observation, Offence};

/// After an offence a peer gets no work for so long. For authorities and trusted peers this is all that happens.
const OFFENCE_PAUSE: Duration = Duration::from_secs(60);

impl PeerMachine {
    pub(crate) fn on_observed(
        &mut self,
        now: Moment,
        peer: PeerId,
        what: Observation,
        out: &mut Vec<Action>,
    ) {
        if self.book.get(peer).is_none() {
            return;
        }
        match what {
            Observation::Served { bytes, first_byte, transfer } => {
                self.failures.clear(peer);
                self.perform(peer, |performance| performance.served(bytes, first_byte, transfer));
            }
            Observation::RoundTrip(rtt) => self.perform(peer, |performance| performance.round_trip(rtt)),
            Observation::Refused { retry_after } => {
                let wait = retry_after.min(alys_wire::limits::MAX_RETRY_AFTER);
                self.pause(peer, now.after(wait));
            }
            Observation::Late | Observation::TimedOut | Observation::Unreachable => {
                self.note_failure(now, peer)
            }
            Observation::Offence(offence) => self.on_offence(now, peer, offence, out),
        }
        self.changed = true;
    }

    /// Whether most peers failed lately, in a way that proves nothing: then nobody pays for it.
    #[must_use]
    pub fn suspects_ourselves(&self, now: Moment) -> bool {
        self.failures.is_ours(now, self.book.connected().map(|(peer, _)| peer))
    }

    /// A failure without proof costs work, unless most peers fail at once.
    pub(crate) fn note_failure(&mut self, now: Moment, peer: PeerId) {
        self.failures.note(now, peer);
        if !self.suspects_ourselves(now) {
            self.perform(peer, |performance| performance.failed());
        }
    }

    fn on_offence(&mut self, now: Moment, peer: PeerId, offence: Offence, out: &mut Vec<Action>) {
        self.pause(peer, now.after(OFFENCE_PAUSE));
        self.offences.note(now, peer);
        // If all peers "offend" at once, the rules have likelier changed without us, or our memory is damaged. Most of them are no excuse for any: a
        // proof is a proof, and whoever makes many identities would never be banned.
        if self.offences.is_everybody(now, self.book.connected().map(|(peer, _)| peer)) {
            return;
        }
        let Some(entry) = self.book.get_mut(peer) else { return };
        let too_many = entry.misbehaviour.add(now, offence);
        if !too_many || entry.is_protected() || self.bans.of(peer).is_some() {
            return;
        }
        entry.misbehaviour = Default::default();
        // Only an address that it was seen at: what it says of itself could put the blame on a neighbour.
        let prefix = entry.connection.as_ref().and_then(|connection| connection.prefix);
        self.bans.punish(now, peer, prefix, offence);
        self.bans_changed = true;
        out.push(Action::Ban { peer });
    }

    fn pause(&mut self, peer: PeerId, until: Moment) {
        self.perform(peer, |performance| performance.refuses_until = performance.refuses_until.max(until));
    }

    fn perform(&mut self, peer: PeerId, change: impl FnOnce(&mut crate::score::Performance)) {
        if let Some(entry) = self.book.get_mut(peer) {
            change(&mut entry.performance);
        }
    }
}
