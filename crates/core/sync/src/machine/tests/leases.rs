//! Requests: how they end, and whose fault that is.

use super::*;

#[test]
fn a_disconnect_ends_leases_at_once_and_their_range_goes_elsewhere() {
    let blocks = chain(GENESIS, 91..=100, 1);
    let mut story = Story::started(Tip::genesis(GENESIS.id));
    story.connect(1, blocks.last().copied());
    story.serve_headers(&blocks, 0);
    let (lease, first, ids) = story.bodies_asked().unwrap();
    story.connect(2, blocks.last().copied());
    story.send(Event::PeerDisconnected { peer: first });
    assert!(story.out.contains(&Action::Cancel { lease }));
    let (_, second, again) = story.bodies_asked().unwrap();
    assert_eq!((second, again), (peer(2), ids));
    assert!(story.observed().is_empty(), "nobody is blamed");
}

#[test]
fn a_silent_peer_loses_its_lease_and_the_next_one_gets_the_range() {
    let blocks = chain(GENESIS, 91..=100, 1);
    let mut story = Story::started(Tip::genesis(GENESIS.id));
    story.connect(1, blocks.last().copied());
    let (lease, ..) = story.headers_asked().unwrap();
    story.connect(2, blocks.last().copied());
    let deadline = story.machine.next_deadline(story.now).unwrap();
    assert!(deadline.since(story.now) <= Duration::from_secs(10));
    story.now = deadline;
    story.wait(0);
    assert!(story.out.contains(&Action::Cancel { lease }));
    assert_eq!(story.observed(), [(peer(1), Observation::TimedOut)]);
    assert_eq!(story.headers_asked().map(|asked| asked.1), Some(peer(2)));
}

#[test]
fn bad_headers_cost_their_server_and_the_good_ones_stay() {
    let blocks = chain(GENESIS, 91..=100, 1);
    let mut story = Story::started(Tip::genesis(GENESIS.id));
    story.connect(1, blocks.last().copied());
    let (lease, ..) = story.headers_asked().unwrap();
    story.send(Event::HeadersArrived { lease, headers: blocks, bytes: 1000 });
    let fault = Some(Fault::Peer(Offence::BadCertificate));
    story.send(Event::HeadersVerified { lease, verdict: HeaderVerdict { valid: 3, held: 0, fault } });
    assert_eq!(story.observed(), [(peer(1), Observation::Offence(Offence::BadCertificate))]);
    assert_eq!(story.waiting_for(), WaitingFor::Body { height: Height(1), peer: None });
    story.wait(1000);
    assert_eq!(story.headers_asked().map(|asked| asked.2), Some(Height(4)));
    assert_eq!(
        story.bodies_asked(),
        None,
        "whoever has served nothing good since gets one request at a time"
    );
}

/// Who serves bodies without a pause has always a request out: the headers above must not wait for the last of them.
#[test]
fn who_is_late_with_headers_is_asked_for_them_again_while_it_serves_bodies() {
    let blocks = chain(GENESIS, 1..=1_000, 1);
    let mut story = Story::started(Tip::genesis(GENESIS.id));
    story.slot = Slot(1_000);
    story.wait(0);
    story.connect(1, blocks.last().copied());
    story.serve_headers(&blocks, 0);
    let (late, _, from, _) = story.headers_asked().unwrap();
    let (bodies, ..) = story.bodies_asked().unwrap();
    story.machine.peers.get_mut(&peer(1)).unwrap().has_served_bodies = true;
    story.send(Event::LeaseEnded { lease: late, end: LeaseEnd::TimedOut });
    assert_eq!(story.machine.peers[&peer(1)].strikes(), 1);
    for _ in 0..4 {
        story.send(Event::LeaseProgress { lease: bodies });
        story.wait(250);
    }
    assert_eq!(story.headers_asked().map(|(_, peer, from, _)| (peer, from)), Some((peer(1), from)));
    assert!(story.machine.leases.get(bodies).is_some(), "bodies are on their way still");
}

#[test]
fn whoever_has_served_no_body_yet_gets_one_request_for_bodies_at_a_time_and_after_three_in_vain_no_more() {
    no_more_than_three(&LeaseEnd::Served, 5);
}

