use alloy_consensus::crypto::secp256k1::recover_signer;
use alloy_primitives::{B256, address, b256, hex};
use proptest::prelude::*;

use super::*;
use crate::testing::{CHAIN, sign, wallet, with_signature};
use crate::wallet::Transfer;

const MAINNET: ChainId = ChainId(1);
const SECRET: [u8; 32] = [1; 32];

/// The example of EIP-155: key 0x46..46, nonce 9, 20 gwei, one ether to 0x35..35.
const EIP_155: &[u8] = &hex!(
    "f86c098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a76400008025a028ef61340bd939bc2195fe537567866003e1a15d3c"
    "71ff63e1590620aa636276a067cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83"
);

/// Mainnet transaction 0xce4dc6d7..., type 2.
const LIVE_1559: &[u8] = &hex!(
    "02f86f0102843b9aca0085029e7822d68298f094d9e1459a7a482635700cbc20bbaf52d495ab9c9680841b55ba3ac080a0c1"
    "99674fcb29f353693dd779c017823b954b3c69dffa3cd6b2a6ff7888798039a028ca912de909e7e6cdef9cdcaf24c54dd8c1"
    "032946dfa1d85c206b32a9064fe8"
);

/// Mainnet transaction 0x280cde7c..., legacy, a call.
const LIVE_LEGACY: &[u8] = &hex!(
    "f9015482078b8505d21dba0083022ef1947a250d5630b4cf539739df2c5dacb4c659f2488d880c46549a521b13d8b8e47ff3"
    "6ab50000000000000000000000000000000000000000000066ab5a608bd00a23f2fe00000000000000000000000000000000"
    "0000000000000000000000000000008000000000000000000000000048c04ed5691981c42154c6167398f95e8f38a7ff0000"
    "0000000000000000000000000000000000000000000000000000632ceac70000000000000000000000000000000000000000"
    "000000000000000000000002000000000000000000000000c02aaa39b223fe8d0a0e5c4f27ead9083c756cc2000000000000"
    "0000000000006c6ee5e31d828de241282b9606c8e98ea48526e225a0c9077369501641a92ef7399ff81c21639ed4fd8fc69c"
    "b793cfa1dbfab342e10aa0615facb2f1bcf3274a354cfe384a38d0cc008a11c2dd23a69111bc6930ba27a8"
);

/// The signed access-list transaction of go-ethereum's transaction tests, and its published signing hash.
const GETH_2930: &[u8] = &hex!(
    "01f8630103018261a894b94f5374fce5edbc8e2a8697c15331677e6ebf0b0a825544c001a0c9519f4f2b30335884581971573fadf60c6204f59a911df35ee8a540456b"
    "2660a032f1e8e2c5dd761f9e4f88f41c8310aeaba26a8bfcdacfedfa12ec3862d37521"
);
const GETH_2930_SIGNING_HASH: B256 =
    b256!("49b486f0ec0a60dfbbca2d30cb07c9e8ffb2a2ff41f29a1ab6737475f6ff69f3");

fn on_mainnet(raw: &'static [u8]) -> Result<Recovered, Invalid> {
    recover(&Bytes::from_static(raw), MAINNET)
}

fn on_ours(raw: Bytes) -> Invalid {
    recover(&raw, CHAIN).unwrap_err()
}

/// A transaction that is valid here; the tests break one thing each.
fn valid() -> TxEip1559 {
    TxEip1559 {
        chain_id: CHAIN.0,
        nonce: 0,
        gas_limit: 21_000,
        max_fee_per_gas: 30,
        max_priority_fee_per_gas: 2,
        to: TxKind::Call(Address::repeat_byte(0xb0)),
        ..TxEip1559::default()
    }
}

#[test]
fn the_example_of_eip_155() {
    let tx = on_mainnet(EIP_155).unwrap();
    assert_eq!(tx.sender(), address!("9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F"));
    assert_eq!(tx.recipient(), Address::repeat_byte(0x35));
    assert_eq!(tx.value(), U256::from(10).pow(U256::from(18)));
    assert_eq!((tx.nonce(), tx.gas_limit(), tx.intrinsic_gas()), (9, 21_000, 21_000));
    assert_eq!((tx.max_fee(), tx.max_priority_fee()), (20_000_000_000, 20_000_000_000));
    assert_eq!(tx.raw(), EIP_155);
}

#[test]
fn a_live_transaction_of_type_2() {
    let tx = on_mainnet(LIVE_1559).unwrap();
    assert_eq!(tx.hash().to_string(), "0xce4dc6d7a7549a98ee3b071b67e970879ff51b5b95d1c340bacd80fa1e1aab31");
    assert_eq!(tx.sender(), address!("001e2b7dE757bA469a57bF6b23d982458a07eFcE"));
    assert_eq!(tx.recipient(), address!("D9e1459A7A482635700cBc20BBAF52D495Ab9C96"));
    assert_eq!(tx.intrinsic_gas(), 21_000 + 4 * 16);
    assert_eq!((tx.max_fee(), tx.max_priority_fee()), (0x2_9e78_22d6, 0x3b9a_ca00));
}

