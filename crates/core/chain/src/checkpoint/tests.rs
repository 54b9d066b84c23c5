use super::*;
use crate::certificate::SetQuorum;

const GENESIS: BlockId = BlockId([9; 32]);

fn quorum(set: u32) -> SetQuorum {
    SetQuorum { set: SetId(set), signers: 0b1011, signature: [set.to_le_bytes()[0] + 5; 48] }
}

fn checkpoint(joint: Option<SetQuorum>) -> Checkpoint {
    let (slot, height, block) = (Slot(230), Height(200), BlockId([2; 32]));
    Checkpoint {
        genesis: GENESIS,
        height,
        slot,
        block,
        state_root: Hash([3; 32]),
        certificate: Some(Certificate { slot, height, block, quorum: quorum(1), joint }),
        federation: Federation { set: SetId(1), lineage: Lineage::GENESIS },
        peers: Bytes::from_static(b"peers"),
    }
}

fn store() -> StoreFacts {
    StoreFacts { genesis: GENESIS, tip: Height(210), at_height: Some((BlockId([2; 32]), Hash([3; 32]))) }
}

/// Wraps a payload as if it had been written so.
fn sealed(payload: &[u8]) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&u32::try_from(payload.len()).unwrap().to_le_bytes());
    out.extend_from_slice(&crc32c::crc32c(payload).to_le_bytes());
    out.extend_from_slice(payload);
    out
}

#[test]
fn a_checkpoint_comes_back_as_it_was_written() {
    for joint in [None, Some(quorum(0))] {
        let written = checkpoint(joint);
        assert_eq!(Checkpoint::decode(&written.encode().unwrap()), Ok(written));
    }
    let genesis = Checkpoint {
        height: Height::ZERO,
        slot: Slot::ZERO,
        block: GENESIS,
        certificate: None,
        ..checkpoint(None)
    };
    assert_eq!(Checkpoint::decode(&genesis.encode().unwrap()), Ok(genesis));
}

#[test]
fn every_flipped_bit_and_every_missing_byte_is_noticed() {
    let written = checkpoint(None).encode().unwrap();
    for bit in 0..written.len() * 8 {
        let mut bytes = written.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(Checkpoint::decode(&bytes).is_err(), "bit {bit}");
    }
    for end in 0..written.len() {
        assert!(Checkpoint::decode(&written[..end]).is_err(), "{end} bytes");
    }
}

#[test]
fn a_bad_payload_with_a_good_checksum_is_refused_and_never_panics() {
    let payload = checkpoint(None).payload().unwrap();
    for end in 0..payload.len() {
        assert!(Checkpoint::decode(&sealed(&payload[..end])).is_err(), "{end} bytes");
    }
    let mut trailing = payload.clone();
    trailing.push(0);
    assert_eq!(Checkpoint::decode(&sealed(&trailing)), Err(CheckpointError::Damaged("payload")));
    let mut other_block = checkpoint(None);
    other_block.block = BlockId([4; 32]);
    let other_block = Checkpoint::decode(&other_block.encode().unwrap());
    assert_eq!(other_block, Err(CheckpointError::Damaged("certificate")));
    let unproven = Checkpoint { certificate: None, ..checkpoint(None) };
    let unproven = Checkpoint::decode(&unproven.encode().unwrap());
    assert_eq!(unproven, Err(CheckpointError::Damaged("certificate")));
}

#[test]
fn a_length_that_promises_too_much_allocates_nothing() {
    let mut payload = checkpoint(None).payload().unwrap();
    let peers = payload.len() - b"peers".len() - 4;
    payload[peers..peers + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(Checkpoint::decode(&sealed(&payload)), Err(CheckpointError::Damaged("payload")));
}

#[test]
fn what_could_not_be_read_back_is_not_written() {
    let many_peers = Checkpoint { peers: Bytes::from(vec![0; MAX_PEERS + 1]), ..checkpoint(None) };
    assert_eq!(many_peers.encode(), Err(CheckpointError::TooLarge { size: MAX_PEERS + 1, max: MAX_PEERS }));
    let greatest = Checkpoint { peers: Bytes::from(vec![0; MAX_PEERS]), ..checkpoint(Some(quorum(0))) };
    assert_eq!(Checkpoint::decode(&greatest.encode().unwrap()), Ok(greatest));
    let too_large = Checkpoint::decode(&vec![0; MAX_CHECKPOINT + 1]);
    assert_eq!(too_large, Err(CheckpointError::TooLarge { size: MAX_CHECKPOINT + 1, max: MAX_CHECKPOINT }));
}

#[test]
fn other_files_and_other_versions_are_named() {
    assert_eq!(Checkpoint::decode(b"#!/bin/sh"), Err(CheckpointError::NotACheckpoint));
    let mut newer = checkpoint(None).encode().unwrap();
    newer[8] = 2;
    assert_eq!(Checkpoint::decode(&newer), Err(CheckpointError::Version(2)));
}

#[test]
fn it_must_fit_the_store() {
    let ours = checkpoint(None);
    assert_eq!(ours.agrees_with(&store()), Ok(()));
    let foreign = BlockId([8; 32]);
    let refused = |store: StoreFacts| ours.agrees_with(&store).unwrap_err();
    assert_eq!(
        refused(StoreFacts { genesis: foreign, ..store() }),
        CheckpointError::Foreign { ours: foreign, theirs: GENESIS }
    );
    let behind = Height(199);
    assert_eq!(
        refused(StoreFacts { tip: behind, ..store() }),
        CheckpointError::AheadOfStore { height: Height(200), tip: behind }
    );
    assert_eq!(refused(StoreFacts { at_height: None, ..store() }), CheckpointError::NotInStore(Height(200)));
    let other = (foreign, Hash([3; 32]));
    assert!(matches!(
        refused(StoreFacts { at_height: Some(other), ..store() }),
        CheckpointError::OtherBlock { .. }
    ));
    let other = (BlockId([2; 32]), Hash([4; 32]));
    assert!(matches!(
        refused(StoreFacts { at_height: Some(other), ..store() }),
        CheckpointError::OtherState { .. }
    ));
}

#[test]
fn every_hundredth_block_and_the_last_ten_are_kept() {
    let at: Vec<_> = (0..=300).map(Height).filter(|h| due(*h, INTERVAL)).collect();
    assert_eq!(at, [Height(100), Height(200), Height(300)]);
    let written = (1..=12).rev().map(|n| Height(n * 100)).collect();
    assert_eq!(superseded(written, KEPT), [Height(100), Height(200)]);
    assert_eq!(superseded(vec![Height(100)], KEPT), []);
}
