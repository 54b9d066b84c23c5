//! What holds whatever happens, and in whatever order.

use core::time::Duration;
use std::collections::BTreeMap;

use alys_chain::{AuthorityIndex, Moment, UnixMillis};
use alys_peers::{
    Action, Direction, DisconnectReason, Event, Observation, Offence, Operation, PeerMachine, Settings,
};
use alys_wire::{Address, PeerId};
use proptest::prelude::*;

/// Offences end in a ban after this many (I13).
const PATIENCE: u32 = 3;
/// Peers 1 and 2 may offend; two are never most of the peers.
const GUILTY: core::ops::RangeInclusive<u8> = 1..=2;
const PEERS: core::ops::RangeInclusive<u8> = 1..=9;

fn peer(n: u8) -> PeerId {
    PeerId::from_bytes(&[n]).expect("one byte is an id")
}

fn home(n: u8) -> Address {
    Address(format!("/ip4/10.0.{n}.1/tcp/30300"))
}

fn settings() -> Settings {
    let bootnodes = vec![home(1).with_peer(peer(1)), home(200)];
    Settings {
        bootnodes,
        outbound: 4,
        max_peers: 6,
        max_book: 24,
        ..Settings::new(peer(0), UnixMillis(1 << 40), 3)
    }
}

fn offence() -> impl Strategy<Value = Offence> {
    prop::sample::select(&Offence::ALL[..])
}

