use proptest::prelude::*;

use super::*;
use crate::fixture::{World, changing_world, world};
use crate::verify::Parent;

fn change() -> (World, Header, Required) {
    let world = changing_world(&[(0, vec![1, 2, 3]), (10, vec![4, 5, 6, 7])]);
    let header = world.header(world.rules.genesis(), 10);
    let required = Parent::genesis(&world.rules).required(&world.rules, &header);
    (world, header, required)
}

#[test]
fn every_defect_of_a_certificate_is_named() {
    let world = world(4);
    let header = world.header(world.rules.genesis(), 1);
    let required = Required { own: SetId(0), old: None };
    let good = world.certify(&header, required);
    assert_eq!(good.verify(&world.rules, required), Ok(()));
    let refused =
        |quorum: SetQuorum| Certificate { quorum, ..good }.verify(&world.rules, required).unwrap_err();
    let quorum = good.quorum;
    let fault = Invalid::Set { slot: Slot(1), expected: SetId(0), got: SetId(1) };
    assert_eq!(refused(SetQuorum { set: SetId(1), ..quorum }), fault);
    let fault = Invalid::Signers { set: SetId(0), size: 4, signers: 0b1_0111 };
    assert_eq!(refused(SetQuorum { signers: 0b1_0111, ..quorum }), fault);
    let fault = Invalid::NoQuorum { set: SetId(0), quorum: 3, got: 2 };
    assert_eq!(refused(world.quorum(&header, SetId(0), 0b11)), fault);
    let wrong = Invalid::Signature { what: "certificate" };
    assert_eq!(refused(SetQuorum { signers: 0b1101, ..quorum }), wrong);
    let one_missing = SetQuorum { signers: 0b111, ..world.quorum(&header, SetId(0), 0b11) };
    assert_eq!(refused(one_missing), wrong);
    assert!(matches!(refused(SetQuorum { signature: [7; 48], ..quorum }), Invalid::Point { .. }));
    let mut identity = [0; 48];
    identity[0] = 0xc0;
    let fault = Invalid::Point { what: "signature", why: "the identity" };
    assert_eq!(refused(SetQuorum { signature: identity, ..quorum }), fault);
    for moved in [
        Certificate { slot: Slot(2), ..good },
        Certificate { height: Height(2), ..good },
        Certificate { block: BlockId([1; 32]), ..good },
    ] {
        assert_eq!(moved.verify(&world.rules, required), Err(wrong.clone()));
    }
}

#[test]
fn a_joint_quorum_is_there_exactly_when_it_is_due() {
    let (world, header, required) = change();
    let good = world.certify(&header, required);
    assert_eq!(good.verify(&world.rules, required), Ok(()));
    let alone = Certificate { joint: None, ..good };
    let fault = Invalid::Joint { expected: Some(SetId(0)), got: None };
    assert_eq!(alone.verify(&world.rules, required), Err(fault));
    let settled = Required { old: None, ..required };
    assert_eq!(alone.verify(&world.rules, settled), Ok(()));
    let fault = Invalid::Joint { expected: None, got: Some(SetId(0)) };
    assert_eq!(good.verify(&world.rules, settled), Err(fault));
    let twice = Certificate { joint: Some(good.quorum), ..good };
    let fault = Invalid::Joint { expected: Some(SetId(0)), got: Some(SetId(1)) };
    assert_eq!(twice.verify(&world.rules, required), Err(fault));
}

#[test]
fn the_joint_quorum_is_checked_as_strictly_as_the_own_one() {
    let (world, header, required) = change();
    let good = world.certify(&header, required);
    let joint = good.joint.unwrap();
    let refused = |joint: SetQuorum| {
        Certificate { joint: Some(joint), ..good }.verify(&world.rules, required).unwrap_err()
    };
    let fault = Invalid::NoQuorum { set: SetId(0), quorum: 2, got: 1 };
    assert_eq!(refused(world.quorum(&header, SetId(0), 0b1)), fault);
    assert!(matches!(refused(SetQuorum { signers: 0b1011, ..joint }), Invalid::Signers { .. }));
    let copied = SetQuorum { signature: good.quorum.signature, ..joint };
    assert_eq!(refused(copied), Invalid::Signature { what: "certificate" });
}

#[test]
fn a_certificate_speaks_of_one_block() {
    let world = world(1);
    let header = world.header(world.rules.genesis(), 1);
    let good = world.certify(&header, Required { own: SetId(0), old: None });
    assert_eq!(good.check_subject(&header), Ok(()));
    let other = world.header(world.rules.genesis(), 2);
    let fault = Invalid::Subject { expected: other.id(), got: header.id() };
    assert_eq!(good.check_subject(&other), Err(fault));
    let moved = Certificate { slot: Slot(4), ..good };
    assert!(matches!(moved.check_subject(&header), Err(Invalid::Place { got_slot: Slot(4), .. })));
    let moved = Certificate { height: Height(4), ..good };
    assert!(matches!(moved.check_subject(&header), Err(Invalid::Place { got_height: Height(4), .. })));
}

#[test]
fn headers_and_certificates_survive_their_bytes() {
    let (world, header, required) = change();
    for certificate in
        [world.certify(&header, required), world.certify(&header, Required { old: None, ..required })]
    {
        assert_eq!(Certificate::decode(&certificate.encode()), Ok(certificate));
        let certified = CertifiedHeader { header, certificate };
        assert_eq!(CertifiedHeader::decode(&certified.encode()), Ok(certified));
    }
    assert_eq!(Header::decode(&header.encode()), Ok(header));
    assert!(matches!(Header::decode(&[0; 112]), Err(Invalid::Length { what: "header", .. })));
    assert!(matches!(Certificate::decode(&[0; 156]), Err(Invalid::Length { what: "certificate", .. })));
    assert!(matches!(CertifiedHeader::decode(&[]), Err(Invalid::Length { what: "certified header", .. })));
}

#[test]
fn a_certificate_has_one_encoding_only() {
    let (world, header, required) = change();
    let joint = world.certify(&header, required).encode();
    for mark in [0, 2, 255] {
        let mut bytes = joint;
        bytes[102] = mark;
        assert!(matches!(Certificate::decode(&bytes), Err(Invalid::Malformed { .. })), "mark {mark}");
    }
}

proptest! {
    #[test]
    fn any_bytes_that_decode_encode_to_themselves(
        mut bytes in prop::collection::vec(any::<u8>(), CertifiedHeader::SIZE),
        mark in 0u8..3,
        clear in any::<bool>(),
    ) {
        bytes[Header::SIZE + 102] = mark;
        if clear {
            bytes[Header::SIZE + 103..].fill(0);
        }
        if let Ok(certified) = CertifiedHeader::decode(&bytes) {
            prop_assert_eq!(&certified.encode()[..], &bytes[..]);
        }
    }
}