#[test]
fn whoever_is_busy_whenever_it_wants_to_be_asked_is_asked_no_more_after_the_third_time() {
    no_more_than_three(&LeaseEnd::Refused { retry_after: Duration::from_millis(500) }, 1);
}

#[test]
fn refusals_of_requests_that_were_out_together_count_once() {
    let mut story = Story::started(Tip::genesis(GENESIS.id));
    let blocks = chain(GENESIS, 1..=90, 1);
    story.connect(1, blocks.last().copied());
    let refused = LeaseEnd::Refused { retry_after: Duration::from_secs(1) };
    for strikes in 1..=2 {
        let (lease, ..) = story.headers_asked().unwrap();
        let twin = story.machine.leases.get(lease).cloned().unwrap();
        let twin = story.machine.leases.grant(twin);
        story.wait(100);
        story.send(Event::LeaseEnded { lease, end: refused.clone() });
        story.send(Event::LeaseEnded { lease: twin, end: refused.clone() });
        assert_eq!(story.machine.peers[&peer(1)].strikes(), strikes);
        story.wait(1_000);
    }
}

#[test]
fn whoever_is_busy_again_and_again_rests_longer_each_time() {
    let mut story = Story::started(Tip::genesis(GENESIS.id));
    story.connect(1, chain(GENESIS, 1..=90, 1).last().copied());
    let retry_after = Duration::from_millis(100);
    for rest in [100, 100, 1_000, 2_000, 4_000] {
        let (lease, ..) = story.headers_asked().unwrap();
        story.send(Event::LeaseEnded { lease, end: LeaseEnd::Refused { retry_after } });
        story.wait(rest - 1);
        assert_eq!(story.headers_asked(), None, "it rests for {rest} ms");
        story.wait(1);
    }
}

/// A peer that serves headers, and whose requests for bodies all end like this; it is looked at for a while after its rest is over.
fn no_more_than_three(end: &LeaseEnd, looks: usize) {
    let blocks = chain(GENESIS, 1..=100, 1);
    let mut story = Story::started(Tip::genesis(GENESIS.id));
    story.connect(1, blocks.last().copied());
    story.serve_headers(&blocks, 0);
    let asked_of_it = |story: &Story| {
        let of_it = |action: &Action| match action {
            Action::RequestBodies { lease, peer: of, .. } if *of == peer(1) => Some(*lease),
            _ => None,
        };
        story.out.iter().filter_map(of_it).collect::<Vec<_>>()
    };
    let mut leases = 0;
    while leases < 3 {
        match asked_of_it(&story)[..] {
            [lease] => {
                leases += 1;
                story.send(Event::LeaseEnded { lease, end: end.clone() });
            }
            [] => story.wait(1_000),
            _ => panic!("two at once"),
        }
    }
    // Somebody better can serve from now on.
    story.connect(2, blocks.last().copied());
    let (lease, better, _) = story.bodies_asked().unwrap();
    assert_eq!(better, peer(2));
    for _ in 0..looks {
        story.send(Event::LeaseProgress { lease });
        story.wait(900);
        assert!(asked_of_it(&story).is_empty(), "it is asked no more");
    }
}

#[test]
fn headers_of_other_heights_were_not_asked_for() {
    let blocks = chain(GENESIS, 91..=100, 1);
    let mut story = Story::started(Tip::genesis(GENESIS.id));
    story.connect(1, blocks.last().copied());
    let (lease, ..) = story.headers_asked().unwrap();
    story.send(Event::HeadersArrived { lease, headers: blocks[1..].to_vec(), bytes: 1000 });
    assert_eq!(story.observed(), [(peer(1), Observation::Offence(Offence::Unrequested))]);
}

#[test]
fn an_empty_answer_means_nothing() {
    let blocks = chain(GENESIS, 91..=100, 1);
    let mut story = Story::started(Tip::genesis(GENESIS.id));
    story.connect(1, blocks.last().copied());
    let (lease, ..) = story.headers_asked().unwrap();
    story.send(Event::HeadersArrived { lease, headers: vec![], bytes: 0 });
    assert_eq!(story.observed(), [(peer(1), Observation::Late)]);
    assert_eq!(story.mode(), Mode::CatchingUp);
    story.wait(1000);
    let (lease, ..) = story.headers_asked().unwrap();
    story.send(Event::LeaseEnded { lease, end: LeaseEnd::Served });
    assert_eq!(story.observed(), [(peer(1), Observation::Late)]);
}

