//! The machine from outside: events in, actions out.

use core::time::Duration;

use alys_chain::{AuthorityIndex, Moment, UnixMillis};
use alys_peers::{
    Action, BanReason, Class, Direction, DisconnectReason, Event, Observation, Offence, Operation,
    PeerMachine, Settings, SnapshotError,
};
use alys_wire::{Address, PeerId};

const EPOCH: UnixMillis = UnixMillis(1_700_000_000_000);

fn peer(n: u8) -> PeerId {
    PeerId::from_bytes(&[n]).expect("one byte is an id")
}

/// Peer `n` lives in a neighbourhood of its own.
fn home(n: u8) -> Address {
    Address(format!("/ip4/10.0.{n}.1/tcp/30300"))
}

const fn at(secs: u64) -> Moment {
    Moment(Duration::from_secs(secs))
}

fn settings() -> Settings {
    Settings::new(peer(0), EPOCH, 7)
}

fn machine() -> PeerMachine {
    PeerMachine::new(settings())
}

fn connect(machine: &mut PeerMachine, now: Moment, n: u8) -> Vec<Action> {
    connect_from(machine, now, n, home(n), Direction::Inbound)
}

fn connect_from(
    machine: &mut PeerMachine,
    now: Moment,
    n: u8,
    address: Address,
    direction: Direction,
) -> Vec<Action> {
    machine.step(now, Event::Connected { peer: peer(n), address, direction })
}

fn discover(machine: &mut PeerMachine, n: u8) {
    machine.step(Moment::START, Event::Discovered { peer: peer(n), addresses: vec![home(n)] });
}

fn observe(machine: &mut PeerMachine, now: Moment, n: u8, what: Observation) -> Vec<Action> {
    machine.step(now, Event::Observed { peer: peer(n), what })
}

fn offend(machine: &mut PeerMachine, now: Moment, n: u8) -> Vec<Action> {
    observe(machine, now, n, Observation::Offence(Offence::BadBody))
}

fn lose(machine: &mut PeerMachine, now: Moment, n: u8, reason: DisconnectReason) -> Vec<Action> {
    machine.step(now, Event::Disconnected { peer: peer(n), reason })
}

fn dialled(actions: &[Action]) -> Vec<Option<PeerId>> {
    let peer = |action: &Action| match action {
        Action::Dial { peer, .. } => Some(*peer),
        _ => None,
    };
    actions.iter().filter_map(peer).collect()
}

fn bans(actions: &[Action], n: u8) -> bool {
    actions.contains(&Action::Ban { peer: peer(n) })
}

fn saved(actions: &[Action]) -> Option<&[u8]> {
    actions.iter().find_map(|action| match action {
        Action::Save(bytes) => Some(&bytes[..]),
        _ => None,
    })
}

const SERVED: Observation = Observation::Served {
    bytes: 10_000_000,
    first_byte: Duration::from_millis(10),
    transfer: Duration::from_secs(1),
};

#[test]
fn at_the_start_the_bootnodes_are_dialled() {
    let with_id = home(1).with_peer(peer(1));
    let ourselves = home(9).with_peer(peer(0));
    let mut machine =
        PeerMachine::new(Settings { bootnodes: vec![with_id, home(2), ourselves], ..settings() });
    let actions = machine.step(at(0), Event::Started);
    assert_eq!(dialled(&actions), [Some(peer(1)), None]);
    assert!(actions.contains(&Action::Dial { peer: None, addresses: vec![home(2)] }));
    assert!(dialled(&machine.step(at(1), Event::Tick)).is_empty(), "both are being dialled");
}

#[test]
fn a_bootnode_without_an_id_is_retried_until_it_has_one() {
    let mut machine = PeerMachine::new(Settings { bootnodes: vec![home(1)], ..settings() });
    machine.step(at(0), Event::Started);
    machine.step(at(1), Event::DialFailed { peer: None, addresses: vec![home(1)] });
    assert!(dialled(&machine.step(at(1), Event::Tick)).is_empty());
    assert_eq!(dialled(&machine.step(at(3), Event::Tick)), [None]);
    connect_from(&mut machine, at(4), 5, home(1), Direction::Outbound);
    lose(&mut machine, at(100), 5, DisconnectReason::Closed);
    assert_eq!(dialled(&machine.step(at(101), Event::Tick)), [Some(peer(5))], "now by its id");
}