/// Everything that can be seen of an honest peer on a bad line.
fn mishap() -> impl Strategy<Value = Observation> {
    let millis = |n: u64| (0..n).prop_map(Duration::from_millis);
    prop_oneof![
        (0..50_000_000_u64, millis(5_000), millis(60_000))
            .prop_map(|(bytes, first_byte, transfer)| Observation::Served { bytes, first_byte, transfer }),
        Just(Observation::Late),
        Just(Observation::TimedOut),
        Just(Observation::Unreachable),
        millis(100_000).prop_map(|retry_after| Observation::Refused { retry_after }),
        millis(9_000).prop_map(Observation::RoundTrip),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    let who = || PEERS.prop_map(peer);
    let reason = prop::sample::select(
        &[
            DisconnectReason::Asked,
            DisconnectReason::Closed,
            DisconnectReason::Broken,
            DisconnectReason::Foreign,
        ][..],
    );
    let direction = prop::sample::select(&[Direction::Inbound, Direction::Outbound][..]);
    prop_oneof![
        4 => Just(Event::Tick),
        1 => Just(Event::Started),
        4 => (PEERS, direction)
            .prop_map(|(n, direction)| Event::Connected { peer: peer(n), address: home(n), direction }),
        2 => (who(), reason).prop_map(|(peer, reason)| Event::Disconnected { peer, reason }),
        2 => (PEERS, any::<bool>()).prop_map(|(n, named)| Event::DialFailed {
            peer: named.then(|| peer(n)),
            addresses: vec![if named { home(n) } else { home(200) }],
        }),
        2 => (any::<u8>(), any::<u8>()).prop_map(|(n, at)| Event::Discovered { peer: peer(n), addresses: vec![home(at)] }),
        6 => (who(), mishap()).prop_map(|(peer, what)| Event::Observed { peer, what }),
        4 => (GUILTY, offence())
            .prop_map(|(n, offence)| Event::Observed { peer: peer(n), what: Observation::Offence(offence) }),
    ]
}

/// Events, each with the seconds since the last one.
fn history() -> impl Strategy<Value = Vec<(u64, Event)>> {
    prop::collection::vec((prop_oneof![0..3_u64, 0..90_u64, 0..10_000_u64], event()), 1..250)
}

fn replay(
    machine: &mut PeerMachine,
    history: Vec<(u64, Event)>,
    mut each: impl FnMut(&PeerMachine, Moment, &Event, &[Action]),
) {
    let mut now = Moment::START;
    for (wait, event) in history {
        now = now.after(Duration::from_secs(wait));
        let actions = machine.step(now, event.clone());
        each(machine, now, &event, &actions);
    }
}

fn is_guilty(who: PeerId) -> bool {
    GUILTY.map(peer).any(|guilty| guilty == who)
}

proptest! {
    #[test]
    fn an_honest_peer_is_never_banned(history in history()) {
        replay(&mut PeerMachine::new(settings()), history, |_, _, event, actions| {
            for action in actions {
                let Action::Ban { peer } = action else { continue };
                assert!(is_guilty(*peer), "{peer:?} banned after {event:?}");
            }
        });
    }

    #[test]
    fn a_guilty_peer_is_banned_within_three_offences(history in history()) {
        let mut offences: BTreeMap<PeerId, (u32, Moment)> = BTreeMap::new();
        replay(&mut PeerMachine::new(settings()), history, |machine, now, event, _| {
            let Event::Observed { peer, what: Observation::Offence(_) } = event else { return };
            // Who is not in the book was never connected: nothing can be proven of it.
            let Some(explained) = machine.explain(now, *peer) else { return };
            let (count, last) = offences.entry(*peer).or_default();
            let forgiven = now.since(*last) >= Duration::from_secs(24 * 3600);
            *count = if forgiven { 1 } else { *count + 1 };
            *last = now;
            if explained.ban.is_some() {
                *count = 0;
            }
            assert!(*count < PATIENCE, "{count} offences and no ban: {explained}");
        });
    }

    #[test]
    fn authorities_and_trusted_peers_are_never_banned(history in history()) {
        let mut machine = PeerMachine::new(settings());
        machine.step(Moment::START, Event::Trust { peer: peer(1), on: true, addresses: vec![home(1)] });
        machine.step(Moment::START, Event::Discovered { peer: peer(2), addresses: vec![home(2)] });
        machine.step(Moment::START, Event::ClaimVerified { peer: peer(2), authority: AuthorityIndex(0) });
        replay(&mut machine, history, |_, _, _, actions| {
            assert!(!actions.iter().any(|action| matches!(action, Action::Ban { .. })), "{actions:?}");
        });
    }

    #[test]
    fn the_same_events_give_the_same_actions(history in history()) {
        let (mut first, mut second) = (Vec::new(), Vec::new());
        replay(&mut PeerMachine::new(settings()), history.clone(), |_, _, _, actions| first.extend_from_slice(actions));
        replay(&mut PeerMachine::new(settings()), history, |_, _, _, actions| second.extend_from_slice(actions));
        assert_eq!(first, second);
    }

    #[test]
    fn the_book_is_bounded_and_work_goes_to_connected_peers_only(history in history()) {
        let limit = settings().max_book;
        replay(&mut PeerMachine::new(settings()), history, |machine, now, _, _| {
            let totals = machine.totals();
            // Whoever is connected or being dialled has a place even when nobody can give way.
            assert!(totals.known <= limit + totals.connected() + totals.dialing, "{totals:?}");
            for ranked in machine.best(now, usize::MAX, Operation::BlockDownload) {
                let explained = machine.explain(now, ranked.peer).expect("it is known");
                assert!(explained.connected.is_some() && explained.ban.is_none() && explained.paused_for.is_zero());
            }
        });
    }

    #[test]
    fn nobody_is_dialled_twice_or_while_connected_or_banned(history in history()) {
        let mut dialled: BTreeMap<PeerId, Moment> = BTreeMap::new();
        replay(&mut PeerMachine::new(settings()), history, |machine, now, event, actions| {
            if let Event::Connected { peer, .. } | Event::DialFailed { peer: Some(peer), .. } = event {
                dialled.remove(peer);
            }
            for action in actions {
                let Action::Dial { peer: Some(peer), addresses } = action else { continue };
                let explained = machine.explain(now, *peer).expect("it is known");
                assert!(explained.connected.is_none() && explained.ban.is_none() && !addresses.is_empty());
                let before = dialled.insert(*peer, now);
                assert!(before.is_none_or(|then| now.since(then) >= Duration::from_secs(60)), "{peer:?} is being dialled");
            }
        });
    }

    #[test]
    fn what_is_saved_is_what_was_known(history in history()) {
        let mut before = PeerMachine::new(settings());
        let mut now = Moment::START;
        replay(&mut before, history, |_, at, _, _| now = at);
        before.step(now, Event::Tick);
        let mut after = PeerMachine::new(settings());
        after.restore(now, &before.snapshot(now)).expect("it was just written");
        for n in PEERS.map(peer) {
            let Some(old) = before.explain(now, n).filter(|old| old.last_seen.is_some()) else { continue };
            let new = after.explain(now, n).expect("who was seen is saved");
            prop_assert_eq!((old.last_seen, old.bandwidth, old.rtt), (new.last_seen, new.bandwidth, new.rtt));
            prop_assert_eq!((old.millipoints, old.offences, old.ban), (new.millipoints, new.offences, new.ban));
        }
        prop_assert_eq!(before.totals().banned, after.totals().banned);
    }

    #[test]
    fn a_damaged_book_never_panics(
        history in history(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut machine = PeerMachine::new(settings());
        replay(&mut machine, history, |_, _, _, _| {});
        let mut bytes = machine.snapshot(Moment::START);
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let mut fresh = PeerMachine::new(settings());
        let _ = fresh.restore(Moment::START, &bytes);
        fresh.step(Moment::START, Event::Started);
        bytes.truncate(cut.index(bytes.len()));
        prop_assert!(PeerMachine::new(settings()).restore(Moment::START, &bytes).is_err());
    }
}