#[test]
fn each_end_of_a_lease_has_its_verdict() {
    let blocks = chain(GENESIS, 91..=100, 1);
    let retry_after = Duration::from_secs(5);
    let moment = Fault::Moment("reset".to_owned());
    let ours = Fault::Ours("queue full".to_owned());
    let cases = [
        (LeaseEnd::Refused { retry_after }, Some(Observation::Refused { retry_after }), 5000),
        (LeaseEnd::TimedOut, Some(Observation::TimedOut), 1000),
        (LeaseEnd::Failed(moment), Some(Observation::Unreachable), 1000),
        (LeaseEnd::Failed(ours), None, 1000),
        (
            LeaseEnd::Failed(Fault::Peer(Offence::Malformed)),
            Some(Observation::Offence(Offence::Malformed)),
            1000,
        ),
    ];
    for (end, expected, rest) in cases {
        let mut story = Story::started(Tip::genesis(GENESIS.id));
        story.connect(1, blocks.last().copied());
        let (lease, ..) = story.headers_asked().unwrap();
        story.send(Event::LeaseEnded { lease, end });
        assert_eq!(story.observed(), expected.map(|what| (peer(1), what)).into_iter().collect::<Vec<_>>());
        story.wait(rest - 1);
        assert_eq!(story.headers_asked(), None);
        story.wait(1);
        assert!(story.headers_asked().is_some(), "{expected:?}");
    }
}

#[test]
fn when_all_peers_fall_silent_we_suspect_ourselves_and_keep_the_target() {
    let blocks = chain(GENESIS, 91..=100, 1);
    let mut story = Story::started(Tip::genesis(GENESIS.id));
    (1..=3).for_each(|n| story.connect(n, blocks.last().copied()));
    let mut suspected = false;
    for _ in 0..120 {
        story.wait(500);
        suspected |= story.out.contains(&Action::Report(Report::SuspectOurselves { suspect: true }));
    }
    assert!(suspected && story.machine.status(story.now).suspects_ourselves);
    assert_eq!(story.machine.status(story.now).target, Some(Height(10)));
}

/// What comes is kept, and the request ends long before its deadline could, each time a little is brought. After three of them the peer is set back.
#[test]
fn a_peer_that_drips_loses_its_requests_early_and_soon_gets_no_more() {
    let blocks = chain(GENESIS, 1..=99, 1);
    let mut story = Story::started(Tip::genesis(GENESIS.id));
    story.machine.config.hedges = false;
    story.connect(1, blocks.last().copied());
    story.serve_headers(&blocks, 0);
    let (mut brought, mut ended) = (0, 0);
    let mut open = story.bodies_asked();
    for _ in 0..1_000 {
        let Some((lease, _, ids)) = open.clone() else {
            story.wait(100);
            open = story.bodies_asked();
            continue;
        };
        let asked = story.now;
        // Small bodies, three a second: never silent, a good part of what it was asked for.
        for id in ids {
            story.wait(330);
            if story.out.contains(&Action::Cancel { lease }) {
                break;
            }
            story.send(Event::BodiesArrived { lease, bodies: vec![ArrivedBody { id, bytes: 300 }] });
            brought += 1;
        }
        assert!(story.now.since(asked) < Duration::from_millis(3_700), "well before ten seconds");
        ended += 1;
        open = story.bodies_asked();
        if story.machine.peers[&peer(1)].strikes() >= 3 {
            break;
        }
    }
    assert!(ended <= 3, "{ended} of them, or several at once");
    assert!(story.machine.peers[&peer(1)].rank(story.now) > 0);
    assert_eq!(
        story
            .machine
            .bodies
            .missing(story.machine.skeleton.linked_range(), &crate::gaps::HeightRanges::EMPTY)
            .len(),
        99 - brought
    );
}