#[test]
fn a_dial_that_never_ends_is_tried_again() {
    let mut machine = PeerMachine::new(Settings { bootnodes: vec![home(1)], ..settings() });
    discover(&mut machine, 2);
    machine.step(at(0), Event::Started);
    machine.step(at(60), Event::Tick);
    assert_eq!(dialled(&machine.step(at(62), Event::Tick)), [Some(peer(2)), None]);
}

#[test]
fn who_is_discovered_is_dialled_up_to_the_target() {
    let mut machine = PeerMachine::new(Settings { outbound: 3, ..settings() });
    (1..=9).for_each(|n| discover(&mut machine, n));
    machine.step(at(0), Event::Discovered { peer: peer(0), addresses: vec![home(0)] });
    machine.step(at(0), Event::Discovered { peer: peer(99), addresses: vec![Address("/odd".into())] });
    assert_eq!(dialled(&machine.step(at(0), Event::Started)).len(), 3);
    assert_eq!(machine.totals().known, 9, "neither ourselves nor who cannot be reached");
    assert_eq!(machine.totals().dialing, 3);
}

#[test]
fn an_unreachable_peer_is_dialled_ever_less_often() {
    let mut machine = machine();
    discover(&mut machine, 1);
    let mut dials = 0;
    for second in 0..3_600 {
        if !dialled(&machine.step(at(second), Event::Tick)).is_empty() {
            dials += 1;
            machine.step(at(second), Event::DialFailed { peer: Some(peer(1)), addresses: vec![home(1)] });
        }
    }
    assert!((10..25).contains(&dials), "{dials} dials in an hour");
    assert!(machine.explain(at(3_600), peer(1)).unwrap().to_string().contains("dials failed, next in"));
}

#[test]
fn addresses_that_failed_thrice_make_room_for_better_ones() {
    let mut machine = machine();
    let addresses: Vec<_> = (0..4).map(home).collect();
    machine.step(at(0), Event::Discovered { peer: peer(1), addresses: addresses.clone() });
    for second in [0, 10, 20] {
        machine.step(at(second), Event::DialFailed { peer: Some(peer(1)), addresses: addresses.clone() });
    }
    assert_eq!(machine.explain(at(20), peer(1)).unwrap().addresses, [home(0)]);
    machine.step(at(20), Event::DialFailed { peer: Some(peer(77)), addresses });
    assert!(machine.explain(at(20), peer(77)).is_none());
}

#[test]
fn authorities_and_trusted_peers_are_always_kept_connected() {
    let mut machine = PeerMachine::new(Settings { outbound: 0, ..settings() });
    machine.step(at(0), Event::Trust { peer: peer(1), on: true, addresses: vec![home(1)] });
    discover(&mut machine, 2);
    connect(&mut machine, at(0), 2);
    let actions = machine.step(at(0), Event::ClaimVerified { peer: peer(2), authority: AuthorityIndex(3) });
    assert_eq!(actions, [Action::Explicit { peer: peer(2), on: true }]);
    lose(&mut machine, at(20), 2, DisconnectReason::Broken);
    assert_eq!(dialled(&machine.step(at(21), Event::Tick)), [Some(peer(1)), Some(peer(2))]);
    for second in 22..600 {
        machine.step(at(second), Event::DialFailed { peer: Some(peer(1)), addresses: vec![home(1)] });
    }
    let (_, wait) = machine.explain(at(600), peer(1)).unwrap().dialing;
    assert!(wait <= Duration::from_secs(15), "{wait:?}");
}

#[test]
fn a_new_federation_revokes_all_claims() {
    let mut machine = machine();
    connect(&mut machine, at(0), 1);
    let claim = Event::ClaimVerified { peer: peer(1), authority: AuthorityIndex(0) };
    machine.step(at(0), claim.clone());
    assert!(machine.step(at(1), claim).is_empty(), "once is enough");
    assert_eq!(machine.totals().federation, 1);
    assert_eq!(machine.best(at(1), 1, Operation::StateSync)[0].class, Class::Federation(AuthorityIndex(0)));
    let actions = machine.step(at(2), Event::FederationChanged);
    assert_eq!(actions, [Action::Explicit { peer: peer(1), on: false }]);
    assert_eq!(machine.best(at(2), 1, Operation::StateSync)[0].class, Class::Full);
    assert!(
        machine.step(at(3), Event::ClaimVerified { peer: peer(9), authority: AuthorityIndex(0) }).is_empty()
    );
}

