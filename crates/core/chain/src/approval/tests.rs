use super::*;
use crate::fixture::{World, changing_world, key, world};
use crate::verify::Parent;

fn seat(set: u32, authority: u8) -> Seat {
    Seat { set: SetId(set), authority: AuthorityIndex(authority) }
}

fn approve(world: &World, header: &Header, at: Seat) -> Approval {
    let key = &world.keys(at.set)[usize::from(at.authority.0)];
    Approval::sign(world.rules.domain(), header, at, key)
}

fn first_header(world: &World) -> Header {
    world.header(world.rules.genesis(), 1)
}

#[test]
fn an_approval_is_valid_for_its_seat_and_survives_its_bytes() {
    let world = world(4);
    let approval = approve(&world, &first_header(&world), seat(0, 2));
    assert!(approval.verify(&world.rules).is_ok());
    let bytes = approval.encode();
    assert_eq!(Approval::decode(&bytes), Ok(approval));
    assert_eq!(
        Approval::decode(&bytes[1..]),
        Err(Invalid::Length { what: "approval", expected: Approval::SIZE, got: Approval::SIZE - 1 })
    );
}

#[test]
fn every_defect_of_an_approval_is_named() {
    let world = world(4);
    let good = approve(&world, &first_header(&world), seat(0, 2));
    let refused = |approval: Approval| approval.verify(&world.rules).unwrap_err();
    let wrong = Invalid::Signature { what: "approval" };
    assert_eq!(refused(Approval { authority: AuthorityIndex(1), ..good }), wrong);
    assert_eq!(refused(Approval { slot: Slot(2), ..good }), wrong);
    assert_eq!(refused(Approval { height: Height(2), ..good }), wrong);
    assert_eq!(refused(Approval { block: BlockId([1; 32]), ..good }), wrong);
    let nobody = AuthorityIndex(4);
    let fault = Invalid::Authority { set: SetId(0), size: 4, got: nobody };
    assert_eq!(refused(Approval { authority: nobody, ..good }), fault);
    let fault = Invalid::Set { slot: Slot(1), expected: SetId(0), got: SetId(1) };
    assert_eq!(refused(Approval { set: SetId(1), ..good }), fault);
    assert!(matches!(refused(Approval { signature: [0; 48], ..good }), Invalid::Point { .. }));
    let elsewhere = changing_world(&[(0, vec![1, 2, 3, 4]), (99, vec![1])]);
    assert_eq!(good.verify(&elsewhere.rules).unwrap_err(), wrong);
}

#[test]
fn only_sets_up_to_the_slots_own_may_approve() {
    let world = changing_world(&[(0, vec![1, 2]), (10, vec![3, 4])]);
    let early = world.header(world.rules.genesis(), 9);
    let late = world.header(world.rules.genesis(), 10);
    let fault = Invalid::Set { slot: Slot(9), expected: SetId(0), got: SetId(1) };
    assert_eq!(approve(&world, &early, seat(1, 0)).verify(&world.rules).unwrap_err(), fault);
    assert!(approve(&world, &late, seat(0, 0)).verify(&world.rules).is_ok());
    assert!(approve(&world, &late, seat(1, 0)).verify(&world.rules).is_ok());
}

#[test]
fn a_quorum_in_any_order_makes_a_certificate() {
    let world = world(5);
    let header = first_header(&world);
    let required = Parent::genesis(&world.rules).required(&world.rules, &header);
    let mut tally = Tally::of(&header);
    for (already, authority) in [4, 0, 3].into_iter().enumerate() {
        assert_eq!(tally.count(SetId(0)), already);
        assert_eq!(tally.add(&world.rules, &approve(&world, &header, seat(0, authority))), Ok(Counted::New));
        assert_eq!(tally.certificate(world.rules.schedule(), required), None);
    }
    let again = approve(&world, &header, seat(0, 0));
    assert_eq!(tally.add(&world.rules, &again), Ok(Counted::Duplicate));
    assert_eq!(tally.certificate(world.rules.schedule(), required), None);
    tally.add(&world.rules, &approve(&world, &header, seat(0, 1))).unwrap();
    let certificate = tally.certificate(world.rules.schedule(), required).unwrap();
    assert_eq!(certificate.quorum.signers, 0b11011);
    assert_eq!(certificate.verify(&world.rules, required), Ok(()));
    assert_eq!(certificate.check_subject(&header), Ok(()));
    assert_eq!(tally.block(), header.id());
    let seats: Vec<u8> = tally.seats().map(|s| s.authority.0).collect();
    assert_eq!(seats, [0, 1, 3, 4]);
}

#[test]
fn a_forged_or_foreign_approval_leaves_the_tally_as_it_was() {
    let world = world(3);
    let header = first_header(&world);
    let mut tally = Tally::of(&header);
    let good = approve(&world, &header, seat(0, 1));
    let forged = Approval::sign(world.rules.domain(), &header, seat(0, 1), &key(9));
    assert_eq!(tally.add(&world.rules, &forged), Err(Invalid::Signature { what: "approval" }));
    let other = approve(&world, &world.header(world.rules.genesis(), 2), seat(0, 1));
    assert!(matches!(tally.add(&world.rules, &other), Err(Invalid::Subject { .. })));
    let moved = Approval { height: Height(7), ..good };
    assert!(matches!(tally.add(&world.rules, &moved), Err(Invalid::Place { .. })));
    assert_eq!(tally.count(SetId(0)), 0);
    assert_eq!(tally.add(&world.rules, &good), Ok(Counted::New));
}

#[test]
fn after_a_change_the_certificate_waits_for_both_quorums() {
    let world = changing_world(&[(0, vec![1, 2, 3]), (10, vec![3, 4])]);
    let header = world.header(world.rules.genesis(), 10);
    let required = Parent::genesis(&world.rules).required(&world.rules, &header);
    let mut tally = Tally::of(&header);
    for at in [seat(1, 0), seat(1, 1), seat(0, 2)] {
        tally.add(&world.rules, &approve(&world, &header, at)).unwrap();
        assert_eq!(tally.certificate(world.rules.schedule(), required), None);
    }
    tally.add(&world.rules, &approve(&world, &header, seat(0, 0))).unwrap();
    let certificate = tally.certificate(world.rules.schedule(), required).unwrap();
    assert_eq!((certificate.quorum.set, certificate.quorum.signers), (SetId(1), 0b11));
    assert_eq!(certificate.joint.map(|joint| (joint.set, joint.signers)), Some((SetId(0), 0b101)));
    assert_eq!(certificate.verify(&world.rules, required), Ok(()));
}