#[test]
fn a_live_legacy_transaction() {
    let tx = on_mainnet(LIVE_LEGACY).unwrap();
    assert_eq!(tx.hash().to_string(), "0x280cde7cdefe4b188750e76c888f13bd05ce9a4d7767730feefe8a0e50ca6fc4");
    assert_eq!(tx.sender(), address!("a12e1462d0ceD572f396F58B6E2D03894cD7C8a4"));
}

#[test]
fn the_access_list_transaction_of_go_ethereum() {
    let tx = on_mainnet(GETH_2930).unwrap();
    let mut fields = &GETH_2930[1..];
    let (_, signature) = TxEip2930::rlp_decode_with_signature(&mut fields).unwrap();
    assert_eq!(tx.sender(), recover_signer(&signature, GETH_2930_SIGNING_HASH).unwrap());
    assert_eq!((tx.nonce(), tx.value(), tx.max_fee()), (3, U256::from(10), 1));
}

#[test]
fn the_price_follows_eip_1559() {
    let tx = recover(&sign(&valid(), SECRET), CHAIN).unwrap();
    assert_eq!(tx.effective_gas_price(10), Some(12));
    assert_eq!(tx.effective_gas_price(29), Some(30), "the tip yields to the maximum");
    assert_eq!(tx.effective_gas_price(30), Some(30));
    assert_eq!(tx.effective_gas_price(31), None);
}

#[test]
fn the_size_is_checked_first() {
    let limit = MAX_TRANSACTION_BYTES;
    assert_eq!(on_ours(vec![0xff; limit + 1].into()), Invalid::TooLarge { bytes: limit + 1, limit });
    assert!(matches!(on_ours(vec![0xff; limit].into()), Invalid::Malformed(_)));
}

#[test]
fn what_is_no_transaction_is_malformed() {
    let good = sign(&valid(), SECRET);
    let longer = Bytes::from([good.as_ref(), &[0]].concat());
    let cut = good.slice(..good.len() - 1);
    for raw in [Bytes::new(), vec![0x80].into(), vec![0xc0].into(), vec![2].into(), cut, longer] {
        assert!(matches!(on_ours(raw.clone()), Invalid::Malformed(_)), "{raw:?}");
    }
}

#[test]
fn other_types_are_named() {
    for kind in [0, 3, 4, 0x7f] {
        assert_eq!(on_ours(vec![kind, 0xc0].into()), Invalid::UnsupportedType(kind));
    }
    let blobs = on_ours(vec![3].into()).to_string();
    assert_eq!(blobs, "transactions of type 3 are not accepted here, only the types 0, 1 and 2 are");
}

#[test]
fn contract_creation_is_refused_with_a_reason() {
    let raw = sign(&TxEip1559 { to: TxKind::Create, ..valid() }, SECRET);
    let reason = on_ours(raw);
    assert_eq!(reason, Invalid::CreatesContract);
    assert!(reason.to_string().contains("contract creation is not supported"));
}

#[test]
fn the_chain_must_be_named_and_be_ours() {
    let legacy = TxLegacy {
        chain_id: None,
        gas_limit: 21_000,
        to: TxKind::Call(Address::ZERO),
        ..TxLegacy::default()
    };
    assert_eq!(on_ours(sign(&legacy, SECRET)), Invalid::NoChainId);
    let theirs = TxLegacy { chain_id: Some(1), ..legacy.clone() };
    assert_eq!(on_ours(sign(&theirs, SECRET)), Invalid::WrongChain { theirs: 1, ours: CHAIN.0 });
    let ours = TxLegacy { chain_id: Some(CHAIN.0), ..legacy };
    assert_eq!(recover(&sign(&ours, SECRET), CHAIN).unwrap().sender(), wallet(0).address());
}

#[test]
fn calldata_and_access_lists_are_paid() {
    use alloy_eips::eip2930::{AccessList, AccessListItem};
    let item = |keys| AccessListItem { address: Address::ZERO, storage_keys: vec![B256::ZERO; keys] };
    let needed = 21_000 + 2 * 4 + 3 * 16 + 2 * 2_400 + 3 * 1_900;
    let mut tx = TxEip1559 {
        input: hex!("0001000203").into(),
        access_list: AccessList(vec![item(1), item(2)]),
        gas_limit: needed,
        ..valid()
    };
    assert_eq!(recover(&sign(&tx, SECRET), CHAIN).unwrap().intrinsic_gas(), needed);
    tx.gas_limit -= 1;
    assert_eq!(on_ours(sign(&tx, SECRET)), Invalid::GasBelowIntrinsic { limit: needed - 1, needed });
}