#[test]
fn an_offender_is_banned_and_freed_again() {
    let mut machine = machine();
    connect(&mut machine, at(0), 1);
    assert!(!bans(&offend(&mut machine, at(1), 1), 1));
    assert!(bans(&offend(&mut machine, at(2), 1), 1));
    lose(&mut machine, at(2), 1, DisconnectReason::Asked);
    assert!(bans(&connect(&mut machine, at(3), 1), 1), "it is refused");
    let explained = machine.explain(at(3), peer(1)).unwrap();
    assert_eq!(explained.ban.unwrap().1, BanReason::Offence(Offence::BadBody));
    assert!(explained.to_string().contains("banned for 899 s"), "{explained}");
    let free = Action::Unban { peer: peer(1) };
    assert!(!machine.step(at(901), Event::Tick).contains(&free));
    assert!(machine.step(at(902), Event::Tick).contains(&free));
    assert!(connect(&mut machine, at(903), 1).is_empty());
}

#[test]
fn authorities_and_trusted_peers_are_throttled_and_never_banned() {
    let mut machine = machine();
    (1..=9).for_each(|n| drop(connect(&mut machine, at(0), n)));
    machine.step(at(0), Event::Trust { peer: peer(1), on: true, addresses: vec![] });
    machine.step(at(0), Event::ClaimVerified { peer: peer(2), authority: AuthorityIndex(0) });
    for n in [1, 2] {
        for second in 0..50 {
            assert!(!bans(&offend(&mut machine, at(second), n), n));
        }
        let best = machine.best(at(50), 99, Operation::BlockDownload);
        assert!(!best.iter().any(|ranked| ranked.peer == peer(n)), "it gets no work");
        let later = machine.best(at(200), 99, Operation::BlockDownload);
        assert!(later.iter().any(|ranked| ranked.peer == peer(n)), "for a minute");
    }
}

#[test]
fn the_operator_bans_and_frees_whom_he_likes() {
    let mut machine = machine();
    machine.step(at(0), Event::Trust { peer: peer(1), on: true, addresses: vec![home(1)] });
    let actions = machine.step(at(0), Event::Ban { peer: peer(1), period: Duration::MAX });
    assert!(bans(&actions, 1));
    assert!(dialled(&machine.step(at(1), Event::Tick)).is_empty(), "a banned peer is not dialled");
    let actions = machine.step(at(2), Event::Unban { peer: peer(1) });
    assert_eq!(actions, [Action::Unban { peer: peer(1) }]);
    assert_eq!(dialled(&machine.step(at(3), Event::Tick)), [Some(peer(1))]);
    assert!(machine.step(at(4), Event::Unban { peer: peer(1) }).is_empty(), "it is free already");

    machine.step(at(5), Event::Ban { peer: peer(2), period: Duration::from_secs(60) });
    assert!(machine.explain(at(5), peer(2)).is_some(), "even one that we never met");
    let actions = machine.step(at(6), Event::Trust { peer: peer(2), on: true, addresses: vec![] });
    assert_eq!(actions, [Action::Unban { peer: peer(2) }], "trust lifts the ban");
    machine.step(at(7), Event::Trust { peer: peer(2), on: false, addresses: vec![] });
    assert_eq!(machine.explain(at(7), peer(2)).unwrap().class, Class::Full);
    assert!(machine.step(at(7), Event::Trust { peer: peer(0), on: true, addresses: vec![] }).is_empty());
}

#[test]
fn strangers_from_a_neighbourhood_of_offenders_are_refused_but_old_friends_are_not() {
    let mut machine = machine();
    let street = |n: u8| Address(format!("/ip4/10.9.9.{n}/tcp/1"));
    (1..=9).for_each(|n| drop(connect_from(&mut machine, at(0), n, street(n), Direction::Inbound)));
    (10..=40).for_each(|n| drop(connect(&mut machine, at(0), n)));
    for n in 1..=3 {
        offend(&mut machine, at(1), n);
        assert!(bans(&offend(&mut machine, at(1), n), n));
    }
    let mapped = Address("/ip6/::ffff:10.9.9.99/tcp/5".into());
    let refused = connect_from(&mut machine, at(2), 50, mapped, Direction::Inbound);
    assert_eq!(refused, [Action::Disconnect { peer: peer(50) }]);
    lose(&mut machine, at(20), 4, DisconnectReason::Closed);
    assert!(connect_from(&mut machine, at(21), 4, street(4), Direction::Inbound).is_empty());
    machine.step(at(22), Event::Discovered { peer: peer(51), addresses: vec![street(51)] });
    assert!(!dialled(&machine.step(at(23), Event::Tick)).contains(&Some(peer(51))));
}

