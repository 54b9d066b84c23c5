//! Whom ranges of headers are asked of, where some peers bring nothing.

#![allow(clippy::unwrap_used, reason = "a test that meets None has failed")]

mod blocks;

use core::time::Duration;

use alys_chain::{CertifiedHeader, Height, Moment, Slot};
use alys_sync::{Action, Config, Event, LeaseId, Start, SyncMachine, Tip};
use alys_wire::PeerId;
use blocks::{GENESIS, peer};

/// Three full ranges.
const BLOCKS: u64 = 1_536;

fn chain() -> Vec<CertifiedHeader> {
    blocks::chain(GENESIS, 1..=BLOCKS, 1)
}

fn at(millis: u64) -> Moment {
    Moment(Duration::from_millis(millis))
}

fn asked(actions: &[Action]) -> Vec<(LeaseId, PeerId, Height)> {
    let asked = |action: &Action| match action {
        Action::RequestHeaders { lease, peer, from, .. } => Some((*lease, *peer, *from)),
        _ => None,
    };
    actions.iter().filter_map(asked).collect()
}

/// The range that a peer brings waits for the one below it, which another one withholds: while nothing of a peer has been judged it is asked for one
/// range at a time, and here it would not be judged, nor asked, for as long as the range waits.
#[test]
fn who_waits_for_the_lowest_range_may_bring_it() {
    let chain = chain();
    let tip = Tip::genesis(GENESIS.id);
    let mut machine = SyncMachine::new(Config::default(), tip);
    let tick = || Event::Tick { slot: Slot(BLOCKS) };
    let mut actions = machine.step(at(0), tick());
    actions.extend(machine.step(at(0), Event::Start(Start { tip, until: None, checkpoint: None })));
    for n in [1, 2] {
        actions.extend(machine.step(at(0), Event::PeerConnected { peer: peer(n) }));
        let head = chain.last().copied();
        actions.extend(machine.step(at(0), Event::PeerStatus { peer: peer(n), head, earliest: Height(0) }));
    }
    let ranges = asked(&actions);
    let of = |n| ranges.iter().find(|(_, asked, _)| *asked == peer(n)).copied().unwrap();
    let ((_, _, lowest), (lease, _, above)) = (of(1), of(2));
    assert_eq!((ranges.len(), lowest, above), (2, Height(1), Height(513)));

    let headers = chain[512..1024].to_vec();
    actions = machine.step(at(100), Event::HeadersArrived { lease, headers, bytes: 150_000 });
    assert!(asked(&actions).is_empty(), "nothing of it is judged yet");
    // The first one is silent. Its range goes to the second one, although that one's own range still waits.
    let later = (1..=50).flat_map(|n| asked(&machine.step(at(100 + n * 100), tick()))).next();
    assert_eq!(later.map(|(_, peer, from)| (peer, from)), Some((peer(2), Height(1))));
}