#[test]
fn impossible_fees_and_nonces_are_refused() {
    let tip = TxEip1559 { max_priority_fee_per_gas: 31, ..valid() };
    assert_eq!(on_ours(sign(&tip, SECRET)), Invalid::PriorityAboveMaxFee { priority: 31, max: 30 });
    let last = TxEip1559 { nonce: u64::MAX, ..valid() };
    assert_eq!(on_ours(sign(&last, SECRET)), Invalid::NonceAtMaximum);
}

#[test]
fn nobody_can_change_a_hash_by_mirroring_the_signature() {
    let raw = sign(&valid(), SECRET);
    let (tx, signature) = TxEip1559::rlp_decode_with_signature(&mut &raw[1..]).unwrap();
    let order = SECP256K1N_HALF * U256::from(2) + U256::from(1);
    let mirrored = Signature::new(signature.r(), order - signature.s(), !signature.v());
    assert_eq!(on_ours(with_signature(&tx, &mirrored)), Invalid::HighS);
}

#[test]
fn a_signature_of_nobody_has_no_sender() {
    for (r, s) in [(U256::ZERO, U256::from(1)), (U256::from(1), U256::ZERO), (U256::MAX, U256::from(1))] {
        let raw = with_signature(&valid(), &Signature::new(r, s, false));
        assert_eq!(on_ours(raw), Invalid::Signature);
    }
}

#[test]
fn the_first_invalid_one_of_many_is_named() {
    let good = sign(&valid(), SECRET);
    let all = recover_senders(&[good.clone(), good.clone()], CHAIN).unwrap();
    assert_eq!(all[0], all[1]);
    let (index, reason) = recover_senders(&[good, vec![4].into()], CHAIN).unwrap_err();
    assert_eq!((index, reason), (1, Invalid::UnsupportedType(4)));
}

#[test]
fn the_transactions_of_a_body_share_its_memory() {
    let good = sign(&valid(), SECRET);
    let body = Body::encode(&[good.clone(), Bytes::from_static(EIP_155)]).unwrap();
    let raw = raw_transactions(&body).unwrap();
    assert_eq!(raw, [good.as_ref(), EIP_155]);
    assert!(body.0.as_ptr_range().contains(&raw[1].as_ptr()));
    assert!(raw_transactions(&Body(Bytes::from_static(&[1]))).is_err());
}

proptest! {
    #[test]
    fn what_a_wallet_signs_is_what_is_recovered(
        who in 0u8..8, nonce in 0..u64::MAX, to: [u8; 20], value: [u8; 32], tip in 0..u128::MAX / 2, more in 0..u128::MAX / 2,
        input in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let (to, value) = (Address::from(to), U256::from_be_bytes(value));
        let transfer = Transfer { nonce, to, value, max_fee: tip + more, max_priority_fee: tip, input: input.into() };
        let tx = recover(&wallet(who).sign(&transfer, CHAIN), CHAIN).unwrap();
        prop_assert_eq!((tx.sender(), tx.recipient()), (wallet(who).address(), to));
        prop_assert_eq!((tx.nonce(), tx.value()), (nonce, value));
        prop_assert_eq!((tx.max_fee(), tx.max_priority_fee()), (tip + more, tip));
        prop_assert_eq!(tx.gas_limit(), tx.intrinsic_gas());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_096))]

    #[test]
    fn any_bytes_are_a_transaction_or_an_error(kind in prop_oneof![Just(1u8), Just(2), 0xc0u8.., any::<u8>()], rest in prop::collection::vec(any::<u8>(), 0..300)) {
        let raw = Bytes::from([vec![kind], rest].concat());
        let _ = recover(&raw, MAINNET);
    }

    /// A changed byte makes another sender or no transaction, never the same one under another hash.
    #[test]
    fn a_changed_byte_never_leaves_the_same_transaction(
        which in 0usize..4, at in any::<prop::sample::Index>(), flip in 1u8..,
    ) {
        let good = [EIP_155, LIVE_1559, LIVE_LEGACY, GETH_2930][which];
        let mut raw = good.to_vec();
        raw[at.index(good.len())] ^= flip;
        if let Ok(changed) = recover(&raw.into(), MAINNET) {
            prop_assert_ne!(changed.sender(), on_mainnet(good).unwrap().sender());
        }
    }
}

#[test]
fn large_transactions_are_taken_two_by_two_and_small_ones_many_at_once() {
    let raw = |bytes: usize, count: usize| vec![Bytes::from(vec![1; bytes]); count];
    assert_eq!(together(&raw(1 << 20, 5)), 2);
    assert_eq!(together(&raw(100_000, 5)), 2);
    assert_eq!(together(&raw(100_000, 1)), 1, "there is no other");
    assert_eq!(together(&raw(40_000, 5)), 3);
    assert_eq!(together(&raw(200, 100)), TOGETHER);
}