#[test]
fn when_most_peers_fail_at_once_nobody_pays() {
    let mut machine = machine();
    (1..=5).for_each(|n| drop(connect(&mut machine, at(0), n)));
    for n in 1..=5 {
        observe(&mut machine, at(1), n, Observation::TimedOut);
        observe(&mut machine, at(1), n, Observation::Late);
    }
    assert!(machine.suspects_ourselves(at(2)));
    assert_eq!(machine.explain(at(2), peer(5)).unwrap().in_time, 1_000);
    observe(&mut machine, at(3), 5, SERVED);
    observe(&mut machine, at(3), 4, SERVED);
    observe(&mut machine, at(3), 3, SERVED);
    assert!(!machine.suspects_ourselves(at(3)));
    observe(&mut machine, at(3), 1, Observation::Unreachable);
    assert!(machine.explain(at(3), peer(1)).unwrap().in_time < 1_000);
}

#[test]
fn when_the_network_breaks_nobody_pays_either() {
    let mut machine = machine();
    (1..=6).for_each(|n| drop(connect(&mut machine, at(0), n)));
    (1..=6).for_each(|n| drop(lose(&mut machine, at(60), n, DisconnectReason::Broken)));
    assert!(machine.suspects_ourselves(at(60)));
    assert_eq!(machine.explain(at(60), peer(6)).unwrap().in_time, 1_000);
}

#[test]
fn many_liars_are_no_excuse_for_each_other() {
    let mut machine = machine();
    (1..=10).for_each(|n| drop(connect(&mut machine, at(0), n)));
    (1..=9).for_each(|n| drop(offend(&mut machine, at(1), n)));
    for n in 1..=9 {
        assert!(bans(&offend(&mut machine, at(2), n), n), "{n} is banned for its second grave offence");
    }
}

#[test]
fn when_all_peers_offend_at_once_the_rules_have_changed_without_us() {
    let mut machine = machine();
    (1..=5).for_each(|n| drop(connect(&mut machine, at(0), n)));
    (1..=5).for_each(|n| drop(offend(&mut machine, at(1), n)));
    for second in 2..10 {
        for n in 1..=5 {
            assert!(!bans(&offend(&mut machine, at(second), n), n), "{n} at {second}");
        }
    }
}

#[test]
fn work_goes_to_the_fast_and_punctual() {
    let mut machine = machine();
    (1..=4).for_each(|n| drop(connect(&mut machine, at(0), n)));
    let slow = Observation::Served {
        bytes: 1_000_000,
        first_byte: Duration::from_millis(300),
        transfer: Duration::from_secs(1),
    };
    observe(&mut machine, at(0), 1, slow);
    observe(&mut machine, at(0), 2, SERVED);
    observe(&mut machine, at(0), 3, SERVED);
    observe(&mut machine, at(0), 3, Observation::Late);
    observe(&mut machine, at(0), 4, Observation::RoundTrip(Duration::from_millis(1)));
    let order = |operation| machine.best(at(0), 4, operation).iter().map(|r| r.peer).collect::<Vec<_>>();
    assert_eq!(order(Operation::BlockDownload), [2, 3, 4, 1].map(peer), "the untried 4 is tried early");
    assert_eq!(order(Operation::HeaderDownload), [4, 2, 3, 1].map(peer));
    assert_eq!(machine.best(at(0), 2, Operation::Discovery).len(), 2);
    assert!(!machine.best(at(0), 4, Operation::BlockDownload)[2].measured);
}

#[test]
fn who_asks_to_be_left_alone_is_for_a_minute_at_most() {
    let mut machine = machine();
    connect(&mut machine, at(0), 1);
    observe(&mut machine, at(0), 1, Observation::Refused { retry_after: Duration::MAX });
    assert!(machine.best(at(59), 9, Operation::BlockDownload).is_empty());
    let explained = machine.explain(at(59), peer(1)).unwrap();
    assert!(explained.to_string().ends_with("gets no work for 1 s"), "{explained}");
    let again = machine.best(at(60), 9, Operation::BlockDownload);
    assert_eq!((again.len(), again[0].in_time), (1, 1_000), "and nothing is held against it");
}

