use super::*;
use crate::fixture::{World, changing_world, key, world};

const NONCE: [u8; 32] = [5; 32];
const PARTIES: Parties<'_> = Parties { claimant: b"alice", asker: b"bob", nonce: &NONCE };
const UNTIL: UnixMillis = UnixMillis(10_000);
const SEAT: Seat = Seat { set: SetId(0), authority: AuthorityIndex(1) };

fn claim(world: &World) -> Claim {
    Claim::sign(world.rules.domain(), &PARTIES, SEAT, UNTIL, &key(2))
}

#[test]
fn a_claim_binds_a_peer_to_its_seat_until_its_end() {
    let world = world(3);
    let claim = claim(&world);
    assert_eq!(claim.verify(&world.rules, &PARTIES, UNTIL), Ok(SEAT));
    let now = UnixMillis(10_001);
    assert_eq!(claim.verify(&world.rules, &PARTIES, now), Err(ClaimError::Over { until: UNTIL, now }));
    assert_eq!(Claim::decode(&claim.encode()), Ok(claim));
    assert!(matches!(Claim::decode(&[0; 60]), Err(Invalid::Length { what: "claim", .. })));
}

#[test]
fn a_claim_made_for_anything_else_is_refused() {
    let world = world(3);
    let good = claim(&world);
    let wrong = Err(ClaimError::Invalid(Invalid::Signature { what: "claim" }));
    for parties in [
        Parties { claimant: b"mallory", ..PARTIES },
        Parties { asker: b"mallory", ..PARTIES },
        Parties { nonce: &[6; 32], ..PARTIES },
        // The ids cannot be cut elsewhere.
        Parties { claimant: b"aliceb", asker: b"ob", ..PARTIES },
    ] {
        assert_eq!(good.verify(&world.rules, &parties, UNTIL), wrong, "{parties:?}");
    }
    let seat = Seat { authority: AuthorityIndex(0), ..SEAT };
    for claim in [Claim { seat, ..good }, Claim { until: UnixMillis(99_999), ..good }] {
        assert_eq!(claim.verify(&world.rules, &PARTIES, UNTIL), wrong);
    }
    let elsewhere = changing_world(&[(0, vec![1, 2, 3]), (5, vec![1])]);
    assert_eq!(good.verify(&elsewhere.rules, &PARTIES, UNTIL), wrong);
}

#[test]
fn seats_that_do_not_exist_and_broken_signatures_are_named() {
    let world = world(3);
    let good = claim(&world);
    let refused = |claim: Claim| claim.verify(&world.rules, &PARTIES, UNTIL).unwrap_err();
    let seat = Seat { set: SetId(1), ..SEAT };
    assert_eq!(refused(Claim { seat, ..good }), Invalid::UnknownSet { set: SetId(1), sets: 1 }.into());
    let seat = Seat { authority: AuthorityIndex(3), ..SEAT };
    let fault = Invalid::Authority { set: SetId(0), size: 3, got: AuthorityIndex(3) };
    assert_eq!(refused(Claim { seat, ..good }), fault.into());
    let broken = refused(Claim { signature: [0; 48], ..good });
    assert!(matches!(broken, ClaimError::Invalid(Invalid::Point { .. })));
}
