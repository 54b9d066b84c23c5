use proptest::prelude::*;

use super::*;
use crate::bls::SecretKey;
use crate::ids::Slot;

fn authority(n: u8) -> Authority {
    Authority::of(&SecretKey::from_seed(&[n; 32]))
}

fn genesis() -> Genesis {
    let period = |from: u64, members: &[u8]| Period {
        from_slot: Slot(from),
        slot_ms: 2_000,
        authorities: members.iter().map(|n| authority(*n)).collect(),
    };
    Genesis {
        chain_id: 2121,
        time: UnixMillis(1_700_000_000_000),
        gas_limit: 30_000_000,
        schedule: Schedule::new(vec![period(0, &[1, 2]), period(50, &[2, 3])]).unwrap(),
        allocations: [1u8, 2, 9].map(|n| (Account([n; 20]), Amount::from(u128::from(n) << 100))).into(),
    }
}

#[test]
fn a_genesis_survives_its_bytes_and_its_file() {
    let genesis = genesis();
    let bytes = genesis.encode();
    assert_eq!(Genesis::decode(&bytes).unwrap(), genesis);
    let text = serde_json::to_string_pretty(&genesis).unwrap();
    assert!(text.contains("\"0x0101010101010101010101010101010101010101\": \"0x0000"), "{text}");
    assert_eq!(serde_json::from_str::<Genesis>(&text).unwrap(), genesis);
}

#[test]
fn a_file_may_leave_out_what_has_a_default_but_knows_no_other_keys() {
    let mut value = serde_json::to_value(genesis()).unwrap();
    let object = value.as_object_mut().unwrap();
    object.remove("gas_limit");
    object.remove("allocations");
    let short: Genesis = serde_json::from_value(value.clone()).unwrap();
    assert_eq!((short.gas_limit, short.allocations.len()), (BLOCK_GAS_LIMIT, 0));
    value.as_object_mut().unwrap().insert("gaslimit".into(), 1.into());
    assert!(serde_json::from_value::<Genesis>(value).is_err());
}

#[test]
fn every_part_of_the_spec_and_the_accounts_name_the_network() {
    let base = genesis();
    let header = base.header(Hash([1; 32]));
    assert_eq!((header.height.0, header.slot.0, header.body_root), (0, 0, Body::empty_root()));
    let mut names = vec![header.id(), base.header(Hash([2; 32])).id()];
    let one = vec![Period { from_slot: Slot(0), slot_ms: 2_000, authorities: vec![authority(1)] }];
    for changed in [
        Genesis { chain_id: 1, ..base.clone() },
        Genesis { time: UnixMillis(1), ..base.clone() },
        Genesis { gas_limit: 1, ..base.clone() },
        Genesis { schedule: Schedule::new(one).unwrap(), ..base.clone() },
        Genesis { allocations: BTreeMap::new(), ..base.clone() },
    ] {
        names.push(changed.header(Hash([1; 32])).id());
    }
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 7);
}

#[test]
fn bytes_that_are_no_genesis_are_refused_wherever_they_are_cut_or_stretched() {
    let bytes = genesis().encode();
    for n in 0..bytes.len() {
        assert!(Genesis::decode(&bytes[..n]).is_err(), "cut at {n}");
    }
    let long = [&bytes[..], &[0]].concat();
    assert!(matches!(Genesis::decode(&long), Err(Invalid::Length { what: "genesis", .. })));
}

#[test]
fn counts_are_checked_before_anything_is_allocated() {
    let bytes = genesis().encode();
    let mut many = bytes.clone();
    many[24..28].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(matches!(Genesis::decode(&many), Err(Invalid::TooMany { limit: MAX_PERIODS, .. })));
    many[24..28].copy_from_slice(&1_000u32.to_le_bytes());
    assert!(matches!(Genesis::decode(&many), Err(Invalid::Length { .. })));
    let mut crowded = bytes.clone();
    crowded[28 + 16] = 16;
    assert!(matches!(Genesis::decode(&crowded), Err(Invalid::TooMany { got: 16, .. })));
}

#[test]
fn accounts_must_ascend() {
    let mut bytes = genesis().encode();
    let last = bytes.len() - 52;
    bytes[last..last + 20].fill(2);
    let why = "accounts must ascend";
    assert_eq!(Genesis::decode(&bytes), Err(Invalid::Malformed { what: "genesis", why }));
}

#[test]
fn accounts_are_shown_in_hex() {
    assert_eq!(Account([0xab; 20]).to_string(), format!("0x{}", "ab".repeat(20)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn damaged_bytes_never_panic(at in 0usize..1_000, to in any::<u8>()) {
        let mut bytes = genesis_bytes().to_vec();
        let at = at % bytes.len();
        bytes[at] = to;
        if let Ok(decoded) = Genesis::decode(&bytes) {
            prop_assert_eq!(decoded.encode(), bytes);
        }
    }
}

fn genesis_bytes() -> &'static [u8] {
    static BYTES: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    BYTES.get_or_init(|| genesis().encode())
}