#[test]
fn when_the_house_is_full_the_newest_of_the_most_crowded_neighbourhood_goes() {
    let mut machine = PeerMachine::new(Settings { max_peers: 4, ..settings() });
    connect(&mut machine, at(0), 1);
    for (n, second) in [(11, 1), (12, 2)] {
        let address = Address(format!("/ip4/10.7.7.{n}/tcp/1"));
        connect_from(&mut machine, at(second), n, address, Direction::Inbound);
    }
    connect_from(&mut machine, at(3), 2, home(2), Direction::Outbound);
    assert_eq!(connect(&mut machine, at(4), 3), [Action::Disconnect { peer: peer(12) }]);
    assert_eq!(machine.totals().connected(), 5, "until the transport says so");
    lose(&mut machine, at(5), 12, DisconnectReason::Asked);
    assert_eq!((machine.totals().inbound, machine.totals().outbound), (3, 1));
}

#[test]
fn a_peer_that_hangs_up_at_once_is_not_redialled_at_once() {
    let mut machine = machine();
    discover(&mut machine, 1);
    machine.step(at(0), Event::Started);
    connect_from(&mut machine, at(1), 1, home(1), Direction::Outbound);
    lose(&mut machine, at(2), 1, DisconnectReason::Closed);
    assert!(dialled(&machine.step(at(2), Event::Tick)).is_empty());
    assert_eq!(dialled(&machine.step(at(5), Event::Tick)), [Some(peer(1))]);
    connect_from(&mut machine, at(6), 1, home(1), Direction::Outbound);
    machine.step(at(30), Event::Tick);
    lose(&mut machine, at(31), 1, DisconnectReason::Closed);
    assert_eq!(dialled(&machine.step(at(32), Event::Tick)), [Some(peer(1))], "one that stayed is, at once");
    lose(&mut machine, at(33), 1, DisconnectReason::Closed);
}

#[test]
fn a_peer_of_another_network_is_left_alone_for_a_day() {
    let mut machine = machine();
    discover(&mut machine, 1);
    machine.step(at(0), Event::Started);
    connect_from(&mut machine, at(1), 1, home(1), Direction::Outbound);
    lose(&mut machine, at(1), 1, DisconnectReason::Foreign);
    assert!(dialled(&machine.step(at(80_000), Event::Tick)).is_empty());
}

#[test]
fn we_do_not_talk_to_ourselves() {
    let mut machine = machine();
    assert_eq!(connect(&mut machine, at(0), 0), [Action::Disconnect { peer: peer(0) }]);
}

#[test]
fn who_is_unknown_is_not_judged() {
    let mut machine = machine();
    assert!(offend(&mut machine, at(0), 9).is_empty());
    assert!(lose(&mut machine, at(0), 9, DisconnectReason::Broken).is_empty());
    assert!(machine.explain(at(0), peer(9)).is_none());
    assert_eq!(machine.peers().count(), 0);
}

#[test]
fn bans_scores_and_addresses_survive_a_restart() {
    let mut before = machine();
    (1..=9).for_each(|n| drop(connect_from(&mut before, at(0), n, home(n), Direction::Outbound)));
    observe(&mut before, at(1), 1, SERVED);
    offend(&mut before, at(1), 2);
    offend(&mut before, at(1), 3);
    offend(&mut before, at(1), 3);
    let actions = before.step(at(1), Event::Tick);
    assert!(saved(&actions).is_none(), "not with every ban");
    let actions = before.step(at(5), Event::Tick);

    // Ten minutes pass until the restart.
    let epoch = UnixMillis(EPOCH.0 + 605_000);
    let mut after = PeerMachine::new(Settings { epoch, ..settings() });
    after.restore(at(0), saved(&actions).unwrap()).unwrap();
    assert_eq!(after.explain(at(0), peer(1)).unwrap().bandwidth, Some(10_000_000));
    assert_eq!(after.explain(at(0), peer(1)).unwrap().addresses, [home(1)]);
    assert_eq!(after.explain(at(0), peer(2)).unwrap().millipoints, 29_900, "ten minutes halved it");
    assert_eq!(after.explain(at(0), peer(3)).unwrap().ban.unwrap().0, Duration::from_secs(296));
    let started = after.step(at(0), Event::Started);
    assert!(bans(&started, 3), "the transport is told again");
    assert!(!dialled(&started).contains(&Some(peer(3))));
    assert_eq!(dialled(&started).len(), 8);
}

#[test]
fn the_book_is_saved_once_a_minute_while_it_changes() {
    let mut machine = machine();
    connect(&mut machine, at(0), 1);
    assert!(saved(&machine.step(at(59), Event::Tick)).is_none());
    assert!(saved(&machine.step(at(60), Event::Tick)).is_some());
    assert!(saved(&machine.step(at(180), Event::Tick)).is_none(), "nothing changed");
}

#[test]
fn a_damaged_book_is_refused_and_nothing_is_taken_from_it() {
    let mut source = machine();
    connect(&mut source, at(0), 1);
    let good = source.snapshot(at(0));
    let cut = &good[..good.len() - 1];
    let longer = [&good[..], &[0]].concat();
    let mut machine = machine();
    for bad in [&[][..], &[1], cut, &longer, &vec![1; 33 << 20]] {
        assert_eq!(machine.restore(at(0), bad), Err(SnapshotError::Damaged));
    }
    assert_eq!(machine.restore(at(0), &[2, 0]), Err(SnapshotError::Version { got: 2 }));
    assert_eq!(machine.totals().known, 0);
    assert_eq!(machine.restore(at(0), &good), Ok(()));
    assert_eq!(machine.totals().known, 1);
}

#[test]
fn a_lost_book_takes_from_a_checkpoint_what_it_does_not_know() {
    let mut before = machine();
    (1..=4).for_each(|n| drop(connect_from(&mut before, at(0), n, home(n), Direction::Outbound)));
    observe(&mut before, at(1), 1, SERVED);
    for banned in [3, 4] {
        before.step(at(1), Event::Ban { peer: peer(banned), period: Duration::from_secs(600) });
    }
    let kept = before.snapshot(at(1));

    let mut after = machine();
    connect(&mut after, at(0), 2);
    after.step(at(0), Event::Ban { peer: peer(4), period: Duration::from_secs(5) });
    let actions = after.recall(at(2), &kept).unwrap();
    assert!(bans(&actions, 3), "also one that is connected by now");
    assert!(!bans(&actions, 4), "what was decided since stays");
    assert_eq!(after.explain(at(2), peer(4)).unwrap().ban.unwrap().0, Duration::from_secs(3));
    assert_eq!(after.explain(at(2), peer(1)).unwrap().bandwidth, Some(10_000_000));
    assert_eq!(after.totals().known, 4, "everybody");
    assert_eq!(after.recall(at(2), &kept[..9]), Err(SnapshotError::Damaged));
}

#[test]
fn a_book_from_a_wrong_clock_bans_nobody_for_years() {
    let far = UnixMillis(EPOCH.0 * 100);
    let mut before = PeerMachine::new(Settings { epoch: far, ..settings() });
    before.step(at(0), Event::Ban { peer: peer(1), period: Duration::from_secs(60) });
    let mut after = machine();
    after.restore(at(0), &before.snapshot(at(0))).unwrap();
    let (left, reason) = after.explain(at(0), peer(1)).unwrap().ban.unwrap();
    assert_eq!((left, reason), (Duration::from_secs(7 * 24 * 3600), BanReason::Operator));
}

#[test]
fn a_full_book_of_long_addresses_fits_a_checkpoint_and_keeps_who_was_seen() {
    let mut machine = machine();
    connect(&mut machine, at(0), 1);
    for n in 0..5_000_u16 {
        let host = |i| format!("/dns4/{}{i}.example/tcp/1", "a".repeat(220));
        let addresses = (0..8).map(|i| Address(host(i))).collect();
        let peer =
            PeerId::from_bytes(&[&[7; 40][..], &n.to_be_bytes()].concat()).expect("42 bytes are an id");
        machine.step(at(0), Event::Discovered { peer, addresses });
        machine.step(at(0), Event::Ban { peer, period: Duration::from_secs(60) });
    }
    let bytes = machine.snapshot(at(0));
    assert!(bytes.len() <= alys_chain::checkpoint::MAX_PEERS, "{} bytes", bytes.len());
    let mut after = PeerMachine::new(settings());
    after.restore(at(0), &bytes).unwrap();
    assert!(after.explain(at(0), peer(1)).unwrap().last_seen.is_some());
    assert_eq!(after.totals().banned, 4_096);
}
